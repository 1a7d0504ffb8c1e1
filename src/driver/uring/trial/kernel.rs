//! A kernel that is played: it keeps the requests of a ring and completes them when, and as, it is told to: short, late, out
//! of order, for the last time, or not at all until they are cancelled.
//!
//! Sockets are real, because parked ones are read with plain calls; what is sent stays here. Invariant: nothing is done that
//! a kernel may not do, and nothing is taken that would be wrong to ask of one.

use crate::driver::uring::requests::Requests;
use crate::payload::Payload;
use crate::sys::ring::{Chunk, Completion, FlightId, Ready, Shot, Token};
use crate::sys::socket;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use rustix::io::Errno;
use std::collections::{HashMap, VecDeque};
use std::io;

pub(super) struct Kernel {
    pub(super) lines: Vec<Line>,
    by_descriptor: HashMap<RawFd, usize>,
    pub(super) requests: Vec<Request>,
    done: VecDeque<(Subject, Shot, Completion)>,
    /// Completions that can be reaped before the next `submit`.
    visible: usize,
    /// How many an enter lets through.
    pub(super) batch: usize,
    buffers: Vec<Vec<u8>>,
    free: Vec<u16>,
    flight_count: u32,
    /// Sends are done when they are asked for, as most are.
    pub(super) is_eager: bool,
}

/// The server's side of a connection.
pub(super) struct Line {
    /// A second descriptor of it.
    socket: OwnedFd,
    /// Everything that was sent.
    pub(super) out: Vec<u8>,
    /// The peer has finished, or gone.
    pub(super) is_finished: bool,
    /// Something has happened since the last poll completed.
    is_signalled: bool,
    /// A request failed on purpose.
    pub(super) is_broken: bool,
}

/// What a request is about. There is one of each at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Accept(Token),
    Poll(Token),
    Receive(Token),
    /// Its flight, and the socket that it belongs to.
    Send(u32, Token),
}

pub(super) struct Request {
    pub(super) subject: Subject,
    line: usize,
    is_cancelled: bool,
    payload: Option<(Payload, u32)>,
}

impl Subject {
    /// The socket that may not leave before this is over.
    pub(super) fn socket(self) -> Option<Token> {
        match self {
            Self::Accept(_) => None,
            Self::Poll(token) | Self::Receive(token) | Self::Send(_, token) => Some(token),
        }
    }

    fn reads(self, token: Token) -> bool {
        self == Self::Poll(token) || self == Self::Receive(token)
    }

    fn sends(self, token: Token) -> bool {
        matches!(self, Self::Send(_, other) if other == token)
    }
}

impl Kernel {
    pub(super) fn new() -> Self {
        Self {
            lines: Vec::new(),
            by_descriptor: HashMap::new(),
            requests: Vec::new(),
            done: VecDeque::new(),
            visible: 0,
            batch: usize::MAX,
            buffers: vec![vec![0; BUFFER_BYTES]; BUFFER_COUNT],
            free: (0..BUFFER_COUNT as u16).collect(),
            flight_count: 0,
            is_eager: false,
        }
    }

    /// Somebody connects; the accept goes on or is over.
    pub(super) fn arrive(&mut self, socket: OwnedFd, shot: Shot) -> io::Result<()> {
        let Some(at) = self.requests.iter().position(|request| request.socket().is_none()) else {
            return Ok(());
        };
        let Subject::Accept(listener) = self.requests[at].subject else { return Ok(()) };
        self.by_descriptor.insert(socket.as_raw_fd(), self.lines.len());
        self.lines.push(Line {
            socket: socket.try_clone()?,
            out: Vec::new(),
            is_finished: false,
            is_signalled: false,
            is_broken: false,
        });
        self.finish(at, shot, Completion::Accepted { listener, result: Ok(socket), shot });
        Ok(())
    }

    /// Which line this descriptor is.
    pub(super) fn line_of(&self, socket: &OwnedFd) -> Option<usize> {
        self.by_descriptor.get(&socket.as_raw_fd()).copied()
    }

    /// The peer has done something.
    pub(super) fn signal(&mut self, line: usize) {
        self.lines[line].is_signalled = true;
    }

