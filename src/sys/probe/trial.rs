//! One connection's life on a small ring, over a socket that only this process can reach.
//! Invariant: every request that was started has completed before the buffers behind it are freed.

#![expect(unsafe_code, reason = "submission entries and provided buffers are raw pointers to the kernel")]

use super::Refusal;
use io_uring::squeue::Entry;
use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode};
use rustix::io::Errno;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::atomic::{AtomicU32, Ordering};

/// Fields drop in this order: the ring before what it may write to.
pub struct Trial {
    ring: IoUring,
    accepted: Option<OwnedFd>,
    client: Option<UnixStream>,
    listener: UnixListener,
    buffers: Box<BufferRing>,
}

impl Trial {
    pub fn new(ring: IoUring) -> Result<Self, Refusal> {
        let (listener, client) =
            connect().map_err(|source| Refusal::Failed { attempt: "opening a pair of sockets", source })?;
        Ok(Self { ring, accepted: None, client: Some(client), listener, buffers: BufferRing::new() })
    }

    /// Registers a ring of one buffer.
    pub fn provide_buffers(&mut self) -> bool {
        self.buffers.fill();
        let address = std::ptr::from_ref(&self.buffers.page) as u64;
        // SAFETY: the page is aligned, holds one entry, and outlives the ring: see the order of the fields.
        unsafe { self.ring.submitter().register_buf_ring_with_flags(address, 1, BUFFER_GROUP, 0) }.is_ok()
    }

    /// True when the listener stays armed after its first connection.
    pub fn accept(&mut self) -> Result<bool, Refusal> {
        let accept = opcode::AcceptMulti::new(Fd(self.listener.as_raw_fd())).build();
        let completion = self.complete(&accept.user_data(ACCEPT), ACCEPT, "accepting")?;
        if completion.result() < 0 {
            return Ok(false);
        }
        // SAFETY: the kernel has just made this descriptor and nobody else knows it.
        self.accepted = Some(unsafe { OwnedFd::from_raw_fd(completion.result()) });
        Ok(cqueue::more(completion.flags()))
    }

    /// True when a poll stays armed after it has fired.
    pub fn poll(&mut self) -> Result<bool, Refusal> {
        let Some(fd) = self.accepted.as_ref().map(AsRawFd::as_raw_fd) else { return Ok(false) };
        let events = rustix::event::PollFlags::OUT.bits();
        let poll = opcode::PollAdd::new(Fd(fd), events.into()).multi(true).build();
        let completion = self.complete(&poll.user_data(POLL), POLL, "polling")?;
        let armed = cqueue::more(completion.flags());
        if armed {
            let remove = opcode::PollRemove::new(POLL).build();
            self.complete(&remove.user_data(REMOVE), REMOVE, "ending a poll")?;
        }
        Ok(armed && completion.result() > 0)
    }

    /// True when a byte arrives in the provided buffer and the receive stays armed until the peer has closed.
    pub fn receive(&mut self) -> Result<bool, Refusal> {
        let Some(fd) = self.accepted.as_ref().map(AsRawFd::as_raw_fd) else { return Ok(false) };
        if let Some(client) = &mut self.client {
            let _ = client.write_all(b"?");
        }
        let receive = opcode::RecvMulti::new(Fd(fd), BUFFER_GROUP).build();
        let completion = self.complete(&receive.user_data(RECEIVE), RECEIVE, "receiving")?;
        let more = cqueue::more(completion.flags());
        let arrived = completion.result() == 1 && cqueue::buffer_select(completion.flags()) == Some(0);
        self.client = None;
        if more {
            self.wait(RECEIVE, "the end of a receive")?;
        }
        Ok(arrived && more)
    }

    /// Ends the accept that is still armed.
    pub fn cancel(mut self) -> Result<(), Refusal> {
        let cancel = opcode::AsyncCancel2::new(CancelBuilder::user_data(ACCEPT)).build();
        self.complete(&cancel.user_data(CANCEL), CANCEL, "cancelling").map(drop)
    }

    fn complete(&mut self, entry: &Entry, tag: u64, attempt: &'static str) -> Result<cqueue::Entry, Refusal> {
        // SAFETY: descriptors and buffers of the entry belong to `self` and outlive the ring.
        let pushed = unsafe { self.ring.submission().push(entry) };
        pushed.map_err(|_| Refusal::Failed { attempt, source: io::ErrorKind::WouldBlock.into() })?;
        self.wait(tag, attempt)
    }

    /// Waits for the next completion with this tag; those of other tags are of no interest.
    fn wait(&mut self, tag: u64, attempt: &'static str) -> Result<cqueue::Entry, Refusal> {
        let failed = |source| Refusal::Failed { attempt, source };
        let limit = Timespec::new().sec(WAIT_SECONDS_MAX);
        loop {
            if let Some(completion) = self.ring.completion().find(|entry| entry.user_data() == tag) {
                return Ok(completion);
            }
            let arguments = SubmitArgs::new().timespec(&limit);
            match self.ring.submitter().submit_with_args(1, &arguments) {
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(Errno::INTR.raw_os_error()) => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

/// One page as the kernel reads it, with one buffer behind it.
#[repr(C, align(4096))]
struct BufferRing {
    page: [u8; 4096],
    buffer: [u8; 64],
}

impl BufferRing {
    fn new() -> Box<Self> {
        Box::new(Self { page: [0; 4096], buffer: [0; 64] })
    }

    /// The first entry: address, length, id; then the tail of the ring, which shares its last two bytes. Written before
    /// the ring is registered, so the kernel is not yet looking.
    fn fill(&mut self) {
        let address = std::ptr::from_ref(&self.buffer) as u64;
        self.page[0..8].copy_from_slice(&address.to_ne_bytes());
        self.page[8..12].copy_from_slice(&(self.buffer.len() as u32).to_ne_bytes());
        self.page[12..14].copy_from_slice(&0_u16.to_ne_bytes());
        self.page[14..16].copy_from_slice(&1_u16.to_ne_bytes());
    }
}

/// A listener in the abstract namespace: no path to clean up, no port to collide with.
fn connect() -> io::Result<(UnixListener, UnixStream)> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("ringway-probe-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let address = SocketAddr::from_abstract_name(name)?;
    let listener = UnixListener::bind_addr(&address)?;
    let client = UnixStream::connect_addr(&address)?;
    Ok((listener, client))
}

const BUFFER_GROUP: u16 = 0;
/// A kernel that has not answered by then never will.
const WAIT_SECONDS_MAX: u64 = 2;

const ACCEPT: u64 = 1;
const POLL: u64 = 2;
const REMOVE: u64 = 3;
const RECEIVE: u64 = 4;
const CANCEL: u64 = 5;
