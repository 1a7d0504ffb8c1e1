//! One connection: a pipe each way, and what kernel and driver would know about it.
//!
//! Invariant: the shard is told of every byte once, of the end once, and of `Closed` last of all, as a driver would;
//! it has at most one send under way.

use super::pipe::{End, Pipe};
use crate::ids::ConnId;
use crate::payload::Payload;

#[derive(Debug)]
pub struct Link {
    pub core: usize,
    pub conn: ConnId,
    up: Pipe,
    down: Pipe,
    sending: Option<Sending>,
    server: Server,
    has_told_end: bool,
    has_shut: bool,
    /// The shard wants to hear no more for now.
    is_paused: bool,
    /// What the shard gave to the control plane, if it did.
    pub handed_over: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Sending {
    payload: Payload,
    done: usize,
}

/// The server's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    Open,
    /// FIN sent; it still reads.
    Shut,
    /// Told to close; late completions may still come.
    Closing,
    Gone,
}

/// What the driver would report next.
#[derive(Debug)]
pub enum Completion {
    Received(Vec<u8>),
    Ended,
    Broken,
    Sent,
    Closed,
}

/// What a client reads.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    Bytes(Vec<u8>),
    Ended,
    Reset,
    /// Nothing, for now.
    Silence,
}

impl Link {
    pub fn new(core: usize, conn: ConnId) -> Self {
        Self {
            core,
            conn,
            up: Pipe::default(),
            down: Pipe::default(),
            sending: None,
            server: Server::Open,
            has_told_end: false,
            has_shut: false,
            is_paused: false,
            handed_over: None,
        }
    }

    // The client's end.

    pub fn write(&mut self, bytes: &[u8]) {
        match self.server {
            Server::Open | Server::Shut | Server::Closing => self.up.write(bytes),
            // Data for a closed socket is answered with a reset, which overtakes what is still in the pipe.
            Server::Gone => self.down.reset(),
        }
    }

    pub fn finish(&mut self) {
        self.up.finish();
    }

    /// The client vanishes. What it had not read is lost, what it had sent may be.
    pub fn reset(&mut self) {
        self.up.reset();
        self.down.reset();
        self.sending = None;
    }

    pub fn read(&mut self, max: usize) -> Incoming {
        match self.down.reached_end() {
            Some(End::Reset) => Incoming::Reset,
            Some(End::Finished) => Incoming::Ended,
            Some(End::Open) | None if self.down.is_empty() => Incoming::Silence,
            Some(End::Open) | None => Incoming::Bytes(self.down.read(max)),
        }
    }

    pub fn has_unread_bytes(&self) -> bool {
        !self.down.is_empty()
    }

    /// The server has said FIN, and did not just close.
    pub fn has_shut(&self) -> bool {
        self.has_shut
    }

    pub fn has_unread(&self) -> bool {
        !self.down.is_empty() || self.down.end() != End::Open
    }

    // The server's end.

    pub fn send(&mut self, payload: Payload) {
        assert!(!payload.is_empty(), "an empty send");
        assert!(self.sending.is_none(), "a second send while one is under way: {:?}", self.conn);
        assert_eq!(self.server, Server::Open, "a send behind FIN: {:?}", self.conn);
        if self.down.end() != End::Reset {
            self.sending = Some(Sending { payload, done: 0 });
        }
    }

    pub fn pause(&mut self) {
        self.is_paused = true;
    }

    pub fn resume(&mut self) {
        self.is_paused = false;
    }

    pub fn shut(&mut self) {
        assert!(self.sending.is_none(), "FIN while a send is under way: {:?}", self.conn);
        assert_eq!(self.server, Server::Open, "a second FIN: {:?}", self.conn);
        self.server = Server::Shut;
        self.has_shut = true;
        self.down.finish();
    }

    /// Closing a socket over unread data resets the connection.
    pub fn close(&mut self) {
        assert!(matches!(self.server, Server::Open | Server::Shut), "closed twice: {:?}", self.conn);
        self.server = Server::Closing;
        if !self.up.is_empty() || self.up.end() == End::Reset {
            self.down.reset();
        } else {
            self.down.finish();
        }
    }

    /// The process is gone, and all its sockets with it.
    pub fn vanish(&mut self) {
        if self.server != Server::Gone {
            self.server = Server::Gone;
            self.sending = None;
            self.down.reset();
        }
    }

    pub fn hand_over(&mut self, received: Vec<u8>) {
        assert!(self.sending.is_none(), "handed over while a send is under way: {:?}", self.conn);
        assert_eq!(self.server, Server::Open, "handed over after its end: {:?}", self.conn);
        self.server = Server::Closing;
        self.handed_over = Some(received);
        self.down.finish();
    }

    /// The network takes up to `max` bytes of the send under way, if `room` bytes are not yet unread.
    pub fn carry(&mut self, max: usize, room: usize) -> bool {
        let Some(sending) = &mut self.sending else { return false };
        let rest = sending.payload.bytes().get(sending.done..).unwrap_or_default();
        let count = rest.len().min(max).min(room.saturating_sub(self.down.len()));
        self.down.write(rest.get(..count).unwrap_or_default());
        sending.done += count;
        count > 0
    }

    /// Whether the driver has something to report.
    pub fn has_completion(&self) -> bool {
        match self.server {
            Server::Open | Server::Shut => {
                self.is_sent() || !self.is_paused && (!self.up.is_empty() || self.has_untold_end())
            }
            Server::Closing => true,
            Server::Gone => false,
        }
    }

    /// Whether a send makes progress as soon as the network wants it to.
    pub fn is_carrying(&self, room: usize) -> bool {
        self.sending.is_some() && !self.is_sent() && self.down.len() < room
    }

    /// The next report. `late` are those that a real driver may still make between `Close` and `Closed`.
    pub fn complete(&mut self, chunk_max: usize, late: bool) -> Option<Completion> {
        if self.server == Server::Gone {
            return None;
        }
        if self.server == Server::Closing && !late {
            self.server = Server::Gone;
            self.sending = None;
            return Some(Completion::Closed);
        }
        if self.is_sent() {
            self.sending = None;
            return Some(Completion::Sent);
        }
        // Once it is told to close, what has been read already may come in late.
        if self.is_paused && self.server != Server::Closing {
            return None;
        }
        if !self.up.is_empty() {
            return Some(Completion::Received(self.up.read(chunk_max.max(1))));
        }
        if !self.has_untold_end() {
            return None;
        }
        self.has_told_end = true;
        Some(if self.up.end() == End::Reset { Completion::Broken } else { Completion::Ended })
    }

    pub fn is_gone(&self) -> bool {
        self.server == Server::Gone
    }

    fn is_sent(&self) -> bool {
        self.sending.as_ref().is_some_and(|sending| sending.done == sending.payload.bytes().len())
    }

    fn has_untold_end(&self) -> bool {
        !self.has_told_end && self.up.reached_end().is_some()
    }
}
