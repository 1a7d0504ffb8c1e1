//! Random lives in channels that remember: members of both codecs publish, subscribe, vanish and come back with their
//! positions, the application calls, mailboxes and queues overflow; `Truth` says what all of that may lead to.
//!
//! Invariant: a trial depends on its seed alone. Every member stands at the top of every channel that it is subscribed
//! to when the world has come to rest, and nothing is left when everyone has gone.
//!
//! What it cannot tell: whether a stream was lost that only filtered subscribers had seen, and what tokens allow.

mod member;
mod truth;
mod verdict;

use super::dice::Dice;
use super::world::{LinkId, World};
use crate::channels::Policy;
use crate::shard::call::{Call, CallId, HistoryQuery, Outcome, Publish, Target};
use crate::time::Moment;
use member::{Hearing, Member, name};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use truth::{Keep, Place, Tick, Truth};

/// What a trial was like, to compare two of the same seed and to see that all trials together were unkind enough.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Errors, closes, unsubscribes; 1 to 3: nothing was missed, something was recovered, it could not be.
    pub codes: BTreeSet<u32>,
    pub delivered: u64,
}

struct Trial {
    world: World,
    dice: Dice,
    truth: Truth,
    members: Vec<Member>,
    codes: BTreeSet<u32>,
    calls: BTreeMap<CallId, Asked>,
    /// Publications of the API that may be sent once more.
    repeatable: Vec<(usize, Moment)>,
    next_call: u64,
    tick: Tick,
    channel_count: usize,
    pad_max: usize,
    is_lossy: bool,
    has_small_outboxes: bool,
    /// Nothing is under way: whoever does not stand at the top has lost something.
    is_at_rest: bool,
    excludes_sender: bool,
    /// Of the cores that have answered.
    present: BTreeSet<String>,
    delivered: u64,
}

/// What a call will be measured by.
#[derive(Debug)]
enum Asked {
    Publish { number: usize },
    History { channel: usize },
    Presence { channel: usize, cores: usize, clients: BTreeSet<String> },
    Nothing,
}

/// Acts of a life, and how often each comes.
const ACTS: [(Act, u32); 17] = [
    (Act::Connect, 14),
    (Act::Subscribe, 16),
    (Act::Unsubscribe, 5),
    (Act::Publish, 24),
    (Act::CallPublish, 14),
    (Act::CallAgain, 4),
    (Act::Look, 2),
    (Act::History, 4),
    (Act::Flush, 20),
    (Act::Vanish, 3),
    (Act::Goodbye, 2),
    (Act::Stall, 2),
    (Act::Read, 4),
    (Act::Pass, 4),
    (Act::CallHistory, 2),
    (Act::CallDisconnect, 1),
    (Act::CallUnsubscribe, 2),
];

#[derive(Clone, Copy, Debug)]
enum Act {
    Connect,
    Subscribe,
    Unsubscribe,
    Publish,
    CallPublish,
    CallAgain,
    Look,
    History,
    Flush,
    Vanish,
    Goodbye,
    Stall,
    Read,
    Pass,
    CallHistory,
    CallDisconnect,
    CallUnsubscribe,
}

/// Results of publications with a key are remembered for longer.
const KEY_LIFE: Duration = Duration::from_mins(4);
const META_TTL: Duration = Duration::from_mins(30);

/// Lives through the trial of `seed`; panics where a promise is broken.
pub fn run(seed: u64) -> Report {
    let mut trial = Trial::new(seed);
    for _ in 0..trial.dice.between(20, 250) {
        trial.act();
        for _ in 0..trial.dice.below(12) {
            trial.world.step();
            trial.read_some();
        }
        trial.hear_answers();
    }
    trial.rest();
    trial.judge();
    trial.leave();
    Report { codes: trial.codes, delivered: trial.delivered }
}

