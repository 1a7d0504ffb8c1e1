//! How bytes get from sockets to the shard.
//!
//! A parked socket waits on a multishot poll, 256 bytes of kernel memory, and is read with a plain call into one
//! buffer that all parked sockets share. One that is busy becomes hot: a multishot receive, 864 bytes, cheaper per
//! message. Quiet ones are parked again. The shard never knows.
//! Invariant: a request that is over is armed again exactly once, unless the socket leaves.

use super::io::Io;
use super::requests::Requests;
use super::socket::{Exit, Wait, id_of, token_of};
use crate::ids::ConnId;
use crate::shard::{Input, Shard};
use crate::sys::ring::{Chunk, Ready, Shot, Token};
use crate::sys::socket;
use crate::time::Moment;
use rustix::io::Errno;
use std::time::Duration;

impl<R: Requests> Io<R> {
    /// A parked socket has bytes, or has ended.
    pub(super) fn polled(
        &mut self,
        now: Moment,
        token: Token,
        result: Result<Ready, Errno>,
        shot: Shot,
        shard: &mut Shard,
    ) {
        let Some(socket) = self.sockets.get_mut(id_of(token)) else {
            return;
        };
        socket.is_ending |= result == Ok(Ready::Ending);
        let (id, was_ending) = (socket.id, socket.wait == Wait::PollEnding);
        if shot == Shot::Over {
            socket.wait = Wait::Nothing;
        }
        if socket.exit == Exit::Stay && result.is_err_and(|error| error != Errno::CANCELED) {
            shard.handle(now, Input::Broken { conn: id });
        } else if socket.exit == Exit::Stay && result.is_ok() {
            let tick = tick(now);
            let soon = tick.wrapping_sub(socket.read_at) < HOT_GAP_TICKS;
            socket.streak = if soon { socket.streak.saturating_add(1) } else { 0 };
            socket.read_at = tick;
            if socket.is_paused {
                socket.streak = 0;
            }
            if socket.streak >= HOT_STREAK && socket.wait == Wait::Poll {
                socket.wait = Wait::PollEnding;
                self.ring.cancel_poll(token);
            }
            self.read(now, id, shard);
        }
        if shot == Shot::Over {
            self.wait_again(id, was_ending, shard);
        }
    }

    /// A hot socket has bytes, has ended, or its receive has.
    pub(super) fn received(
        &mut self,
        now: Moment,
        token: Token,
        result: Result<Option<Chunk>, Errno>,
        shot: Shot,
        shard: &mut Shard,
    ) {
        shard.stats().receives += 1;
        let Some(socket) = self.sockets.get_mut(id_of(token)) else {
            if let Ok(Some(chunk)) = result {
                self.ring.recycle(chunk);
            }
            return;
        };
        let (conn, exit, was_ending) = (socket.id, socket.exit, socket.wait == Wait::ReceiveEnding);
        if shot == Shot::Over {
            socket.wait = Wait::Nothing;
        }
        match result {
            Ok(Some(chunk)) => {
                socket.read_at = tick(now);
                match exit {
                    Exit::Stay => shard.handle(now, Input::Received { conn, bytes: self.ring.bytes(&chunk) }),
                    Exit::HandOver => {
                        let bytes = self.ring.bytes(&chunk).to_vec();
                        self.add_to_handover(conn, &bytes);
                    }
                    Exit::Close => {}
                }
                self.ring.recycle(chunk);
            }
            Ok(None) if exit == Exit::Stay => shard.handle(now, Input::Ended { conn }),
            Err(Errno::NOBUFS) if exit == Exit::Stay && !was_ending => {
                shard.stats().buffers_starved += 1;
                self.starved.push(conn.slot);
                return;
            }
            Ok(None) | Err(Errno::CANCELED | Errno::NOBUFS) => {}
            Err(_) if exit == Exit::Stay => shard.handle(now, Input::Broken { conn }),
            Err(_) => {}
        }
        if shot == Shot::Over {
            self.wait_again(conn, was_ending, shard);
        }
    }

    pub(super) fn read_more(&mut self, now: Moment, shard: &mut Shard) -> bool {
        let unread = std::mem::take(&mut self.unread);
        let is_busy = !unread.is_empty();
        let mut unread = unread.into_iter();
        for slot in unread.by_ref() {
            let Some(socket) = self.sockets.at_slot(slot) else { continue };
            socket.is_unread = false;
            let is_parked = matches!(socket.wait, Wait::Poll | Wait::PollEnding | Wait::Nothing);
            if socket.exit == Exit::Stay && is_parked && !socket.is_paused {
                let id = socket.id;
                self.read(now, id, shard);
            }
            if shard.is_pressed() {
                break;
            }
        }
        // Somebody is owed much: the others are read first in the next turn.
        drop(self.unread.splice(0..0, unread));
        is_busy
    }

