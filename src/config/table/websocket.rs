//! Sizes and times of a WebSocket, whatever is spoken on it.

use crate::config::option::{Entry, MINUTE_MS, OFF, count, duration, restart, switch};
use crate::limits;
use crate::ws::deflate::Effort;
use std::time::Duration;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebSocket {
    pub message_size_limit: u32,
    pub handshake_timeout: Duration,
    pub message_timeout: Duration,
    pub close_timeout: Duration,
    pub compression: bool,
    pub compression_min_size: u32,
    pub compression_level: u32,
    pub compression_takeover: bool,
    pub compression_takeover_window: u32,
    /// Of the node.
    pub compression_takeover_memory: u32,
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
    switch(
        "websocket.compression",
        OFF,
        |c| &mut c.websocket.compression,
        "Compresses messages of clients that offer it (permessage-deflate); saves bytes and costs CPU.",
    ),
    count(
        "websocket.compression_min_size",
        "bytes",
        limits::DEFLATE_BYTES_MIN,
        [0, limits::MESSAGE_BYTES_CEILING],
        |c| &mut c.websocket.compression_min_size,
        "Messages to clients that are shorter are not compressed.",
    ),
    count(
        "websocket.compression_level",
        "level",
        Effort::LEVEL as u32,
        [1, 9],
        |c| &mut c.websocket.compression_level,
        "How much is done to save bytes: 1, fast, to 9, small.",
    ),
    switch(
        "websocket.compression_takeover",
        OFF,
        |c| &mut c.websocket.compression_takeover,
        "Lets compressed messages refer to earlier ones: smaller, but compressed for each client, and memory for each.",
    ),
    count(
        "websocket.compression_takeover_window",
        "bits",
        limits::TAKEOVER_WINDOW_BITS,
        [9, 15],
        |c| &mut c.websocket.compression_takeover_window,
        "How far back they refer: 2 to this power bytes for each direction of a connection.",
    ),
    count(
        "websocket.compression_takeover_memory",
        "bytes",
        limits::TAKEOVER_BYTES_MAX,
        [0, u32::MAX],
        |c| &mut c.websocket.compression_takeover_memory,
        "Memory of this node for that; beyond: new connections compress without it.",
    ),
];
