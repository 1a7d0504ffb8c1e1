//! SIGHUP reads the configuration again, SIGUSR2 starts a successor. SIGTERM and SIGINT: the first begins a drain, the
//! second ends the process at once, and so does a drain that takes too long. A successor that is ready begins one, too.
//! Invariant: from the first signal on, the process ends within `stop_max`, whatever the cores do.

use super::lifecycle::{self, Lifecycle, Phase};
use super::reload::Reload;
use super::supervisor::Supervisor;
use super::upgrade::Upgrade;
use crate::sys::journal;
use std::io;
use std::pin::pin;
use std::process::exit;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// None: nothing can be reloaded, and SIGHUP ends the process, as when a terminal closes.
    hangup: Option<(Signal, Arc<Reload>)>,
    /// None: SIGUSR2 ends the process, as ever.
    successor: Option<(Signal, Arc<Upgrade>)>,
}

/// What a signal asks for.
enum Wish {
    Stop(SignalKind),
    Reload(Arc<Reload>),
    Upgrade(Arc<Upgrade>),
}

/// Why a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Somebody wants it to.
    Stopped,
    /// Another process has taken its place, and its listeners.
    Replaced,
}

/// What a stop has to do with.
pub(super) struct Stopping<'p> {
    pub(super) lifecycle: &'p Lifecycle,
    pub(super) phase: &'p watch::Sender<Phase>,
    /// From its beginning to a hard end of the process.
    pub(super) stop_max: Duration,
    pub(super) supervisor: &'p Arc<Supervisor>,
}

impl Signals {
    /// From here on the signals no longer end the process by themselves. Needs the reactor's context.
    pub(super) fn new(reload: Option<Arc<Reload>>, upgrade: Option<Arc<Upgrade>>) -> io::Result<Self> {
        let hangup = match reload {
            Some(reload) => Some((signal(SignalKind::hangup())?, reload)),
            None => None,
        };
        let successor = match upgrade {
            Some(upgrade) => Some((signal(SignalKind::user_defined2())?, upgrade)),
            None => None,
        };
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt, hangup, successor })
    }

    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop(SignalKind::terminate()),
            _ = self.interrupt.recv() => Wish::Stop(SignalKind::interrupt()),
            reload = wished(&mut self.hangup) => Wish::Reload(reload),
            upgrade = wished(&mut self.successor) => Wish::Upgrade(upgrade),
        }
    }
}

/// Never, without the signal.
async fn wished<T>(wish: &mut Option<(Signal, Arc<T>)>) -> Arc<T> {
    match wish {
        Some((signal, what)) => {
            signal.recv().await;
            Arc::clone(what)
        }
        None => std::future::pending().await,
    }
}

/// Runs until it is dropped, or until it ends the process.
pub(super) async fn run(
    mut signals: Signals,
    stopping: Stopping<'_>,
    stop: impl FnOnce(Ending) + Send + 'static,
) -> std::convert::Infallible {
    let Stopping { lifecycle, phase, stop_max, supervisor } = stopping;
    let ending = serve(&mut signals, supervisor).await;
    match ending {
        Ending::Stopped => {
            lifecycle.set_draining();
            supervisor.stopping("draining");
            say("draining; a second signal ends at once");
        }
        Ending::Replaced => {
            lifecycle.set_replaced();
            say("draining for a successor; a signal ends at once");
        }
    }
    let begun = Instant::now();
    let mut deadline = pin!(sleep(stop_max));
    // On a thread of its own: the deadline must run even if a core does not take its mail.
    if thread::Builder::new().spawn(move || stop(ending)).is_err() {
        say("no thread for the drain: the deadline ends the process");
    }
    lifecycle::tell(phase, lifecycle.phase());
    loop {
        tokio::select! {
            wish = signals.next() => {
                // It is too late for another configuration, and for a successor.
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

/// Does what signals ask for, until one of them, or a successor, ends that.
async fn serve(signals: &mut Signals, supervisor: &Arc<Supervisor>) -> Ending {
    let (ready, mut successors) = mpsc::unbounded_channel();
    let mut attempt: Option<Arc<Upgrade>> = None;
    loop {
        tokio::select! {
            // First, because a process that has been replaced no longer listens to anybody.
            biased;
            Some(successor) = successors.recv() => {
                supervisor.replaced(successor);
                return Ending::Replaced;
            }
            wish = signals.next() => match wish {
                Wish::Stop(_) => {
                    if let Some(upgrade) = attempt {
                        upgrade.abandon();
                    }
                    return Ending::Stopped;
                }
                Wish::Reload(reload) => {
                    let supervisor = Arc::clone(supervisor);
                    supervisor.reloading();
                    // It counts and reports itself; a stop need not wait for it.
                    tokio::spawn(async move {
                        reload.spawn().await;
                        supervisor.reloaded();
                    });
                }
                Wish::Upgrade(upgrade) => {
                    attempt = Some(Arc::clone(&upgrade));
                    let (ready, supervisor) = (ready.clone(), Arc::clone(supervisor));
                    tokio::spawn(async move {
                        match upgrade.spawn().await {
                            Some(successor) => _ = ready.send(successor),
                            None => supervisor.status("an upgrade failed, see the log; listening"),
                        }
                    });
                }
            }
        }
    }
}

/// Supervisors send one signal to the process and again to its group: that is one wish, not two.
const ECHO_MAX: Duration = Duration::from_millis(200);

fn say(line: &str) {
    journal::tell(format!("ringway: {line}"));
}
