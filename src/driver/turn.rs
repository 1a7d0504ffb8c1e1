//! What every turn of a core does, however its sockets are driven: the shard with its mail, its deadlines and its figures.
//!
//! A driver adds the beginning and the end of a turn: what has arrived goes into the shard before the mail, what leaves
//! comes out in `flush`. Invariant: after a turn nothing is owed to anybody that could have left.

use super::errands::Errands;
use super::{Entry, Station};
use crate::failpoint::FailPoints;
use crate::pressure::{Pressure, Stage};
use crate::shard::mail::Mail;
use crate::shard::{Input, Output, Shard};
use crate::stats::Published;
use crate::sys::mailbox::{Inbox, Mailbox};
use crate::sys::memory::{self, Budget};
use crate::sys::{clock, journal};
use crate::time::Moment;
use std::sync::Arc;
use std::time::Duration;

/// The sockets of a core as a turn sees them.
pub(super) trait Sockets {
    fn carry_out(&mut self, output: Output);
    /// Tells the shard what has come of its outputs. True if there was anything.
    fn report(&mut self, now: Moment, shard: &mut Shard) -> bool;
    /// Lets go of what was handed out, and tells the shard which sends are done already. True if there was one.
    fn push_out(&mut self, now: Moment, shard: &mut Shard) -> bool;
    fn errands(&mut self) -> &mut Errands;
    /// Whether nobody can come in any more.
    fn is_deaf(&self) -> bool;
    /// When there is something to do even if nothing arrives.
    fn deadline(&self) -> Option<Moment>;
}

pub(super) struct Turn {
    pub(super) shard: Shard,
    mail: Inbox<Mail>,
    cores: Vec<Mailbox<Mail>>,
    entry: Entry,
    published: Arc<Published>,
    published_at: Moment,
    /// Letters stayed behind because a mailbox is full.
    is_mail_blocked: bool,
    /// Longest turn since the last publication.
    lag: Duration,
    advanced_at: Moment,
    /// When the shard last heard the wall clock.
    time_told_at: Option<Moment>,
    /// Most bytes queued to clients since the allocator was last asked.
    peak_bytes: u64,
    /// Most connections since then.
    peak_count: u32,
    /// Bytes held for clients when memory was last measured here, or fewer.
    noted_bytes: u64,
    /// Bytes that had come from clients by then: what they have begun to say may be as much.
    noted_bytes_in: u64,
    trimmed_at: Moment,
    pressure: Arc<Pressure>,
    budget: Option<Budget>,
    fail: FailPoints,
}

impl Turn {
    pub(super) fn new(station: Station, now: Moment) -> Self {
        let fail = station.shard.fail.clone();
        Self {
            peak_bytes: 0,
            peak_count: 0,
            noted_bytes: 0,
            noted_bytes_in: 0,
            trimmed_at: now,
            pressure: station.pressure,
            budget: station.budget,
            fail,
            shard: Shard::new(station.shard, now),
            mail: station.mail,
            cores: station.cores,
            entry: station.entry,
            published: station.published,
            published_at: now,
            is_mail_blocked: false,
            lag: Duration::ZERO,
            advanced_at: now,
            time_told_at: None,
        }
    }

    /// Drained, and so is everybody else.
    pub(super) fn is_over(&mut self, sockets: &mut impl Sockets) -> bool {
        if sockets.errands().is_finished()
            && sockets.is_deaf()
            && !self.is_mail_blocked
            && self.entry.drained()
        {
            self.cores.iter().for_each(Mailbox::ring);
        }
        self.entry.is_complete()
    }

    /// Begins a turn.
    pub(super) fn tell_time(&mut self, now: Moment) {
        self.shard.begin_turn();
        if self.time_told_at.is_none_or(|at| now.since(at) >= TIME_INTERVAL) {
            self.time_told_at = Some(now);
            self.shard.tell_time(now, clock::wall().as_millis() as i64);
        }
        self.tell_pressure(now);
    }

