//! The io_uring of one core: requests go in as methods, completions come out as values.
//!
//! Invariant: memory that a request points to is owned by the ring until the request's last completion: payloads in
//! `flights`, receive buffers in `buffers`, the timer's time in its box. Descriptors are plain numbers to the kernel;
//! a caller that closes one early wastes a request, never memory.
//! Knows nothing of connections: a `Token` comes back as it went in.
#![expect(unsafe_code, reason = "queues share memory with the kernel")]

pub use super::bufring::Chunk;
use super::bufring::{BufferRing, GROUP};
use crate::payload::Payload;
use crate::time::Moment;
use io_uring::types::{Fd, TimeoutFlags, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::Errno;
use std::io;
use std::time::Duration;

/// 56 bits that name the subject of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(u64);

impl Token {
    pub const BITS: u32 = 56;

    /// The upper eight bits are cut: the ring keeps its kind of request there.
    pub const fn new(value: u64) -> Self {
        Self(value & ((1 << Self::BITS) - 1))
    }

    pub const fn get(self) -> u64 {
        self.0
    }
}

/// What a multishot request left behind: while `Armed` it will complete again, `Over` means arm it anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shot {
    Armed,
    Over,
}

/// What a poll found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    Bytes,
    Ending,
}

#[derive(Debug)]
pub enum Completion {
    Accepted {
        /// As given to `accept`.
        listener: Token,
        result: Result<OwnedFd, Errno>,
        shot: Shot,
    },
    /// Readable; `Ready::Ending` when the peer has finished or broken off behind the bytes that wait.
    Polled {
        token: Token,
        result: Result<Ready, Errno>,
        shot: Shot,
    },
    /// `None` is the end of the stream.
    Received {
        token: Token,
        result: Result<Option<Chunk>, Errno>,
        shot: Shot,
    },
    /// Bytes accepted by the kernel, perhaps fewer than the payload has.
    Sent {
        token: Token,
        payload: Payload,
        result: Result<u32, Errno>,
    },
    TimedOut,
    /// A watched doorbell rang.
    Rung {
        shot: Shot,
    },
}

/// Sizes of a ring; see `limits`.
#[derive(Clone, Copy, Debug)]
pub struct RingOptions {
    pub submissions: u32,
    pub completions: u32,
    pub buffers: u16,
    pub buffer_bytes: u32,
}

pub struct Ring {
    uring: IoUring,
    /// Index of the registered ring descriptor, which saves a look-up in every enter.
    registered: Option<u32>,
    buffers: Option<BufferRing>,
    flights: Vec<Flight>,
    flights_free: Vec<u32>,
    timer: Box<Timespec>,
    timer_due: Option<Moment>,
}

enum Flight {
    Free,
    Sending { token: Token, payload: Payload },
}

#[derive(Clone, Copy)]
#[repr(u8)]
enum Request {
    Accept = 1,
    Poll,
    Recv,
    Send,
    Timeout,
    Cancel,
    Bell,
}

impl Request {
    const fn of(user_data: u64) -> Option<Self> {
        match user_data >> Token::BITS {
            1 => Some(Self::Accept),
            2 => Some(Self::Poll),
            3 => Some(Self::Recv),
            4 => Some(Self::Send),
            5 => Some(Self::Timeout),
            6 => Some(Self::Cancel),
            7 => Some(Self::Bell),
            _ => None,
        }
    }

    const fn with(self, token: Token) -> u64 {
        (self as u64) << Token::BITS | token.0
    }
}

impl Ring {
    /// Creates the ring on the thread that will use it (`SINGLE_ISSUER`). `bell` is written whenever completions are
    /// waiting: with `DEFER_TASKRUN` the descriptor of the ring itself must never be polled, wake-ups would be lost.
    pub fn new(options: RingOptions, bell: BorrowedFd<'_>) -> io::Result<Self> {
        let uring = build(options)?;
        uring.submitter().register_eventfd(bell.as_raw_fd())?;
        let buffers = BufferRing::new(options.buffers, options.buffer_bytes)?;
        // SAFETY: the mapping lives in `self` beside the ring, and `Drop` leaks it if the kernel may still use it.
        unsafe {
            uring.submitter().register_buf_ring_with_flags(buffers.address(), buffers.count(), GROUP, 0)
        }?;
        let registered = register_descriptor(&uring);
        Ok(Self {
            uring,
            registered,
            buffers: Some(buffers),
            flights: Vec::new(),
            flights_free: Vec::new(),
            timer: Box::new(Timespec::new()),
            timer_due: None,
        })
    }

