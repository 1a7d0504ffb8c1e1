//! How fast clients may talk: token buckets of commands and bytes, of a connection and of a user.

use crate::config::option::{Entry, count, rate};
use crate::limits;

/// A rate of zero is no limit; a burst of zero is one second's worth, and no less than a client that comes back needs.
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
    rate(
        "client.command_rate_limit",
        "commands a second",
        limits::COMMANDS_PER_S_MAX,
        |c| &mut c.client.rates.command_rate_limit,
        "Commands a second of one connection, 0 for no limit; beyond: error 111.",
    ),
    count(
        "client.command_rate_burst",
        "commands",
        0,
        [0, limits::RATE_COUNT_CEILING],
        |c| &mut c.client.rates.command_rate_burst,
        "Commands that a connection may send at once, 0 for one second's worth, or two for each channel that it may have.",
    ),
    rate(
        "client.byte_rate_limit",
        "bytes a second",
        limits::BYTES_PER_S_MAX,
        |c| &mut c.client.rates.byte_rate_limit,
        "Bytes a second from one connection, 0 for no limit; beyond: disconnect 3013.",
    ),
    count(
        "client.byte_rate_burst",
        "bytes",
        0,
        [0, limits::RATE_COUNT_CEILING],
        |c| &mut c.client.rates.byte_rate_burst,
        "Bytes that a connection may send at once, 0 for one second's worth, or the largest message.",
    ),
    rate(
        "client.user_command_rate_limit",
        "commands a second",
        limits::USER_COMMANDS_PER_S_MAX,
        |c| &mut c.client.rates.user_command_rate_limit,
        "Commands a second of all connections of a user to one core, 0 for no limit; beyond: error 111.",
    ),
    count(
        "client.user_command_rate_burst",
        "commands",
        0,
        [0, limits::RATE_COUNT_CEILING],
        |c| &mut c.client.rates.user_command_rate_burst,
        "Commands that a user may send at once, 0 for one second's worth, or two for each channel of a connection.",
    ),
    rate(
        "client.user_byte_rate_limit",
        "bytes a second",
        limits::USER_BYTES_PER_S_MAX,
        |c| &mut c.client.rates.user_byte_rate_limit,
        "Bytes a second of all connections of a user to one core, 0 for no limit; beyond: disconnect 3013.",
    ),
    count(
        "client.user_byte_rate_burst",
        "bytes",
        0,
        [0, limits::RATE_COUNT_CEILING],
        |c| &mut c.client.rates.user_byte_rate_burst,
        "Bytes that a user may send at once, 0 for one second's worth, or the largest message.",
    ),
];
