//! Random lives in channels that remember: members of both codecs publish, subscribe, vanish and come back with their
//! positions and tokens, the application calls, mailboxes and queues overflow; `Truth` says what all of that may lead to.
//!
//! Invariant: a trial depends on its seed alone. Every member stands at the top of every channel that it is subscribed
//! to when the world has come to rest, has what its tokens give and no more, and nothing is left when everyone has gone.
//! What it cannot tell: whether a stream was lost that only filtered subscribers had seen.
//!
//! Split: `rules` (what the world is like), `acts` and `calls` (what happens), `member` (a client that comes back),
//! `issuer` and `lease` (what it may), `truth` (what was published), `verdict` (the end).

mod acts;
mod calls;
mod issuer;
mod lease;
mod member;
mod rules;
mod truth;
mod verdict;

use super::dice::Dice;
use super::faults::portions;
use super::tls::{Authority, Sealing};
use super::world::{LinkId, World};
use crate::shard::Settings;
use crate::shard::call::CallId;
use crate::time::Moment;
use calls::Asked;
use issuer::{Issuer, Revoked};
use member::{Desk, Hearing, Member};
use rules::{Rules, personal};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use truth::{Tick, Truth};

/// What a trial was like, to compare two of the same seed and to see that all trials together were unkind enough.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Errors, closes, unsubscribes; below 100, what happened without a code of its own (`member::hearing`).
    pub codes: BTreeSet<u32>,
    pub delivered: u64,
}

struct Trial {
    world: World,
    dice: Dice,
    rules: Rc<Rules>,
    settings: Settings,
    truth: Truth,
    revoked: Revoked,
    members: Vec<Member>,
    codes: BTreeSet<u32>,
    calls: BTreeMap<CallId, Asked>,
    /// Publications of the API that may be sent once more.
    repeatable: Vec<(usize, Moment)>,
    next_call: u64,
    tick: Tick,
    weights: [u32; acts::ACTS.len()],
    pad_max: usize,
    is_lossy: bool,
    /// Orders to the disk may fail.
    is_failing: bool,
    /// The latest that the wall clock has ever shown.
    latest_ms: u64,
    has_small_outboxes: bool,
    /// Nothing is under way: whoever does not stand at the top has lost something.
    is_at_rest: bool,
    /// Of the cores that have answered.
    present: BTreeSet<String>,
    delivered: u64,
}

/// Lives through the trial of `seed`; panics where a promise is broken.
pub fn run(seed: u64, authority: &Authority) -> Report {
    let mut trial = Trial::new(seed, authority.sealing(seed));
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
    fn new(seed: u64, sealing: Option<Sealing>) -> Self {
        let mut dice = Dice::new(seed);
        let (rules, issuer) = (Rc::new(Rules::draw(&mut dice)), Rc::new(Issuer::new()));
        let is_lossy = dice.percent(30);
        let has_small_outboxes = dice.percent(20);
        let mail = if is_lossy { dice.between(1, 4) } else { 4096 };
        let core_count = dice.between(1, 3) as u16;
        let mut settings = rules.settings(&issuer);
        settings.limits.outbox_bytes_max =
            if has_small_outboxes { dice.between(2000, 8000) as u32 } else { 1024 * 1024 };
        settings.tls = sealing.as_ref().map(|sealing| sealing.acceptor.clone());
        let shared = Arc::new(settings.clone());
        let mut world = World::new(dice.throw(), core_count, |options| {
            options.portions = portions(seed);
            options.mail_count_max = mail;
            options.settings = Arc::clone(&shared);
        });
        if let Some(sealing) = sealing {
            world.seal(sealing.client);
        }
        world.faults.chunk_bytes_max = [300, 64 * 1024][dice.below(2)];
        world.faults.lag = [0, 20, 60][dice.below(3)];
        world.faults.mail_lag = [0, 30, 70][dice.below(3)];
        world.faults.mail_repeat = [0, 30][dice.below(2)];
        world.faults.pipe_bytes_max = [2000, 256 * 1024][dice.below(2)];
        world.faults.mail_count_max = if is_lossy { dice.between(1, 3) } else { 4096 };
        let is_failing = rules.is_durable && dice.percent(50);
        world.faults.disk_lag = [0, 50, 90][dice.below(3)];
        world.faults.disk_failure = if is_failing { dice.between(1, 20) as u32 } else { 0 };
        let weights = acts::weights(&mut dice);
        let (latest_ms, now_s) = (world.unix_ms(), world.unix_ms() / 1000);
        let desk = |dice: &mut Dice| Desk {
            dice: Dice::new(dice.throw()),
            issuer: Rc::clone(&issuer),
            rules: Rc::clone(&rules),
            now_s,
            is_honest: false,
            issued: 0,
        };
        let members = (0..dice.between(2, 6)).map(|number| Member::new(number, desk(&mut dice))).collect();
        Self {
            world,
            truth: Truth::new(rules.keep, rules.is_durable),
            rules,
            settings,
            revoked: Revoked::default(),
            members,
            codes: BTreeSet::new(),
            calls: BTreeMap::new(),
            repeatable: Vec::new(),
            next_call: 0,
            tick: 0,
            weights,
            is_failing,
            latest_ms,
            pad_max: [1, 40][dice.below(2)],
            is_lossy,
            has_small_outboxes,
            is_at_rest: false,
            present: BTreeSet::new(),
            delivered: 0,
            dice,
        }
    }

    /// All channels that anybody may be in.
    fn channels(&self) -> Vec<usize> {
        let own = (0..self.members.len()).filter(|_| self.rules.has_personal).map(personal);
        (0..self.rules.channel_count).chain(own).collect()
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
        let unix_ms = self.world.unix_ms();
        self.latest_ms = self.latest_ms.max(unix_ms);
        let mut hearing = Hearing {
            truth: &mut self.truth,
            codes: &mut self.codes,
            revoked: &self.revoked,
            tick: self.tick,
            now: self.world.now,
            unix_ms: self.latest_ms,
            is_lossy: self.is_lossy,
            is_failing: self.is_failing,
        };
        self.members[at].desk.now_s = unix_ms / 1000;
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
