//! The loop of a core on io_uring: a long-lived glommio task that drives a ring of our own.
//!
//! One turn: reap completions until the kernel has no more, take the mail, fire the timers, then drain the shard and
//! submit once. Everything that a connection is owed at the end of the turn leaves in one send.
//!
//! A core with nothing to do naps in its ring, then sleeps in glommio on an alarm that the ring rings. Mail wakes it in
//! both places: the ring watches its bell, and the alarm is rung beside it. The ring descriptor itself is never polled: with deferred task work its wake-ups
//! would be lost.

use super::io::Io;
use super::{Entry, NotReady, Station};
use crate::shard::mail::Mail;
use crate::shard::{Input, Shard};
use crate::stats::Published;
use crate::sys::clock;
use crate::sys::mailbox::{Inbox, Mailbox};
use crate::sys::park::Parking;
use crate::sys::ring::Completion;
use crate::time::Moment;
use std::io::Result;
use std::sync::Arc;
use std::time::Duration;

pub(super) async fn run(station: Station) -> Result<()> {
    let ready = station.ready.clone();
    let (mut driver, parking) = match Uring::new(station) {
        Ok(made) => made,
        Err(error) => {
            let _ = ready.send(Err(error));
            return Ok(());
        }
    };
    let _ = ready.send(Ok(()));
    // Whoever waits for all cores must see it when one of them goes without a word.
    drop(ready);
    while !driver.is_over() {
        if driver.turn()? {
            glommio::yield_if_needed().await;
        } else if driver.may_sleep()? {
            driver.sleep(&parking).await?;
        }
    }
    driver.publish(clock::now());
    Ok(())
}

struct Uring {
    shard: Shard,
    io: Io,
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
}

/// What a turn found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaped {
    Nothing,
    /// Everything that had arrived.
    All,
    /// As much as one turn takes; there is more.
    Some,
}

impl Uring {
    fn new(station: Station) -> std::result::Result<(Self, Parking), NotReady> {
        let now = clock::now();
        let parking = Parking::new(station.mail.alarm()).map_err(|error| NotReady::Ring(error.into()))?;
        let io = Io::new(&station, now)?;
        let driver = Self {
            shard: Shard::new(station.shard, now),
            io,
            mail: station.mail,
            cores: station.cores,
            entry: station.entry,
            published: station.published,
            published_at: now,
            is_mail_blocked: false,
            lag: Duration::ZERO,
            advanced_at: now,
            time_told_at: None,
        };
        Ok((driver, parking))
    }

    /// Drained, and so is everybody else.
    fn is_over(&mut self) -> bool {
        if self.io.is_finished() && !self.is_mail_blocked && self.entry.drained() {
            self.cores.iter().for_each(Mailbox::ring);
        }
        self.entry.is_complete()
    }

    /// True if anything happened.
    fn turn(&mut self) -> Result<bool> {
        let now = clock::now();
        self.tell_time(now);
        let mut is_busy = self.io.read_more(now, &mut self.shard);
        let reaped = self.reap(now)?;
        is_busy |= reaped != Reaped::Nothing;
        is_busy |= self.take_mail(now);
        self.fire(now, reaped);
        self.io.resume_accepting(now);
        self.io.sweep(now);
        is_busy |= self.flush(now);
        self.io.rearm_starved();
        self.io.ring.submit()?;
        if is_busy {
            self.account(now);
        }
        Ok(is_busy)
    }

    fn tell_time(&mut self, now: Moment) {
        if self.time_told_at.is_none_or(|at| now.since(at) >= TIME_INTERVAL) {
            self.time_told_at = Some(now);
            self.shard.tell_time(now, clock::wall().as_millis() as i64);
        }
    }

    /// One enter runs only some of the completions that the kernel deferred: ask again until there are none, because
    /// what is handled before the flush leaves in one send.
    fn reap(&mut self, now: Moment) -> Result<Reaped> {
        let mut reaped = Reaped::Nothing;
        for _ in 0..REAP_ROUNDS_MAX {
            let mut count = 0;
            while count < REAP_COMPLETIONS_MAX
                && let Some(completion) = self.io.ring.reap()
            {
                // An alarm by itself is no work: what it is for may be.
                if !matches!(completion, Completion::TimedOut) {
                    reaped = Reaped::All;
                }
                self.io.complete(now, completion, &mut self.shard);
                count += 1;
            }
            if !self.io.ring.is_waiting() {
                return Ok(reaped);
            }
            self.shard.stats().completions_overflowed += u64::from(self.io.ring.is_overflown());
            self.io.ring.submit()?;
        }
        Ok(Reaped::Some)
    }