    /// Accepts until `Shot::Over`. Sockets come blocking on purpose: the ring arms its own poll, and a plain read asks
    /// for `DONTWAIT` itself.
    pub fn accept(&mut self, listener: BorrowedFd<'_>, token: Token) {
        let entry = opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).flags(libc::SOCK_CLOEXEC).build();
        self.push(&entry.user_data(Request::Accept.with(token)));
    }

    /// Completes at every ring of `bell` until `Shot::Over`. Not the bell that this ring itself rings: that would go on
    /// for ever.
    pub fn watch(&mut self, bell: BorrowedFd<'_>) {
        let entry = opcode::PollAdd::new(Fd(bell.as_raw_fd()), libc::POLLIN as u32).multi(true).build();
        self.push(&entry.user_data(Request::Bell.with(Token(0))));
    }

    pub fn cancel_accept(&mut self, token: Token) {
        self.cancel(Request::Accept.with(token));
    }

    /// Reports readability until `Shot::Over`: 256 bytes of kernel memory per waiting socket.
    pub fn poll(&mut self, socket: RawFd, token: Token) {
        let events = (libc::POLLIN | libc::POLLRDHUP) as u32;
        let entry = opcode::PollAdd::new(Fd(socket), events).multi(true).build();
        self.push(&entry.user_data(Request::Poll.with(token)));
    }

    pub fn cancel_poll(&mut self, token: Token) {
        self.cancel(Request::Poll.with(token));
    }

    /// Receives into provided buffers until `Shot::Over`: dearer in memory than `poll`, cheaper per message.
    pub fn receive(&mut self, socket: RawFd, token: Token) {
        let entry = opcode::RecvMulti::new(Fd(socket), GROUP).build();
        self.push(&entry.user_data(Request::Recv.with(token)));
    }

    pub fn cancel_receive(&mut self, token: Token) {
        self.cancel(Request::Recv.with(token));
    }

    /// Sends `payload` from byte `offset` on. The kernel finishes short sends itself as far as it can. The flight's
    /// name is needed only to cancel it.
    pub fn send(&mut self, socket: RawFd, token: Token, payload: Payload, offset: u32) -> FlightId {
        let bytes = payload.bytes().get(offset as usize..).unwrap_or_default();
        let (address, len) = (bytes.as_ptr(), bytes.len() as u32);
        let flight = Flight::Sending { token, payload };
        let index = if let Some(index) = self.flights_free.pop() {
            self.flights[index as usize] = flight;
            index
        } else {
            self.flights.push(flight);
            self.flights.len() as u32 - 1
        };
        // The bytes of a payload lie behind a reference count on the heap: moving the handle does not move them.
        let entry =
            opcode::Send::new(Fd(socket), address, len).flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL).build();
        self.push(&entry.user_data(Request::Send.with(Token(u64::from(index)))));
        FlightId(index)
    }

    pub fn cancel_send(&mut self, flight: FlightId) {
        self.cancel(Request::Send.with(Token(u64::from(flight.0))));
    }

    /// Makes `TimedOut` complete at `due` or before. Later timers than the one that runs are remembered by the caller.
    pub fn wake_at(&mut self, due: Moment) -> io::Result<()> {
        if self.timer_due.is_some_and(|armed| armed <= due) {
            return Ok(());
        }
        let nanos = due.as_nanos();
        *self.timer = Timespec::new().sec(nanos / 1_000_000_000).nsec((nanos % 1_000_000_000) as u32);
        let entry = opcode::Timeout::new(&raw const *self.timer).flags(TimeoutFlags::ABS).build();
        self.push(&entry.user_data(Request::Timeout.with(Token::new(due.as_nanos()))));
        self.timer_due = Some(due);
        // The kernel copies the time when it takes the request: after this the box may change again.
        self.submit()
    }

    /// Hands all queued requests to the kernel and lets it run the completions that it deferred.
    pub fn submit(&mut self) -> io::Result<()> {
        let queue = self.uring.submission();
        let (queued, run) = (queue.len() as u32, queue.taskrun() || queue.cq_overflow());
        drop(queue);
        if queued == 0 && !run {
            return Ok(());
        }
        match self.enter(queued, if run { ENTER_GETEVENTS } else { 0 }) {
            // A signal, or the kernel is short of memory or of completion space: the next turn tries again.
            Ok(()) | Err(Errno::INTR | Errno::AGAIN | Errno::BUSY) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Submits, then blocks the thread until something completes, at most for `patience`. True: something did.
    pub fn nap(&mut self, patience: Duration) -> io::Result<bool> {
        let queued = self.uring.submission().len() as u32;
        let patience = Timespec::new().sec(patience.as_secs()).nsec(patience.subsec_nanos());
        let argument =
            WaitArgument { signals: 0, signals_len: 0, padding: 0, patience: (&raw const patience) as u64 };
        let result = self.enter_with(queued, 1, ENTER_GETEVENTS | ENTER_EXT_ARG, Some(&argument));
        match result {
            Ok(()) | Err(Errno::TIME | Errno::INTR | Errno::AGAIN | Errno::BUSY) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.is_ready())
    }

    /// Whether the kernel holds completions back until the next `submit`.
    pub fn is_waiting(&mut self) -> bool {
        let queue = self.uring.submission();
        queue.taskrun() || queue.cq_overflow()
    }

    /// Whether a completion waits, here or in the kernel, or a request that the kernel has not taken.
    pub fn is_ready(&mut self) -> bool {
        self.is_waiting() || !self.uring.completion().is_empty() || !self.uring.submission().is_empty()
    }

    /// Whether the kernel had more completions than the queue takes: those are late, not lost.
    pub fn is_overflown(&mut self) -> bool {
        self.uring.submission().cq_overflow()
    }

    /// The next completion that has arrived; never blocks.
    pub fn reap(&mut self) -> Option<Completion> {
        loop {
            let entry = self.uring.completion().next()?;
            if let Some(completion) = self.completed(&entry) {
                return Some(completion);
            }
        }
    }

    pub fn bytes(&mut self, chunk: &Chunk) -> &mut [u8] {
        match &mut self.buffers {
            Some(buffers) => buffers.bytes(chunk),
            None => &mut [],
        }
    }

    pub fn recycle(&mut self, chunk: Chunk) {
        if let Some(buffers) = &mut self.buffers {
            buffers.recycle(chunk);
        }
    }

    fn completed(&mut self, entry: &cqueue::Entry) -> Option<Completion> {
        let data = entry.user_data();
        let token = Token::new(data);
        let result = entry.result();
        let checked = if result < 0 { Err(Errno::from_raw_os_error(-result)) } else { Ok(result as u32) };
        let shot = if cqueue::more(entry.flags()) { Shot::Armed } else { Shot::Over };
        Some(match Request::of(data)? {
            Request::Accept => {
                // SAFETY: the kernel just opened this descriptor for us; nobody else knows its number.
                let result = checked.map(|fd| unsafe { OwnedFd::from_raw_fd(fd.cast_signed()) });
                Completion::Accepted { listener: token, result, shot }
            }
            Request::Poll => {
                let ending = (libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR) as u32;
                let ready = |events| if events & ending == 0 { Ready::Bytes } else { Ready::Ending };
                Completion::Polled { token, result: checked.map(ready), shot }
            }
            Request::Recv => {
                let buffers = self.buffers.as_ref()?;
                let chunk = |len| cqueue::buffer_select(entry.flags()).and_then(|id| buffers.chunk(id, len));
                Completion::Received { token, result: checked.map(chunk), shot }
            }
            Request::Send => {
                let index = token.get() as usize;
                let Flight::Sending { token, payload } =
                    std::mem::replace(self.flights.get_mut(index)?, Flight::Free)
                else {
                    return None;
                };
                self.flights_free.push(index as u32);
                self.shrink();
                Completion::Sent { token, payload, result: checked }
            }
            Request::Timeout => {
                // A timer that an earlier one overtook fires too; only the latest is the one that we wait for.
                if self.timer_due.is_some_and(|due| Token::new(due.as_nanos()) == token) {
                    self.timer_due = None;
                }
                Completion::TimedOut
            }
            Request::Cancel => return None,
            Request::Bell => Completion::Rung { shot },
        })
    }

    /// Gives the memory of a large burst of sends back once all of them are done.
    fn shrink(&mut self) {
        if self.flights_free.len() == self.flights.len() && self.flights.capacity() > FLIGHTS_KEPT {
            self.flights = Vec::new();
            self.flights_free = Vec::new();
        }
    }

    fn cancel(&mut self, user_data: u64) {
        let entry = opcode::AsyncCancel::new(user_data).build().user_data(Request::Cancel.with(Token(0)));
        self.push(&entry);
    }

    fn push(&mut self, entry: &squeue::Entry) {
        loop {
            // SAFETY: the memory that the entry points to stays alive and unmoved until its completion: see `Ring`.
            if unsafe { self.uring.submission().push(entry) }.is_ok() {
                return;
            }
            // Full: the kernel takes what is queued. Inside a turn this cannot fail for good, see `submit`.
            let queued = self.uring.submission().len() as u32;
            let _ = self.enter(queued, ENTER_GETEVENTS);
        }
    }

    fn enter(&self, submissions: u32, flags: u32) -> Result<(), Errno> {
        self.enter_with(submissions, 0, flags, None)
    }

    fn enter_with(
        &self,
        submissions: u32,
        completions: u32,
        flags: u32,
        argument: Option<&WaitArgument>,
    ) -> Result<(), Errno> {
        let (fd, flags) = match self.registered {
            Some(index) => (index.cast_signed(), flags | ENTER_REGISTERED_RING),
            None => (self.uring.as_raw_fd(), flags),
        };
        let (address, len) = match argument {
            Some(argument) => (std::ptr::from_ref(argument), size_of::<WaitArgument>()),
            None => (std::ptr::null(), 0),
        };
        // SAFETY: the queues are mapped, every queued entry is valid, and the argument lives until the call returns.
        let result = unsafe {
            libc::syscall(libc::SYS_io_uring_enter, fd, submissions, completions, flags, address, len)
        };
        if result < 0 {
            return Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO));
        }
        Ok(())
    }
}

