//! What happens in a random world: the acts, how often, and how a client performs them.
//! Invariant: whoever does what may end a connection is blamed for it before the bytes leave.

use super::Swarm;
use crate::sim::dice::Dice;
use crate::sim::player::{Blame, Player};

#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    /// A client comes.
    Open,
    /// Time passes.
    Pass,
    /// The node says goodbye to everyone.
    Drain,
    Ask(Ask),
    Say(Say),
    Behave(Behave),
}

/// Commands, which gather until they are flushed. Only for those who have asked to connect.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ask {
    Subscribe,
    Unsubscribe,
    Publish,
    Presence,
    Rpc,
}

/// Frames. Only for those who have not ended their side of the conversation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Say {
    /// Asks to connect, or sends something to be echoed.
    Begin,
    Flush,
    Ping,
    BadCommand,
    BadFrame,
    HalfFrame,
    Goodbye,
}

/// What is always possible.
#[derive(Clone, Copy, Debug)]
pub(super) enum Behave {
    Stall,
    Resume,
    Mute,
    Finish,
    Reset,
    /// Gone without a word: no FIN, no reset, and nobody reads.
    Forsake,
}

/// Every act, and the most that a world may weigh it.
pub(super) const ACTS: [(Act, u32); 21] = [
    (Act::Open, 20),
    (Act::Pass, 3),
    (Act::Drain, 1),
    (Act::Ask(Ask::Subscribe), 30),
    (Act::Ask(Ask::Unsubscribe), 15),
    (Act::Ask(Ask::Publish), 60),
    (Act::Ask(Ask::Presence), 6),
    (Act::Ask(Ask::Rpc), 2),
    (Act::Say(Say::Begin), 20),
    (Act::Say(Say::Flush), 40),
    (Act::Say(Say::Ping), 4),
    (Act::Say(Say::BadCommand), 1),
    (Act::Say(Say::BadFrame), 1),
    (Act::Say(Say::HalfFrame), 1),
    (Act::Say(Say::Goodbye), 3),
    (Act::Behave(Behave::Stall), 2),
    (Act::Behave(Behave::Resume), 6),
    (Act::Behave(Behave::Mute), 1),
    (Act::Behave(Behave::Finish), 2),
    (Act::Behave(Behave::Reset), 3),
    (Act::Behave(Behave::Forsake), 1),
];

impl Act {
    /// A world without these is not worth living in.
    const fn is_vital(self) -> bool {
        matches!(self, Self::Open | Self::Say(Say::Begin | Say::Flush))
    }

    /// All that happens in a narrow world.
    const fn moves_subscriptions(self) -> bool {
        let asks = matches!(self, Self::Ask(Ask::Subscribe | Ask::Unsubscribe | Ask::Publish));
        asks || self.is_vital() || matches!(self, Self::Behave(Behave::Reset))
    }
}

/// The weights of one world: some acts never happen in it, and one happens very often.
pub(super) fn weights(dice: &mut Dice, is_narrow: bool) -> [u32; ACTS.len()] {
    let favourite = dice.below(ACTS.len());
    let mut at = 0;
    ACTS.map(|(act, most)| {
        let most = if at == favourite { most * 5 } else { most };
        at += 1;
        let (is_certain, is_possible) = if is_narrow {
            (act.moves_subscriptions(), act.moves_subscriptions())
        } else {
            (act.is_vital(), dice.percent(70))
        };
        match (is_certain, is_possible) {
            (true, _) => dice.between(most as usize / 2, most as usize) as u32,
            (false, true) => dice.between(1, most as usize) as u32,
            (false, false) => 0,
        }
    })
}

impl Swarm {
    pub(super) fn ask(&mut self, at: usize, ask: Ask) {
        let channel = self.dice.below(self.channel_count);
        let padding = self.dice.below(self.payload_bytes_max);
        let player = &mut self.players[at];
        if !player.has_asked_to_connect || player.batch_len() >= BATCH_COUNT_MAX {
            return;
        }
        match ask {
            Ask::Subscribe => player.subscribe(channel),
            Ask::Unsubscribe => {
                player.unsubscribe(channel);
                if self.dice.percent(30) {
                    player.subscribe(channel);
                }
            }
            Ask::Publish => player.publish(channel, padding, &mut self.ledger, self.now),
            Ask::Presence if self.dice.percent(50) => player.presence(channel),
            Ask::Presence => player.presence_stats(channel),
            Ask::Rpc => player.rpc(),
        }
    }

