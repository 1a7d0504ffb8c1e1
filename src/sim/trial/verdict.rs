//! The end of a trial: rest, judgement, departure.

use super::calls::Asked;
use super::rules::{META_TTL, name};
use super::truth::Reason;
use super::{Member, Trial};
use crate::shard::Remains;
use crate::shard::call::Call;
use crate::sim::world::SETTLE_STEPS_MAX;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Longer than every deadline of a connection together.
const LONG: Duration = Duration::from_mins(2);
/// Reconnections that a member may need when the faults have stopped.
const ROUNDS_MAX: u32 = 5;

impl Trial {
    /// The faults stop, everyone comes back and gets what it wants.
    pub(super) fn rest(&mut self) {
        let faults = &mut self.world.faults;
        (faults.lag, faults.mail_lag, faults.mail_count_max, faults.chunk_bytes_max) =
            (0, 0, 4096, 64 * 1024);
        (faults.disk_lag, faults.disk_failure) = (0, 0);
        self.unblock_everybody();
        self.members.iter_mut().for_each(|member| member.desk.is_honest = true);
        for _ in 0..ROUNDS_MAX {
            for at in 0..self.members.len() {
                self.members[at].is_reading = true;
                self.connect(at);
                self.flush(at);
            }
            self.settle();
            self.pass(LONG);
            self.settle();
        }
        self.judge_rights();
        // What everybody shall get, to see that nobody waits for anything.
        for channel in self.channels() {
            let number = self.truth.write(channel, None, Some("a"), 1, (self.tick, self.world.now));
            self.send_publish(number);
            self.settle();
            assert!(self.truth.place(number).is_some(), "a publication was refused by a quiet world");
        }
    }

    /// Until nothing moves and nothing is unread.
    fn settle(&mut self) {
        for round in 0.. {
            assert!(round < SETTLE_STEPS_MAX, "members that never come to rest");
            self.world.settle();
            (0..self.members.len()).for_each(|at| self.read(at));
            self.hear_answers();
            if self.world.is_quiet() && !self.links().any(|(_, link)| self.world.has_unread(link)) {
                return;
            }
        }
    }

    pub(super) fn judge(&mut self) {
        self.is_at_rest = true;
        for core in 0..self.world.core_count() {
            let remains = self.world.remains(core).under_way();
            assert_eq!(remains, Remains::default(), "still under way on core {core}");
        }
        assert!(self.calls.is_empty(), "calls without an answer: {:?}", self.calls);
        self.members.iter().for_each(Member::judge);
        for channel in self.channels() {
            self.call_history(channel);
            self.settle();
            self.judge_others(channel);
            let cores = self.world.core_count();
            for core in 0..cores {
                // Each core knows its part.
                let clients = std::mem::take(&mut self.present);
                let call = self.call(Asked::Presence { channel, cores: cores - core, clients });
                self.world.call(core, call, Call::Presence { channel: Arc::from(&*name(channel)) });
                self.hear_answers();
            }
        }
        self.truth.judge();
        self.judge_unheard();
        let stats = (0..self.world.core_count()).map(|core| self.world.stats(core).deliveries);
        self.delivered = stats.sum();
    }

    /// Whatever a token gave is over when it is.
    fn judge_rights(&self) {
        let unix_ms = self.world.unix_ms();
        self.members.iter().for_each(|member| member.judge_rights(&self.revoked, unix_ms));
    }

    /// Where every subscriber must stand once the stream is known to stand at `top` and nothing is under way.
    pub(super) fn judge_tops(&mut self, channel: usize, epoch: &str, top: u64) {
        if !self.is_at_rest {
            return;
        }
        self.truth.judge_top(channel, epoch, top);
        for member in &self.members {
            let Some(place) = member.place(channel) else { continue };
            assert_eq!(place.epoch, epoch, "member {} in channel {channel}", member.number);
            assert!(place.offset <= top, "member {} is ahead of channel {channel}", member.number);
            let filter = member.standings.get(&channel).and_then(|standing| standing.filter);
            let excluded = self.rules.excludes_sender.then_some(member.number);
            // Nothing that it does not know of may be for it.
            self.truth.skip(&place, top + 1, Reason { filter, excluded });
        }
    }

    /// All cores have said who is there.
    pub(super) fn counted(&mut self, channel: usize, cores_left: usize, clients: BTreeSet<String>) {
        if cores_left > 0 {
            self.present = clients;
            return;
        }
        assert_eq!(clients, self.live(channel), "presence of channel {channel}");
    }

    fn live(&self, channel: usize) -> BTreeSet<String> {
        let live = self.members.iter().filter(|member| member.place(channel).is_some());
        live.filter_map(|member| member.client_id.clone()).collect()
    }

    /// The latest word about each other member has to be true.
    fn judge_others(&self, channel: usize) {
        if self.is_lossy {
            return;
        }
        let live = self.live(channel);
        for member in &self.members {
            let Some(standing) = member.standings.get(&channel).filter(|standing| standing.is_live) else {
                continue;
            };
            for (client, is_there) in &standing.others {
                let number = member.number;
                assert_eq!(*is_there, live.contains(client), "member {number} about {client} in {channel}");
            }
            let me = member.client_id.as_ref();
            let knows_itself = me.is_some_and(|me| standing.others.get(me) == Some(&true));
            assert!(knows_itself, "member {} never heard of its own join to {channel}", member.number);
        }
    }

    /// What was acknowledged has reached those who were there all the time.
    fn judge_unheard(&self) {
        for (number, written) in self.truth.unheard() {
            for member in &self.members {
                let standing = member.standings.get(&written.channel).filter(|standing| standing.is_live);
                let Some(standing) = standing else { continue };
                let excluded = self.rules.excludes_sender.then_some(member.number);
                let reason = Reason { filter: standing.filter, excluded };
                let is_owed = standing.since < written.tick && !reason.holds_back(written);
                assert!(!is_owed, "acknowledged publication {number} never reached member {}", member.number);
            }
        }
    }

    /// Everyone goes; nothing may be left, and in the end not even the streams.
    pub(super) fn leave(&mut self) {
        for at in 0..self.members.len() {
            if self.dice.percent(50) { self.vanish(at) } else { self.goodbye(at) }
        }
        self.settle();
        self.pass(LONG);
        self.settle();
        self.pass(META_TTL * 2);
        self.settle();
        for core in 0..self.world.core_count() {
            let remains = self.world.remains(core);
            assert_eq!(remains, Remains::default(), "kept for nobody on core {core}");
            let stats = self.world.stats(core);
            let left = [stats.connections, stats.sessions, stats.subscriptions, stats.channels];
            assert_eq!(left, [0; 4], "connections, sessions, subscriptions and channels left on core {core}");
            assert_eq!(stats.panics, 0);
        }
    }
}
