//! Sleep of a glommio task until a doorbell rings.
//! glommio sleeps in its own ring, so the wait has to be a request of that ring: a read of the eventfd.
#![expect(unsafe_code, reason = "adopts a descriptor into glommio's file type")]

use super::doorbell::Doorbell;
use glommio::io::BufferedFile;
use rustix::fd::{AsFd, IntoRawFd};
use std::os::fd::FromRawFd;

/// One per core; created inside its executor.
pub struct Parking {
    file: BufferedFile,
}

impl Parking {
    pub fn new(bell: &Doorbell) -> rustix::io::Result<Self> {
        let fd = rustix::io::fcntl_dupfd_cloexec(bell.as_fd(), 0)?;
        // SAFETY: the duplicate belongs to nobody else, and `BufferedFile` closes it.
        let file = unsafe { BufferedFile::from_raw_fd(fd.into_raw_fd()) };
        Ok(Self { file })
    }

    /// Returns after the bell rang; rings before the call count. Other tasks of the executor run meanwhile.
    pub async fn sleep(&self) -> std::io::Result<()> {
        self.file.read_at(0, EVENTFD_BYTES).await.map(drop).map_err(std::io::Error::from)
    }
}

/// An eventfd is read as one u64.
const EVENTFD_BYTES: usize = 8;
