//! A slice of each turn for everybody: what one connection sends is handled as far as its slice goes, and the rest in the
//! next turn, after its neighbours.
//!
//! Invariant: what a connection has sent is handled in its order, whatever is put off. While something of it is put off
//! nothing more is read from its socket (`Output::Pause`, which a driver hears in the middle of a turn: a long one would
//! read on and on), so that what waits here is at most what was read at once; TCP holds the peer back. Everybody who waits
//! gets a slice a turn, so nobody starves. One command is never cut. Over TLS a record that was opened waits as plaintext,
//! and what follows it as it came: nothing is opened twice.
//! A unit is what a delivery costs, some 100 ns; sends come on top of that, and a wide fan-out may take as long as they do.

use super::rests::{Piece, Rests};
use super::{Output, Shard};
use crate::conn::Share;
use crate::ids::ConnId;
use crate::stats::Work;
use std::collections::VecDeque;
use std::mem;

#[derive(Debug)]
pub(super) struct Slices {
    portions: Portions,
    /// Counts turns, so that what a connection has used up needs no reset.
    turn: u16,
    /// Of this turn, by everybody.
    spent: u32,
    /// Of this turn, by the connection that is being served.
    own: u32,
    /// What that connection gets of this turn.
    size: u32,
    /// Who has something put off, in the order of turns; some of them have gone.
    waiting: VecDeque<ConnId>,
    pub(super) rests: Rests,
    /// Sockets that are not to be read from here on, or again, in this order. A driver hears it before anything else.
    pauses: Vec<(ConnId, bool)>,
    /// Whose rest is being served.
    serving: Option<ConnId>,
    /// How many pieces it has left for later anew: they come before the others.
    left: usize,
}

/// How a turn is divided.
#[derive(Clone, Copy, Debug)]
pub struct Portions {
    /// What all that wait get together, as far as `least` allows.
    pub turn: u32,
    /// What one connection gets of it, alone.
    pub most: u32,
    /// And among however many.
    pub least: u32,
}

impl Default for Portions {
    fn default() -> Self {
        Self { turn: TURN_UNITS, most: SLICE_UNITS_MAX, least: SLICE_UNITS_MIN }
    }
}

impl Slices {
    pub(super) fn new(portions: Portions) -> Self {
        Self {
            portions,
            turn: 0,
            spent: 0,
            own: 0,
            size: portions.most,
            waiting: VecDeque::new(),
            rests: Rests::default(),
            pauses: Vec::new(),
            serving: None,
            left: 0,
        }
    }

    /// Whether what comes now has to wait behind something.
    pub(super) fn holds(&self, id: ConnId) -> bool {
        if self.serving == Some(id) {
            return self.left > 0;
        }
        !self.rests.is_empty() && self.rests.holds(id)
    }

    /// Bytes that wait.
    pub(super) fn held_bytes(&self, id: ConnId) -> usize {
        self.rests.bytes_of(id)
    }

    /// The more wait, the less each of them gets, so that a turn has an end.
    fn portion(&self) -> u32 {
        let Portions { turn, most, least } = self.portions;
        (turn / (self.waiting.len() as u32 + 1)).clamp(least, most)
    }

    #[inline]
    fn charge(&mut self, units: u32) {
        self.own = self.own.saturating_add(units);
        self.spent = self.spent.saturating_add(units);
    }

    /// Whatever was being served has been.
    fn stop_serving(&mut self) {
        (self.serving, self.left) = (None, 0);
    }
}

impl Shard {
    /// A driver says so before it hands in what has arrived.
    pub fn begin_turn(&mut self) {
        self.slices.turn = self.slices.turn.wrapping_add(1);
        self.slices.spent = 0;
    }

    /// What this turn has cost so far.
    pub fn spent(&self) -> u32 {
        self.slices.spent
    }

    /// Whether so many units have been spent since `before`, and more than the sends of this turn will cost in any case.
    pub fn is_spent(&self, before: u32, units: u32) -> bool {
        self.slices.spent.saturating_sub(before) >= units.saturating_add(self.grace())
    }

    /// Every connection that is owed something costs a send at the end of the turn, once, whatever else it is owed by then:
    /// to stop a wide fan-out after each publication would cost its neighbours more, not less.
    fn grace(&self) -> u32 {
        (self.dirty.len() as u32).saturating_mul(SEND_UNITS)
    }

    /// Something is put off until the next turn.
    pub fn has_put_off(&self) -> bool {
        !self.slices.waiting.is_empty()
    }

    /// Puts `units` of work on the bill of whoever is being served.
    #[inline]
    pub(super) fn charge(&mut self, units: u32) {
        self.slices.charge(units);
    }

    /// The same for work on so many bytes: unmasking, inflating, opening.
    #[inline]
    pub(super) fn charge_bytes(&mut self, bytes: usize) {
        self.charge(u32::try_from(bytes).unwrap_or(u32::MAX) / BYTES_PER_UNIT);
    }

    /// From here on work is on the bill of `id`.
    pub(super) fn begin_slice(&mut self, id: ConnId) {
        let turn = self.slices.turn;
        let share = self.conns.get(id).map(|conn| conn.share).unwrap_or_default();
        self.slices.own = if share.turn == turn { u32::from(share.units) } else { 0 };
        self.slices.size = self.slices.portion();
        // One that a bug of ours has interrupted is not being served any more.
        self.slices.stop_serving();
    }

    pub(super) fn end_slice(&mut self, id: ConnId) {
        let units = mem::take(&mut self.slices.own).min(u16::MAX.into()) as u16;
        let share = Share { turn: self.slices.turn, units };
        if let Some(conn) = self.conns.get_mut(id) {
            conn.share = share;
        }
    }

