//! A mailbox that an async task reads.
//!
//! Invariant: sleeps on the doorbell alone, so that a quiet process never wakes here; the inbox is asked once more after
//! it has announced its sleep, so that no letter waits for the next one.

use crate::sys::doorbell::Doorbell;
use crate::sys::mailbox::Inbox;
use rustix::fd::AsFd;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The receiving end, tied to the reactor of the thread that created it.
#[derive(Debug)]
pub(super) struct Inlet<T> {
    inbox: Inbox<T>,
    bell: AsyncFd<Bell>,
}

impl<T> Inlet<T> {
    pub(super) fn new(inbox: Inbox<T>) -> io::Result<Self> {
        #[expect(deprecated, reason = "its heir is unsafe; what that asks for holds: see Bell")]
        let bell = AsyncFd::with_interest(Bell(inbox.bell().clone()), Interest::READABLE)?;
        Ok(Self { inbox, bell })
    }

    pub(super) fn take(&self) -> Option<T> {
        self.inbox.take()
    }

    /// Lets other tasks run, and sleeps if there is nothing to take.
    pub(super) async fn rest(&self) -> io::Result<()> {
        if !self.inbox.doze() {
            tokio::task::yield_now().await;
            return Ok(());
        }
        let mut guard = self.bell.readable().await?;
        // In this order: a ring after the silence makes the bell readable anew.
        self.inbox.bell().silence();
        guard.clear_ready();
        self.inbox.wake();
        Ok(())
    }
}

/// The reactor wants a number: always the same one, of a descriptor that the doorbell keeps open as long as this lives.
#[derive(Debug)]
struct Bell(Doorbell);

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}
