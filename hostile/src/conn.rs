//! One connection to the target: opened, upgraded, read strictly.
//! Invariant: an upgrade that does not keep RFC 6455 section 4.2.2 is a fault of the server, whatever the row expects.

use crate::clock;
use crate::frame::{Event, Reader};
use crate::stream::{Found, Stream};
use crate::target::Target;
use crate::wanted::Seen;
use miniz_oxide::DataFormat;
use miniz_oxide::inflate::stream::InflateState;
use std::time::Duration;

/// How a connection begins.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// Room for what has not been read.
    pub receive_bytes: Option<usize>,
    /// Writes to the socket itself, below TLS.
    pub bare: bool,
}

pub struct Conn {
    stream: Stream,
    received: Vec<u8>,
    reader: Reader,
    upgraded: bool,
}

/// The head of an answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    head: String,
}

/// The accept value of `KEY_TEXT`, from RFC 6455 section 1.3.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
pub const DEFLATE_OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
pub const KEY_TEXT: &str = "dGhlIHNhbXBsZSBub25jZQ==";

impl Reply {
    /// The value of a field, all of them joined if there are several.
    pub fn field(&self, name: &str) -> Option<String> {
        let values: Vec<&str> = self
            .head
            .lines()
            .skip(1)
            .filter_map(|line| {
                let (field, value) = line.split_once(':')?;
                field.eq_ignore_ascii_case(name).then_some(value.trim())
            })
            .collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// What is wrong with an upgrade.
    fn fault(&self) -> Option<String> {
        let field = |name: &str| self.field(name).unwrap_or_default();
        let rules = [
            (field("upgrade").eq_ignore_ascii_case("websocket"), "its Upgrade is not websocket"),
            (field("connection").to_ascii_lowercase().contains("upgrade"), "its Connection does not upgrade"),
            (field("sec-websocket-accept") == ACCEPT, "its Sec-WebSocket-Accept is wrong"),
        ];
        let broken = rules.iter().find(|(kept, _)| !kept);
        broken.map(|(_, fault)| format!("101, but {fault} (section 4.2.2)"))
    }
}

impl Conn {
    pub fn open(target: &Target, opening: &Opening, patience: Duration) -> Result<Self, String> {
        let refused = |error: std::io::Error| format!("the server does not let us connect: {error}");
        let mut stream = Stream::connect(target.address, opening.receive_bytes, patience).map_err(refused)?;
        if let Some(config) = target.tls.as_ref().filter(|_| !opening.bare) {
            stream = stream.secured(config.clone(), target.server_name(), patience).map_err(refused)?;
        }
        Ok(Self { stream, received: Vec::new(), reader: Reader::default(), upgraded: false })
    }

    /// Connected and upgraded, with further fields.
    pub fn upgraded(target: &Target, path: &str, fields: &str, patience: Duration) -> Result<Self, String> {
        let mut conn = Self::open(target, &Opening::default(), patience)?;
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {KEY_TEXT}\r\nSec-WebSocket-Version: 13\r\n{fields}\r\n",
            target.host
        );
        conn.write(head.as_bytes(), patience);
        match conn.reply(patience)? {
            Ok(reply) if reply.status == 101 => Ok(conn),
            Ok(reply) => Err(format!("an ordinary upgrade was answered with {}", reply.status)),
            Err(seen) => Err(format!("an ordinary upgrade: {seen}")),
        }
    }

    pub fn write(&mut self, bytes: &[u8], patience: Duration) -> bool {
        self.stream.write(bytes, clock::now() + patience)
    }

    /// The head of the next answer, or how the connection ended without one. An error is a fault of the server.
    pub fn reply(&mut self, patience: Duration) -> Result<Result<Reply, Seen>, String> {
        let deadline = clock::now() + patience;
        let end = loop {
            if let Some(end) = self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if self.received.len() > HEAD_BYTES_MAX {
                return Err("the server's head has no end".into());
            }
            match self.fill(deadline) {
                Ok(()) => {}
                Err(_) if !self.received.is_empty() => {
                    let start =
                        String::from_utf8_lossy(&self.received[..self.received.len().min(40)]).into_owned();
                    return Err(format!("the answer is no whole HTTP head: {start:?}"));
                }
                Err(seen) => return Ok(Err(seen)),
            }
        };
        let head: Vec<u8> = self.received.drain(..end).collect();
        let head = String::from_utf8(head).map_err(|_| "the server's head is not text".to_owned())?;
        let status = head.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
        let status = status.ok_or_else(|| format!("no status line: {:?}", head.lines().next()))?;
        let reply = Reply { status, head };
        if status == 101 {
            if let Some(fault) = reply.fault() {
                return Err(fault);
            }
            self.upgraded = true;
            if reply
                .field("sec-websocket-extensions")
                .is_some_and(|agreed| agreed.contains("permessage-deflate"))
            {
                self.reader.inflater = Some(InflateState::new_boxed(DataFormat::Raw));
            }
        }
        Ok(Ok(reply))
    }

    /// Whether permessage-deflate was agreed on.
    pub fn compresses(&self) -> bool {
        self.reader.inflater.is_some()
    }

    /// The next thing that the server says, or how it fell silent. An error is a fault of the server.
    pub fn event(&mut self, patience: Duration) -> Result<Result<Event, Seen>, String> {
        let deadline = clock::now() + patience;
        loop {
            if let Some(event) = self.reader.next(&mut self.received)? {
                return Ok(Ok(event));
            }
            if let Err(seen) = self.fill(deadline) {
                return Ok(Err(seen));
            }
        }
    }

    /// Reads to the end. The body of a refusal may follow its head; behind a close frame nothing may.
    pub fn end(&mut self, patience: Duration) -> Result<Seen, String> {
        let deadline = clock::now() + patience;
        loop {
            if self.upgraded && !self.received.is_empty() {
                return Err(format!("{} bytes behind the close frame (section 5.5.1)", self.received.len()));
            }
            self.received.clear();
            if let Err(seen) = self.fill(deadline) {
                return Ok(seen);
            }
        }
    }

    /// Forgets what was received and reads whatever comes, frames or not, until it stops.
    pub fn drain(&mut self, patience: Duration) -> Seen {
        let deadline = clock::now() + patience;
        loop {
            self.received.clear();
            if let Err(seen) = self.fill(deadline) {
                return seen;
            }
        }
    }

    pub fn half_close(&mut self) {
        self.stream.half_close();
    }

    pub fn reset(self) {
        self.stream.reset();
    }

    fn fill(&mut self, deadline: std::time::Instant) -> Result<(), Seen> {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk, deadline) {
            Found::Bytes(len) => {
                self.received.extend_from_slice(&chunk[..len]);
                Ok(())
            }
            Found::Fin => Err(Seen::Fin),
            Found::Reset => Err(Seen::Reset),
            Found::Silence => Err(Seen::Open),
        }
    }
}

/// No answer of a server is longer.
const HEAD_BYTES_MAX: usize = 64 * 1024;
