//! Random lives in an unkind world, and the verdict over them.
//!
//! Each seed draws its own world: how many cores, clients and channels, which faults, which acts and how often (swarm
//! testing: what every world does a little of, some world must do a lot of, and another never). When the faults stop,
//! everything that is still owed must arrive; when the clients leave, nothing of them may stay.

use super::client::{Client, Heard};
use super::dice::Dice;
use super::link::Incoming;
use super::oracle::{Ledger, Tick};
use super::player::{Blame, Player, name};
use super::world::{LinkId, World};
use crate::shard::mail::Mail;
use serde_json::Value;
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
    now: Tick,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Open,
    Connect,
    Subscribe,
    Unsubscribe,
    Publish,
    Presence,
    Rpc,
    Ping,
    Flush,
    Stall,
    Resume,
    Mute,
    BadCommand,
    BadFrame,
    HalfFrame,
    Leave,
    Finish,
    Reset,
    Pass,
    Drain,
}

/// Every act, and the most that a world may weigh it.
const ACTS: [(Act, u32); 20] = [
    (Act::Open, 20),
    (Act::Connect, 20),
    (Act::Subscribe, 30),
    (Act::Unsubscribe, 15),
    (Act::Publish, 60),
    (Act::Presence, 6),
    (Act::Rpc, 2),
    (Act::Ping, 4),
    (Act::Flush, 40),
    (Act::Stall, 2),
    (Act::Resume, 6),
    (Act::Mute, 1),
    (Act::BadCommand, 1),
    (Act::BadFrame, 1),
    (Act::HalfFrame, 1),
    (Act::Leave, 3),
    (Act::Finish, 2),
    (Act::Reset, 3),
    (Act::Pass, 3),
    (Act::Drain, 1),
];

/// Acts of one world.
const ACT_COUNT: usize = 250;
/// What a player may gather before it must send: the limit of a message is larger.
const BATCH_COUNT_MAX: usize = 20;
/// Longer than every deadline of a connection together.
const LONG: Duration = Duration::from_mins(2);

/// Lives through one world. Panics with what went wrong.
pub fn run(seed: u64) {
    let mut swarm = Swarm::new(seed);
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
}

impl Swarm {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let has_small_outboxes = dice.percent(25);
        let outbox = if has_small_outboxes { dice.between(100, 4000) } else { 1024 * 1024 };
        let core_count = dice.between(1, 4) as u16;
        let mut world =
            World::new(dice.throw(), core_count, |options| options.outbox_bytes_max = outbox as u32);
        world.faults.chunk_bytes_max = [1, 7, 100, 64 * 1024][dice.below(4)];
        world.faults.lag = [0, 10, 50, 80][dice.below(4)];
        world.faults.late = [0, 50][dice.below(2)];
        world.faults.pipe_bytes_max = [64, 1000, 256 * 1024][dice.below(3)];
        world.faults.mail_count_max = [1, 2, 5, 1024][dice.below(4)];
        world.faults.step_nanos_max = [1, 1000, 50_000][dice.below(3)];
        let weights = ACTS.map(|(act, most)| {
            let is_vital = matches!(act, Act::Open | Act::Connect | Act::Flush);
            if is_vital || dice.percent(70) { dice.between(1, most as usize) as u32 } else { 0 }
        });
        Self {
            world,
            ledger: Ledger::default(),
            players: Vec::new(),
            weights,
            channel_count: dice.between(1, 4),
            player_count_max: dice.between(2, 10),
            payload_bytes_max: [10, 300, 5000][dice.below(3)],
            has_small_outboxes,
            is_draining: false,
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
            Act::Connect
            | Act::Subscribe
            | Act::Unsubscribe
            | Act::Publish
            | Act::Presence
            | Act::Rpc
            | Act::Ping
            | Act::Flush
            | Act::Stall
            | Act::Resume
            | Act::Mute
            | Act::BadCommand
            | Act::BadFrame
            | Act::HalfFrame
            | Act::Leave
            | Act::Finish
            | Act::Reset => {
                let at = self.dice.below(self.players.len());
                if self.players.get(at).is_some_and(Player::is_live) {
                    self.act_as(at, *act);
                    self.write(at);
                }
            }
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
        player.client.upgrade(if is_echo { "/echo" } else { "/connection/websocket" }, &[]);
        if self.has_small_outboxes {
            player.blames.insert(Blame::Slow);
        }
        if self.is_draining {
            player.blames.insert(Blame::Drain);
        }
        self.players.push(player);
        let at = self.players.len() - 1;
        if self.dice.percent(40) {
            // Commands in the same segment as the head, as a client that knows its server may send them.
            self.act_as(at, Act::Connect);
            self.act_as(at, Act::Subscribe);
            self.act_as(at, Act::Flush);
        }
        self.write(at);
    }

