//! What a core does when memory runs short: no new subscriptions, then the largest queues go first.
//!
//! Invariant: nobody is cut whose queue is short, and whoever is cut hears 3008, so that it comes back and recovers.

use super::Shard;
use crate::ids::ConnId;
use crate::pressure::Stage;
use crate::proto::{Disconnect, Reject};
use crate::stats::Work;
use crate::time::Moment;
use std::time::Duration;

impl Shard {
    /// Bytes queued to clients.
    pub fn queued_bytes(&self) -> u64 {
        self.nodes.bytes()
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

    /// Cuts those with the longest queues, until a part of all that is queued is gone. Called again while that was not
    /// enough.
    fn shed(&mut self) {
        let mut queues: Vec<(u32, ConnId)> = (self.conns.ids())
            .filter_map(|id| {
                let conn = self.conns.get(id)?;
                let bytes = conn.outbox.waiting_bytes();
                (conn.is_open() && bytes >= SHED_BYTES_MIN).then_some((bytes, id))
            })
            .collect();
        queues.sort_unstable_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        let all: u64 = queues.iter().map(|(bytes, _)| u64::from(*bytes)).sum();
        let mut goal = all / SHED_PART;
        for (bytes, id) in queues {
            self.stats.shed += 1;
            self.attempt_for(Work::Input, id, |shard| {
                if let Some(conn) = shard.conns.get_mut(id) {
                    conn.outbox.clear(&mut shard.nodes);
                }
                shard.stats.slow_disconnects += 1;
                shard.disconnect(id, Disconnect::Slow);
            });
            if u64::from(bytes) >= goal {
                return;
            }
            goal -= u64::from(bytes);
        }
    }
}

/// What was cut is free, and measured, before more is cut.
const SHED_INTERVAL: Duration = Duration::from_millis(500);
/// Cutting shorter queues than a send carries would gain nothing.
const SHED_BYTES_MIN: u32 = crate::limits::GATHER_BYTES_MAX;
/// A quarter of what is queued goes at a time: two seconds to most of it.
const SHED_PART: u64 = 4;