    /// Whoever finds that it is time measures for all cores.
    fn tell_pressure(&mut self, now: Moment) {
        let grown = self.grown_bytes();
        let held = self.shard.held_bytes();
        self.noted_bytes = self.noted_bytes.min(held);
        let mut is_fresh = false;
        if let Some(budget) = &self.budget
            && self.pressure.is_due(now, grown)
        {
            self.noted_bytes = held;
            self.noted_bytes_in = self.shard.received_bytes();
            // What was cut is free only when the kernel has it back.
            if self.pressure.stage() > Stage::Calm && now.since(self.trimmed_at) >= TRIM_INTERVAL {
                self.trimmed_at = now;
                memory::trim();
                is_fresh = true;
            }
            if let Some(used) = budget.used()
                && let Some(stage) = self.pressure.note(used)
            {
                let (used, limit) = (used >> 20, budget.usable_bytes() >> 20);
                journal::tell(format!("ringway: memory: {used} of {limit} MiB in use: {}", stage.meaning()));
            }
        }
        self.shard.tell_pressure(now, self.pressure.stage(), is_fresh);
    }

    /// What this core may have taken since memory was last measured here.
    fn grown_bytes(&self) -> u64 {
        let held = self.shard.held_bytes().saturating_sub(self.noted_bytes);
        held.saturating_add(self.shard.received_bytes().saturating_sub(self.noted_bytes_in))
    }

    pub(super) fn take_mail(&mut self, now: Moment, sockets: &mut impl Sockets) -> bool {
        // What waits now, and not what comes while we read: a core that is written to without end has clients, too.
        let (count, before) = (self.mail.depth(), self.shard.spent());
        for _ in 0..count {
            let Some(mail) = self.mail.take() else { break };
            self.shard.handle(now, Input::Mail(mail));
            self.relieve(now, sockets);
            if self.shard.is_spent(before, MAIL_UNITS) {
                break;
            }
        }
        count > 0
    }

    /// In the middle of a turn: if somebody is owed much, what can leave does so now. A turn may be long, and only a reader
    /// that does not take what it is sent is slow.
    pub(super) fn relieve(&mut self, now: Moment, sockets: &mut impl Sockets) {
        // Who is not to be read is not read in this turn either.
        self.shard.drain_pauses(&mut |output| sockets.carry_out(output));
        // What one turn takes in can be more than is left of a small budget.
        if self.grown_bytes() >= self.pressure.growth() {
            self.tell_pressure(now);
        }
        if !self.shard.take_pressure() {
            return;
        }
        for _ in 0..RELIEF_ROUNDS_MAX {
            self.hand_out(now, sockets);
            if !sockets.push_out(now, &mut self.shard) {
                return;
            }
        }
    }

    /// Deadlines wait for what has arrived before them: after a long pause the pongs are there, only not read yet. `is_rest`:
    /// more has arrived than this turn has taken.
    pub(super) fn fire(&mut self, now: Moment, is_rest: bool, sockets: &mut impl Sockets) {
        let is_behind = is_rest && now.since(self.advanced_at) < ADVANCE_DELAY_MAX;
        if !is_behind && self.shard.deadline().is_some_and(|due| due <= now) {
            self.shard.advance(now);
        } else if is_behind {
            self.shard.resume_slices();
        }
        if !is_behind {
            self.advanced_at = now;
        }
        self.relieve(now, sockets);
    }

    /// Carries out what the shard wants, until it wants nothing more. True if there was anything.
    pub(super) fn flush(&mut self, now: Moment, sockets: &mut impl Sockets) -> bool {
        let is_busy = self.hand_out(now, sockets);
        let cores = &self.cores;
        self.is_mail_blocked = self.shard.post(|to, mail| match cores.get(to.index()) {
            Some(mailbox) => mailbox.post(mail),
            None => Err(mail),
        });
        self.is_mail_blocked |= sockets.errands().post_memos();
        is_busy
    }

