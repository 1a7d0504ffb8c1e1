//! Shards, the network between them and their clients, and time.
//!
//! Invariant: mail between two cores arrives in the order of posting, bytes of a connection in the order of writing,
//! and nothing else has an order. What a core does not get twice, it is given once. Between two steps every shard is drained and has passed its own `check`.

use super::dice::Dice;
use super::disk::Disk;
pub use super::faults::Faults;
use super::link::{Completion, Incoming, Link};
use super::tls::{Means, Tunnel};
use super::watch::Watch;
use crate::hub::owner_of;
use crate::ids::{ConnId, CoreId};
use crate::shard::call::{Call, CallId, Outcome};
use crate::shard::mail::Mail;
use crate::shard::memo::Memo;
use crate::shard::{Admission, Input, Output, Remains, Settings, Shard, ShardOptions};
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
    /// Of each link, if the world is sealed.
    tunnels: Vec<Tunnel>,
    /// What clients of a sealed world come with.
    means: Option<Means>,
    /// From core `a` to core `b` at `a * cores + b`.
    mail: Vec<VecDeque<Mail>>,
    hash_seed: u64,
    /// What the wall clock would have shown at the beginning, going by what it shows now.
    wall_ms: i64,
    watch: Watch,
    disk: Disk,
    /// Of calls, as cores gave them.
    pub answers: VecDeque<(CallId, Outcome)>,
}

struct Core {
    options: ShardOptions,
    shard: Shard,
    /// Letters wait inside for room in another core's mailbox.
    is_blocked: bool,
    is_accepting: bool,
    is_finished: bool,
}

/// A client's end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkId(usize);

/// Of the wall clock, when a world begins.
const START_MS: i64 = 1_800_000_000_000;

/// Steps without an end are a livelock of ours.
pub(super) const SETTLE_STEPS_MAX: u32 = 2_000_000;

impl Core {
    fn new(options: ShardOptions, now: Moment, unix_ms: i64) -> Self {
        let mut shard = Shard::new(options.clone(), now);
        shard.tell_time(now, unix_ms);
        Self { options, shard, is_blocked: false, is_accepting: true, is_finished: false }
    }
}

impl World {
    /// `adapt` changes the options of every shard alike.
    pub fn new(seed: u64, core_count: u16, adapt: impl Fn(&mut ShardOptions)) -> Self {
        let mut dice = Dice::new(seed);
        let hash_seed = dice.throw();
        let options: Vec<ShardOptions> = (0..core_count)
            .map(|core| {
                let mut options = ShardOptions::open(CoreId(core), core_count, dice.throw());
                options.hash_seed = hash_seed;
                adapt(&mut options);
                options
            })
            .collect();
        let cores =
            options.into_iter().map(|options| Core::new(options, Moment::ZERO, START_MS)).collect::<Vec<_>>();
        let mail = (0..cores.len() * cores.len()).map(|_| VecDeque::new()).collect();
        let (now, faults, wall_ms) = (Moment::ZERO, Faults::default(), START_MS);
        let (watch, answers, disk) = (Watch::default(), VecDeque::new(), Disk::default());
        let (links, tunnels, means) = (Vec::new(), Vec::new(), None);
        Self {
            now,
            dice,
            faults,
            cores,
            links,
            tunnels,
            means,
            mail,
            hash_seed,
            wall_ms,
            watch,
            disk,
            answers,
        }
    }

    /// From here on clients speak TLS, for which the settings of the cores have the other half.
    pub fn seal(&mut self, means: Means) {
        self.means = Some(means);
    }

    /// The process ends and another begins: what is on disk is left, of orders under way nobody knows which.
    pub fn restart(&mut self, settings: &Arc<Settings>) {
        for _ in 0..self.dice.between(0, self.disk.waiting()) {
            self.disk.work(false, self.unix_ms());
        }
        self.disk.crash();
        self.links.iter_mut().for_each(Link::vanish);
        self.mail.iter_mut().for_each(VecDeque::clear);
        self.answers.clear();
        self.watch = Watch::default();
        self.hash_seed = self.dice.throw();
        let unix_ms = self.unix_ms().cast_signed();
        for core in &mut self.cores {
            let mut options = core.options.clone();
            (options.seed, options.hash_seed) = (self.dice.throw(), self.hash_seed);
            options.settings = Arc::clone(settings);
            *core = Core::new(options, self.now, unix_ms);
        }
    }

    /// Somebody sets the wall clock, so much wrong.
    pub fn set_clock(&mut self, error_ms: i64) {
        self.wall_ms = START_MS + error_ms;
    }

    /// The wall clock.
    pub fn unix_ms(&self) -> u64 {
        self.wall_ms.cast_unsigned() + self.now.as_millis()
    }

    /// Bugs that were planned do not happen any more.
    pub fn calm(&self) {
        self.cores.iter().for_each(|core| core.options.fail.calm());
    }

    pub fn core_count(&self) -> usize {
        self.cores.len()
    }

