//! A socket, and the requests of it that the ring has.
//!
//! Invariant: a slot is given back only when no request of its socket is outstanding, so a completion always finds
//! the socket that it belongs to, or by its generation nobody.

use crate::driver::slots::Tenant;
use crate::ids::ConnId;
use crate::sys::ring::{FlightId, Token};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

#[derive(Debug)]
pub(super) struct Socket {
    pub(super) id: ConnId,
    fd: OwnedFd,
    pub(super) wait: Wait,
    pub(super) exit: Exit,
    /// Readable events in a row that came soon after one another.
    pub(super) streak: u8,
    /// The peer has finished behind the bytes that wait: no event will say so again, so read to the end.
    pub(super) is_ending: bool,
    /// Listed for another read in the next turn.
    pub(super) is_unread: bool,
    /// Not read: what was read before waits in the shard.
    pub(super) is_paused: bool,
    /// When something was read last, in coarse ticks.
    pub(super) read_at: u32,
    /// Bytes of the payload under way that an earlier send has taken.
    pub(super) sent: u32,
    pub(super) flight: Option<FlightId>,
}

/// How the socket waits for bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// No request is outstanding.
    Nothing,
    /// Parked: a multishot poll, the cheapest in memory.
    Poll,
    /// Hot: a multishot receive, the cheapest per message.
    Receive,
    /// A poll that was cancelled and has not completed for the last time.
    PollEnding,
    /// The same for a receive.
    ReceiveEnding,
}

/// What happens to the socket once nothing is outstanding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Stay,
    Close,
    HandOver,
}

impl Socket {
    pub(super) fn new(id: ConnId, fd: OwnedFd) -> Self {
        let (wait, exit) = (Wait::Nothing, Exit::Stay);
        Self {
            id,
            fd,
            wait,
            exit,
            streak: 0,
            is_ending: false,
            is_unread: false,
            is_paused: false,
            read_at: 0,
            sent: 0,
            flight: None,
        }
    }

    pub(super) fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(super) fn into_fd(self) -> OwnedFd {
        self.fd
    }

    pub(super) fn is_done(&self) -> bool {
        self.exit != Exit::Stay && self.wait == Wait::Nothing && self.flight.is_none()
    }
}

impl Tenant for Socket {
    fn id(&self) -> ConnId {
        self.id
    }
}

/// 32 bits of slot below 24 bits of generation.
pub(super) const fn token_of(id: ConnId) -> Token {
    Token::new((id.generation as u64) << 32 | id.slot as u64)
}

pub(super) const fn id_of(token: Token) -> ConnId {
    ConnId { slot: token.get() as u32, generation: (token.get() >> 32) as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_trip_through_the_ring() {
        for id in [ConnId { slot: 0, generation: 0 }, ConnId { slot: u32::MAX, generation: (1 << 24) - 1 }] {
            assert_eq!(id_of(token_of(id)), id);
        }
    }

    /// Part of the budget for an idle connection.
    #[test]
    fn a_socket_costs_few_bytes() {
        assert!(size_of::<Option<Socket>>() <= 40, "{} bytes", size_of::<Option<Socket>>());
    }
}
