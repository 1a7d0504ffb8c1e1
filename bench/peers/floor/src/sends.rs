//! Batched sends of the same bytes to many sockets over io_uring. The only unsafe code of the peers.
//! Invariant: between two calls of `broadcast` no request is in flight, so nothing outlives the caller's slice.

use std::io;
use std::os::fd::RawFd;

use io_uring::types::Fd;
use io_uring::{IoUring, opcode};

/// Sends per `enter`.
pub const BATCH_COUNT: u32 = 256;

pub struct Sends {
    ring: IoUring,
    in_flight: u32,
}

impl Sends {
    pub fn new() -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_cqsize(8 * BATCH_COUNT)
            .build(BATCH_COUNT)?;
        ring.submitter().register_ring_fd()?;
        Ok(Self { ring, in_flight: 0 })
    }

    /// Returns when the kernel has taken the bytes for every socket. A socket that fails is left to its reader.
    pub fn broadcast(&mut self, sockets: &[RawFd], bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        for batch in sockets.chunks(BATCH_COUNT as usize) {
            for socket in batch {
                let send = opcode::Send::new(Fd(*socket), bytes.as_ptr(), bytes.len() as u32)
                    .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
                    .build();
                // SAFETY: `bytes` outlives the request, because this function returns only when none is in flight;
                // the caller keeps the sockets open meanwhile, since it is waiting here.
                let pushed = unsafe { self.ring.submission().push(&send) };
                pushed.expect("the queue is empty at the start of a batch and holds all of it");
                self.in_flight += 1;
            }
            self.enter(0);
        }
        while self.in_flight > 0 {
            self.enter(1);
        }
    }

    fn enter(&mut self, wait_count: usize) {
        while let Err(error) = self.ring.submit_and_wait(wait_count) {
            // Interrupted, or the completion queue is full: what has completed is taken below, then again.
            let transient = matches!(error.raw_os_error(), Some(libc::EINTR | libc::EBUSY | libc::EAGAIN));
            // The kernel may still read the caller's bytes, so there is no safe way to return.
            assert!(transient, "io_uring_enter: {error}");
            self.in_flight -= self.ring.completion().count() as u32;
        }
        self.in_flight -= self.ring.completion().count() as u32;
    }
}
