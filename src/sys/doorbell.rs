//! An eventfd that wakes a sleeping thread.
//! Invariant: a ring before a sleep is never lost, because the count stays in the kernel until it is read.

use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{read, write};
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Doorbell(Arc<OwnedFd>);

impl Doorbell {
    pub fn new() -> rustix::io::Result<Self> {
        Ok(Self(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)))
    }

    /// Wakes the owner. A counter that is already at its maximum is as good as a ring.
    pub fn ring(&self) {
        let _ = write(&*self.0, &1_u64.to_ne_bytes());
    }

    /// Forgets all rings so far.
    pub fn silence(&self) {
        let _ = read(&*self.0, &mut [0_u8; 8]);
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
