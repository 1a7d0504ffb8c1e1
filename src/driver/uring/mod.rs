//! The loop of a core on io_uring: a long-lived glommio task that drives a ring of our own.
//!
//! One turn: reap completions until the kernel has no more, take the mail, fire the timers, then drain the shard and
//! submit once. Everything that a connection is owed at the end of the turn leaves in one send.
//!
//! A core with nothing to do naps in its ring, then sleeps in glommio on an alarm that the ring rings. Mail wakes it in
//! both places: the ring watches its bell, and the alarm is rung beside it. The ring descriptor itself is never polled: with deferred task work its wake-ups
//! would be lost.

mod accepting;
mod io;
mod receiving;
mod requests;
mod socket;
#[cfg(debug_assertions)]
mod trial;

#[cfg(debug_assertions)]
pub use self::trial::play_any;

use self::io::Io;
use self::requests::Requests;
use super::turn::Turn;
use super::{NotReady, Station};
use crate::sys::clock;
use crate::sys::park::Parking;
use crate::sys::ring::{Completion, Ring};
use crate::time::Moment;
use std::io::Result;
use std::time::Duration;

pub(super) async fn run(station: Station) -> Result<()> {
    let (ready, opening) = (station.ready.clone(), station.opening.clone());
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
    // Nothing else runs on this thread, and letters wait in the mailbox.
    let Ok(listeners) = opening.recv() else { return Ok(()) };
    driver.io.listen(listeners);
    while !driver.turn.is_over(&mut driver.io) {
        if driver.turn(clock::now())? {
            glommio::yield_if_needed().await;
        } else if driver.may_sleep()? {
            driver.sleep(&parking).await?;
        }
    }
    driver.turn.publish(clock::now());
    Ok(())
}

struct Uring<R = Ring> {
    turn: Turn,
    io: Io<R>,
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
        let parking = Parking::new(station.mail.alarm()).map_err(|error| NotReady::Driver(error.into()))?;
        let io = Io::new(&station, now)?;
        Ok((Self { turn: Turn::new(station, now), io }, parking))
    }
}

impl<R: Requests> Uring<R> {
    /// True if anything happened.
    fn turn(&mut self, now: Moment) -> Result<bool> {
        self.turn.tell_time(now);
        let mut is_busy = self.io.read_more(now, &mut self.turn.shard);
        self.turn.relieve(now, &mut self.io);
        let reaped = self.reap(now)?;
        is_busy |= reaped != Reaped::Nothing;
        is_busy |= self.turn.take_mail(now, &mut self.io);
        self.turn.fire(now, reaped == Reaped::Some, &mut self.io);
        self.io.resume_accepting(now);
        self.io.sweep(now);
        is_busy |= self.turn.flush(now, &mut self.io);
        self.io.rearm_starved();
        self.io.ring.submit()?;
        if is_busy {
            self.turn.account(now);
        }
        Ok(is_busy)
    }

    /// One enter runs only some of the completions that the kernel deferred: ask again until there are none, because
    /// what is handled before the flush leaves in one send.
    fn reap(&mut self, now: Moment) -> Result<Reaped> {
        let mut reaped = Reaped::Nothing;
        for _ in 0..REAP_ROUNDS_MAX {
            let mut count = 0;
            while count < REAP_COMPLETIONS_MAX
                && let Some(completion) = self.io.next_completion()
            {
                // An alarm by itself is no work: what it is for may be.
                if !matches!(completion, Completion::TimedOut) {
                    reaped = Reaped::All;
                }
                self.io.complete(now, completion, &mut self.turn.shard);
                self.turn.relieve(now, &mut self.io);
                count += 1;
            }
            if !self.io.ring.is_waiting() && !self.io.has_backlog() {
                return Ok(reaped);
            }
            self.turn.shard.stats().completions_overflowed += u64::from(self.io.ring.is_overflown());
            self.io.ring.submit()?;
        }
        Ok(Reaped::Some)
    }
}

impl Uring {
    /// Whether nothing can be missed by sleeping now. Announces the sleep to other cores and sets the alarm.
    fn may_sleep(&mut self) -> Result<bool> {
        let now = clock::now();
        if self.io.has_unread() || self.io.has_backlog() || !self.turn.doze(now) {
            return Ok(false);
        }
        if let Some(due) = self.turn.alarm(now, &self.io) {
            self.io.ring.wake_at(due)?;
        }
        if self.io.ring.is_ready() {
            self.turn.wake();
            return Ok(false);
        }
        self.turn.shard.stats().parks += 1;
        Ok(true)
    }

    /// First a nap in our own ring, because under a light load the next message is near and a round trip through the
    /// executor costs more than serving it; then, if nothing came, the executor sleeps.
    async fn sleep(&mut self, parking: &Parking) -> Result<()> {
        if !self.io.ring.nap(NAP_MAX)? {
            // Whatever rang until here has been served; what rings from here on is not missed.
            self.turn.mail().alarm().silence();
            if !self.io.ring.is_ready() {
                parking.sleep().await?;
            }
        }
        self.turn.wake();
        Ok(())
    }
}

/// Completions between two looks at the rest of the world.
const REAP_COMPLETIONS_MAX: u32 = 4096;
/// Enters of one turn; each runs some twenty deferred completions.
const REAP_ROUNDS_MAX: u32 = 64;
/// How long other tasks of this core's executor may wait while the core naps; a quiet core naps once and then sleeps.
const NAP_MAX: Duration = Duration::from_millis(50);
