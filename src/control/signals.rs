//! SIGHUP reads the configuration again. SIGTERM and SIGINT: the first begins a drain, the second ends the process at once, and so does a drain that takes too long.
//! Invariant: from the first signal on, the process ends within `stop_max`, whatever the cores do.

use super::lifecycle::{Lifecycle, Phase};
use super::reload::Reload;
use crate::sys::journal;
use std::io;
use std::pin::pin;
use std::process::exit;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// None: nothing can be reloaded, and SIGHUP ends the process, as when a terminal closes.
    hangup: Option<(Signal, Arc<Reload>)>,
}

/// What a signal asks for.
enum Wish {
    Stop(SignalKind),
    Reload(Arc<Reload>),
}

impl Signals {
    /// From here on the signals no longer end the process by themselves. Needs the reactor's context.
    pub(super) fn new(reload: Option<Arc<Reload>>) -> io::Result<Self> {
        let hangup = match reload {
            Some(reload) => Some((signal(SignalKind::hangup())?, reload)),
            None => None,
        };
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt, hangup })
    }

    async fn next(&mut self) -> Wish {
        let hangup = async {
            match &mut self.hangup {
                Some((signal, reload)) => {
                    signal.recv().await;
                    Arc::clone(reload)
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop(SignalKind::terminate()),
            _ = self.interrupt.recv() => Wish::Stop(SignalKind::interrupt()),
            reload = hangup => Wish::Reload(reload),
        }
    }
}

/// Runs until it is dropped, or until it ends the process.
pub(super) async fn run(
    mut signals: Signals,
    lifecycle: &Lifecycle,
    phase: &watch::Sender<Phase>,
    stop_max: Duration,
    stop: impl FnOnce() + Send + 'static,
) -> std::convert::Infallible {
    while let Wish::Reload(reload) = signals.next().await {
        // It counts and reports itself; a stop need not wait for it.
        tokio::spawn(reload.spawn());
    }
    lifecycle.set_draining();
    say("draining; a second signal ends at once");
    let begun = Instant::now();
    let mut deadline = pin!(sleep(stop_max));
    // On a thread of its own: the deadline must run even if a core does not take its mail.
    if thread::Builder::new().spawn(stop).is_err() {
        say("no thread for the drain: the deadline ends the process");
    }
    phase.send_replace(Phase::Draining);
    loop {
        tokio::select! {
            wish = signals.next() => {
                // It is too late for another configuration.
                let Wish::Stop(signal) = wish else { continue };
                if begun.elapsed() < ECHO_MAX {
                    continue;
                }
                say("ended by a second signal");
                // The shell's convention for a process that a signal ended.
                journal::flush();
                exit(128 + signal.as_raw_value())
            }
            () = &mut deadline => {
                say(&format!("the drain took longer than {} s: ended with connections open", stop_max.as_secs_f32()));
                journal::flush();
                exit(1)
            }
        }
    }
}

/// Supervisors send one signal to the process and again to its group: that is one wish, not two.
const ECHO_MAX: Duration = Duration::from_millis(200);

fn say(line: &str) {
    journal::tell(format!("ringway: {line}"));
}
