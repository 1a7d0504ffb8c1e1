//! What happens in a trial, and how often.
//! Invariant: whatever an act may cost a connection is allowed before its bytes leave.

use super::Trial;
use super::member::{Member, Standing};
use super::rules::{CLOCK_MS_MAX, personal};
use crate::sim::dice::Dice;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

/// Acts of a life, and how often each comes.
pub(super) const ACTS: [(Act, u32); 24] = [
    (Act::Connect, 14),
    (Act::Subscribe, 16),
    (Act::Unsubscribe, 5),
    (Act::Publish, 24),
    (Act::CallPublish, 14),
    (Act::CallAgain, 4),
    (Act::Look, 2),
    (Act::History, 4),
    (Act::Refresh, 3),
    (Act::SubRefresh, 4),
    (Act::Flush, 20),
    (Act::Vanish, 3),
    (Act::Goodbye, 2),
    (Act::Stall, 2),
    (Act::Read, 4),
    (Act::Pass, 4),
    (Act::CallHistory, 2),
    (Act::CallDisconnect, 1),
    (Act::CallSubscribe, 3),
    (Act::CallUnsubscribe, 2),
    (Act::Revoke, 1),
    (Act::Forsake, 2),
    (Act::SetClock, 2),
    (Act::Restart, 1),
];

#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Connect,
    Subscribe,
    Unsubscribe,
    Publish,
    CallPublish,
    CallAgain,
    Look,
    History,
    Refresh,
    SubRefresh,
    Flush,
    Vanish,
    Goodbye,
    Stall,
    Read,
    Pass,
    CallHistory,
    CallDisconnect,
    CallSubscribe,
    CallUnsubscribe,
    Revoke,
    /// Gone without a word: the server learns of it when a pong is missing.
    Forsake,
    SetClock,
    Restart,
}

/// The weights of one world: some acts never happen in it, and one happens very often.
pub(super) fn weights(dice: &mut Dice) -> [u32; ACTS.len()] {
    let favourite = dice.below(ACTS.len() * 2);
    let mut at = 0;
    ACTS.map(|(act, most)| {
        let most = if at == favourite { most * 3 } else { most };
        at += 1;
        let is_vital = matches!(act, Act::Connect | Act::Subscribe | Act::Flush | Act::Read | Act::Pass);
        match (is_vital, dice.percent(75)) {
            (true, _) => most,
            (false, true) => dice.between(1, most as usize) as u32,
            (false, false) => 0,
        }
    })
}

impl Trial {
    pub(super) fn act(&mut self) {
        self.tick += 1;
        let Some((act, _)) = self.dice.weighted(&self.weights).and_then(|at| ACTS.get(at)) else { return };
        let at = self.dice.below(self.members.len());
        let channel = self.dice.below(self.rules.channel_count);
        self.members[at].desk.now_s = self.world.unix_ms() / 1000;
        match act {
            Act::Connect => self.connect(at),
            Act::Subscribe => self.subscribe(at, channel),
            Act::Unsubscribe => self.members[at].unsubscribe(channel),
            Act::Publish => self.publish(at),
            Act::CallPublish => self.call_publish(),
            Act::CallAgain => self.call_again(),
            Act::Look => self.say(at, |member| member.look_around(channel)),
            Act::History => {
                let limit = self.dice.between(1, 200);
                self.say(at, |member| member.read_history(channel, limit));
            }
            Act::Refresh => self.say(at, Member::refresh),
            Act::SubRefresh => self.say(at, |member| member.sub_refresh(channel)),
            Act::Flush => {}
            Act::Vanish => self.vanish(at),
            Act::Goodbye => self.goodbye(at),
            Act::Stall => {
                self.members[at].is_reading = false;
                // Pings that it does not read, and more in its queue than is allowed.
                self.members[at].allowed.extend([3008, 3012]);
            }
            Act::Read => self.members[at].is_reading = true,
            Act::Pass => {
                let millis = [100, 5000, 60_000][self.dice.below(3)];
                let millis = self.dice.below(millis) as u64;
                self.pass(Duration::from_millis(millis));
            }
            Act::CallHistory => self.call_history(channel),
            Act::CallDisconnect => self.call_disconnect(at),
            Act::CallSubscribe => self.call_subscribe(at, channel),
            Act::CallUnsubscribe => self.call_unsubscribe(at, channel),
            Act::Revoke => self.revoke(at),
            Act::Forsake => self.members[at].disconnected(),
            Act::SetClock => self.set_clock(),
            Act::Restart => self.restart(),
        }
        if !matches!(act, Act::Pass) && (matches!(act, Act::Flush) || self.dice.percent(60)) {
            self.flush(at);
        }
    }

