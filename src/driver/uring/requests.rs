//! What the sockets of a core ask of a ring: requests go in, completions come out. Documented at `Ring`.
//!
//! A seam for one reason: what a kernel may do, and hardly ever does, can be played (`trial`). It costs nothing, because
//! a server has one kind of ring.

use crate::payload::Payload;
use crate::sys::ring::{Chunk, Completion, FlightId, Ring, Token};
use rustix::fd::{BorrowedFd, RawFd};
use std::io;

pub(super) trait Requests {
    fn accept(&mut self, listener: BorrowedFd<'_>, token: Token);
    fn watch(&mut self, bell: BorrowedFd<'_>);
    fn cancel_accept(&mut self, token: Token);
    fn poll(&mut self, socket: RawFd, token: Token);
    fn cancel_poll(&mut self, token: Token);
    fn receive(&mut self, socket: RawFd, token: Token);
    fn cancel_receive(&mut self, token: Token);
    fn send(&mut self, socket: RawFd, token: Token, payload: Payload, offset: u32) -> FlightId;
    fn cancel_send(&mut self, flight: FlightId);
    fn submit(&mut self) -> io::Result<()>;
    fn is_waiting(&mut self) -> bool;
    fn is_overflown(&mut self) -> bool;
    fn reap(&mut self) -> Option<Completion>;
    fn bytes(&mut self, chunk: &Chunk) -> &mut [u8];
    fn recycle(&mut self, chunk: Chunk);
}

impl Requests for Ring {
    fn accept(&mut self, listener: BorrowedFd<'_>, token: Token) {
        Self::accept(self, listener, token);
    }

    fn watch(&mut self, bell: BorrowedFd<'_>) {
        Self::watch(self, bell);
    }

    fn cancel_accept(&mut self, token: Token) {
        Self::cancel_accept(self, token);
    }

    fn poll(&mut self, socket: RawFd, token: Token) {
        Self::poll(self, socket, token);
    }

    fn cancel_poll(&mut self, token: Token) {
        Self::cancel_poll(self, token);
    }

    fn receive(&mut self, socket: RawFd, token: Token) {
        Self::receive(self, socket, token);
    }

    fn cancel_receive(&mut self, token: Token) {
        Self::cancel_receive(self, token);
    }

    fn send(&mut self, socket: RawFd, token: Token, payload: Payload, offset: u32) -> FlightId {
        Self::send(self, socket, token, payload, offset)
    }

    fn cancel_send(&mut self, flight: FlightId) {
        Self::cancel_send(self, flight);
    }

    fn submit(&mut self) -> io::Result<()> {
        Self::submit(self)
    }

    fn is_waiting(&mut self) -> bool {
        Self::is_waiting(self)
    }

    fn is_overflown(&mut self) -> bool {
        Self::is_overflown(self)
    }

    fn reap(&mut self) -> Option<Completion> {
        Self::reap(self)
    }

    fn bytes(&mut self, chunk: &Chunk) -> &mut [u8] {
        Self::bytes(self, chunk)
    }

    fn recycle(&mut self, chunk: Chunk) {
        Self::recycle(self, chunk);
    }
}