    /// One completion of a request, if there is one to be had; `how` chooses which.
    pub(super) fn complete(&mut self, at: usize, how: u8) {
        let Some(request) = self.requests.get(at) else { return };
        let (subject, is_cancelled) = (request.subject, request.is_cancelled && how & 1 == 0);
        let shot = if how & 6 == 6 { Shot::Over } else { Shot::Armed };
        match subject {
            Subject::Accept(listener) => {
                let error = if is_cancelled { Errno::CANCELED } else { Errno::MFILE };
                if is_cancelled || how == FAILURE {
                    let completion = Completion::Accepted { listener, result: Err(error), shot: Shot::Over };
                    self.finish(at, Shot::Over, completion);
                }
            }
            Subject::Poll(token) => self.complete_poll(at, token, is_cancelled, shot, how),
            Subject::Receive(token) => self.complete_receive(at, token, is_cancelled, shot, how),
            Subject::Send(..) => self.complete_send(at, is_cancelled, how),
        }
    }

    fn complete_poll(&mut self, at: usize, token: Token, is_cancelled: bool, shot: Shot, how: u8) {
        let line = &mut self.lines[self.requests[at].line];
        let (result, shot) = if is_cancelled {
            (Err(Errno::CANCELED), Shot::Over)
        } else if how == FAILURE {
            line.is_broken = true;
            (Err(Errno::NOMEM), Shot::Over)
        } else if std::mem::take(&mut line.is_signalled) {
            (Ok(if line.is_finished { Ready::Ending } else { Ready::Bytes }), shot)
        } else {
            return;
        };
        self.finish(at, shot, Completion::Polled { token, result, shot });
    }

    fn complete_receive(&mut self, at: usize, token: Token, is_cancelled: bool, shot: Shot, how: u8) {
        let line = &mut self.lines[self.requests[at].line];
        let (result, shot) = if is_cancelled {
            (Err(Errno::CANCELED), Shot::Over)
        } else if how == FAILURE {
            line.is_broken = true;
            (Err(Errno::CONNRESET), Shot::Over)
        } else if how == STARVED || self.free.is_empty() {
            (Err(Errno::NOBUFS), Shot::Over)
        } else {
            let buffer = self.free[0];
            let place = &mut self.buffers[usize::from(buffer)];
            let len = 1 + usize::from(how) * BUFFER_BYTES / 256;
            match socket::receive(line.socket.as_fd(), &mut place[..len]) {
                Ok(Some(0)) => (Ok(None), Shot::Over),
                Ok(Some(len)) => {
                    self.free.remove(0);
                    (Ok(Some(Chunk::of(buffer, len as u32))), shot)
                }
                Ok(None) => return,
                Err(error) => (Err(error), Shot::Over),
            }
        };
        self.finish(at, shot, Completion::Received { token, result, shot });
    }

    fn complete_send(&mut self, at: usize, is_cancelled: bool, how: u8) {
        let request = &mut self.requests[at];
        let (Some((payload, offset)), Some(token)) = (request.payload.take(), request.subject.socket())
        else {
            return;
        };
        let line = &mut self.lines[request.line];
        let rest = payload.bytes().get(offset as usize..).unwrap_or_default();
        let result = if is_cancelled {
            Err(Errno::CANCELED)
        } else if how == FAILURE {
            line.is_broken = true;
            Err(Errno::CONNRESET)
        } else {
            let len = if how & 1 == 0 { rest.len() } else { rest.len().min(1 + usize::from(how) * 5) };
            line.out.extend_from_slice(&rest[..len]);
            Ok(len as u32)
        };
        self.finish(at, Shot::Over, Completion::Sent { token, payload, result });
    }

    /// A completion comes before others that are not about the same.
    pub(super) fn overtake(&mut self, at: usize) {
        let Some((subject, _, _)) = self.done.get(at) else { return };
        let is_bound = self.done.iter().take(at).any(|(earlier, _, _)| earlier == subject);
        if let Some(done) = (!is_bound).then(|| self.done.remove(at)).flatten() {
            self.done.push_front(done);
        }
    }

    pub(super) fn done_count(&self) -> usize {
        self.done.len()
    }

    /// Everything that is not over as far as the driver has heard.
    pub(super) fn outstanding(&self) -> impl Iterator<Item = Subject> {
        let over =
            self.done.iter().filter(|(_, shot, _)| *shot == Shot::Over).map(|(subject, _, _)| *subject);
        self.requests.iter().map(|request| request.subject).chain(over)
    }

