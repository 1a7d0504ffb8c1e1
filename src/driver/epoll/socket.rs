//! A socket, and what is known of it between two turns.
//! Invariant: it is read until it says that nothing is left, or it is listed to be read again: epoll speaks once.

use crate::driver::slots::Tenant;
use crate::ids::ConnId;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};

#[derive(Debug)]
pub(super) struct Socket {
    id: ConnId,
    fd: OwnedFd,
    /// The peer has finished behind the bytes that wait: read to the end.
    pub(super) is_ending: bool,
    /// Listed for another read in the next turn.
    pub(super) is_unread: bool,
    /// Not read: what was read before waits in the shard.
    pub(super) is_paused: bool,
    /// A payload waits for room.
    pub(super) is_stuck: bool,
}

impl Socket {
    pub(super) fn new(id: ConnId, fd: OwnedFd) -> Self {
        Self { id, fd, is_ending: false, is_unread: false, is_paused: false, is_stuck: false }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(super) fn into_fd(self) -> OwnedFd {
        self.fd
    }
}

impl Tenant for Socket {
    fn id(&self) -> ConnId {
        self.id
    }
}

/// 32 bits of slot below 24 bits of generation.
pub(super) const fn number_of(id: ConnId) -> u64 {
    (id.generation as u64) << 32 | id.slot as u64
}

pub(super) const fn id_of(number: u64) -> ConnId {
    ConnId { slot: number as u32, generation: (number >> 32) as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_trip_through_the_kernel() {
        for id in [ConnId { slot: 0, generation: 0 }, ConnId { slot: u32::MAX, generation: (1 << 24) - 1 }] {
            assert_eq!(id_of(number_of(id)), id);
        }
    }

    /// Part of the budget for an idle connection.
    #[test]
    fn a_socket_costs_few_bytes() {
        assert!(size_of::<Option<Socket>>() <= 16, "{} bytes", size_of::<Option<Socket>>());
    }
}