    /// Deadlines wait for what has arrived before them: after a long pause the pongs are there, only not read yet.
    fn fire(&mut self, now: Moment, reaped: Reaped) {
        let is_behind = reaped == Reaped::Some && now.since(self.advanced_at) < ADVANCE_DELAY_MAX;
        if !is_behind && self.shard.deadline().is_some_and(|due| due <= now) {
            self.shard.advance(now);
        }
        if !is_behind {
            self.advanced_at = now;
        }
    }

    fn take_mail(&mut self, now: Moment) -> bool {
        // What waits now, and not what comes while we read: a core that is written to without end has clients, too.
        let count = self.mail.depth();
        for _ in 0..count {
            let Some(mail) = self.mail.take() else { break };
            self.shard.handle(now, Input::Mail(mail));
        }
        count > 0
    }

    /// Carries out what the shard wants, until it wants nothing more. True if there was anything.
    fn flush(&mut self, now: Moment) -> bool {
        let mut is_busy = false;
        loop {
            let io = &mut self.io;
            self.shard.drain(&mut |output| {
                is_busy = true;
                io.carry_out(output);
            });
            let closed = self.io.take_closed();
            let fates = self.io.take_fates();
            if closed.is_empty() && fates.is_empty() {
                break;
            }
            for fate in fates {
                self.shard.handle(now, Input::Mail(Mail::Fate(fate)));
            }
            for conn in closed {
                self.shard.handle(now, Input::Closed { conn });
            }
        }
        let cores = &self.cores;
        self.is_mail_blocked = self.shard.post(|to, mail| match cores.get(to.index()) {
            Some(mailbox) => mailbox.post(mail),
            None => Err(mail),
        });
        self.is_mail_blocked |= self.io.post_memos();
        is_busy
    }

    /// Whether nothing can be missed by sleeping now. Announces the sleep to other cores and sets the alarm.
    fn may_sleep(&mut self) -> Result<bool> {
        let now = clock::now();
        self.publish(now);
        if self.io.has_unread() || !self.mail.doze() {
            return Ok(false);
        }
        if let Some(due) = self.alarm(now) {
            self.io.ring.wake_at(due)?;
        }
        if self.io.ring.is_ready() {
            self.mail.wake();
            return Ok(false);
        }
        self.shard.stats().parks += 1;
        Ok(true)
    }

    /// First a nap in our own ring, because under a light load the next message is near and a round trip through the
    /// executor costs more than serving it; then, if nothing came, the executor sleeps.
    async fn sleep(&mut self, parking: &Parking) -> Result<()> {
        if !self.io.ring.nap(NAP_MAX)? {
            // Whatever rang until here has been served; what rings from here on is not missed.
            self.mail.alarm().silence();
            if !self.io.ring.is_ready() {
                parking.sleep().await?;
            }
        }
        self.mail.wake();
        Ok(())
    }

    fn alarm(&self, now: Moment) -> Option<Moment> {
        let blocked = self.is_mail_blocked.then(|| now + MAIL_RETRY);
        [self.shard.deadline(), blocked, self.io.deadline()].into_iter().flatten().min()
    }

    fn account(&mut self, start: Moment) {
        let now = clock::now();
        let took = now.since(start);
        self.lag = self.lag.max(took);
        let stats = self.shard.stats();
        stats.turns += 1;
        stats.loop_busy_ns += took.as_nanos() as u64;
        if now.since(self.published_at) >= PUBLISH_INTERVAL {
            self.publish(now);
        }
    }

    fn publish(&mut self, now: Moment) {
        self.published_at = now;
        let depth = self.mail.depth() as u64;
        let stats = self.shard.stats();
        stats.mail_depth = depth;
        stats.loop_lag_ns = self.lag.as_nanos() as u64;
        self.published.publish(stats);
        self.lag = Duration::ZERO;
    }
}

/// Completions between two looks at the rest of the world.
const REAP_COMPLETIONS_MAX: u32 = 4096;
/// Enters of one turn; each runs some twenty deferred completions.
const REAP_ROUNDS_MAX: u32 = 64;
/// Deadlines wait at most this long for a reap that finds no end.
const ADVANCE_DELAY_MAX: Duration = Duration::from_secs(1);
/// How long other tasks of this core's executor may wait while the core naps; a quiet core naps once and then sleeps.
const NAP_MAX: Duration = Duration::from_millis(50);
/// A full mailbox is tried again this often.
const MAIL_RETRY: Duration = Duration::from_millis(1);
/// The shard counts on from the wall clock that it was told; one that was set is noticed this soon.
const TIME_INTERVAL: Duration = Duration::from_millis(100);
/// Figures are at most this old while a core is busy, and exact when it sleeps.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(100);
