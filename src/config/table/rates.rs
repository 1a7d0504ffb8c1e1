//! How fast clients may talk: token buckets of commands and bytes, of a connection and of a user.

use crate::config::option::{Entry, count};
use crate::limits;

/// A rate of zero is no limit; a burst of zero is one second's worth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    pub command_rate_limit: u32,
    pub command_rate_burst: u32,
    pub byte_rate_limit: u32,
    pub byte_rate_burst: u32,
    pub user_command_rate_limit: u32,
    pub user_command_rate_burst: u32,
    pub user_byte_rate_limit: u32,
    pub user_byte_rate_burst: u32,
}

pub const OPTIONS: &[Entry] = &[
    count(
        "client.command_rate_limit",
        "commands a second",
        0,
        [0, limits::RATE_COUNT_CEILING],
        |c| &mut c.client.rates.command_rate_limit,
        "Commands a second of one connection, 0 for no limit; beyond: error 111, then disconnect 3013.",
    ),
    count(
        "client.command_rate_burst",
        "commands",
        0,
        [0, limits::RATE_COUNT_CEILING],
        |c| &mut c.client.rates.command_rate_burst,
        "Commands that a connection may send at once, 0 for one second's worth.",
    ),
    count(
        "client.byte_rate_limit",
        "bytes a second",
        0,
        [0, limits::RATE_COUNT_CEILING],
        |c| &mut c.client.rates.byte_rate_limit,
        "Bytes a second from one connection, 0 for no limit; beyond: error 111, then disconnect 3013.",
    ),
    count(
        "client.byte_rate_burst",
        "bytes",
        0,
        [0, limits::RATE_COUNT_CEILING],
        |c| &mut c.client.rates.byte_rate_burst,
        "Bytes that a connection may send at once, 0 for one second's worth.",
    ),
    count(
        "client.user_command_rate_limit",
        "commands a second",
        0,
        [0, limits::RATE_COUNT_CEILING],
        |c| &mut c.client.rates.user_command_rate_limit,
        "Commands a second of all connections of a user to one core, 0 for no limit; beyond: error 111.",
    ),
    count(
        "client.user_command_rate_burst",
        "commands",
        0,
        [0, limits::RATE_COUNT_CEILING],
        |c| &mut c.client.rates.user_command_rate_burst,
        "Commands that a user may send at once, 0 for one second's worth.",
    ),
    count(
        "client.user_byte_rate_limit",
        "bytes a second",
        0,
        [0, limits::RATE_COUNT_CEILING],
        |c| &mut c.client.rates.user_byte_rate_limit,
        "Bytes a second of all connections of a user to one core, 0 for no limit; beyond: error 111.",
    ),
    count(
        "client.user_byte_rate_burst",
        "bytes",
        0,
        [0, limits::RATE_COUNT_CEILING],
        |c| &mut c.client.rates.user_byte_rate_burst,
        "Bytes that a user may send at once, 0 for one second's worth.",
    ),
];
