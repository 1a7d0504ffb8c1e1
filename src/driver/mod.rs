//! Runs a shard on a core: the only place that sees a ring, an executor and a clock at once.
//!
//! A driver owns sockets and requests; the shard owns everything that has a meaning. What a driver has to offer is
//! `shard::Input` and `shard::Output`, so that another one (a plain thread on epoll) can stand beside this one.

mod addresses;
mod admission;
mod entrance;
mod errands;
mod roll;
mod slots;
mod turn;
mod uring;

pub use addresses::Addresses;
pub use admission::Admissions;
pub use roll::{Entry, Roll};

use crate::control::Handover;
use crate::shard::ShardOptions;
use crate::shard::mail::Mail;
use crate::shard::memo::Memo;
use crate::stats::Published;
use crate::store::Store;
use crate::sys::mailbox::{Inbox, Mailbox};
use glommio::{ExecutorJoinHandle, GlommioError, LocalExecutorBuilder, Placement};
use std::io::{Error, Result};
use std::net::SocketAddr;
use std::sync::Arc;

/// Everything that a core needs from the outside.
pub struct Station {
    /// The CPU that the core is pinned to.
    pub cpu: usize,
    pub listen: SocketAddr,
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
    pub entry: Entry,
    /// Told once, when the core listens or cannot.
    pub ready: crossbeam_channel::Sender<std::result::Result<(), NotReady>>,
}

/// Why a core cannot start.
#[derive(Debug)]
pub enum NotReady {
    Ring(Error),
    Listen(Error),
}

/// A running core.
pub struct Core(ExecutorJoinHandle<Result<()>>);

impl Core {
    /// Starts the executor on its own pinned thread.
    pub fn spawn(station: Station) -> Result<Self> {
        let executor = LocalExecutorBuilder::new(Placement::Fixed(station.cpu))
            .name("ringway")
            .io_memory(EXECUTOR_MEMORY_BYTES)
            .spawn(move || uring::run(station))
            .map_err(|error| into_io(&error))?;
        Ok(Self(executor))
    }

    /// Waits until the core has drained.
    pub fn join(self) -> Result<()> {
        self.0.join().map_err(|error| into_io(&error))?
    }
}

fn into_io(error: &GlommioError<()>) -> Error {
    Error::other(error.to_string())
}

/// The executor reads eight bytes from a doorbell and nothing else: its default of 10 MiB would be registered memory
/// that nobody uses.
const EXECUTOR_MEMORY_BYTES: usize = 64 << 10;
