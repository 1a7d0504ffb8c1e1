//! From readable sockets to booked deliveries, and the answers that they cause.
//!
//! A read that does not fill the buffer has emptied the socket (edge-triggered epoll reports what comes later), so that
//! a delivery usually costs one system call. The clock is read after each: that is when its messages arrived.

use super::publish::Voice;
use super::traffic::Traffic;
use super::{Engine, broken, now_ns};
use crate::connection::{Connection, Phase};
use crate::frame::Template;
use crate::target::centrifuge::{CONNECT_ID, SUBSCRIBE_ID};
use crate::target::{CONNECT_REPLY, Item, SUBSCRIBE_REPLY};
use ringway::ws::{CloseCode, Event, Opcode, ReadOptions, Role, append_masked_frame};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

/// A generator trusts its server as far as memory goes: whatever it sends in one message is read.
pub(super) const READ: ReadOptions =
    ReadOptions { role: Role::Client, message_bytes_max: 64 << 20, empty_frames_max: 1_000, deflate: false };

impl Engine {
    pub(super) fn receive(&mut self, slot: u32, ended: bool, crowded: bool) {
        let mut buffer = std::mem::take(&mut self.wire.read);
        while let Some(socket) = &self.connections[slot as usize].socket {
            let count = match recv(socket, &mut *buffer, RecvFlags::empty()) {
                Ok((0, _)) => {
                    self.lose(slot, "closed without a close frame");
                    break;
                }
                Ok((count, _)) => count,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => break,
                Err(error) => {
                    self.lose(slot, &broken(error));
                    break;
                }
            };
            let now = now_ns();
            self.traffic.read(count, now);
            let taken = match self.connections[slot as usize].tls {
                Some(_) => self.take_sealed(slot, &buffer[..count], now, crowded),
                None => self.take(slot, &mut buffer[..count], now, crowded),
            };
            if let Err(reason) = taken {
                self.lose(slot, &reason);
                break;
            }
            if count < buffer.len() && !ended {
                break;
            }
        }
        self.wire.read = buffer;
    }

    fn take_sealed(&mut self, slot: u32, records: &[u8], now: u64, crowded: bool) -> Result<(), String> {
        let mut plain = std::mem::take(&mut self.wire.plain);
        let opened = self.connections[slot as usize].open(records, &mut plain);
        let taken = if plain.is_empty() { Ok(()) } else { self.take(slot, &mut plain, now, crowded) };
        plain.clear();
        self.wire.plain = plain;
        taken.and(opened)
    }

    /// Bytes of one read. An error is the reason why the connection is over.
    fn take(&mut self, slot: u32, bytes: &mut [u8], now: u64, crowded: bool) -> Result<(), String> {
        let bytes = match self.connections[slot as usize].phase {
            Phase::Upgrading => self.upgrade(slot, bytes)?,
            Phase::Joining | Phase::Ready | Phase::Leaving => bytes,
            Phase::Idle | Phase::Dialling | Phase::Lost => return Ok(()),
        };
        let result = self.take_frames(slot, bytes, now, crowded);
        self.send(slot);
        let connection = &self.connections[slot as usize];
        if result.is_ok() && connection.phase == Phase::Joining && connection.awaited == 0 {
            self.join(slot);
        }
        result
    }