    pub(super) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    pub(super) fn rearm_starved(&mut self) {
        for slot in std::mem::take(&mut self.starved) {
            if let Some(socket) = self.sockets.at_slot(slot)
                && socket.wait == Wait::Nothing
                && socket.exit == Exit::Stay
            {
                let (raw, token) = (socket.raw(), token_of(socket.id));
                if socket.is_paused {
                    socket.wait = Wait::Poll;
                    self.ring.poll(raw, token);
                } else {
                    socket.wait = Wait::Receive;
                    self.ring.receive(raw, token);
                }
            }
        }
    }

    /// Parks hot sockets that have been quiet for a while.
    pub(super) fn sweep(&mut self, now: Moment) {
        if self.hot.is_empty() || now.since(self.swept_at) < SWEEP_INTERVAL {
            return;
        }
        self.swept_at = now;
        let (tick, ring, sockets) = (tick(now), &mut self.ring, &mut self.sockets);
        self.hot.retain(|&slot| {
            let Some(socket) = sockets.at_slot(slot).filter(|socket| socket.streak >= HOT_STREAK) else {
                return false;
            };
            if tick.wrapping_sub(socket.read_at) < QUIET_TICKS || socket.wait != Wait::Receive {
                return true;
            }
            socket.wait = Wait::ReceiveEnding;
            socket.streak = 0;
            ring.cancel_receive(token_of(socket.id));
            false
        });
    }

    pub(super) fn next_sweep(&self) -> Option<Moment> {
        (!self.hot.is_empty()).then(|| self.swept_at + SWEEP_INTERVAL)
    }

    /// Parks the socket and leaves it unread. What a receive that is under way brings is still handed over.
    pub(super) fn pause(&mut self, conn: ConnId) {
        let Some(socket) = self.sockets.get_mut(conn) else {
            return;
        };
        socket.is_paused = true;
        // One that was on the way to be hot is not either: a receive would go on reading.
        socket.streak = 0;
        if socket.wait == Wait::Receive {
            socket.wait = Wait::ReceiveEnding;
            self.ring.cancel_receive(token_of(conn));
        }
    }

    pub(super) fn resume(&mut self, conn: ConnId) {
        if let Some(socket) = self.sockets.get_mut(conn) {
            socket.is_paused = false;
            // What has come meanwhile is not announced again.
            if !socket.is_unread {
                socket.is_unread = true;
                self.unread.push(conn.slot);
            }
        }
    }

    /// Reads a parked socket once; one that fills the buffer gets another turn later, after its neighbours.
    fn read(&mut self, now: Moment, conn: ConnId, shard: &mut Shard) {
        let Some(socket) = self.sockets.get_mut(conn).filter(|socket| !socket.is_paused) else {
            return;
        };
        shard.stats().receives += 1;
        match socket::receive(socket.fd(), &mut self.scratch) {
            Ok(None) => {}
            Ok(Some(0)) => shard.handle(now, Input::Ended { conn }),
            Ok(Some(len)) => {
                if !socket.is_unread && (socket.is_ending || len == self.scratch.len()) {
                    socket.is_unread = true;
                    self.unread.push(conn.slot);
                }
                let bytes = self.scratch.get_mut(..len).unwrap_or_default();
                shard.handle(now, Input::Received { conn, bytes });
            }
            Err(_) => shard.handle(now, Input::Broken { conn }),
        }
    }

    /// A multishot request is over: the next one, unless the socket leaves. A cancelled poll makes it hot, a cancelled
    /// receive parks it.
    fn wait_again(&mut self, id: ConnId, was_ending: bool, shard: &mut Shard) {
        let Some(socket) = self.sockets.get_mut(id) else {
            return;
        };
        if socket.exit != Exit::Stay {
            return self.leave_if_done(id);
        }
        if socket.wait != Wait::Nothing {
            return;
        }
        let (raw, token) = (socket.raw(), token_of(id));
        let is_hot = socket.streak >= HOT_STREAK;
        if is_hot {
            socket.wait = Wait::Receive;
            self.ring.receive(raw, token);
        } else {
            socket.wait = Wait::Poll;
            self.ring.poll(raw, token);
        }
        if was_ending && is_hot {
            self.hot.push(id.slot);
            shard.stats().promoted += 1;
        } else if was_ending {
            shard.stats().parked += 1;
        }
    }
}

/// Coarse time for activity: 67 ms.
const fn tick(now: Moment) -> u32 {
    (now.as_nanos() >> 26) as u32
}

/// Reads closer together than this count as a streak; about a second.
const HOT_GAP_TICKS: u32 = 15;
/// A streak this long makes a socket hot: a handshake and a few commands do not.
const HOT_STREAK: u8 = 8;
/// A hot socket without a read for this long is parked; about five seconds.
const QUIET_TICKS: u32 = 75;
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
