//! Shards, the network between them and their clients, and time.
//!
//! Invariant: mail between two cores arrives in the order of posting, bytes of a connection in the order of writing,
//! and nothing else has an order. What a core does not get twice, it is given once. Between two steps every shard is drained and has passed its own `check`.

use super::dice::Dice;
use super::link::{Completion, Incoming, Link};
use super::watch::Watch;
use crate::hub::owner_of;
use crate::ids::{ConnId, CoreId};
use crate::shard::call::{Call, CallId, Outcome};
use crate::shard::mail::Mail;
use crate::shard::memo::Memo;
use crate::shard::{Admission, Input, Output, Shard, ShardOptions};
use crate::stats::Stats;
use crate::time::Moment;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

pub struct World {
    pub now: Moment,
    pub dice: Dice,
    pub faults: Faults,
    cores: Vec<Core>,
    links: Vec<Link>,
    /// From core `a` to core `b` at `a * cores + b`.
    mail: Vec<VecDeque<Mail>>,
    hash_seed: u64,
    watch: Watch,
    /// Of calls, as cores gave them.
    pub answers: VecDeque<(CallId, Outcome)>,
}

struct Core {
    shard: Shard,
    /// Letters wait inside for room in another core's mailbox.
    is_blocked: bool,
    is_accepting: bool,
    is_finished: bool,
}

/// How unkind the world is. The defaults are kind.
#[derive(Clone, Debug)]
pub struct Faults {
    /// Bytes that arrive at once, at most.
    pub chunk_bytes_max: usize,
    /// Per cent of completions that a turn overlooks.
    pub lag: u32,
    /// Per cent of mailboxes that a turn overlooks.
    pub mail_lag: u32,
    /// Per cent of connections on which completions still come in after `Close`.
    pub late: u32,
    /// Per cent of publications of a stream that a core gets twice, as from an engine that is not sure of its answer.
    pub mail_repeat: u32,
    /// Unread bytes that the network holds for a client.
    pub pipe_bytes_max: usize,
    /// Letters that fit a mailbox.
    pub mail_count_max: usize,
    /// Time that passes in a step, at most.
    pub step_nanos_max: usize,
}

/// A client's end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkId(usize);

/// Of the wall clock, when a world begins.
const START_MS: i64 = 1_800_000_000_000;

/// Steps without an end are a livelock of ours.
const SETTLE_STEPS_MAX: u32 = 2_000_000;

impl Default for Faults {
    fn default() -> Self {
        Self {
            chunk_bytes_max: 64 * 1024,
            lag: 0,
            mail_lag: 0,
            late: 0,
            mail_repeat: 0,
            pipe_bytes_max: 256 * 1024,
            mail_count_max: 1024,
            step_nanos_max: 1000,
        }
    }
}

impl World {
    /// `adapt` changes the options of every shard alike.
    pub fn new(seed: u64, core_count: u16, adapt: impl Fn(&mut ShardOptions)) -> Self {
        let mut dice = Dice::new(seed);
        let hash_seed = dice.throw();
        let cores: Vec<Core> = (0..core_count)
            .map(|core| {
                let mut options = ShardOptions::open(CoreId(core), core_count, dice.throw());
                options.hash_seed = hash_seed;
                adapt(&mut options);
                let mut shard = Shard::new(options, Moment::ZERO);
                shard.tell_time(Moment::ZERO, START_MS);
                Core { shard, is_blocked: false, is_accepting: true, is_finished: false }
            })
            .collect();
        let mail = (0..cores.len() * cores.len()).map(|_| VecDeque::new()).collect();
        let (now, faults) = (Moment::ZERO, Faults::default());
        let (watch, answers) = (Watch::default(), VecDeque::new());
        Self { now, dice, faults, cores, links: Vec::new(), mail, hash_seed, watch, answers }
    }

    /// The wall clock.
    pub fn unix_ms(&self) -> u64 {
        START_MS.cast_unsigned() + self.now.as_millis()
    }

    pub fn core_count(&self) -> usize {
        self.cores.len()
    }

    pub fn stats(&mut self, core: usize) -> &Stats {
        self.cores[core].shard.stats()
    }

    /// A new connection to a core of the world's choice; None when nobody accepts any more.
    pub fn open(&mut self) -> Option<LinkId> {
        let core = self.dice.below(self.cores.len());
        if !self.cores[core].is_accepting {
            return None;
        }
        let conn = self.cores[core].shard.open(self.now, Admission::Welcome);
        self.drain(core);
        self.links.push(Link::new(core, conn));
        Some(LinkId(self.links.len() - 1))
    }

