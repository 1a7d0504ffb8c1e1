//! A client as the world sees it: strict about frames, exact about messages, ignorant of what it wants.
//!
//! Invariant: everything the server says lands in `heard` once and in order; whatever breaks RFC 6455 or the line format
//! of the protocol is an error. What a well-behaved client does by itself (pong, close answer) it does by itself.
//! Sans-IO: bytes in through `receive`, bytes out through `take_output`.

use super::message::Message;
use crate::ws::{CloseCode, Event, Kind, Opcode, Pool, ReadOptions, Reader, Role, append_masked_frame};
use serde_json::Value;
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub struct Client {
    /// What the server has said and nobody has looked at yet.
    pub heard: VecDeque<Heard>,
    stage: Stage,
    reader: Reader,
    pool: Pool,
    output: Vec<u8>,
    frame_count: u32,
    last_id: u32,
    has_said_close: bool,
    has_heard_close: bool,
    /// Leaves pings of both kinds unanswered.
    pub is_mute: bool,
    /// Hands out what it hears as `Heard::Message`, whichever codec it came in.
    is_modelled: bool,
}

/// What the bytes of the server mean now.
#[derive(Debug, PartialEq)]
enum Stage {
    /// A response head, as far as it is there; after a 101 to this route frames follow.
    Head {
        received: Vec<u8>,
        route: Route,
    },
    Frames {
        route: Route,
    },
    /// A refusal was read; its body is of no interest.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Protocol,
    Raw,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// Status of the response head.
    Status(u16),
    /// A reply by its id; `Err` is the code of an error, `Ok` is the whole message.
    Reply(u32, Result<Value, u32>),
    /// The object behind `push`.
    Push(Value),
    /// Instead of the two above, from a client that is modelled.
    Message(Message),
    /// A ping of the protocol, `{}`.
    Ping,
    FramePing(Vec<u8>),
    FramePong(Vec<u8>),
    /// A message on a route that does not speak the protocol.
    Text(String),
    Binary(Vec<u8>),
    Close(Option<u16>, String),
}

const OPTIONS: ReadOptions = ReadOptions {
    role: Role::Client,
    message_bytes_max: 64 * 1024 * 1024,
    empty_frames_max: 16,
    deflate: false,
};

/// Long enough for every head that a server of ours sends.
const HEAD_BYTES_MAX: usize = 4096;

impl Default for Stage {
    fn default() -> Self {
        Self::Head { received: Vec::new(), route: Route::Raw }
    }
}

impl Client {
    /// One that decodes both codecs into the same messages.
    pub fn modelled() -> Self {
        Self { is_modelled: true, ..Self::default() }
    }

    /// Asks for an upgrade of `path`; `fields` are whole header lines that are added to the usual ones.
    pub fn upgrade(&mut self, path: &str, fields: &[String]) {
        let route = if path.starts_with("/connection/websocket") { Route::Protocol } else { Route::Raw };
        self.stage = Stage::Head { received: Vec::new(), route };
        let mut head = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        );
        for field in fields {
            head.push_str(field);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        self.output.extend_from_slice(head.as_bytes());
    }

