//! What a simulated world does to those who live in it. The defaults are kind.
//! Invariant: nothing here breaks what the driver promises to a shard (`shard::port`).

use super::dice::Dice;
use crate::shard::Portions;

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
    /// Per cent of steps in which the disk does nothing, and of turns in which a core does not hear of it.
    pub disk_lag: u32,
    /// Per cent of orders that the disk fails, and of those that it does not take at all.
    pub disk_failure: u32,
    /// Per cent of connections that are read on although the shard has had enough for now.
    pub unheeded: u32,
    /// Time that passes in a step, at most.
    pub step_nanos_max: usize,
}

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
            disk_lag: 0,
            disk_failure: 0,
            unheeded: 0,
            step_nanos_max: 1000,
        }
    }
}

/// How turns are divided in the world of this seed: in most of them so that nearly everything waits for its turn.
pub fn portions(seed: u64) -> Portions {
    let mut dice = Dice::new(seed ^ APART);
    match dice.below(4) {
        0 => Portions::default(),
        1 => Portions { turn: 200, most: 60, least: 20 },
        2 => Portions { turn: 30, most: 30, least: 1 },
        _ => Portions { turn: 1, most: 1, least: 1 },
    }
}

/// So that worlds are otherwise what they would be without.
const APART: u64 = 0x51_1c_e5;