    pub fn write(&mut self, link: LinkId, bytes: &[u8]) {
        self.links[link.0].write(bytes);
    }

    pub fn finish(&mut self, link: LinkId) {
        self.links[link.0].finish();
    }

    pub fn reset(&mut self, link: LinkId) {
        self.links[link.0].reset();
    }

    pub fn read(&mut self, link: LinkId) -> Incoming {
        let max = self.dice.between(1, self.faults.chunk_bytes_max);
        self.links[link.0].read(max)
    }

    pub fn has_unread(&self, link: LinkId) -> bool {
        self.links[link.0].has_unread()
    }

    pub fn handed_over(&self, link: LinkId) -> Option<&[u8]> {
        self.links[link.0].handed_over.as_deref()
    }

    /// Puts a letter of the control plane into the mailbox of every core.
    pub fn broadcast(&mut self, letter: impl Fn() -> Mail) {
        for core in 0..self.cores.len() {
            self.cores[core].shard.handle(self.now, Input::Mail(letter()));
            self.drain(core);
        }
    }

    /// The control plane calls the owner of `channel`, who answers now or later.
    pub fn call_owner(&mut self, channel: &str, call: CallId, what: Call) {
        let owner = owner_of(channel, self.cores.len() as u16, self.hash_seed);
        self.call(owner.index(), call, what);
    }

    pub fn call(&mut self, core: usize, call: CallId, what: Call) {
        let letter = Mail::Call { call, what: Box::new(what) };
        self.cores[core].shard.handle(self.now, Input::Mail(letter));
        self.drain(core);
    }

    pub fn is_finished(&self) -> bool {
        self.cores.iter().all(|core| core.is_finished)
    }

    /// The network moves a little, one core takes a turn, a moment passes.
    pub fn step(&mut self) {
        let room = self.faults.pipe_bytes_max;
        for link in &mut self.links {
            if link.is_carrying(room) && !self.dice.percent(self.faults.lag) {
                link.carry(self.dice.between(1, self.faults.chunk_bytes_max), room);
            }
        }
        let core = self.dice.below(self.cores.len());
        self.turn(core);
        self.now = self.now + Duration::from_nanos(self.dice.below(self.faults.step_nanos_max) as u64);
    }

    /// Steps until nothing is under way that time alone would not move.
    pub fn settle(&mut self) {
        for _ in 0..SETTLE_STEPS_MAX {
            if self.is_quiet() {
                return;
            }
            self.step();
        }
        assert!(self.is_quiet(), "the world does not come to rest");
    }

    /// Lets time pass up to the next deadline, but no longer than `limit`; returns how long that was. A world that is not
    /// at rest lives through it step by step instead.
    pub fn pass(&mut self, limit: Duration) -> Duration {
        let start = self.now;
        if self.is_quiet() {
            let until = start + limit;
            let next = self.cores.iter().filter_map(|core| core.shard.deadline()).min();
            self.now = next.map_or(until, |next| next.clamp(start, until));
            for core in 0..self.cores.len() {
                self.turn(core);
            }
        } else {
            self.step();
        }
        self.now.since(start).min(limit)
    }

    pub fn is_quiet(&self) -> bool {
        let room = self.faults.pipe_bytes_max;
        let due = |core: &Core| core.shard.deadline().is_some_and(|deadline| deadline <= self.now);
        !self.links.iter().any(|link| link.has_completion() || link.is_carrying(room))
            && self.mail.iter().all(VecDeque::is_empty)
            && !self.cores.iter().any(|core| core.is_blocked || due(core))
    }

    /// What a driver does in one turn of its loop.
    fn turn(&mut self, core: usize) {
        let mut sources = self.sources(core);
        self.dice.shuffle(&mut sources);
        for source in sources {
            let lag = match source {
                Source::Link(_) => self.faults.lag,
                Source::Mail(_) => self.faults.mail_lag,
            };
            if self.dice.percent(lag) {
                continue;
            }
            match source {
                Source::Link(at) => self.take_completion(at),
                Source::Mail(from) => {
                    let queue = from * self.cores.len() + core;
                    for _ in 0..self.dice.between(1, self.mail[queue].len()) {
                        let Some(mail) = self.mail[queue].pop_front() else { break };
                        self.deliver(core, mail);
                    }
                }
            }
        }
        self.cores[core].shard.advance(self.now);
        self.drain(core);
        self.cores[core].shard.check();
    }

