//! The sockets of a core on a kernel that is played: whatever order, delay, shortage or failure a ring may show.
//!
//! Honest peers send numbered messages to `/echo`, or ask for a page, in pieces and at moments that somebody chose. Judged
//! is what holds for any kernel: one request for reading and one for sending a socket, nobody leaves while one is outstanding,
//! every buffer comes back, each peer hears its own messages once and in order, a socket that changes planes takes every
//! byte along, and in the end everybody is gone.

mod kernel;
mod peer;

use self::kernel::{FAILURE, Kernel};
use self::peer::Peer;
use super::Uring;
use super::io::Io;
use super::socket::id_of;
use crate::control::Handover;
use crate::driver::turn::{Sockets, Turn};
use crate::driver::{Admissions, Roll, Station};
use crate::ids::CoreId;
use crate::shard::{Portions, ShardOptions};
use crate::sys::mailbox::{Inbox, mailbox};
use crate::sys::ring::Shot;
use crate::time::Moment;
use crossbeam_channel::bounded;
use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::io::Result;
use std::sync::Arc;
use std::time::Duration;

/// Plays what these bytes choose; panics when a promise is broken. An error is one of the machine: too few descriptors.
pub fn play_any(data: &[u8]) -> Result<()> {
    let mut choices = Choices(data);
    let mut trial = Trial::new(choices.byte() & 1 == 1)?;
    while !choices.0.is_empty() {
        trial.act(&mut choices)?;
        trial.check();
    }
    trial.finish()
}

struct Choices<'d>(&'d [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound.max(1)
    }
}

struct Trial {
    driver: Uring<Kernel>,
    now: Moment,
    peers: Vec<Peer>,
    handovers: Inbox<Handover>,
    /// Held for the driver, which would take fright without them.
    _roll: Roll,
}

impl Trial {
    /// `is_sliced`: nearly everything that peers send waits for its turn, and they are not read meanwhile.
    fn new(is_sliced: bool) -> Result<Self> {
        let now = Moment::from_millis(1_000_000);
        let (_, mail) = mailbox(16)?;
        let (control, handovers) = mailbox(PEERS_MAX)?;
        let (memos, _) = mailbox(16)?;
        let (_, opening) = bounded(1);
        let (ready, _) = bounded(1);
        let (roll, _) = Roll::new(1);
        let mut shard = ShardOptions::open(CoreId(0), 1, 1);
        if is_sliced {
            shard.portions = Portions { turn: 1, most: 1, least: 1 };
        }
        let station = Station {
            cpu: 0,
            opening,
            shard,
            mail,
            cores: Vec::new(),
            control,
            memos,
            store: None,
            published: Arc::default(),
            admissions: Arc::new(Admissions::new(u32::MAX, u32::MAX, Arc::default())),
            pressure: Arc::default(),
            budget: None,
            entry: roll.entry(CoreId(0)),
            ready,
        };
        let mut io = Io::on(Kernel::new(), &station, now)?;
        // Nobody knocks at it: the kernel says who comes.
        io.listen(vec![pair()?.0]);
        let driver = Uring { turn: Turn::new(station, now), io };
        Ok(Self { driver, now, peers: Vec::new(), handovers, _roll: roll })
    }

    fn kernel(&mut self) -> &mut Kernel {
        &mut self.driver.io.ring
    }

    fn act(&mut self, choices: &mut Choices<'_>) -> Result<()> {
        match choices.below(16) {
            0 => self.connect(choices)?,
            1 => {
                let millis = [1, 20, 70, 1_100, 6_000, 30_000][choices.below(6)];
                self.pass(Duration::from_millis(millis));
            }
            2..=4 => {
                let (at, len) = (choices.below(self.peers.len()), choices.byte());
                self.write(at, usize::from(len) * 4 + 1);
            }
            5 => {
                let (at, size) = (choices.below(self.peers.len()), choices.byte());
                if let Some(peer) = self.peers.get_mut(at) {
                    peer.say(usize::from(size) * usize::from(size) / 4);
                }
            }
            6 => {
                let at = choices.below(self.peers.len());
                self.leave(at, choices.byte());
            }
            7..=10 => {
                let (at, how) = (choices.below(self.kernel().requests.len()), choices.byte());
                self.kernel().complete(at, how);
            }
            11 => {
                let at = choices.below(self.kernel().done_count());
                self.kernel().overtake(at);
            }
            12 => {
                let batch = choices.byte();
                self.kernel().batch = if batch > 8 { usize::MAX } else { 1 + usize::from(batch) };
                self.kernel().is_eager = batch & 1 == 1;
            }
            _ => drop(self.turn()?),
        }
        Ok(())
    }

