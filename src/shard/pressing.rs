//! What a core does when memory runs short: no new subscriptions, then those who hold the most of it go first, with what is
//! queued to them and what they have begun to say.
//!
//! Invariant: nobody is cut who holds little, and a client that is cut hears 3008, so that it comes back and recovers.

use super::Shard;
use super::handshake::RETRY_AFTER_S;
use crate::conn::{Conn, Phase};
use crate::http::Refusal;
use crate::ids::ConnId;
use crate::pressure::Stage;
use crate::proto::{Disconnect, Reject};
use crate::stats::Work;
use crate::time::Moment;
use std::cmp::Reverse;
use std::time::Duration;

impl Shard {
    /// What is held for clients: what they have not taken yet, and what of their own is not served yet. A payload counts
    /// once for each of those who are owed it.
    pub fn held_bytes(&self) -> u64 {
        self.nodes.held_bytes() + self.slices.rests.bytes() + self.partial_bytes
    }

    /// Bytes that have come from clients so far.
    pub fn received_bytes(&self) -> u64 {
        self.stats.bytes_in
    }

    /// Told by the driver each turn; `is_fresh`: what was cut before is already taken into account.
    pub fn tell_pressure(&mut self, now: Moment, stage: Stage, is_fresh: bool) {
        self.now = now;
        let before = std::mem::replace(&mut self.stage, stage);
        if stage > Stage::Calm && before == Stage::Calm {
            self.pool.shrink();
        }
        if stage == Stage::Shedding && (is_fresh || self.shed_at <= now) {
            self.shed_at = now + SHED_INTERVAL;
            self.shed();
            self.finish_input();
        }
    }

    /// Clients are told to try again, and do: the error is a temporary one.
    pub(super) fn may_grow(&mut self) -> Result<(), Reject> {
        if self.stage == Stage::Calm {
            return Ok(());
        }
        self.stats.subscriptions_refused += 1;
        Err(Reject::Internal)
    }

    /// Cuts those who hold the most, until a part of all that is held is gone. Called again while that was not enough.
    fn shed(&mut self) {
        let mut holders: Vec<(usize, ConnId)> =
            self.conns.ids().filter_map(|id| Some((self.held_by(id)?, id))).collect();
        holders.sort_unstable_by_key(|(bytes, _)| Reverse(*bytes));
        let mut goal = holders.iter().map(|(bytes, _)| bytes).sum::<usize>() / SHED_PART;
        for (bytes, id) in holders {
            self.stats.shed += 1;
            self.serve_for(Work::Input, id, |shard| shard.shed_one(id));
            if bytes >= goal {
                return;
            }
            goal -= bytes;
        }
    }

    /// Between two sheddings: what one peer has begun to say is bounded as narrowly as what is queued to it.
    pub(super) fn narrow_input(&mut self, id: ConnId) {
        if self.stage < Stage::Shedding {
            return;
        }
        let most = self.settings.limits.message_bytes_max as usize >> self.stage.narrowing();
        if self
            .conns
            .get(id)
            .is_some_and(|conn| conn.is_open() && begun_bytes(conn) > most.max(BEGUN_BYTES_MIN))
        {
            self.stats.shed += 1;
            self.shed_one(id);
        }
    }

    /// What a connection keeps of the node's memory, if it is so much that its end is worth something.
    fn held_by(&self, id: ConnId) -> Option<usize> {
        let conn = self.conns.get(id)?;
        let begun = Some(begun_bytes(conn)).filter(|&bytes| bytes >= BEGUN_BYTES_MIN);
        let queue =
            Some(conn.outbox.waiting_bytes()).filter(|&bytes| conn.is_open() && bytes >= SHED_BYTES_MIN);
        let held = begun.unwrap_or_default() + queue.unwrap_or_default() as usize;
        (held > 0).then_some(held)
    }

    fn shed_one(&mut self, id: ConnId) {
        let is_greeting = self.is_greeting(id);
        let Some(conn) = self.conns.get_mut(id) else { return };
        let is_waited_for = begun_bytes(conn) < BEGUN_BYTES_MIN;
        match conn.phase {
            Phase::Echo | Phase::Client(_) => {
                conn.outbox.clear(&mut self.nodes);
                self.stats.slow_disconnects += 1;
                if is_waited_for {
                    self.disconnect(id, Disconnect::Slow);
                } else {
                    self.cut_off(id, Disconnect::Slow);
                }
            }
            Phase::Head(_) if is_greeting => self.let_go(id),
            Phase::Head(_) => self.refuse(id, &Refusal::Overloaded { retry_after_s: RETRY_AFTER_S }),
            Phase::Closing => self.linger(id),
            Phase::Lingering { .. } | Phase::Leaving => {}
        }
    }
}

/// What a peer has begun to say: a record, a head, a message. Its deadline ends that as well, but not before.
fn begun_bytes(conn: &Conn) -> usize {
    let head = match &conn.phase {
        Phase::Head(Some(partial)) => partial.bytes.capacity(),
        Phase::Head(None) | Phase::Echo | Phase::Client(_) | Phase::Closing => 0,
        Phase::Lingering { .. } | Phase::Leaving => return 0,
    };
    head + conn.reader.held_bytes() + conn.tls.as_ref().map_or(0, |session| session.held_bytes())
}

/// What was cut is free, and measured, before more is cut.
const SHED_INTERVAL: Duration = Duration::from_millis(500);
/// Cutting shorter queues than a send carries would gain nothing.
const SHED_BYTES_MIN: u32 = crate::limits::GATHER_BYTES_MAX;
/// Whoever has begun to say less costs no more than its socket in the kernel.
const BEGUN_BYTES_MIN: usize = 4 << 10;
/// A quarter of what is held goes at a time: two seconds to most of it.
const SHED_PART: usize = 4;