    /// Nothing more of this connection for now: its slice is used up, or somebody's queue has to be sent before more is
    /// made for it.
    pub(super) fn is_cut(&self, id: ConnId) -> bool {
        self.is_used_up() || self.slices.holds(id)
    }

    fn is_used_up(&self) -> bool {
        self.slices.own >= self.slices.size.saturating_add(self.grace()) || self.is_pressed
    }

    pub(super) fn put_off(&mut self, id: ConnId, piece: Piece) {
        if self.slices.serving == Some(id) {
            self.stats.slices += u64::from(self.slices.left == 0);
            self.slices.rests.insert(id, self.slices.left, piece);
            self.slices.left += 1;
            return;
        }
        let is_new = !self.slices.rests.holds(id);
        self.slices.rests.append(id, piece);
        if is_new {
            self.stats.slices += 1;
            self.await_turn(id);
        }
    }

    /// Its first piece waits: until it is served nothing more is read.
    fn await_turn(&mut self, id: ConnId) {
        self.slices.waiting.push_back(id);
        self.pause(id, true);
    }

    /// The peer has finished sending, which it means to be heard behind what it has sent.
    pub(super) fn no_more(&mut self, id: ConnId) {
        if self.slices.holds(id) {
            return self.put_off(id, Piece::End);
        }
        self.ended(id);
    }

    /// Messages that were kept until their client was let in: before whatever it has sent since, as far as its slice goes.
    pub(super) fn serve_behind(&mut self, id: ConnId, messages: Vec<(u32, Box<[u8]>)>) {
        if messages.is_empty() {
            return;
        }
        let is_new = !self.slices.rests.holds(id);
        for (at, (served, bytes)) in messages.into_iter().enumerate() {
            self.slices.rests.insert(id, at, Piece::Message { bytes: bytes.into_vec(), served });
        }
        if is_new {
            self.await_turn(id);
        }
        // Not on the bill of whoever has caused this.
        let (own, size) = (self.slices.own, self.slices.size);
        self.begin_slice(id);
        self.resume_one(id);
        self.end_slice(id);
        (self.slices.own, self.slices.size) = (own, size);
    }

    /// A slice for everybody who waits; `advance` does the same.
    pub fn resume_slices(&mut self) {
        self.serve_put_off();
        self.finish_input();
    }

    pub(super) fn serve_put_off(&mut self) {
        for _ in 0..self.slices.waiting.len() {
            // The others come first in the next turn.
            if self.is_pressed {
                break;
            }
            let Some(id) = self.slices.waiting.pop_front() else { break };
            self.attempt_for(Work::Input, id, |shard| {
                shard.begin_slice(id);
                shard.resume_one(id);
                shard.uncork();
                shard.end_slice(id);
            });
            self.slices.stop_serving();
            self.mend();
            if self.slices.rests.holds(id) {
                self.slices.waiting.push_back(id);
            }
        }
        self.stats.put_off = self.slices.rests.count() as u64;
    }

    /// Who still has something put off afterwards stays among those who wait.
    fn resume_one(&mut self, id: ConnId) {
        self.slices.serving = Some(id);
        while !self.is_used_up()
            && let Some(piece) = self.slices.rests.take_first(id)
        {
            self.slices.left = 0;
            match piece {
                Piece::Bytes(mut bytes) => self.take_bytes(id, &mut bytes),
                Piece::Plain(mut bytes) => self.take_plain(id, &mut bytes),
                Piece::Message { bytes, served } => self.commands(id, &bytes, served),
                Piece::End => self.ended(id),
            }
            // One that is about to be cut is served no further: what follows may begin in the middle of a frame.
            if self.is_slow(id) {
                self.slices.rests.silence(id);
            }
        }
        self.slices.stop_serving();
        if self.slices.rests.is_served(id) {
            self.forget_rest(id);
        }
    }

    /// What was put off goes with the connection; what it says from here on is read, and ignored.
    pub(super) fn forget_rest(&mut self, id: ConnId) {
        if self.slices.rests.forget(id) {
            self.pause(id, false);
        }
    }

    fn pause(&mut self, id: ConnId, pauses: bool) {
        if self.conns.get(id).is_none_or(|conn| conn.is_stream) {
            return;
        }
        self.slices.pauses.push((id, pauses));
    }

    /// Who is not to be read from here on, or again. A driver that asks in the middle of a turn reads less that has to wait:
    /// `drain` says it too.
    pub fn drain_pauses(&mut self, out: &mut impl FnMut(Output)) {
        for (conn, pauses) in self.slices.pauses.drain(..) {
            out(if pauses { Output::Pause { conn } } else { Output::Resume { conn } });
        }
    }
}

/// A command by itself: decoding, permission, reply.
pub(super) const COMMAND_UNITS: u32 = 10;
/// A letter by itself.
pub(super) const LETTER_UNITS: u32 = 5;
/// A send, less what it costs to have something to send.
const SEND_UNITS: u32 = 8;
const BYTES_PER_UNIT: u32 = 512;
/// Half a millisecond: a full queue of small commands in a few turns, and a neighbour hardly notices.
const SLICE_UNITS_MAX: u32 = 5_000;
/// Some twenty commands: progress even among a thousand others.
const SLICE_UNITS_MIN: u32 = 200;
/// Two milliseconds, beyond which slices get smaller.
const TURN_UNITS: u32 = 20_000;

const _: () = assert!(SLICE_UNITS_MAX <= u16::MAX as u32, "a share is counted in 16 bits");
