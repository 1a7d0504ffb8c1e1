//! Whether a core is in order, and putting it in order after a panic.
//!
//! Invariant: what is broken and belongs to a connection or a channel costs that connection, or the members of that
//! channel (insufficient state). Only a shard that is not in order even then takes its core with it.

use super::Shard;
use super::joining::Stage;
use crate::ids::{ChannelId, ConnId};
use crate::stats::Work;
use std::collections::HashMap;
use std::panic::resume_unwind;

/// Something is not as it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    pub place: Place,
    pub what: &'static str,
}

/// Whom it concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Conn(ConnId),
    Channel(ChannelId),
    /// A sum, which can be made anew.
    Count,
    Shard,
}

/// What the parts of a shard add up to.
#[derive(Debug, Default)]
struct Sums {
    flying: u64,
    partial: u64,
    subscriptions: u64,
    sessions: u64,
    nodes: u32,
    /// Joins that hold a channel.
    holds: HashMap<ChannelId, u32>,
}

impl Shard {
    /// Panics where an invariant is broken: for tests and the simulator.
    pub fn check(&mut self) {
        let findings = self.examine();
        assert!(findings.is_empty(), "{findings:?}");
    }

    /// Everything that is not in order. A walk over all connections and subscriptions.
    pub fn examine(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut found = |place, what| findings.push(Finding { place, what });
        self.hub.examine(&mut |channel, what| found(channel.map_or(Place::Shard, Place::Channel), what));
        let mut sums = Sums::default();
        for id in self.conns.ids() {
            if let Some(what) = self.examine_conn(id, &mut sums) {
                found(Place::Conn(id), what);
            }
        }
        let mut members = 0;
        for id in self.hub.iter() {
            let Some(channel) = self.hub.channel(id) else { continue };
            members += channel.members().len() as u64;
            if channel.holds() != sums.holds.get(&id).copied().unwrap_or_default() {
                found(Place::Channel(id), "a channel is held by nobody");
            }
        }
        if members != sums.subscriptions {
            found(Place::Count, "hub and sessions do not agree on subscriptions");
        }
        if self.stats.subscriptions != sums.subscriptions || self.stats.sessions != sums.sessions {
            found(Place::Count, "a gauge is wrong");
        }
        if self.nodes.used() != sums.nodes {
            found(Place::Shard, "payloads are kept for nobody");
        }
        let is_held = sums.flying == self.nodes.flying_bytes() && sums.partial == self.partial_bytes;
        if !is_held || self.slices.rests.sum() != self.slices.rests.bytes() {
            found(Place::Count, "a sum of what is held is wrong");
        }
        if self.cork.conn.is_some() {
            found(Place::Count, "something stays corked between inputs");
        }
        findings
    }

    fn examine_conn(&self, id: ConnId, sums: &mut Sums) -> Option<&'static str> {
        let conn = self.conns.get(id)?;
        if let Some(what) = conn.outbox.examine(&self.nodes, &mut sums.nodes) {
            return Some(what);
        }
        sums.flying += u64::from(conn.outbox.flying_bytes());
        sums.partial += conn.reader.held_bytes() as u64;
        if !conn.is_open() && conn.message_due.is_some() {
            return Some("only an open connection receives a message");
        }
        let session = conn.session()?;
        sums.sessions += u64::from(session.is_connected());
        for subscription in &session.subscriptions {
            sums.subscriptions += 1;
            let member = self.hub.members(subscription.channel).get(subscription.index as usize);
            if member.is_none_or(|member| member.slot != id.slot) {
                return Some("a live subscription does not stand where it says");
            }
        }
        for join in self.joins.of(id) {
            match join.stage {
                Stage::Hook => {}
                Stage::Link(channel) if self.hub.waiters(channel).contains(&id.slot) => {}
                Stage::Link(_) => return Some("a join waits for a link, and nobody knows"),
                Stage::Recovery(channel) => *sums.holds.entry(channel).or_default() += 1,
            }
        }
        let waits = self.connecting.contains_key(&id);
        (conn.outbox.is_held_back(&self.nodes) && !waits)
            .then_some("a reply is awaited that nobody will give")
    }

    /// After a panic, between two pieces of work: finds what is broken, and mends it at the cost of those whom it concerns.
    pub(super) fn mend(&mut self) {
        let Some(panic) = self.wreckage.panic.take() else {
            return;
        };
        self.uncork();
        for _ in 0..ROUND_COUNT_MAX {
            let findings = self.examine();
            if findings.is_empty() {
                self.wreckage.panic = None;
                return;
            }
            for finding in findings {
                // What fails here is found again in the next round.
                self.attempt(Work::Repair, |shard| shard.repair(finding));
            }
        }
        if self.examine().is_empty() {
            self.wreckage.panic = None;
            return;
        }
        // Going on would harm those who have nothing to do with it. The supervisor gets a core that has ended.
        resume_unwind(panic);
    }

    fn repair(&mut self, finding: Finding) {
        match finding.place {
            Place::Conn(id) => self.tear_out(id),
            Place::Channel(channel) => {
                self.forfeit(channel);
                self.recount_holds(channel);
                self.hub.remove_if_deserted(channel);
            }
            Place::Count => {
                self.uncork();
                self.expel_ghosts();
                self.recount();
            }
            Place::Shard => {}
        }
    }

    fn recount_holds(&mut self, channel: ChannelId) {
        let holds = |id: ConnId| {
            let joins = self.joins.of(id).iter();
            joins.filter(|join| matches!(join.stage, Stage::Recovery(held) if held == channel)).count()
        };
        let count = self.conns.ids().map(holds).sum::<usize>() as u32;
        if let Some(channel) = self.hub.channel_mut(channel) {
            channel.set_holds(count);
        }
        if self.hub.unlink_if_deserted(channel)
            && let Some(name) = self.hub.name(channel)
        {
            let name = std::sync::Arc::clone(name);
            self.unlink(name);
        }
    }

    /// Members without a session that knows of it would get what is meant for somebody who is gone.
    fn expel_ghosts(&mut self) {
        let channels: Vec<ChannelId> = self.hub.iter().collect();
        for channel in channels {
            let is_ghost = |shard: &Self, index: usize, slot: u32| {
                let session = shard.conns.id_of(slot).and_then(|id| shard.session(id));
                let known = session.and_then(|session| session.find(channel));
                known.is_none_or(|subscription| subscription.index as usize != index)
            };
            let members = self.hub.members(channel).iter().enumerate();
            let haunted = members.into_iter().any(|(index, member)| is_ghost(self, index, member.slot));
            if haunted {
                self.forfeit(channel);
            }
        }
    }

    fn recount(&mut self) {
        let sessions = || self.conns.ids().filter_map(|id| self.session(id));
        let subscriptions = sessions().map(|session| session.subscriptions.len() as u64).sum();
        let connected = sessions().filter(|session| session.is_connected()).count() as u64;
        (self.stats.subscriptions, self.stats.sessions) = (subscriptions, connected);
        let conns = || self.conns.ids().filter_map(|id| self.conns.get(id));
        let flying = conns().map(|conn| u64::from(conn.outbox.flying_bytes())).sum();
        self.partial_bytes = conns().map(|conn| conn.reader.held_bytes() as u64).sum();
        self.nodes.set_flying_bytes(flying);
        self.slices.rests.recount();
    }
}

/// Mending one thing may uncover another.
const ROUND_COUNT_MAX: u32 = 4;
