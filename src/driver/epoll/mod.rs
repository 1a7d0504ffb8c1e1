//! The loop of a core on epoll: a plain pinned thread, for machines that refuse io_uring.
//!
//! One turn: wait for news, read every socket that has some, take the mail, fire the timers, then drain the shard.
//! Everything that a connection is owed at the end of the turn leaves in one send, which is a call of its own.
//!
//! A core sleeps in the same call that brings its news: the bell of its mail is among the descriptors, and the next
//! deadline is the timeout. It announces every wait as a sleep, so that no letter is left behind.

mod accepting;
mod io;
mod sending;
mod socket;

use self::io::Io;
use super::turn::Turn;
use super::{NotReady, Station};
use crate::sys::epoll::Patience;
use crate::sys::{affinity, clock};
use std::io::Result;

pub(super) fn run(station: Station) -> Result<()> {
    let (ready, opening) = (station.ready.clone(), station.opening.clone());
    let mut driver = match Epoll::new(station) {
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
    driver.io.listen(clock::now(), listeners);
    while !driver.turn.is_over(&mut driver.io) {
        driver.wait()?;
        driver.turn();
    }
    driver.turn.publish(clock::now());
    Ok(())
}

struct Epoll {
    turn: Turn,
    io: Io,
}

impl Epoll {
    fn new(station: Station) -> std::result::Result<Self, NotReady> {
        affinity::pin(station.cpu).map_err(|error| NotReady::Driver(error.into()))?;
        let io = Io::new(&station)?;
        Ok(Self { turn: Turn::new(station, clock::now()), io })
    }

    fn wait(&mut self) -> Result<()> {
        let now = clock::now();
        let patience = if self.io.has_unread() || !self.turn.doze(now) {
            Patience::None
        } else {
            self.turn.shard.stats().parks += 1;
            self.turn.alarm(now, &self.io).map_or(Patience::Endless, Patience::Until)
        };
        self.io.epoll.wait(now, patience)?;
        self.turn.wake();
        Ok(())
    }

    fn turn(&mut self) {
        let now = clock::now();
        self.turn.tell_time(now);
        let mut is_busy = self.io.read_more(now, &mut self.turn.shard);
        self.turn.relieve(now, &mut self.io);
        let count = self.io.epoll.count();
        for at in 0..count {
            self.io.take_notice(now, at, &mut self.turn.shard);
            self.turn.relieve(now, &mut self.io);
        }
        is_busy |= count > 0;
        is_busy |= self.turn.take_mail(now, &mut self.io);
        self.turn.fire(now, self.io.is_behind(), &mut self.io);
        self.io.resume_accepting(now);
        is_busy |= self.turn.flush(now, &mut self.io);
        if is_busy {
            self.turn.account(now);
        }
    }
}