    pub(super) fn say(&mut self, at: usize, say: Say) {
        let padding = self.dice.below(self.payload_bytes_max);
        let (dice, player) = (&mut self.dice, &mut self.players[at]);
        if player.blames.contains(&Blame::Left) || player.blames.contains(&Blame::Frames) {
            return;
        }
        match say {
            Say::Begin if player.is_echo => player.echo("y".repeat(padding)),
            Say::Begin if player.has_asked_to_connect => {}
            Say::Begin => player.connect(),
            Say::Flush => flush(player, dice),
            Say::Ping => player.ping(&[b'p'; 125][..padding.min(125)]),
            Say::BadCommand if player.is_echo => {}
            Say::BadCommand => {
                player.blames.insert(Blame::Commands);
                player.client.text(BAD_COMMANDS[dice.below(BAD_COMMANDS.len())]);
            }
            Say::BadFrame => {
                player.blames.insert(Blame::Frames);
                let at = dice.below(BAD_FRAMES.len());
                let record = BAD_RECORDS.get(at);
                if !record.is_some_and(|record| self.world.spoil(player.link, record)) {
                    player.client.raw(BAD_FRAMES[at]);
                }
            }
            Say::HalfFrame => {
                player.blames.extend([Blame::Frames, Blame::Late, Blame::Absent]);
                player.client.raw(HALF_FRAME);
            }
            Say::Goodbye => {
                player.blames.insert(Blame::Left);
                player.client.close(Some(1000), "bye");
            }
        }
        self.write(at);
    }

    pub(super) fn behave(&mut self, at: usize, behave: Behave) {
        let player = &mut self.players[at];
        match behave {
            Behave::Stall => {
                player.blames.extend([Blame::Absent, Blame::Slow]);
                player.is_reading = false;
            }
            Behave::Resume => player.is_reading = true,
            Behave::Mute => {
                player.blames.insert(Blame::Absent);
                player.client.is_mute = true;
            }
            Behave::Finish => {
                player.blames.insert(Blame::Left);
                self.world.finish(player.link);
            }
            Behave::Reset => {
                self.world.reset(player.link);
                player.end(&mut self.ledger);
            }
            Behave::Forsake => player.end(&mut self.ledger),
        }
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

/// What a player may gather before it must send: so many of the largest publications fit a message.
const BATCH_COUNT_MAX: usize = 12;

/// The first bytes of a text message whose rest does not come.
const HALF_FRAME: &[u8] = &[0x81, 0xfe, 0x01];

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

/// What is no record, or none that can be opened: one that is too long, plain HTTP, a hello once more, zeros.
const BAD_RECORDS: [&[u8]; 4] = [
    &[0x17, 3, 3, 0x48, 1],
    b"GET / HTTP/1.1\r\n\r\n",
    &[0x16, 3, 1, 0, 4, 1, 0, 0, 0],
    &[0x17, 3, 3, 0, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
];

/// Frames that RFC 6455 forbids: reserved opcode, reserved bit, no mask, a fragmented ping, text that is not UTF-8, a
/// continuation of nothing, a length that is not minimal, an illegal close code, a message too big.
const BAD_FRAMES: [&[u8]; 9] = [
    &[0x83, 0x80, 0, 0, 0, 0],
    &[0xc1, 0x80, 0, 0, 0, 0],
    &[0x81, 0x01, b'x'],
    &[0x09, 0x80, 0, 0, 0, 0],
    &[0x81, 0x81, 0, 0, 0, 0, 0xff],
    &[0x80, 0x80, 0, 0, 0, 0],
    &[0x82, 0xfe, 0, 1, 0, 0, 0, 0, 0],
    &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xec],
    &[0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0],
];
