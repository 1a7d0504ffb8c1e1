//! What differs between the servers that can be driven: how a payload is wrapped, and what an arriving message means.
//! Everything else in the generator treats them alike. Knows no sockets and no clock.

pub mod centrifuge;
pub mod protobuf;
pub mod raw;

use crate::frame::{CHANNEL_DIGITS, Fields};
use crate::plan::{Protocol, Shape};
use crate::stamp::Stamp;
use ringway::ws::Opcode;

/// What an arriving message, or a part of one, means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A publication that carries a stamp.
    Delivery(Stamp),
    /// The server wants a sign of life.
    Ping,
    /// A command succeeded.
    Reply { id: u32 },
    /// A command failed.
    Error { id: u32, code: u32, message: String },
    /// A subscription was ended by the server.
    Unsubscribed { code: u32 },
    /// Anything else that is legal and of no interest: joins, leaves.
    Other,
    /// Not what the protocol allows.
    Garbage,
}

/// The answers that make a connection ready, one bit each.
pub const CONNECT_REPLY: u8 = 1;
pub const SUBSCRIBE_REPLY: u8 = 2;

/// One protocol, with what it remembers to be quick.
#[derive(Debug)]
pub enum Target {
    Raw,
    Centrifuge(Box<centrifuge::Scanner>),
    Protobuf(protobuf::Scanner),
}

impl Target {
    pub fn new(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Raw => Self::Raw,
            Protocol::Centrifuge => Self::Centrifuge(Box::default()),
            Protocol::CentrifugeProtobuf => Self::Protobuf(protobuf::Scanner::default()),
        }
    }

    /// The message of a publisher, its changing fields left open.
    pub fn message(&self, shape: &Shape) -> (Vec<u8>, Fields) {
        match self {
            Self::Raw => raw::message(shape),
            Self::Centrifuge(_) => centrifuge::message(shape),
            Self::Protobuf(_) => protobuf::message(shape),
        }
    }

    /// What a new connection says first, and the answers that it waits for.
    pub fn hello(&self, shape: &Shape, group: u32) -> Option<(Vec<u8>, u8)> {
        match self {
            Self::Raw => None,
            Self::Centrifuge(_) => Some(centrifuge::hello(shape, group)),
            Self::Protobuf(_) => Some(protobuf::hello(shape, group)),
        }
    }

    /// How its messages travel, and the answer to a ping.
    pub const fn pong(&self) -> (Opcode, &'static [u8]) {
        match self {
            Self::Raw | Self::Centrifuge(_) => (Opcode::Text, centrifuge::PONG),
            Self::Protobuf(_) => (Opcode::Binary, protobuf::PONG),
        }
    }

    /// Takes an arriving message apart.
    pub fn scan(&mut self, message: &[u8], sink: impl FnMut(Item)) {
        match self {
            Self::Raw => raw::scan(message, sink),
            Self::Centrifuge(scanner) => scanner.scan(message, sink),
            Self::Protobuf(scanner) => scanner.scan(message, sink),
        }
    }
}

/// Smallest payload of a protocol.
pub const fn size_min(protocol: Protocol) -> u32 {
    match protocol {
        Protocol::Raw => raw::SIZE_MIN,
        Protocol::Centrifuge => centrifuge::SIZE_MIN,
        Protocol::CentrifugeProtobuf => protobuf::SIZE_MIN,
    }
}

/// What a member of a group listens to: the channel of the group first, then channels of no group.
fn channels(shape: &Shape, group: u32) -> impl Iterator<Item = String> + '_ {
    let others = (1..shape.subscriptions).map(|at| 90_000_000 + at);
    std::iter::once(group)
        .chain(others)
        .map(|number| format!("{}{number:0width$}", shape.channel_prefix, width = CHANNEL_DIGITS))
}

/// Fills a payload behind its stamp with what any text codec takes, and a compressor finds as dense as a real feed: keys
/// that come again and again, figures that do not.
fn pad(out: &mut Vec<u8>, count: usize) {
    const KEYS: [&str; 8] = ["price", "volume", "minute", "home", "away", "status", "player", "updated"];
    let mut state = 1_u32;
    let words = std::iter::repeat_with(move || {
        // Any sequence without a short period will do.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        format!("{}={};", KEYS[state as usize >> 29], state >> 12 & 0xffff)
    });
    out.extend(words.flat_map(String::into_bytes).take(count));
}