    pub fn remains(&self, core: usize) -> Remains {
        self.cores[core].shard.remains()
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
        let mut link = Link::new(core, conn);
        if let Some(means) = &self.means {
            self.tunnels.push(Tunnel::open(means, &mut link)?);
        }
        self.links.push(link);
        Some(LinkId(self.links.len() - 1))
    }

    pub fn write(&mut self, link: LinkId, bytes: &[u8]) {
        let (link, tunnel) = (&mut self.links[link.0], self.tunnels.get_mut(link.0));
        match tunnel {
            Some(tunnel) => tunnel.write(link, bytes),
            None => link.write(bytes),
        }
    }

    /// Bytes beneath TLS. False in a world without it.
    pub fn spoil(&mut self, link: LinkId, bytes: &[u8]) -> bool {
        let (link, tunnel) = (&mut self.links[link.0], self.tunnels.get_mut(link.0));
        tunnel.map(|tunnel| tunnel.spoil(link, bytes)).is_some()
    }

    pub fn finish(&mut self, link: LinkId) {
        let says_so = link.0.is_multiple_of(2);
        let (link, tunnel) = (&mut self.links[link.0], self.tunnels.get_mut(link.0));
        match tunnel {
            Some(tunnel) => tunnel.finish(link, says_so),
            None => link.finish(),
        }
    }

    pub fn reset(&mut self, link: LinkId) {
        self.links[link.0].reset();
    }

    pub fn read(&mut self, link: LinkId) -> Incoming {
        let mut max = || self.dice.between(1, self.faults.chunk_bytes_max);
        let (link, tunnel) = (&mut self.links[link.0], self.tunnels.get_mut(link.0));
        match tunnel {
            Some(tunnel) => tunnel.read(link, max),
            None => link.read(max()),
        }
    }

    pub fn has_unread(&self, link: LinkId) -> bool {
        self.links[link.0].has_unread() || self.tunnels.get(link.0).is_some_and(Tunnel::has_unread)
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
        for (tunnel, link) in self.tunnels.iter_mut().zip(&mut self.links) {
            if tunnel.is_greeting(link) && !self.dice.percent(self.faults.lag) {
                tunnel.greet(link, self.dice.between(1, self.faults.chunk_bytes_max));
            }
        }
        if self.disk.waiting() > 0 && !self.dice.percent(self.faults.disk_lag) {
            let fails = self.dice.percent(self.faults.disk_failure);
            self.disk.work(fails, self.unix_ms());
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
            && !self.tunnels.iter().zip(&self.links).any(|(tunnel, link)| tunnel.is_greeting(link))
            && self.mail.iter().all(VecDeque::is_empty)
            && self.disk.is_idle()
            && !self.cores.iter().any(|core| core.is_blocked || due(core))
    }

    /// Whether anything wakes a core that sleeps: an input, its deadline, or letters that it said it would post.
    fn is_awake(&self, core: usize) -> bool {
        let Core { shard, is_blocked, .. } = &self.cores[core];
        let is_due = shard.deadline().is_some_and(|deadline| deadline <= self.now);
        *is_blocked || is_due || self.disk.has_fate(core) || !self.sources(core).is_empty()
    }

    /// What a driver does in one turn of its loop.
    fn turn(&mut self, core: usize) {
        if !self.is_awake(core) {
            return;
        }
        let unix_ms = self.unix_ms().cast_signed();
        self.cores[core].shard.begin_turn();
        self.cores[core].shard.tell_time(self.now, unix_ms);
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
        while !self.dice.percent(self.faults.disk_lag)
            && let Some(fate) = self.disk.fate(core)
        {
            self.deliver(core, Mail::Fate(fate));
        }
        self.cores[core].shard.advance(self.now);
        self.relieve(core);
        self.drain(core);
        self.cores[core].shard.check();
    }

    fn deliver(&mut self, core: usize, mail: Mail) {
        let shard = &mut self.cores[core].shard;
        let kind = self.watch.opened(core, &mail);
        let before = (shard.stats().gaps, shard.stats().subscriptions);
        shard.handle(self.now, Input::Mail(mail));
        let after = (shard.stats().gaps, shard.stats().subscriptions);
        // A bug is a reason that no letter shows.
        if !self.cores[core].options.fail.is_planned() {
            self.watch.judge(core, &kind, before, after);
        }
        self.relieve(core);
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
        self.relieve(core);
    }

    /// Somebody is owed much: what can leave does so before more is made.
    fn relieve(&mut self, core: usize) {
        if self.cores[core].shard.take_pressure() {
            self.drain(core);
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
                Output::Pause { conn } => {
                    if !self.dice.percent(self.faults.unheeded) {
                        self.link(core, conn).pause();
                    }
                }
                Output::Resume { conn } => self.link(core, conn).resume(),
                Output::Memo(Memo::Ask { .. } | Memo::Stream { .. } | Memo::Event(_)) => {}
                Output::Order(order) if self.dice.percent(self.faults.disk_failure) => {
                    self.disk.refuse(&order);
                }
                Output::Order(order) => self.disk.order(order),
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