    fn connect(&mut self, choices: &mut Choices<'_>) -> Result<()> {
        if self.peers.len() >= PEERS_MAX {
            return Ok(());
        }
        let (ours, theirs) = pair()?;
        let how = choices.byte();
        let before = self.kernel().lines.len();
        self.kernel().arrive(theirs, if how & 7 == 7 { Shot::Over } else { Shot::Armed })?;
        if self.kernel().lines.len() > before {
            self.peers.push(Peer::new(ours, self.now, how & 8 == 8));
        }
        Ok(())
    }

    fn write(&mut self, at: usize, len: usize) {
        if let Some(peer) = self.peers.get_mut(at)
            && peer.write(len)
        {
            self.kernel().signal(at);
        }
    }

    /// Says goodbye, finishes, or is gone at once.
    fn leave(&mut self, at: usize, how: u8) {
        let Some(peer) = self.peers.get_mut(at) else { return };
        match how % 3 {
            0 => return peer.say_goodbye(),
            1 => peer.finish(),
            _ => peer.vanish(),
        }
        self.kernel().lines[at].is_finished = true;
        self.kernel().signal(at);
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.peers.iter_mut().for_each(|peer| peer.wait(self.now, time));
    }

    fn turn(&mut self) -> Result<bool> {
        let is_busy = self.driver.turn(self.now)?;
        while let Some(handover) = self.handovers.take() {
            if let Some(at) = self.driver.io.ring.line_of(&handover.socket) {
                self.peers[at].is_handed_over(&handover.socket, &handover.received.plain);
            }
        }
        for (peer, line) in self.peers.iter_mut().zip(&self.driver.io.ring.lines) {
            peer.hear(&line.out, line.is_broken);
        }
        Ok(is_busy)
    }

    /// A slot is given back only when no request of its socket is outstanding.
    fn check(&mut self) {
        let outstanding: Vec<_> =
            self.driver.io.ring.outstanding().filter_map(kernel::Subject::socket).collect();
        for token in outstanding {
            assert!(self.driver.io.sockets.get_mut(id_of(token)).is_some(), "{token:?} left with a request");
        }
        self.driver.turn.shard.check();
    }

    /// From here on the kernel is quick and kind: everybody gets what is owed, then everybody goes.
    fn finish(&mut self) -> Result<()> {
        self.kernel().batch = usize::MAX;
        self.kernel().is_eager = false;
        // What a turn has put off shows in the next one.
        let mut idle_rounds = 0;
        for _ in 0..ROUNDS_MAX {
            let is_busy = self.round(Duration::from_millis(10), true)?;
            idle_rounds = if is_busy { 0 } else { idle_rounds + 1 };
            if idle_rounds == IDLE_ROUNDS {
                break;
            }
        }
        self.peers.iter().for_each(Peer::judge);
        for at in 0..self.peers.len() {
            self.leave(at, 2);
        }
        for _ in 0..ROUNDS_MAX {
            self.round(Duration::from_secs(1), false)?;
            if self.driver.turn.shard.conn_count() == 0 {
                break;
            }
        }
        let count = self.driver.turn.shard.conn_count();
        assert_eq!(count, 0, "connections stay for ever");
        // The shard hears that a connection is gone when its socket is, so nothing is outstanding but the accept.
        assert!(self.kernel().outstanding().all(|subject| subject.socket().is_none()));
        assert!(self.kernel().has_all_buffers(), "a buffer is lost");
        assert!(self.driver.io.deadline().is_none_or(|due| due > Moment::ZERO));
        Ok(())
    }

    /// Everybody writes, every request completes as far as it can, one turn. True if anything came of it.
    fn round(&mut self, time: Duration, is_heard: bool) -> Result<bool> {
        for at in 0..self.peers.len() {
            self.write(at, usize::MAX);
        }
        let before = self.heard_count();
        for at in (0..self.kernel().requests.len()).rev() {
            self.kernel().complete(at, KINDLY);
        }
        let is_busy = self.kernel().done_count() > 0 || self.driver.turn.shard.has_put_off();
        self.pass(time);
        self.turn()?;
        self.check();
        Ok(is_busy || is_heard && self.heard_count() > before)
    }

    fn heard_count(&self) -> usize {
        self.driver.io.ring.lines.iter().map(|line| line.out.len()).sum()
    }
}

fn pair() -> Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

const PEERS_MAX: usize = 5;
/// Far more than the longest queue needs.
const ROUNDS_MAX: u32 = 20_000;
/// In a row, in which nothing came of anything: then nothing is left.
const IDLE_ROUNDS: u32 = 4;
/// Whole, and for good only where it has to be.
const KINDLY: u8 = FAILURE - 7;
