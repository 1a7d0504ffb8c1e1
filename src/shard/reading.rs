//! Frames of an open connection. RFC 6455 sections 5 and 6.2, RFC 7692 section 6.2.
//! Invariant: events are handled in order, and none after the one that ended the connection.

use super::Shard;
use super::rests::Piece;
use super::slicing::COMMAND_UNITS;
use crate::conn::session::Stage;
use crate::conn::{Conn, Phase};
use crate::ids::ConnId;
use crate::proto::{Codec, Disconnect};
use crate::ws::{CloseCode, Event, Kind, Opcode, ReadOptions, Reader};
use std::mem;

/// Whether the next event is of interest.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Read,
    Stop,
}

impl Shard {
    pub(super) fn read_frames(&mut self, id: ConnId, mut input: &mut [u8]) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        // Events borrow from the reader while they change everything else of the shard.
        let mut reader = mem::take(&mut conn.reader);
        self.partial_bytes = self.partial_bytes.saturating_sub(reader.held_bytes() as u64);
        let options = ReadOptions { deflate: conn.deflate.is_on(), ..self.read };
        let mut completed = false;
        loop {
            if !input.is_empty() && self.is_cut(id) {
                self.put_off(id, Piece::Plain(input.to_vec()));
                break;
            }
            let len = input.len();
            let mut rest = &mut *input;
            let history = self.takeovers.heard(id);
            let next = reader.next_after(&mut rest, &options, &mut self.pool, history);
            let left = rest.len();
            // Also when nothing has come of it: a message may inflate to far more than was read.
            let work = self.pool.inflater.take_work() as usize;
            self.charge_bytes(len - left + work);
            self.charge(FRAME_UNITS);
            let then = match next {
                Ok(Some(event)) => {
                    completed |= matches!(event, Event::Message(..));
                    let then = self.event(id, event);
                    input = input.get_mut(len - left..).unwrap_or_default();
                    then
                }
                Ok(None) => break,
                Err(violation) => {
                    self.fail(id, violation.code(), &violation.to_string());
                    Then::Stop
                }
            };
            if then == Then::Stop {
                reader.release(&mut self.pool);
                return;
            }
        }
        self.keep_reader(id, reader, completed);
    }

    /// Puts the reader back and lets the deadline of a half-received message run: from now on if it began behind one
    /// that this input has `completed`.
    fn keep_reader(&mut self, id: ConnId, mut reader: Reader, completed: bool) {
        let Some(conn) = self.conns.get_mut(id) else {
            return reader.release(&mut self.pool);
        };
        let is_idle = reader.is_idle();
        self.partial_bytes += reader.held_bytes() as u64;
        conn.reader = reader;
        if is_idle || !conn.is_open() {
            conn.message_due = None;
        } else if completed || conn.message_due.is_none() {
            conn.message_due = Some(self.now + self.settings.patience.message);
            self.wheel.arm(id.slot, conn.next_due());
        }
        self.narrow_input(id);
    }

    /// Of a connection that reads no more messages.
    pub(super) fn release_reader(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        self.partial_bytes = self.partial_bytes.saturating_sub(conn.reader.held_bytes() as u64);
        conn.reader.release(&mut self.pool);
    }

    fn event(&mut self, id: ConnId, event: Event<'_>) -> Then {
        let Some(conn) = self.conns.get(id) else {
            return Then::Stop;
        };
        match (&conn.phase, event) {
            (Phase::Echo | Phase::Client(_) | Phase::Closing, Event::Close(code, _)) => {
                self.peer_closed(id, code);
                return Then::Stop;
            }
            (Phase::Echo, Event::Message(kind, bytes)) => {
                self.stats.messages_in += 1;
                self.answer(id, kind.into(), bytes);
            }
            (Phase::Client(session), Event::Message(kind, bytes)) => {
                self.stats.messages_in += 1;
                match (session.wire.codec, kind) {
                    (Codec::Json, Kind::Text) | (Codec::Protobuf, Kind::Binary) => self.messages(id, bytes),
                    (Codec::Json, Kind::Binary) => {
                        self.speaks(id, "this session speaks JSON in text messages");
                    }
                    (Codec::Protobuf, Kind::Text) => {
                        self.speaks(id, "this session speaks Protobuf in binary messages");
                    }
                }
            }
            (Phase::Echo | Phase::Client(_), Event::Ping(bytes)) => self.answer(id, Opcode::Pong, bytes),
            (Phase::Echo, Event::Pong(_)) => {
                self.pong(id);
            }
            (Phase::Client(session), Event::Pong(_)) => {
                // A protocol ping is answered by the protocol; a native one by its frame.
                if session.native_pings {
                    self.pong(id);
                }
            }
            // Our close frame is out: what the peer had sent before it saw that is not for us any more.
            (Phase::Closing, Event::Message(..) | Event::Ping(_) | Event::Pong(_)) => {}
            (Phase::Head(_) | Phase::Lingering { .. } | Phase::Leaving, _) => return Then::Stop,
        }
        match self.conns.get(id).map(|conn| &conn.phase) {
            // One that does not take its answers gets no more of them: it is about to be cut.
            Some(_) if self.is_slow(id) => Then::Stop,
            Some(Phase::Echo | Phase::Client(_) | Phase::Closing) => Then::Read,
            Some(Phase::Head(_) | Phase::Lingering { .. } | Phase::Leaving) | None => Then::Stop,
        }
    }

    fn speaks(&mut self, id: ConnId, reason: &str) {
        self.close(id, Some(CloseCode::UNSUPPORTED_DATA), reason);
    }

    /// Commands of one message, or of its rest, behind as many as were `served`. Behind a connect command that waits for
    /// somebody they are kept.
    pub(super) fn commands(&mut self, id: ConnId, message: &[u8], served: u32) {
        let Some(codec) = self.session(id).map(|session| session.wire.codec) else {
            return;
        };
        if served == 0
            && let Err(disconnect) = self.pace_bytes(id, message.len())
        {
            return self.disconnect(id, disconnect);
        }
        let mut commands = codec.decode_rest(message, served);
        while let Some((rest, count)) = commands.rest() {
            // One at least is served, however little the slice has left.
            if count > served && self.is_cut(id) {
                return self.put_off(id, Piece::Message { bytes: rest.to_vec(), served: count });
            }
            let Some(command) = commands.next() else { break };
            self.charge(COMMAND_UNITS);
            let is_waiting = self.session(id).is_some_and(|session| session.stage == Stage::Connecting);
            let verdict = match command {
                _ if is_waiting => self.keep_behind(id, rest, count),
                Ok(command) => {
                    self.stats.commands += 1;
                    self.command(id, &command)
                }
                Err(_) => Err(Disconnect::BadRequest),
            };
            if let Err(disconnect) = verdict {
                return self.disconnect(id, disconnect);
            }
            if is_waiting || self.is_slow(id) || !self.conns.get(id).is_some_and(Conn::is_open) {
                return;
            }
        }
    }
}

/// A frame by itself: reading it, and answering one that needs no more than a copy.
const FRAME_UNITS: u32 = 2;
