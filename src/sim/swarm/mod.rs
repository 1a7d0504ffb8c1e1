//! Random lives in an unkind world, and the verdict over them.
//!
//! Each seed draws its own world: how many cores, clients and channels, which faults, which acts and how often (swarm
//! testing: what every world does a little of, some world must do a lot of, and another never). When the faults stop,
//! everything that is still owed must arrive; when the clients leave, nothing of them may stay.

mod acts;
mod bugs;
mod verdict;

use super::dice::Dice;
use super::faults::portions;
use super::oracle::{Ledger, Tick};
use super::player::{Blame, Player};
use super::tls::{Authority, Sealing};
use super::world::World;
use crate::shard::mail::Mail;
use crate::time::Moment;
use acts::{ACTS, Act, Ask, Say};
use std::collections::BTreeSet;
use std::time::Duration;

pub struct Swarm {
    world: World,
    dice: Dice,
    ledger: Ledger,
    players: Vec<Player>,
    weights: [u32; ACTS.len()],
    channel_count: usize,
    player_count_max: usize,
    payload_bytes_max: usize,
    /// Clients may be cut for being slow even if they read.
    has_small_outboxes: bool,
    is_draining: bool,
    /// Work of its cores panics now and then.
    has_bugs: bool,
    now: Tick,
}

/// Acts of one world.
const ACT_COUNT: usize = 400;
/// What a drip brings at once in a world of TLS, at most.
const DRIP_BYTES_MAX: usize = 60;

/// What is left of a world.
#[derive(Debug, PartialEq, Eq)]
pub struct Legacy {
    /// Every code that a client has heard.
    pub codes: BTreeSet<u32>,
    pub publication_count: usize,
    pub end: Moment,
}

/// Lives through one world. Panics with what went wrong.
pub fn run(seed: u64, authority: &Authority) -> Legacy {
    let mut swarm = Swarm::new(seed, authority.sealing(seed));
    for _ in 0..ACT_COUNT {
        swarm.act();
        for _ in 0..swarm.dice.between(0, 6) {
            swarm.world.step();
            swarm.read_some();
        }
    }
    swarm.rest();
    swarm.judge();
    swarm.leave();
    Legacy {
        publication_count: swarm.ledger.publication_count(),
        codes: swarm.ledger.codes,
        end: swarm.world.now,
    }
}

impl Swarm {
    fn new(seed: u64, sealing: Option<Sealing>) -> Self {
        let mut dice = Dice::new(seed);
        let has_small_outboxes = dice.percent(25);
        let outbox = if has_small_outboxes { dice.between(100, 4000) } else { 1024 * 1024 };
        // In a narrow world everybody meets in one channel that hurries between cores with too small mailboxes.
        let is_narrow = dice.percent(30);
        let core_count = if is_narrow { 2 } else { dice.between(1, 4) as u16 };
        let mail = if is_narrow { dice.between(1, 5) } else { [1, 3, 10, 1024][dice.below(4)] };
        let bugs = bugs::plan(seed);
        let mut world = World::new(dice.throw(), core_count, |options| {
            options.fail = bugs.apart();
            options.portions = portions(seed);
            options.settings_mut().limits.outbox_bytes_max = outbox as u32;
            options.mail_count_max = mail;
            options.settings_mut().tls = sealing.as_ref().map(|sealing| sealing.acceptor.clone());
        });
        world.faults.chunk_bytes_max = if is_narrow { 4096 } else { [1, 7, 100, 64 * 1024][dice.below(4)] };
        if let Some(sealing) = sealing {
            world.seal(sealing.client);
            // What a handshake takes would leave little of the world.
            world.faults.chunk_bytes_max = world.faults.chunk_bytes_max.max(DRIP_BYTES_MAX);
        }
        world.faults.lag = [0, 10, 50, 80][dice.below(if is_narrow { 2 } else { 4 })];
        world.faults.mail_lag = if is_narrow { 80 } else { [0, 10, 50, 80][dice.below(4)] };
        world.faults.late = [0, 50][dice.below(2)];
        world.faults.unheeded = world.faults.late;
        world.faults.pipe_bytes_max = [64, 1000, 256 * 1024][dice.below(3)];
        world.faults.mail_count_max = if is_narrow { 1 } else { [1, 2, 5, 1024][dice.below(4)] };
        // A drip of bytes takes many steps: they must not add up to the patience for a pong.
        let is_drip = world.faults.chunk_bytes_max < 100;
        world.faults.step_nanos_max = [1, 1000, 50_000][dice.below(if is_drip { 2 } else { 3 })];
        let weights = acts::weights(&mut dice, is_narrow);
        Self {
            world,
            ledger: Ledger::default(),
            players: Vec::new(),
            weights,
            channel_count: if is_narrow { 1 } else { dice.between(1, 4) },
            player_count_max: if is_narrow { 3 } else { dice.between(2, 10) },
            payload_bytes_max: [10, 300, 5000][dice.below(if is_drip { 2 } else { 3 })],
            has_small_outboxes,
            is_draining: false,
            has_bugs: bugs.is_planned(),
            now: 0,
            dice,
        }
    }