    fn say(&mut self, at: usize, say: impl FnOnce(&mut Member)) {
        // More commands in one message would be refused.
        if self.members[at].link.is_some() && self.members[at].batch_len() < 20 {
            say(&mut self.members[at]);
        }
    }

    pub(super) fn connect(&mut self, at: usize) {
        if self.members[at].link.is_some() {
            return;
        }
        if let Some(link) = self.world.open() {
            let is_blocked = self.revoked.blocked.contains(&at);
            self.members[at].desk.now_s = self.world.unix_ms() / 1000;
            self.members[at].connect(link);
            self.members[at].allowed.extend(self.has_small_outboxes.then_some(3008));
            self.members[at].allowed.extend(is_blocked.then_some(3507));
            self.members[at].flush();
            self.write(at);
        }
    }

    fn subscribe(&mut self, at: usize, channel: usize) {
        let (filter, delta) = (self.dice.percent(25), self.dice.percent(50));
        if let Entry::Vacant(new) = self.members[at].standings.entry(channel) {
            let standing = new.insert(Standing::default());
            standing.filter = filter.then_some("a");
            standing.wants_delta = delta;
        }
        self.members[at].subscribe(channel);
    }

    /// Where something is published: now and then in somebody's own channel.
    pub(super) fn target(&mut self) -> usize {
        if self.rules.has_personal && self.dice.percent(15) {
            personal(self.dice.below(self.members.len()))
        } else {
            self.dice.below(self.rules.channel_count)
        }
    }

    fn publish(&mut self, at: usize) {
        let channel = self.target();
        if self.members[at].link.is_some() && self.members[at].batch_len() < 20 {
            let pad = self.dice.below(self.pad_max);
            let number = self.truth.write(channel, Some(at), None, pad, (self.tick, self.world.now));
            self.members[at].publish(number, &self.truth);
        }
    }

    fn set_clock(&mut self) {
        if self.rules.moves_clock {
            self.latest_ms = self.latest_ms.max(self.world.unix_ms());
            let error_ms = self.dice.below(CLOCK_MS_MAX * 2).cast_signed() - CLOCK_MS_MAX.cast_signed();
            self.world.set_clock(error_ms as i64);
            self.latest_ms = self.latest_ms.max(self.world.unix_ms());
        }
    }

    /// The process ends in the middle of everything, and everybody notices at once.
    fn restart(&mut self) {
        self.world.restart(&Arc::new(self.settings.clone()));
        self.members.iter_mut().for_each(Member::disconnected);
        self.calls.clear();
        if !self.rules.is_durable {
            self.repeatable.clear();
        }
    }

    pub(super) fn flush(&mut self, at: usize) {
        if self.members[at].client.is_open() {
            self.members[at].flush();
        }
        self.write(at);
    }

    pub(super) fn vanish(&mut self, at: usize) {
        if let Some(link) = self.members[at].link {
            self.world.reset(link);
            self.members[at].disconnected();
        }
    }

    pub(super) fn goodbye(&mut self, at: usize) {
        if self.members[at].client.is_open() && self.members[at].link.is_some() {
            self.members[at].client.close(Some(1000), "");
            self.members[at].allowed.insert(1000);
            self.write(at);
        }
    }
}
