//! What the supervisor of this process hears, if it asked: ready, reloading, stopping, replaced, and that we live.
//! sd_notify(3), sd_watchdog_enabled(3).
//!
//! Invariant: the watchdog is fed only when every core has turned since it was fed last: one that hangs takes its
//! channels with it, and a restart is the only cure. Without a watchdog nothing here ever wakes.

use super::Cores;
use super::lifecycle::Phase;
use crate::stats::Published;
use crate::sys::notify::Notifier;
use crate::sys::{clock, journal};
use std::env;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

#[derive(Debug, Default)]
pub struct Supervisor {
    notifier: Option<Notifier>,
    /// The process is ended if it is silent for so long.
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// As the environment says. A supervisor that cannot be reached is said to be so, once.
    pub fn from_environment() -> Self {
        let Some(address) = env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty()) else {
            return Self::default();
        };
        let notifier = Notifier::new(&address);
        if let Err(error) = &notifier {
            say(&format!("NOTIFY_SOCKET={} cannot be used: {error}", address.to_string_lossy()));
        }
        let number = |name: &str| env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| is_ours && *usec > 0);
        Self { notifier: notifier.ok(), watchdog: watchdog.map(Duration::from_micros) }
    }

    pub(super) fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    /// Since version 253 systemd wants the time to tell an old READY from the one that ends the reload.
    pub(super) fn reloading(&self) {
        let usec = clock::now().as_nanos() / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={usec}"));
    }

    pub(super) fn reloaded(&self) {
        self.tell("READY=1");
    }

    pub(super) fn stopping(&self, status: &str) {
        self.tell(&format!("STOPPING=1\nSTATUS={status}"));
    }

    /// From now on another process is the one to watch; what we say later would not be heard.
    pub(super) fn replaced(&self, successor: u32) {
        self.tell(&format!("MAINPID={successor}\nREADY=1\nSTATUS=process {successor} has taken over"));
    }

    pub(super) fn status(&self, status: &str) {
        self.tell(&format!("STATUS={status}"));
    }

    /// Feeds the watchdog until a stop begins. Rings each core: one that sleeps for want of work wakes up to say so.
    pub(super) async fn feed(
        &self,
        cores: &Cores,
        published: &[Arc<Published>],
        mut follow: watch::Receiver<Phase>,
    ) {
        let Some(patience) = self.watchdog else { return std::future::pending().await };
        let feeding = async {
            let mut pulses = vec![None; published.len()];
            loop {
                cores.ring();
                sleep(patience / BEATS_PER_PATIENCE).await;
                let turned = published.iter().zip(&pulses).all(|(core, last)| Some(core.pulse()) != *last);
                if turned {
                    self.tell("WATCHDOG=1");
                    pulses = published.iter().map(|core| Some(core.pulse())).collect();
                }
            }
        };
        let ending = async {
            // What it gives holds a lock: it must not outlive the wait.
            let _ = follow.wait_for(|phase| *phase >= Phase::Draining).await;
        };
        tokio::select! {
            () = feeding => {}
            () = ending => {}
        }
        std::future::pending::<()>().await;
    }

    fn tell(&self, message: &str) {
        if let Some(notifier) = &self.notifier {
            // It may have gone; then nobody waits for this.
            let _ = notifier.tell(message);
        }
    }
}

/// systemd asks for two; with four, a beat that a busy machine delays is not yet missed.
const BEATS_PER_PATIENCE: u32 = 4;

fn say(line: &str) {
    journal::tell(format!("ringway: {line}"));
}
