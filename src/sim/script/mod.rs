//! Conversation scripts (`.wst`): who says what, and what must be heard. The same script runs in the simulated world and
//! on real sockets.
//!
//! A line holds steps between ` ; `; `#` behind a blank begins a comment. A step is `client NAME: WORDS`, where the client
//! may be left out if it is the one of the step before, with an optional ` -> EXPECTATION`; or `wait 25s`, for which
//! only simulated time will do; or `server: without FEATURE`, before everything else.
//!
//! What a client says: `upgrade PATH [+ Header: value]...`, `head BYTES` (with `\r`, `\n`), `raw HEX`, `text TEXT` (` | `
//! joins lines), `binary HEX`, `ping TEXT`, `pong TEXT`, `close [CODE [REASON]]`; `connect`, `sub CHANNEL`, `unsub CHANNEL`,
//! `pub CHANNEL DATA`, `presence CHANNEL`, `stats CHANNEL`, `command JSON` (the id is added); `finish` (FIN), `reset`, `mute`
//! (answers no more pings).
//! What it expects, behind `->` or in a step of its own behind `<-`: a status; `ok [JSON]` or `error CODE` for its oldest open
//! command; `reply ID ok [JSON]`, `reply ID error CODE`; `push CHANNEL DATA`; `unsubscribed CHANNEL CODE`; `here NAME...` (presence);
//! `text`, `binary`, `pong`, `framed ping`, `ping`; `close [CODE [REASON]]`; `end` (FIN); `nothing`. JSON may leave members out.

mod parse;
mod play;
mod simulated;
#[cfg(test)]
mod tests;

pub use play::{Stage, play};
pub use simulated::Simulated;

use super::link::Incoming;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

#[derive(Debug, PartialEq)]
pub struct Script {
    /// What the server does not offer; it offers everything else.
    pub without: BTreeSet<Feature>,
    pub steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    Anonymous,
    Echo,
    Presence,
    Publish,
    Subscribe,
}

#[derive(Debug, PartialEq)]
pub struct Step {
    pub line: usize,
    pub act: Act,
}

#[derive(Debug, PartialEq)]
pub enum Act {
    Wait(Duration),
    Say { client: String, saying: Saying },
    Expect { client: String, expectation: Expectation },
}

#[derive(Debug, PartialEq)]
pub enum Saying {
    Upgrade {
        path: String,
        fields: Vec<String>,
    },
    Raw(Vec<u8>),
    Text(String),
    Binary(Vec<u8>),
    Ping(String),
    Pong(String),
    Close(Option<u16>, String),
    /// A command without its id.
    Command(Value),
    Finish,
    Reset,
    Mute,
}

#[derive(Debug, PartialEq)]
pub enum Expectation {
    Status(u16),
    /// The reply to the command with this id, or to the oldest open one.
    Reply(Option<u32>, Outcome),
    Publication {
        channel: String,
        data: Value,
    },
    Unsubscribed {
        channel: String,
        code: u64,
    },
    Ping,
    FramedPing,
    Pong(String),
    Text(String),
    Binary(Vec<u8>),
    Close(Option<u16>, Option<String>),
    End,
    Nothing,
}

#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// The result has these members.
    Ok(Value),
    Error(u32),
    /// A presence of exactly these clients of the script.
    Here(BTreeSet<String>),
}

impl Script {
    /// The error names the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse::script(text)
    }

    /// Needs time that can be told to pass.
    pub fn is_timed(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.act, Act::Wait(_)))
    }
}