    fn hand_out(&mut self, now: Moment, sockets: &mut impl Sockets) -> bool {
        let mut is_busy = false;
        loop {
            self.shard.drain(&mut |output| {
                is_busy = true;
                sockets.carry_out(output);
            });
            if !sockets.report(now, &mut self.shard) {
                return is_busy;
            }
        }
    }

    /// Announces sleep to the other cores. False: mail has come, do not sleep.
    pub(super) fn doze(&mut self, now: Moment) -> bool {
        if self.shard.has_put_off() {
            return false;
        }
        self.publish(now);
        self.trim();
        let sleeps = self.mail.doze();
        if sleeps {
            self.published.sleep();
        }
        sleeps
    }

    pub(super) fn wake(&self) {
        self.published.see(clock::now());
        self.mail.wake();
    }

    pub(super) fn mail(&self) -> &Inbox<Mail> {
        &self.mail
    }

    /// When a sleep has to end.
    pub(super) fn alarm(&self, now: Moment, sockets: &impl Sockets) -> Option<Moment> {
        let blocked = self.is_mail_blocked.then(|| now + MAIL_RETRY);
        [self.shard.deadline(), blocked, sockets.deadline(), self.pressure.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// A turn that began at `start` had something to do.
    pub(super) fn account(&mut self, start: Moment) {
        let now = clock::now();
        let took = now.since(start);
        self.lag = self.lag.max(took);
        let stats = self.shard.stats();
        stats.turns += 1;
        stats.loop_busy_ns += took.as_nanos() as u64;
        if now.since(self.published_at) >= PUBLISH_INTERVAL {
            self.publish(now);
        }
        if let Some(time) = self.fail.take_stall() {
            clock::stall(time);
        }
    }

    /// The allocator keeps what long queues and many connections have left behind, unless it is asked.
    fn trim(&mut self) {
        let (queued, count) = (self.shard.stats().queued_bytes, self.shard.conn_count());
        let had_long_queues = self.peak_bytes >= TRIM_BYTES_MIN && queued < self.peak_bytes / 4;
        let had_many = self.peak_count >= TRIM_COUNT_MIN && count < self.peak_count / 4;
        if had_long_queues || had_many {
            (self.peak_bytes, self.peak_count) = (queued, count);
            memory::trim();
        }
    }

    pub(super) fn publish(&mut self, now: Moment) {
        self.published_at = now;
        self.published.see(now);
        let depth = self.mail.depth() as u64;
        self.peak_count = self.peak_count.max(self.shard.conn_count());
        let stats = self.shard.stats();
        stats.mail_depth = depth;
        self.peak_bytes = self.peak_bytes.max(stats.queued_bytes);
        stats.loop_lag_ns = self.lag.as_nanos() as u64;
        self.published.publish(stats);
        self.lag = Duration::ZERO;
    }
}

/// Deadlines wait at most this long for arrivals that find no end.
const ADVANCE_DELAY_MAX: Duration = Duration::from_secs(1);
/// Sends of one connection in a row in the middle of a turn: 4 MiB, as much as a socket's buffer takes.
const RELIEF_ROUNDS_MAX: u32 = 64;
/// What the mail of a turn may cost, beside what clients do in it: two milliseconds. The rest waits for the next turn.
const MAIL_UNITS: u32 = 20_000;
/// Giving memory back takes milliseconds: not more often than this while it is short.
const TRIM_INTERVAL: Duration = Duration::from_millis(100);
/// Queues that were shorter leave nothing behind that is worth a millisecond.
const TRIM_BYTES_MIN: u64 = 8 << 20;
/// The same for connections that were fewer.
const TRIM_COUNT_MIN: u32 = 1_000;
/// A full mailbox is tried again this often.
const MAIL_RETRY: Duration = Duration::from_millis(1);
/// The shard counts on from the wall clock that it was told; one that was set is noticed this soon.
const TIME_INTERVAL: Duration = Duration::from_millis(100);
/// Figures are at most this old while a core is busy, and exact when it sleeps.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(100);