/// Names a send that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlightId(u32);

#[cfg(debug_assertions)]
impl FlightId {
    /// For a kernel that is played: see `driver::play_any`.
    pub const fn of(number: u32) -> Self {
        Self(number)
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // The kernel may still write to receive buffers and read payloads while it tears the ring down. The process
        // is about to end when a core ends, so memory in use is left to it.
        std::mem::forget(self.buffers.take());
        if self.flights_free.len() != self.flights.len() {
            std::mem::forget(std::mem::take(&mut self.flights));
        }
    }
}

fn build(options: RingOptions) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder.setup_cqsize(options.completions).setup_clamp().setup_submit_all().setup_single_issuer();
    builder.setup_defer_taskrun().setup_taskrun_flag();
    builder.build(options.submissions).or_else(|_| {
        let mut builder = IoUring::builder();
        builder.setup_cqsize(options.completions).setup_clamp().setup_submit_all();
        builder.setup_coop_taskrun().setup_taskrun_flag();
        builder.build(options.submissions)
    })
}

/// Optional: an old kernel or an exhausted table only costs the look-up.
fn register_descriptor(uring: &IoUring) -> Option<u32> {
    #[repr(C)]
    struct Update {
        offset: u32,
        reserved: u32,
        data: u64,
    }
    let mut update = Update { offset: u32::MAX, reserved: 0, data: uring.as_raw_fd() as u64 };
    // SAFETY: the argument has the layout of `struct io_uring_rsrc_update` and lives for the call.
    let result = unsafe {
        libc::syscall(libc::SYS_io_uring_register, uring.as_raw_fd(), REGISTER_RING_FDS, &raw mut update, 1)
    };
    (result == 1).then_some(update.offset)
}