    /// Bytes as they are, whatever they mean.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    pub fn text(&mut self, text: &str) {
        self.frame(Opcode::Text, text.as_bytes());
    }

    pub fn frame(&mut self, opcode: Opcode, payload: &[u8]) {
        // Any key will do in a world without proxies; one that changes shows a server that forgets to unmask.
        self.frame_count = self.frame_count.wrapping_add(0x9e37_79b9);
        append_masked_frame(&mut self.output, opcode, payload, self.frame_count.to_be_bytes());
    }

    /// One text message in several frames, cut behind each of `cuts`.
    pub fn fragments(&mut self, text: &str, cuts: &[usize]) {
        let mut opcode = Opcode::Text;
        let mut done = 0;
        for &cut in cuts {
            let cut = cut.clamp(done, text.len());
            let start = self.output.len();
            self.frame(opcode, &text.as_bytes()[done..cut]);
            self.output[start] &= 0x7f;
            opcode = Opcode::Continuation;
            done = cut;
        }
        self.frame(opcode, &text.as_bytes()[done..]);
    }

    /// A close frame of ours: the answer of the server is then not answered again.
    pub fn close(&mut self, code: Option<u16>, reason: &str) {
        let mut payload = code.map_or_else(Vec::new, |code| code.to_be_bytes().to_vec());
        payload.extend_from_slice(reason.as_bytes());
        self.frame(Opcode::Close, &payload);
        self.has_said_close = true;
    }

    /// A fresh command id.
    pub fn next_id(&mut self) -> u32 {
        self.last_id += 1;
        self.last_id
    }

    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Whether frames may be sent: the upgrade was granted and no close was said by us.
    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Frames { .. }) && !self.has_said_close
    }

    pub fn receive(&mut self, mut bytes: Vec<u8>) -> Result<(), String> {
        let route = match &mut self.stage {
            Stage::Refused => return Ok(()),
            Stage::Frames { route } => *route,
            Stage::Head { received, route } => {
                received.append(&mut bytes);
                let Some(end) = head_end(received) else {
                    let fits = received.len() <= HEAD_BYTES_MAX;
                    return if fits { Ok(()) } else { Err("an endless response head".into()) };
                };
                bytes = received.split_off(end);
                let status = status(received).ok_or("a response without a status")?;
                let route = *route;
                self.stage = if status == 101 { Stage::Frames { route } } else { Stage::Refused };
                self.heard.push_back(Heard::Status(status));
                if status != 101 {
                    return Ok(());
                }
                route
            }
        };
        self.receive_frames(&mut bytes, route)
    }

    fn receive_frames(&mut self, bytes: &mut [u8], route: Route) -> Result<(), String> {
        let mut input = bytes;
        loop {
            if !input.is_empty() && self.has_heard_close {
                return Err("bytes behind a close frame".into());
            }
            // The event borrows the reader, and answering borrows everything else: take the reader out meanwhile.
            let mut reader = std::mem::take(&mut self.reader);
            let heard = match reader.next(&mut input, &OPTIONS, &mut self.pool) {
                Ok(None) => {
                    self.reader = reader;
                    return Ok(());
                }
                Ok(Some(event)) => self.take_event(&event, route),
                Err(violation) => Err(format!("the server broke RFC 6455: {violation:?}")),
            };
            self.reader = reader;
            heard?;
        }
    }

    fn take_event(&mut self, event: &Event<'_>, route: Route) -> Result<(), String> {
        match event {
            Event::Message(Kind::Text, text) if route == Route::Protocol => {
                let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
                for line in text.split('\n') {
                    // Whoever listens, and however much of it: nothing that is sent may be loose.
                    let message = Message::from_json(line)?;
                    let heard = match message {
                        Message::Ping => Heard::Ping,
                        message if self.is_modelled => Heard::Message(message),
                        Message::Reply { .. } | Message::Push { .. } => heard_line(line)?,
                    };
                    if heard == Heard::Ping && !self.is_mute && !self.has_said_close {
                        self.text("{}");
                    }
                    self.heard.push_back(heard);
                }
            }
            Event::Message(Kind::Binary, bytes) if route == Route::Protocol && self.is_modelled => {
                for message in Message::from_protobuf(bytes)? {
                    let is_ping = message == Message::Ping;
                    if is_ping && !self.is_mute && !self.has_said_close {
                        self.frame(Opcode::Binary, &[0]);
                    }
                    self.heard.push_back(if is_ping { Heard::Ping } else { Heard::Message(message) });
                }
            }
            Event::Message(Kind::Text, text) => {
                self.heard.push_back(Heard::Text(String::from_utf8_lossy(text).into_owned()));
            }
            Event::Message(Kind::Binary, bytes) => self.heard.push_back(Heard::Binary(bytes.to_vec())),
            Event::Ping(payload) => {
                if !self.is_mute && !self.has_said_close {
                    self.frame(Opcode::Pong, payload);
                }
                self.heard.push_back(Heard::FramePing(payload.to_vec()));
            }
            Event::Pong(payload) => self.heard.push_back(Heard::FramePong(payload.to_vec())),
            Event::Close(code, reason) => {
                // RFC 6455 section 5.5.1: an endpoint that has not sent a close frame answers with one.
                if !self.has_said_close {
                    self.close(code.map(CloseCode::get), "");
                }
                self.has_heard_close = true;
                let reason = String::from_utf8_lossy(reason).into_owned();
                self.heard.push_back(Heard::Close(code.map(CloseCode::get), reason));
            }
        }
        Ok(())
    }
}

fn heard_line(line: &str) -> Result<Heard, String> {
    let mut message: Value =
        serde_json::from_str(line).map_err(|error| format!("not JSON: {error}: {line:?}"))?;
    let Some(object) = message.as_object_mut() else { return Err(format!("not an object: {line}")) };
    if let Some(push) = object.remove("push") {
        return if object.is_empty() {
            Ok(Heard::Push(push))
        } else {
            Err(format!("a push and more: {line}"))
        };
    }
    let id =
        object.get("id").and_then(Value::as_u64).ok_or_else(|| format!("neither push nor reply: {line}"))?;
    let result = match object.get("error") {
        Some(error) => {
            let code = error["code"].as_u64().ok_or_else(|| format!("an error without a code: {line}"))?;
            Err(code as u32)
        }
        None => Ok(message),
    };
    Ok(Heard::Reply(id as u32, result))
}

fn head_end(received: &[u8]) -> Option<usize> {
    received.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

fn status(head: &[u8]) -> Option<u16> {
    std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok()
}