    fn act(&mut self) {
        self.now += 1;
        let Some((act, _)) = self.dice.weighted(&self.weights).and_then(|at| ACTS.get(at)) else { return };
        match act {
            Act::Open => self.open(),
            Act::Pass => {
                let nanos = [1_000_000, 1_000_000_000, 40_000_000_000][self.dice.below(3)];
                let nanos = self.dice.below(nanos) as u64;
                self.pass(Duration::from_nanos(nanos));
            }
            // A drain ends a world early: most worlds should live to their end.
            Act::Drain if self.dice.percent(5) => self.drain(),
            Act::Drain => {}
            Act::Ask(ask) => self.as_somebody(|swarm, at| swarm.ask(at, *ask)),
            Act::Say(say) => self.as_somebody(|swarm, at| swarm.say(at, *say)),
            Act::Behave(behave) => self.as_somebody(|swarm, at| swarm.behave(at, *behave)),
        }
    }

    fn as_somebody(&mut self, act: impl FnOnce(&mut Self, usize)) {
        let at = self.dice.below(self.players.len());
        if self.players.get(at).is_some_and(Player::is_live) {
            act(self, at);
        }
    }

    fn open(&mut self) {
        self.players.retain(|player| !player.is_over);
        if self.players.len() >= self.player_count_max {
            return;
        }
        let Some(link) = self.world.open() else { return };
        let is_echo = self.dice.percent(10);
        let mut player = Player::new(link, is_echo);
        if self.dice.percent(3) {
            player.client.raw(b"GET /connection/websocket HTTP/1.1\r\nHost: a\r\n");
            player.blames.extend([Blame::Late, Blame::Frames]);
        } else {
            player.client.upgrade(if is_echo { "/echo" } else { "/connection/websocket" }, &[]);
        }
        if self.has_small_outboxes {
            player.blames.insert(Blame::Slow);
        }
        if self.is_draining {
            player.blames.insert(Blame::Drain);
        }
        if self.has_bugs {
            player.blames.insert(Blame::Bug);
        }
        self.players.push(player);
        let at = self.players.len() - 1;
        if self.dice.percent(40) {
            // Commands in the same segment as the head, as a client that knows its server may send them.
            self.say(at, Say::Begin);
            self.ask(at, Ask::Subscribe);
            self.say(at, Say::Flush);
        }
        self.write(at);
    }

    fn drain(&mut self) {
        self.is_draining = true;
        for player in &mut self.players {
            player.blames.insert(Blame::Drain);
        }
        self.world.broadcast(|| Mail::Drain { window: Duration::from_secs(1) });
    }

    /// Time passes; whoever reads does so meanwhile.
    fn pass(&mut self, time: Duration) {
        for player in &mut self.players {
            // The handshake and the connect command have deadlines, and so has everything that is half sent.
            if player.client_id.is_none() {
                player.blames.insert(Blame::Late);
            }
        }
        let mut left = time;
        while !left.is_zero() {
            // Nobody needs seconds to read what is there.
            let waits =
                |player: &Player| player.is_reading && !player.is_over && self.world.has_unread(player.link);
            if !self.players.iter().any(waits) {
                left -= self.world.pass(left);
            }
            self.read_all();
        }
    }

    fn read_some(&mut self) {
        let at = self.dice.below(self.players.len());
        if at < self.players.len() {
            self.read(at);
        }
    }

    fn read_all(&mut self) {
        (0..self.players.len()).for_each(|at| self.read(at));
    }

    fn read(&mut self, at: usize) {
        self.now += 1;
        let player = &mut self.players[at];
        if player.is_reading && !player.is_over {
            let incoming = self.world.read(player.link);
            player.receive(incoming, &mut self.ledger, self.now);
            self.write(at);
        }
    }

    fn write(&mut self, at: usize) {
        let player = &mut self.players[at];
        let output = player.client.take_output();
        if !output.is_empty() && !player.is_over {
            self.world.write(player.link, &output);
        }
    }
}