    fn act_as(&mut self, at: usize, act: Act) {
        let channel = self.dice.below(self.channel_count);
        let padding = self.dice.below(self.payload_bytes_max);
        let (dice, now) = (&mut self.dice, self.now);
        let player = &mut self.players[at];
        let may_command =
            player.has_asked_to_connect && !player.is_echo && player.batch_len() < BATCH_COUNT_MAX;
        let may_frame = !player.blames.contains(&Blame::Left) && !player.blames.contains(&Blame::Frames);
        match act {
            Act::Connect if player.is_echo && may_frame => player.echo("y".repeat(padding)),
            Act::Connect if !player.has_asked_to_connect && !player.is_echo => player.connect(),
            Act::Subscribe if may_command => player.subscribe(channel),
            Act::Unsubscribe if may_command => player.unsubscribe(channel),
            Act::Publish if may_command => player.publish(channel, padding, &mut self.ledger, now),
            Act::Presence if may_command && dice.percent(50) => player.presence(channel),
            Act::Presence if may_command => player.presence_stats(channel),
            Act::Rpc if may_command => player.rpc(),
            Act::Ping if may_frame => player.ping(&[b'p'; 125][..padding.min(125)]),
            Act::Flush if may_frame => flush(player, dice),
            Act::Stall => {
                player.is_reading = false;
                player.blames.extend([Blame::Absent, Blame::Slow]);
            }
            Act::Resume => player.is_reading = true,
            Act::Mute => {
                player.client.is_mute = true;
                player.blames.insert(Blame::Absent);
            }
            Act::BadCommand if may_frame && !player.is_echo => {
                player.client.text(BAD_COMMANDS[dice.below(BAD_COMMANDS.len())]);
                player.blames.insert(Blame::Commands);
            }
            Act::BadFrame if may_frame => {
                player.client.raw(BAD_FRAMES[dice.below(BAD_FRAMES.len())]);
                player.blames.insert(Blame::Frames);
            }
            Act::HalfFrame if may_frame => {
                player.client.raw(&[0x81, 0xfe, 0x01]);
                player.blames.extend([Blame::Frames, Blame::Late, Blame::Absent]);
            }
            Act::Leave if may_frame => {
                player.client.close(Some(1000), "bye");
                player.blames.insert(Blame::Left);
            }
            Act::Finish => {
                player.blames.insert(Blame::Left);
                self.write(at);
                self.world.finish(self.players[at].link);
            }
            Act::Reset => {
                self.world.reset(player.link);
                player.end(&mut self.ledger);
            }
            // Not now.
            Act::Connect
            | Act::Subscribe
            | Act::Unsubscribe
            | Act::Publish
            | Act::Presence
            | Act::Rpc
            | Act::Ping
            | Act::Flush
            | Act::BadCommand
            | Act::BadFrame
            | Act::HalfFrame
            | Act::Leave
            | Act::Open
            | Act::Pass
            | Act::Drain => {}
        }
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

    /// The faults stop, everyone reads and everything that was asked is answered.
    fn rest(&mut self) {
        self.world.faults.lag = 0;
        self.world.faults.mail_count_max = 1024;
        for at in 0..self.players.len() {
            self.players[at].is_reading = true;
            self.players[at].client.is_mute = false;
            if self.players[at].is_live() {
                self.act_as(at, Act::Flush);
                self.write(at);
            }
        }
        self.settle();
        // Long enough for every unfinished goodbye, and for a few pings and pongs.
        self.pass(LONG);
        self.settle();
    }

    /// Until nothing moves and nothing is unread.
    fn settle(&mut self) {
        loop {
            self.world.settle();
            let unread = |player: &&mut Player| player.is_reading && !player.is_over;
            let mut is_silent = true;
            for player in self.players.iter_mut().filter(unread) {
                self.now += 1;
                let incoming = self.world.read(player.link);
                is_silent &= incoming == Incoming::Silence;
                player.receive(incoming, &mut self.ledger, self.now);
            }
            (0..self.players.len()).for_each(|at| self.write(at));
            if is_silent && self.world.is_quiet() {
                return;
            }
        }
    }

    fn judge(&mut self) {
        self.ledger.judge();
        self.players.iter().for_each(Player::judge);
        if self.is_draining {
            assert!(self.players.iter().all(|player| !player.is_live()), "a client survived the drain");
            return;
        }
        (0..self.channel_count).for_each(|channel| self.judge_presence(channel));
    }

    /// A newcomer asks who is there. It asks one thing at a time, so that no outbox is too small for the answers.
    fn judge_presence(&mut self, channel: usize) {
        let Some(link) = self.world.open() else { return };
        let mut observer = Client::default();
        observer.upgrade("/connection/websocket", &[]);
        self.await_answer(link, &mut observer);
        self.ask(link, &mut observer, r#"{"id":1,"connect":{}}"#);
        let channel_name = name(channel);
        let question = format!(r#"{{"id":2,"presence":{{"channel":"{channel_name}"}}}}"#);
        let presence = self.ask(link, &mut observer, &question);
        let question = format!(r#"{{"id":3,"presence_stats":{{"channel":"{channel_name}"}}}}"#);
        let stats = self.ask(link, &mut observer, &question);
        self.world.reset(link);
        let present = |player: &&Player| player.is_subscribed(channel);
        let mut expected: Vec<&str> =
            self.players.iter().filter(present).filter_map(|player| player.client_id.as_deref()).collect();
        expected.sort_unstable();
        let there = presence["presence"]["presence"].as_object().into_iter().flatten();
        let there: Vec<&str> = there.map(|(client, _)| client.as_str()).collect();
        assert_eq!(there, expected, "presence of {channel_name}");
        assert_eq!(stats["presence_stats"]["num_clients"], Value::from(expected.len()), "{stats}");
    }

    fn ask(&mut self, link: LinkId, observer: &mut Client, question: &str) -> Value {
        observer.text(question);
        let answer = self.await_answer(link, observer);
        assert!(matches!(answer, Heard::Reply(_, Ok(_))), "{question}: {answer:?}");
        if let Heard::Reply(_, Ok(reply)) = answer { reply } else { Value::Null }
    }

    fn await_answer(&mut self, link: LinkId, observer: &mut Client) -> Heard {
        self.world.write(link, &observer.take_output());
        loop {
            self.world.settle();
            let incoming = self.world.read(link);
            let Incoming::Bytes(bytes) = incoming else {
                assert_eq!(incoming, Incoming::Silence, "an observer was thrown out");
                assert!(self.world.has_unread(link), "an observer was ignored");
                continue;
            };
            assert_eq!(observer.receive(bytes), Ok(()));
            if let Some(heard) = observer.heard.pop_front() {
                return heard;
            }
        }
    }

    /// Everyone goes, one way or another; nothing may be left.
    fn leave(&mut self) {
        for at in 0..self.players.len() {
            if !self.players[at].is_live() {
                continue;
            }
            let way = [Act::Leave, Act::Finish, Act::Reset][self.dice.below(3)];
            self.players[at].blames.insert(Blame::Left);
            self.act_as(at, Act::Finish);
            self.act_as(at, way);
            self.write(at);
        }
        self.settle();
        self.pass(LONG);
        self.settle();
        for core in 0..self.world.core_count() {
            let stats = self.world.stats(core);
            assert_eq!(stats.panics, 0);
            let left = [stats.connections, stats.sessions, stats.subscriptions, stats.channels];
            assert_eq!(left, [0; 4], "connections, sessions, subscriptions and channels left on core {core}");
        }
        assert_eq!(self.world.is_finished(), self.is_draining, "a drained node knows when it is empty");
    }
}

/// Sends what was gathered as one message, in one frame or in several.
fn flush(player: &mut Player, dice: &mut Dice) {
    let Some(batch) = player.take_batch() else { return };
    if dice.percent(20) {
        let mut cuts: Vec<usize> = (0..dice.between(1, 3)).map(|_| dice.below(batch.len())).collect();
        cuts.sort_unstable();
        player.client.fragments(&batch, &cuts);
    } else {
        player.client.text(&batch);
    }
}

/// What costs the connection, with 3501 or 3508.
const BAD_COMMANDS: [&str; 9] = [
    "x",
    "",
    "{\"id\":900001}",
    "{\"id\":900001,\"publish\":{\"channel\":\"\",\"data\":1}}",
    "{\"id\":900001,\"connect\":{}}\n{\"id\":900002,\"connect\":{}}",
    "{}\n{}\n{}",
    "{\"send\":{\"data\":1}}",
    "{\"id\":900001,\"id\":900002,\"rpc\":{}}",
    "{\"id\":900001,\"rpc\":{\"data\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}}",
];

/// Frames that RFC 6455 forbids: reserved opcode, reserved bit, no mask, a fragmented ping, text that is not UTF-8, a
/// continuation of nothing, a length that is not minimal, an illegal close code.
const BAD_FRAMES: [&[u8]; 8] = [
    &[0x83, 0x80, 0, 0, 0, 0],
    &[0xc1, 0x80, 0, 0, 0, 0],
    &[0x81, 0x01, b'x'],
    &[0x09, 0x80, 0, 0, 0, 0],
    &[0x81, 0x81, 0, 0, 0, 0, 0xff],
    &[0x80, 0x80, 0, 0, 0, 0],
    &[0x82, 0xfe, 0, 1, 0, 0, 0, 0, 0],
    &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xec],
];