    fn take_frames(
        &mut self,
        slot: u32,
        mut bytes: &mut [u8],
        now: u64,
        crowded: bool,
    ) -> Result<(), String> {
        let index = self.index(slot);
        let key = self.wire.keys.of(slot);
        let mut reader = std::mem::take(&mut self.connections[slot as usize].reader);
        let answers = self.is_closed_loop();
        let mut history = self.histories.get_mut(&slot);
        let mut hand = Hand {
            voice: Voice::of(&self.plan.shape, slot, index),
            now,
            crowded,
            answers,
            pong: self.wire.target.pong(),
            key,
            connection: &mut self.connections[slot as usize],
            traffic: &mut self.traffic,
            template: &self.wire.template,
            out: &mut self.wire.out,
            ended: None,
        };
        while hand.ended.is_none() {
            match reader.next_after(&mut bytes, &self.read, &mut self.wire.pool, history.as_deref_mut()) {
                Ok(None) => break,
                Ok(Some(Event::Message(_, message))) => {
                    self.wire.target.scan(message, |item| hand.item(item));
                }
                Ok(Some(Event::Ping(payload))) => append_masked_frame(hand.out, Opcode::Pong, payload, key),
                Ok(Some(Event::Pong(_))) => {}
                Ok(Some(Event::Close(code, reason))) => {
                    hand.closed(code, &String::from_utf8_lossy(reason));
                    break;
                }
                Err(violation) => hand.ended = Some(format!("server broke RFC 6455: {violation}")),
            }
        }
        let ended = hand.ended;
        self.connections[slot as usize].reader = reader;
        ended.map_or(Ok(()), Err)
    }
}

/// What handling a message of one connection may touch.
struct Hand<'a> {
    voice: Voice,
    now: u64,
    crowded: bool,
    /// Closed loop: the next message leaves when one's own came back.
    answers: bool,
    /// The answer to a ping.
    pong: (Opcode, &'static [u8]),
    key: [u8; 4],
    connection: &'a mut Connection,
    traffic: &'a mut Traffic,
    template: &'a Template,
    out: &'a mut Vec<u8>,
    /// Why the connection is over.
    ended: Option<String>,
}

impl Hand<'_> {
    /// "an endpoint MUST send a Close frame in response", unless it is the answer to ours; then the server hangs up first
    /// (RFC 6455 5.5.1, 7.1.1).
    fn closed(&mut self, code: Option<CloseCode>, reason: &str) {
        if self.connection.phase == Phase::Leaving {
            return;
        }
        let echo = code.map(|code| code.get().to_be_bytes());
        append_masked_frame(self.out, Opcode::Close, echo.as_ref().map_or(&[], |echo| echo), self.key);
        let code = code.map_or("without a code".into(), |code| code.get().to_string());
        self.ended = Some(format!("{code} {reason}").trim().to_owned());
    }

    fn item(&mut self, item: Item) {
        match item {
            Item::Delivery(stamp) => {
                let Voice { slot, group, .. } = self.voice;
                self.traffic.arrived(slot, group, stamp, self.now, self.crowded);
                if self.answers && self.voice.publisher == Some(stamp.publisher) {
                    self.answer();
                }
            }
            Item::Ping => append_masked_frame(self.out, self.pong.0, self.pong.1, self.key),
            Item::Reply { id } => match id {
                CONNECT_ID => self.connection.awaited &= !CONNECT_REPLY,
                SUBSCRIBE_ID => self.connection.awaited &= !SUBSCRIBE_REPLY,
                _ => {}
            },
            Item::Error { id, code, message } => self.refused(id, code, &message),
            Item::Unsubscribed { code } => {
                *self.traffic.disconnects.entry(format!("unsubscribed {code}")).or_default() += 1;
            }
            Item::Other => {}
            Item::Garbage => self.ended = Some("a message that the protocol does not allow".into()),
        }
    }

    fn answer(&mut self) {
        if self.traffic.window.is_some_and(|window| window.sends(self.now)) {
            self.voice.speak(self.connection, self.template, self.out, self.traffic, [self.now; 2]);
        }
    }

    fn refused(&mut self, id: u32, code: u32, message: &str) {
        let what = match id {
            CONNECT_ID => "connect",
            SUBSCRIBE_ID => "subscribe",
            _ => "publish",
        };
        let reason = format!("{what} {code} {message}");
        if self.connection.phase == Phase::Joining {
            self.ended = Some(reason);
        } else {
            *self.traffic.error_replies.entry(reason).or_default() += 1;
        }
    }
}