    /// Every buffer has come back.
    pub(super) fn has_all_buffers(&self) -> bool {
        self.free.len() == BUFFER_COUNT
    }

    fn finish(&mut self, at: usize, shot: Shot, completion: Completion) {
        let subject = self.requests[at].subject;
        if shot == Shot::Over {
            self.requests.swap_remove(at);
        }
        self.done.push_back((subject, shot, completion));
    }

    fn ask(&mut self, subject: Subject, socket: RawFd, payload: Option<(Payload, u32)>) {
        let line = self.by_descriptor.get(&socket).copied().unwrap_or_default();
        self.requests.push(Request { subject, line, is_cancelled: false, payload });
    }

    fn cancel(&mut self, subject: impl Fn(Subject) -> bool) {
        if let Some(request) = self.requests.iter_mut().find(|request| subject(request.subject)) {
            request.is_cancelled = true;
        }
    }
}

impl Request {
    fn socket(&self) -> Option<Token> {
        self.subject.socket()
    }
}

impl Requests for Kernel {
    fn accept(&mut self, _: BorrowedFd<'_>, token: Token) {
        assert!(self.outstanding().all(|other| other.socket().is_some()), "a second accept");
        self.ask(Subject::Accept(token), -1, None);
    }

    fn watch(&mut self, _: BorrowedFd<'_>) {}

    fn cancel_accept(&mut self, token: Token) {
        self.cancel(|subject| subject == Subject::Accept(token));
    }

    fn poll(&mut self, socket: RawFd, token: Token) {
        assert!(!self.outstanding().any(|other| other.reads(token)), "two requests read one socket");
        self.ask(Subject::Poll(token), socket, None);
        // A kernel looks at once whether there is something.
        if let Some(line) = self.by_descriptor.get(&socket).copied() {
            self.signal(line);
        }
    }

    fn cancel_poll(&mut self, token: Token) {
        self.cancel(|subject| subject == Subject::Poll(token));
    }

    fn receive(&mut self, socket: RawFd, token: Token) {
        assert!(!self.outstanding().any(|other| other.reads(token)), "two requests read one socket");
        self.ask(Subject::Receive(token), socket, None);
    }

    fn cancel_receive(&mut self, token: Token) {
        self.cancel(|subject| subject == Subject::Receive(token));
    }

    fn send(&mut self, socket: RawFd, token: Token, payload: Payload, offset: u32) -> FlightId {
        assert!(!self.outstanding().any(|other| other.sends(token)), "two sends on one socket");
        assert!(offset < payload.len(), "nothing is sent");
        self.flight_count += 1;
        self.ask(Subject::Send(self.flight_count, token), socket, Some((payload, offset)));
        FlightId::of(self.flight_count)
    }

    fn cancel_send(&mut self, flight: FlightId) {
        self.cancel(|subject| matches!(subject, Subject::Send(number, _) if FlightId::of(number) == flight));
    }

    fn submit(&mut self) -> io::Result<()> {
        if self.is_eager {
            for at in (0..self.requests.len()).rev() {
                if self.requests[at].payload.is_some() {
                    self.complete(at, 0);
                }
            }
        }
        self.visible = self.done.len().min(self.batch);
        Ok(())
    }

    fn is_waiting(&mut self) -> bool {
        self.visible < self.done.len()
    }

    fn is_overflown(&mut self) -> bool {
        false
    }

    fn reap(&mut self) -> Option<Completion> {
        self.visible = self.visible.checked_sub(1)?;
        self.done.pop_front().map(|(_, _, completion)| completion)
    }

    fn bytes(&mut self, chunk: &Chunk) -> &mut [u8] {
        let (buffer, len) = chunk.parts();
        &mut self.buffers[usize::from(buffer)][..len as usize]
    }

    fn recycle(&mut self, chunk: Chunk) {
        let (buffer, _) = chunk.parts();
        assert!(!self.free.contains(&buffer), "a buffer comes back twice");
        self.free.push(buffer);
    }
}

/// Few and small, so that they run out.
const BUFFER_COUNT: usize = 3;
const BUFFER_BYTES: usize = 512;
/// Ways to complete a request that are not about luck: it fails, or there is no buffer.
pub(super) const FAILURE: u8 = 255;
pub(super) const STARVED: u8 = 254;
