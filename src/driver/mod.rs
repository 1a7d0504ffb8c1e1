//! Runs a shard on a core: the only place that sees sockets, a thread and a clock at once.
//!
//! A driver owns sockets and requests; the shard owns everything that has a meaning and cannot tell one driver from the
//! other: `uring`, a ring inside of an executor, and `epoll`, a plain thread. `turn`, `entrance` and `errands` are what
//! they share.

mod addresses;
mod admission;
mod entrance;
mod epoll;
mod errands;
mod roll;
mod slots;
mod turn;
mod uring;

pub use addresses::Addresses;
pub use admission::Admissions;
pub use roll::{Entry, Roll};
#[cfg(debug_assertions)]
pub use uring::play_any;

use crate::control::Handover;
use crate::pressure::Pressure;
use crate::shard::ShardOptions;
use crate::shard::mail::Mail;
use crate::shard::memo::Memo;
use crate::stats::Published;
use crate::store::Store;
use crate::sys::mailbox::{Inbox, Mailbox};
use crate::sys::memory::Budget;
use crossbeam_channel::{Receiver, Sender};
use glommio::{ExecutorJoinHandle, GlommioError, LocalExecutorBuilder, Placement};
use rustix::fd::OwnedFd;
use std::io::{Error, Result};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// Everything that a core needs from the outside.
pub struct Station {
    /// The CPU that the core is pinned to.
    pub cpu: usize,
    /// Brings the listeners of this core when all cores are ready; whoever gave up before drops the other end.
    pub opening: Receiver<Vec<OwnedFd>>,
    pub shard: ShardOptions,
    pub mail: Inbox<Mail>,
    /// Mailboxes of all cores, by core.
    pub cores: Vec<Mailbox<Mail>>,
    pub control: Mailbox<Handover>,
    pub memos: Mailbox<Memo>,
    /// Where durable channels are kept, if any are.
    pub store: Option<Store>,
    pub published: Arc<Published>,
    pub admissions: Arc<Admissions>,
    /// How short memory is, and what is measured for it.
    pub pressure: Arc<Pressure>,
    pub budget: Option<Budget>,
    pub entry: Entry,
    /// Told once, when the core could listen or cannot.
    pub ready: Sender<std::result::Result<(), NotReady>>,
}

/// Why a core cannot start.
#[derive(Debug)]
pub enum NotReady {
    /// What its sockets would be driven with.
    Driver(Error),
    Listen(Error),
}

/// How the sockets of a core are driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverKind {
    Uring,
    Epoll,
}

impl DriverKind {
    /// As the option has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::Epoll => "epoll",
        }
    }
}

/// A running core.
pub struct Core(Running);

enum Running {
    Executor(ExecutorJoinHandle<Result<()>>),
    Thread(JoinHandle<Result<()>>),
}

impl Core {
    /// Starts the core on its own pinned thread.
    pub fn spawn(driver: DriverKind, station: Station) -> Result<Self> {
        Ok(Self(match driver {
            DriverKind::Uring => Running::Executor(
                LocalExecutorBuilder::new(Placement::Fixed(station.cpu))
                    .name("ringway")
                    .io_memory(EXECUTOR_MEMORY_BYTES)
                    .spawn(move || uring::run(station))
                    .map_err(|error| into_io(&error))?,
            ),
            DriverKind::Epoll => Running::Thread(
                thread::Builder::new()
                    .name(format!("ringway-{}", station.cpu))
                    .spawn(move || epoll::run(station))?,
            ),
        }))
    }

    /// Waits until the core has drained.
    pub fn join(self) -> Result<()> {
        match self.0 {
            Running::Executor(executor) => executor.join().map_err(|error| into_io(&error))?,
            Running::Thread(thread) => thread.join().map_err(|_| Error::other("it panicked"))?,
        }
    }
}

fn into_io(error: &GlommioError<()>) -> Error {
    Error::other(error.to_string())
}

/// The executor reads eight bytes from a doorbell and nothing else: its default of 10 MiB would be registered memory
/// that nobody uses.
const EXECUTOR_MEMORY_BYTES: usize = 64 << 10;