impl Trial {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let keep = Keep {
            size: [1, 3, 10, 100][dice.below(4)],
            ttl: Duration::from_secs([2, 30, 600][dice.below(3)]),
        };
        let excludes_sender = dice.percent(20);
        let policy = Policy {
            history_size: keep.size as u32,
            history_ttl: keep.ttl,
            history_meta_ttl: META_TTL,
            force_recovery: true,
            join_leave: true,
            allow_delta_fossil: true,
            delta_publish: dice.percent(70),
            allow_tags_filter: true,
            publish_exclude_sender: excludes_sender,
            ..Policy::open()
        };
        let is_lossy = dice.percent(30);
        let has_small_outboxes = dice.percent(20);
        let outbox = if has_small_outboxes { dice.between(2000, 8000) as u32 } else { 1024 * 1024 };
        let mail = if is_lossy { dice.between(1, 4) } else { 4096 };
        let core_count = dice.between(1, 3) as u16;
        let mut world = World::new(dice.throw(), core_count, |options| {
            options.mail_count_max = mail;
            let settings = options.settings_mut();
            settings.set_policy(policy.clone());
            settings.limits.outbox_bytes_max = outbox;
            settings.access.anonymous = false;
            settings.access.user_id_header = Some(Box::from("x-user"));
        });
        world.faults.chunk_bytes_max = [300, 64 * 1024][dice.below(2)];
        world.faults.lag = [0, 20, 60][dice.below(3)];
        world.faults.mail_lag = [0, 30, 70][dice.below(3)];
        world.faults.pipe_bytes_max = [2000, 256 * 1024][dice.below(2)];
        world.faults.mail_count_max = if is_lossy { dice.between(1, 3) } else { 4096 };
        let members = (0..dice.between(2, 6)).map(|number| Member::new(number, dice.percent(50))).collect();
        Self {
            world,
            truth: Truth::new(keep),
            members,
            codes: BTreeSet::new(),
            calls: BTreeMap::new(),
            repeatable: Vec::new(),
            next_call: 0,
            tick: 0,
            channel_count: dice.between(1, 3),
            pad_max: [1, 40][dice.below(2)],
            is_lossy,
            has_small_outboxes,
            is_at_rest: false,
            excludes_sender,
            present: BTreeSet::new(),
            delivered: 0,
            dice,
        }
    }

    fn act(&mut self) {
        self.tick += 1;
        let weights = ACTS.map(|(_, weight)| weight);
        let Some((act, _)) = self.dice.weighted(&weights).and_then(|at| ACTS.get(at)) else { return };
        let at = self.dice.below(self.members.len());
        let channel = self.dice.below(self.channel_count);
        match act {
            Act::Connect => self.connect(at),
            Act::Subscribe => self.subscribe(at, channel),
            Act::Unsubscribe => self.members[at].unsubscribe(channel),
            Act::Publish => self.publish(at, channel),
            Act::CallPublish => self.call_publish(channel),
            Act::CallAgain => self.call_again(),
            Act::Look => self.say(at, |member| member.look_around(channel)),
            Act::History => {
                let limit = self.dice.between(1, 200);
                self.say(at, |member| member.read_history(channel, limit));
            }
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
            Act::CallUnsubscribe => self.call_unsubscribe(at, channel),
        }
        if !matches!(act, Act::Pass) && (matches!(act, Act::Flush) || self.dice.percent(60)) {
            self.flush(at);
        }
    }

    // Acts of members.

    fn say(&mut self, at: usize, say: impl FnOnce(&mut Member)) {
        // More commands in one message would be refused.
        if self.members[at].link.is_some() && self.members[at].batch_len() < 20 {
            say(&mut self.members[at]);
        }
    }

    fn connect(&mut self, at: usize) {
        if self.members[at].link.is_some() {
            return;
        }
        if let Some(link) = self.world.open() {
            self.members[at].connect(link);
            self.members[at].allowed.extend(self.has_small_outboxes.then_some(3008));
            self.members[at].flush();
            self.write(at);
        }
    }

    fn subscribe(&mut self, at: usize, channel: usize) {
        let (filter, delta) = (self.dice.percent(25), self.dice.percent(50));
        if let Entry::Vacant(new) = self.members[at].standings.entry(channel) {
            let standing = new.insert(member::Standing::default());
            standing.filter = filter.then_some("a");
            standing.wants_delta = delta;
        }
        self.members[at].subscribe(channel);
    }

    fn publish(&mut self, at: usize, channel: usize) {
        if self.members[at].link.is_some() && self.members[at].batch_len() < 20 {
            let pad = self.dice.below(self.pad_max);
            let number = self.truth.write(channel, Some(at), None, pad, (self.tick, self.world.now));
            self.members[at].publish(number, &self.truth);
        }
    }

    fn flush(&mut self, at: usize) {
        if self.members[at].client.is_open() {
            self.members[at].flush();
        }
        self.write(at);
    }

    fn vanish(&mut self, at: usize) {
        if let Some(link) = self.members[at].link {
            self.world.reset(link);
            self.members[at].disconnected();
        }
    }

    fn goodbye(&mut self, at: usize) {
        if self.members[at].client.is_open() && self.members[at].link.is_some() {
            self.members[at].client.close(Some(1000), "");
            self.members[at].allowed.insert(1000);
            self.write(at);
        }
    }

    // Calls of the application.

    fn call(&mut self, asked: Asked) -> CallId {
        self.next_call += 1;
        let call = CallId(self.next_call);
        self.calls.insert(call, asked);
        call
    }

    fn call_publish(&mut self, channel: usize) {
        let tag = ["a", "b"][self.dice.below(2)];
        let pad = self.dice.below(self.pad_max);
        let number = self.truth.write(channel, None, Some(tag), pad, (self.tick, self.world.now));
        if self.dice.percent(50) {
            self.repeatable.push((number, self.world.now));
        }
        self.send_publish(number);
    }

    fn call_again(&mut self) {
        // Keys are forgotten after a while: repeating one would be a publication of its own.
        let now = self.world.now;
        self.repeatable.retain(|(_, written)| now.since(*written) < KEY_LIFE);
        if let Some(&(number, _)) = self.dice.pick(&self.repeatable) {
            self.send_publish(number);
        }
    }

    fn send_publish(&mut self, number: usize) {
        let written = self.truth.written(number);
        let tag = written.tag.unwrap_or_default();
        let publish = Publish {
            data: written.data.to_string().into_bytes().into(),
            is_json: true,
            tags: Box::new([(Box::from("t"), Box::from(tag))]),
            delta: self.dice.percent(50),
            idempotency_key: (self.repeatable.iter().any(|(repeatable, _)| *repeatable == number))
                .then(|| format!("key-{number}").into()),
            ..Publish::default()
        };
        let channel = name(written.channel);
        let call = self.call(Asked::Publish { number });
        let what = Call::Publish { channel: Arc::from(&*channel), publish: Box::new(publish) };
        self.world.call_owner(&channel, call, what);
    }

    fn call_history(&mut self, channel: usize) {
        let call = self.call(Asked::History { channel });
        let query = HistoryQuery { limit: -1, ..HistoryQuery::default() };
        let channel = name(channel);
        self.world.call_owner(&channel, call, Call::History { channel: Arc::from(&*channel), query });
    }

    fn call_disconnect(&mut self, at: usize) {
        self.members[at].allowed.insert(3503);
        let target = Target { user: Some(format!("user-{at}").into()), ..Target::default() };
        self.call_everywhere(&|| Call::Disconnect {
            target: target.clone(),
            spare: Vec::new(),
            code: 3503,
            reason: Box::from("force disconnect"),
        });
    }

    fn call_unsubscribe(&mut self, at: usize, channel: usize) {
        let target = Target { user: Some(format!("user-{at}").into()), ..Target::default() };
        self.call_everywhere(&|| Call::Unsubscribe {
            target: target.clone(),
            channel: Some(Arc::from(&*name(channel))),
            code: 2000,
            reason: Box::from("server unsubscribe"),
        });
    }

    fn call_everywhere(&mut self, what: &dyn Fn() -> Call) {
        for core in 0..self.world.core_count() {
            let call = self.call(Asked::Nothing);
            self.world.call(core, call, what());
        }
    }

    fn hear_answers(&mut self) {
        while let Some((call, outcome)) = self.world.answers.pop_front() {
            let asked = self.calls.remove(&call);
            assert!(asked.is_some(), "an answer to no call, or a second one: {outcome:?}");
            match (asked, outcome) {
                (Some(Asked::Publish { number }), Outcome::Published { position: Some(position) }) => {
                    let channel = self.truth.written(number).channel;
                    let (epoch, offset) = (position.epoch.to_string(), position.offset);
                    self.truth.stands(number, &Place { channel, epoch, offset });
                }
                (Some(Asked::History { channel }), Outcome::History { publications, position }) => {
                    for publication in &publications {
                        let data = serde_json::from_slice(&publication.data).unwrap_or_default();
                        let epoch = position.epoch.to_string();
                        let place = Place { channel, epoch, offset: publication.offset };
                        let tag = publication.tags.first().map(|(_, tag)| &**tag);
                        self.truth.heard(&place, &data, tag);
                    }
                    self.judge_tops(channel, &position.epoch, position.offset);
                }
                (Some(Asked::Presence { channel, cores, mut clients }), Outcome::People(people)) => {
                    let texts = people.iter().map(|person| person.client.text());
                    clients.extend(texts.map(|text| String::from_utf8_lossy(&text).into_owned()));
                    self.counted(channel, cores - 1, clients);
                }
                (Some(Asked::Nothing), Outcome::Done { .. })
                | (Some(Asked::Publish { .. }), Outcome::Failed(_)) => {}
                (asked, outcome) => assert!(asked.is_none(), "{outcome:?} for {asked:?}"),
            }
        }
    }

    // Time and the network.

    fn pass(&mut self, time: Duration) {
        // Whatever is half written may be too late behind this.
        for member in &mut self.members {
            member.allowed.extend((!member.is_connected()).then_some(3502));
        }
        let mut left = time;
        while !left.is_zero() {
            let waits = |member: &Member| {
                member.is_reading && member.link.is_some_and(|link| self.world.has_unread(link))
            };
            if !self.members.iter().any(waits) {
                left -= self.world.pass(left);
            }
            (0..self.members.len()).for_each(|at| self.read(at));
        }
    }

    fn read_some(&mut self) {
        let at = self.dice.below(self.members.len());
        self.read(at);
    }

    fn read(&mut self, at: usize) {
        self.tick += 1;
        let Some(link) = self.members[at].link.filter(|_| self.members[at].is_reading) else { return };
        let incoming = self.world.read(link);
        let mut hearing = Hearing {
            truth: &mut self.truth,
            codes: &mut self.codes,
            tick: self.tick,
            now: self.world.now,
            is_lossy: self.is_lossy,
            excludes_sender: self.excludes_sender,
        };
        self.members[at].receive(incoming, &mut hearing);
        if self.members[at].client.is_open() {
            self.members[at].flush();
        }
        self.write(at);
    }

    fn write(&mut self, at: usize) {
        let output = self.members[at].client.take_output();
        if let (Some(link), false) = (self.members[at].link, output.is_empty()) {
            self.world.write(link, &output);
        }
    }

    fn links(&self) -> impl Iterator<Item = (usize, LinkId)> {
        self.members.iter().enumerate().filter_map(|(at, member)| Some((at, member.link?)))
    }
}
