//! The codec of a session: the one place that chooses between wire formats.
//!
//! Invariant: `decode` ends after at most `COMMANDS_PER_MESSAGE_MAX` commands and after the first error; whatever the
//! bytes are, it costs time and memory linear in them. Encoding appends to `out` and allocates nothing else.

use thiserror::Error;

use super::command::{Command, Connect, Emulation};
use super::push::Push;
use super::reply::Reply;
use super::{json, protobuf};
use crate::limits::COMMANDS_PER_MESSAGE_MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    Json,
    Protobuf,
}

/// A message that is not protocol at all; the connection ends with `Disconnect::BadRequest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    #[error("a message without a command")]
    Empty,
    #[error("a command with an id but without a request")]
    NoRequest,
    #[error("a command that does not decode")]
    Syntax,
    #[error("embedded data nested too deeply")]
    TooDeep,
    #[error("too many commands in one message")]
    TooMany,
}

impl Codec {
    /// The commands of one message, in order, decoded one by one.
    pub fn decode(self, message: &[u8]) -> Commands<'_> {
        self.decode_rest(message, 0)
    }

    /// The same of what is left of a message behind `count` commands.
    pub fn decode_rest(self, rest: &[u8], count: u32) -> Commands<'_> {
        let rest = match self {
            Self::Json => json::trim(rest),
            Self::Protobuf => rest,
        };
        Commands { codec: self, rest: Some(rest), count }
    }

    /// A connect request without a command around it, as unidirectional transports send it.
    pub fn decode_connect(self, body: &[u8]) -> Result<Connect<'_>, Malformed> {
        match self {
            Self::Json => json::connect(body),
            Self::Protobuf => protobuf::connect(body),
        }
    }

    /// Commands that reach a session by a request of their own.
    pub fn decode_emulation(self, body: &[u8]) -> Result<Emulation<'_>, Malformed> {
        match self {
            Self::Json => json::emulation(body),
            Self::Protobuf => protobuf::emulation(body),
        }
    }

    pub fn encode_reply(self, id: u32, reply: &Reply<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Json => json::reply(id, reply, out),
            Self::Protobuf => protobuf::reply(id, reply, out),
        }
    }

    /// A push as bidirectional transports carry it: inside a reply without an id.
    pub fn encode_push(self, push: &Push<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Json => json::push(push, false, out),
            Self::Protobuf => protobuf::push(push, false, out),
        }
    }

    /// A push as unidirectional transports carry it: nothing around it.
    pub fn encode_bare_push(self, push: &Push<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Json => json::push(push, true, out),
            Self::Protobuf => protobuf::push(push, true, out),
        }
    }

    pub fn encode_ping(self, out: &mut Vec<u8>) {
        match self {
            Self::Json => out.extend_from_slice(b"{}"),
            Self::Protobuf => out.push(protobuf::PING),
        }
    }

    /// Appends what stands between two messages of one frame.
    pub fn separate(self, out: &mut Vec<u8>) {
        match self {
            Self::Json => out.push(b'\n'),
            // Every message tells its length.
            Self::Protobuf => {}
        }
    }
}

/// Iterator over the commands of a message.
#[derive(Clone, Debug)]
pub struct Commands<'a> {
    codec: Codec,
    /// `None` once the message is used up or has failed.
    rest: Option<&'a [u8]>,
    count: u32,
}

impl<'a> Commands<'a> {
    /// What is left, and how many commands came before it. None: the message is used up or has failed.
    pub fn rest(&self) -> Option<(&'a [u8], u32)> {
        Some((self.rest?, self.count))
    }
}

impl<'a> Iterator for Commands<'a> {
    type Item = Result<Command<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        if self.count == COMMANDS_PER_MESSAGE_MAX {
            return Some(Err(Malformed::TooMany));
        }
        self.count += 1;
        let decoded = match self.codec {
            Codec::Json => {
                let (line, rest) = json::split(rest);
                json::command(line).map(|command| (command, rest))
            }
            Codec::Protobuf => protobuf::split(rest)
                .and_then(|(message, rest)| protobuf::command(message).map(|command| (command, rest))),
        };
        Some(decoded.map(|(command, rest)| {
            self.rest = rest;
            command
        }))
    }
}
