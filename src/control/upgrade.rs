//! Another process takes our place: on SIGUSR2 a successor is started, gets our listeners, and says when it is ready.
//!
//! Invariant: until the successor has said so, nothing of this process changes; one that fails, or says nothing for
//! `UPGRADE_MS_MAX`, is ended, and that is loud, in the log and in the metrics. There is one attempt at a time.

use crate::limits::UPGRADE_MS_MAX;
use crate::sys::doorbell::Doorbell;
use crate::sys::{clock, journal};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::fmt;
use std::io;
use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A process that is about to take our place.
#[derive(Debug)]
pub struct Heir {
    pub child: Child,
    /// Where it says `READY`.
    pub words: OwnedFd,
}

/// What a successor writes when it listens.
pub const READY: &[u8] = b"ready\n";

/// Starts a successor, given the listener of the internal port. The error is a sentence.
pub type Start = dyn Fn(BorrowedFd<'_>) -> Result<Heir, String> + Send + Sync;

pub struct Upgrade {
    start: Box<Start>,
    patience: Duration,
    /// Of the internal port; known once it is bound.
    internal: OnceLock<OwnedFd>,
    is_under_way: AtomicBool,
    /// Rung when a stop makes a successor pointless.
    abandoned: Doorbell,
    succeeded: AtomicU64,
    failed: AtomicU64,
}

impl Upgrade {
    pub fn new(start: Box<Start>) -> io::Result<Arc<Self>> {
        Self::with(start, Duration::from_millis(UPGRADE_MS_MAX))
    }

    fn with(start: Box<Start>, patience: Duration) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            start,
            patience,
            internal: OnceLock::new(),
            is_under_way: AtomicBool::new(false),
            abandoned: Doorbell::new()?,
            succeeded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }))
    }

    pub(super) fn set_internal(&self, listener: OwnedFd) {
        let _ = self.internal.set(listener);
    }

    /// Ends an attempt that is under way.
    pub(super) fn abandon(&self) {
        self.abandoned.ring();
    }

    /// On a thread for such things. The process that has taken our place, if one has.
    pub(super) async fn spawn(self: Arc<Self>) -> Option<u32> {
        tokio::task::spawn_blocking(move || self.run()).await.ok().flatten()
    }

    fn run(&self) -> Option<u32> {
        if self.is_under_way.swap(true, Ordering::AcqRel) {
            say("an upgrade is under way already");
            return None;
        }
        let outcome = self.replace();
        self.is_under_way.store(false, Ordering::Release);
        match outcome {
            Ok(successor) => {
                self.succeeded.fetch_add(1, Ordering::Relaxed);
                say(&format!("process {successor} is ready and has taken over"));
                Some(successor)
            }
            Err(cause) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                say(&format!("the upgrade FAILED and this process goes on: {cause}"));
                None
            }
        }
    }

    fn replace(&self) -> Result<u32, String> {
        let internal = self.internal.get().ok_or("the internal port is not bound yet")?;
        let mut heir = (self.start)(internal.as_fd())?;
        let pid = heir.child.id();
        say(&format!("upgrade: process {pid} starts"));
        let Err(cause) = self.hear(&heir.words) else { return Ok(pid) };
        // Nothing that it could still do is wanted.
        let ended = heir.child.try_wait().ok().flatten();
        let _ = heir.child.kill();
        let status = heir.child.wait();
        Err(match (ended, status) {
            (Some(status), _) => format!("process {pid} ended ({status}) before it was ready"),
            (None, _) => format!("process {pid} {cause}"),
        })
    }

    fn hear(&self, words: &OwnedFd) -> Result<(), String> {
        let end = clock::now() + self.patience;
        let mut heard = Vec::new();
        loop {
            let rest = end.since(clock::now());
            if rest.is_zero() {
                return Err(format!("said nothing for {} s", self.patience.as_secs_f32()));
            }
            let limit =
                Timespec { tv_sec: rest.as_secs().cast_signed(), tv_nsec: rest.subsec_nanos().into() };
            let mut ends = [PollFd::new(words, PollFlags::IN), PollFd::new(&self.abandoned, PollFlags::IN)];
            if poll(&mut ends, Some(&limit)).is_err() {
                continue;
            }
            if !ends[1].revents().is_empty() {
                return Err(String::from("was ended because this one stops"));
            }
            if ends[0].revents().is_empty() {
                continue;
            }
            let mut chunk = [0; 64];
            match rustix::io::read(words, &mut chunk) {
                Ok(0) => {
                    // Its end is a moment behind that of its descriptors.
                    std::thread::park_timeout(END_DELAY);
                    return Err(String::from("closed its pipe before it was ready"));
                }
                Ok(len) => heard.extend_from_slice(&chunk[..len]),
                Err(_) => {}
            }
            if heard.starts_with(READY) {
                return Ok(());
            }
            if !READY.starts_with(&heard) {
                return Err(String::from("does not know this way of taking over"));
            }
        }
    }
}

/// Between the close of a process's descriptors and its exit status.
const END_DELAY: Duration = Duration::from_millis(100);

fn say(line: &str) {
    journal::tell(format!("ringway: {line}"));
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade").field("failed", &self.failed).finish_non_exhaustive()
    }
}

/// For the metrics page.
#[derive(Debug)]
pub(super) struct UpgradeFigures(pub Option<Arc<Upgrade>>);

impl Collector for UpgradeFigures {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Some(upgrade) = &self.0 else { return Ok(()) };
        let help = "Attempts to let another process take over, by result.";
        let mut family = encoder.encode_descriptor("upgrades", help, None, MetricType::Counter)?;
        for (result, count) in [("succeeded", &upgrade.succeeded), ("failed", &upgrade.failed)] {
            let labels = [("result", result)];
            let count = count.load(Ordering::Relaxed);
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pipe::{PipeFlags, pipe_with};
    use std::process::{Command, Stdio};

    /// A successor that is a line of shell, with the pipe as its standard output.
    fn upgrade(line: &'static str, patience: Duration) -> Arc<Upgrade> {
        let start = move |_: BorrowedFd<'_>| {
            let (words, mouth) = pipe_with(PipeFlags::CLOEXEC).unwrap();
            let child = Command::new("sh").args(["-c", line]).stdin(Stdio::null()).stdout(mouth).spawn();
            Ok(Heir { child: child.unwrap(), words })
        };
        let upgrade = Upgrade::with(Box::new(start), patience).unwrap();
        upgrade.set_internal(pipe_with(PipeFlags::CLOEXEC).unwrap().0);
        upgrade
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn one_that_says_so_takes_over() {
        let upgrade = upgrade("echo ready; exec sleep 1", LONG);
        assert!(upgrade.run().is_some());
        assert_eq!(upgrade.succeeded.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn one_that_ends_before_does_not() {
        let cause = upgrade("exit 2", LONG).replace().unwrap_err();
        assert!(cause.contains("exit status: 2"), "{cause}");
    }

    #[test]
    fn one_that_says_something_else_or_nothing_does_not() {
        let cause = upgrade("echo reading; exec sleep 60", LONG).replace().unwrap_err();
        assert!(cause.contains("does not know"), "{cause}");
        let silent = upgrade("exec sleep 60", Duration::from_millis(50));
        let cause = silent.replace().unwrap_err();
        assert!(cause.contains("said nothing for 0.05 s"), "{cause}");
        assert!(silent.run().is_none());
        assert_eq!(silent.failed.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_stop_ends_the_attempt() {
        let upgrade = upgrade("exec sleep 60", LONG);
        upgrade.abandon();
        assert!(upgrade.replace().unwrap_err().contains("because this one stops"));
    }
}