/// `struct io_uring_getevents_arg`: how long to wait, and with which signals blocked (none).
#[repr(C)]
struct WaitArgument {
    signals: u64,
    signals_len: u32,
    padding: u32,
    /// Address of a timespec.
    patience: u64,
}

/// Bookkeeping of sends that is kept when nothing is under way.
const FLIGHTS_KEPT: usize = 1024;

// linux/io_uring.h; the crate keeps these private.
const ENTER_GETEVENTS: u32 = 1;
const ENTER_EXT_ARG: u32 = 1 << 3;
const ENTER_REGISTERED_RING: u32 = 1 << 4;
const REGISTER_RING_FDS: u32 = 20;

#[cfg(test)]
mod tests {
    use super::super::doorbell::Doorbell;
    use super::*;
    use rustix::event::{EventfdFlags, eventfd};
    use rustix::fd::AsFd;
    use std::collections::BTreeSet;

    /// Where the kernel refuses rings there is nothing to see.
    #[test]
    fn completions_beyond_the_queue_are_late_and_not_lost() {
        const COUNT: u64 = 300;
        let bell = Doorbell::new().unwrap();
        let options = RingOptions { submissions: 8, completions: 16, buffers: 16, buffer_bytes: 64 };
        let Ok(mut ring) = Ring::new(options, bell.as_fd()) else { return };
        let ready = eventfd(1, EventfdFlags::NONBLOCK).unwrap();
        let mut is_overflown = false;
        for token in 0..COUNT {
            ring.poll(ready.as_raw_fd(), Token::new(token));
            ring.submit().unwrap();
            is_overflown |= ring.is_overflown();
        }
        let mut seen = BTreeSet::new();
        // A request that finds no room is over: whoever made it makes it anew, once.
        while seen.len() < COUNT as usize {
            ring.submit().unwrap();
            is_overflown |= ring.is_overflown();
            while let Some(completion) = ring.reap() {
                let Completion::Polled { token, result, .. } = completion else { continue };
                assert_eq!(result, Ok(Ready::Bytes));
                seen.insert(token.get());
            }
            assert!(seen.len() == COUNT as usize || ring.is_ready(), "{} of {COUNT} came", seen.len());
        }
        assert!(is_overflown, "the queue was large enough for all");
    }
}
