//! Sending: a payload leaves in one call, or it waits for room.
//! Invariant: at most one payload of a connection waits, with the place to go on at; frames never interleave.

use super::io::Io;
use crate::ids::ConnId;
use crate::payload::Payload;
use crate::shard::{Input, Shard};
use crate::sys::socket;
use crate::time::Moment;
use rustix::fd::BorrowedFd;
use std::collections::HashMap;

/// Payloads that the kernel has taken in part, by slot: few at any time, so that no socket has to keep a place for one.
#[derive(Debug, Default)]
pub(super) struct Stuck(HashMap<u32, (Payload, usize)>);

impl Stuck {
    fn keep(&mut self, slot: u32, payload: Payload, sent: usize) {
        self.0.insert(slot, (payload, sent));
    }

    /// Gives a burst's memory back once the last one is gone.
    pub(super) fn take(&mut self, slot: u32) -> Option<(Payload, usize)> {
        let taken = self.0.remove(&slot);
        if self.0.is_empty() && self.0.capacity() > STUCK_KEPT {
            self.0 = HashMap::new();
        }
        taken
    }
}

/// How far a payload has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Done,
    /// So many bytes, and no room for more.
    Part(usize),
    Broken,
}

impl Io {
    /// Inside of a drain: the shard hears what came of it in `report`.
    pub(super) fn send(&mut self, conn: ConnId, payload: Payload) {
        let Some(socket) = self.sockets.get_mut(conn) else {
            return;
        };
        match progress(socket.fd(), payload.bytes(), 0) {
            Progress::Done => self.sent.push(conn),
            Progress::Broken => self.broken.push(conn),
            Progress::Part(sent) => {
                socket.is_stuck = true;
                self.stuck.keep(conn.slot, payload, sent);
            }
        }
    }

    /// There is room again.
    pub(super) fn send_more(&mut self, now: Moment, conn: ConnId, shard: &mut Shard) {
        let Some(socket) = self.sockets.get_mut(conn).filter(|socket| socket.is_stuck) else {
            return;
        };
        let Some((payload, sent)) = self.stuck.take(conn.slot) else {
            return;
        };
        socket.is_stuck = false;
        match progress(socket.fd(), payload.bytes(), sent) {
            Progress::Done => shard.handle(now, Input::Sent { conn }),
            Progress::Broken => shard.handle(now, Input::Broken { conn }),
            Progress::Part(sent) => {
                socket.is_stuck = true;
                self.stuck.keep(conn.slot, payload, sent);
            }
        }
    }
}

/// Sends from `sent` on until everything has left or the kernel has said that it takes no more: only then will it say
/// that it does again.
fn progress(socket: BorrowedFd<'_>, bytes: &[u8], mut sent: usize) -> Progress {
    while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
        match socket::send(socket, rest) {
            Ok(Some(len)) => sent += len,
            Ok(None) => return Progress::Part(sent),
            Err(_) => return Progress::Broken,
        }
    }
    Progress::Done
}

/// Bookkeeping that stays allocated when nothing is stuck.
const STUCK_KEPT: usize = 1024;