    fn deliver(&mut self, core: usize, mail: Mail) {
        let shard = &mut self.cores[core].shard;
        let kind = self.watch.opened(core, &mail);
        let before = (shard.stats().gaps, shard.stats().subscriptions);
        shard.handle(self.now, Input::Mail(mail));
        let after = (shard.stats().gaps, shard.stats().subscriptions);
        self.watch.judge(core, &kind, before, after);
    }

    fn sources(&self, core: usize) -> Vec<Source> {
        let links = self.links.iter().enumerate();
        let links = links.filter(|(_, link)| link.core == core && link.has_completion());
        let mut sources: Vec<Source> = links.map(|(at, _)| Source::Link(at)).collect();
        let queue = |from: &usize| !self.mail[from * self.cores.len() + core].is_empty();
        sources.extend((0..self.cores.len()).filter(queue).map(Source::Mail));
        sources
    }

    fn take_completion(&mut self, at: usize) {
        let chunk = self.dice.between(1, self.faults.chunk_bytes_max);
        let late = self.dice.percent(self.faults.late);
        let link = &mut self.links[at];
        let (core, conn) = (link.core, link.conn);
        let Some(completion) = link.complete(chunk, late) else { return };
        let shard = &mut self.cores[core].shard;
        match completion {
            Completion::Received(mut bytes) => {
                shard.handle(self.now, Input::Received { conn, bytes: &mut bytes });
            }
            Completion::Ended => shard.handle(self.now, Input::Ended { conn }),
            Completion::Broken => shard.handle(self.now, Input::Broken { conn }),
            Completion::Sent => shard.handle(self.now, Input::Sent { conn }),
            Completion::Closed => shard.handle(self.now, Input::Closed { conn }),
        }
    }

    fn drain(&mut self, core: usize) {
        let mut outputs = Vec::new();
        self.cores[core].shard.drain(&mut |output| outputs.push(output));
        for output in outputs {
            match output {
                Output::Send { conn, payload } => self.link(core, conn).send(payload),
                Output::Shutdown { conn } => self.link(core, conn).shut(),
                Output::Close { conn } => self.link(core, conn).close(),
                Output::HandOver { conn, received } => self.link(core, conn).hand_over(received.plain),
                Output::Memo(Memo::Answered { call, outcome, .. }) => self.answers.push_back((call, outcome)),
                Output::Memo(Memo::Ask { .. } | Memo::Stream { .. } | Memo::Event(_)) | Output::Order(_) => {}
                Output::StopAccepting => self.cores[core].is_accepting = false,
                Output::Finished => self.cores[core].is_finished = true,
            }
        }
        self.post(core);
    }

    fn post(&mut self, from: usize) {
        let count = self.cores.len();
        let (mail, room, dice) = (&mut self.mail, self.faults.mail_count_max, &mut self.dice);
        let (watch, repeat) = (&mut self.watch, self.faults.mail_repeat);
        self.cores[from].is_blocked = self.cores[from].shard.post(|to, letter| {
            let depth: usize = (0..count).map(|from| mail[from * count + to.index()].len()).sum();
            if depth >= room {
                return Err(letter);
            }
            let queue = &mut mail[from * count + to.index()];
            watch.posted(&letter);
            let again = repeated(&letter).filter(|_| repeat > 0 && dice.percent(repeat));
            queue.push_back(letter);
            queue.extend(again);
            Ok(())
        });
    }

    /// The connection that the shard means: the latest tenant of its slot.
    fn link(&mut self, core: usize, conn: ConnId) -> &mut Link {
        let at =
            self.links.iter().rposition(|link| link.core == core && link.conn == conn && !link.is_gone());
        assert!(at.is_some(), "an output for {conn:?} of core {core}, which is not open");
        &mut self.links[at.unwrap_or_default()]
    }
}

/// The same publication once more; none for what must not come twice.
fn repeated(letter: &Mail) -> Option<Mail> {
    if let Mail::Publication { channel, bulletin } = letter
        && bulletin.epoch.is_some()
    {
        let (channel, bulletin) = (Arc::clone(channel), bulletin.clone());
        return Some(Mail::Publication { channel, bulletin });
    }
    None
}

#[derive(Debug)]
enum Source {
    Link(usize),
    /// From this core.
    Mail(usize),
}
