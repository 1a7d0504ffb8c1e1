//! Sizes and times of a WebSocket, whatever is spoken on it.

use crate::config::option::{Entry, MINUTE_MS, count, duration, restart};
use crate::limits;
use std::time::Duration;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebSocket {
    pub message_size_limit: u32,
    pub handshake_timeout: Duration,
    pub message_timeout: Duration,
    pub close_timeout: Duration,
}

pub const OPTIONS: &[Entry] = &[
    count(
        "websocket.message_size_limit",
        "bytes",
        limits::MESSAGE_BYTES_MAX,
        [limits::CONTROL_BYTES_MAX, limits::MESSAGE_BYTES_CEILING],
        |c| &mut c.websocket.message_size_limit,
        "Bytes of one message from a client; beyond: close 1009.",
    ),
    duration(
        "websocket.handshake_timeout",
        limits::HANDSHAKE_MS_MAX,
        [100, 10 * MINUTE_MS],
        |c| &mut c.websocket.handshake_timeout,
        "Time for the whole request head, however slowly it drips; beyond: 408.",
    ),
    duration(
        "websocket.message_timeout",
        limits::MESSAGE_MS_MAX,
        [100, 60 * MINUTE_MS],
        |c| &mut c.websocket.message_timeout,
        "Time from the first byte of a message to its last; beyond: close 1008.",
    ),
    restart(duration(
        "websocket.close_timeout",
        limits::CLOSE_MS_MAX,
        [100, MINUTE_MS],
        |c| &mut c.websocket.close_timeout,
        "Time for a peer to answer our close frame; beyond: the socket is closed.",
    )),
];
