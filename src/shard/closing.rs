//! The ways out. RFC 6455 section 7 and the codes of the client protocol.
//!
//! Invariant: a connection that stops being open has left all its channels before anything else happens, and exactly
//! one close is counted for it. Our last words are followed by FIN and a short wait for the peer's, because closing
//! with unread bytes would turn them into a reset.

use super::encoding::Style;
use super::{Heard, Output, Shard};
use crate::conn::session::Session;
use crate::conn::{Conn, Phase};
use crate::http::Refusal;
use crate::ids::ConnId;
use crate::limits::{CLOSE_REASON_BYTES_MAX, LINGER_MS_MAX};
use crate::payload::Payload;
use crate::proto::{Disconnect, Push};
use crate::stats::Work;
use crate::ws::{self, CloseCode};
use std::time::Duration;

impl Shard {
    /// The node or a rule ends the connection: our close frame, then the peer's.
    pub(super) fn disconnect(&mut self, id: ConnId, why: Disconnect) {
        self.close(id, CloseCode::new(why.code()), why.reason());
    }

    /// The same with a code of the application.
    pub(super) fn disconnect_with(&mut self, id: ConnId, code: u16, reason: &str) {
        // A terminal code without a reason would be read as an invitation to come back.
        let reason = if reason.is_empty() { "disconnected" } else { reason };
        self.close(id, CloseCode::new(code), shortened(reason));
    }

    pub(super) fn close(&mut self, id: ConnId, code: Option<CloseCode>, reason: &str) {
        let is_stream = self.conns.get(id).is_some_and(|conn| conn.is_stream);
        if self.leave_open(id, code.map_or(NO_STATUS, CloseCode::get), reason) {
            if is_stream {
                self.say_disconnect(id, code, reason);
                return self.end(id);
            }
            self.say_close(id, code, reason);
            if let Some(conn) = self.conns.get_mut(id) {
                conn.phase = Phase::Closing;
            }
            self.set_due(id, self.now + self.options.close_max);
        }
    }

    /// As `disconnect`, but nothing that the peer says matters any more: what it has begun to say is forgotten at once.
    pub(super) fn cut_off(&mut self, id: ConnId, why: Disconnect) {
        self.part(id, CloseCode::new(why.code()), why.reason(), why.reason());
    }

    /// The peer broke the framing: it hears why, and nothing that it says matters any more (RFC 6455 section 7.1.7).
    pub(super) fn fail(&mut self, id: ConnId, code: CloseCode, reason: &str) {
        self.part(id, Some(code), reason, reason);
    }

    /// The peer's close frame: echoed unless it answers ours (section 5.5.1).
    pub(super) fn peer_closed(&mut self, id: ConnId, code: Option<CloseCode>) {
        self.part(id, code, "connection closed", "");
    }

    /// Says the last word, unless it has been said, and reads on only to lose what comes: `why` is for others, `said` for
    /// the peer.
    fn part(&mut self, id: ConnId, code: Option<CloseCode>, why: &str, said: &str) {
        if self.conns.get(id).is_some_and(|conn| conn.is_stream) {
            // It has no frames, and nothing comes on it: its commands are requests by themselves.
            return self.close(id, code, said);
        }
        if self.leave_open(id, code.map_or(NO_STATUS, CloseCode::get), why) {
            self.say_close(id, code, said);
        }
        self.linger(id);
    }

    /// The head is answered with a status; there will be no second one.
    pub(super) fn refuse(&mut self, id: ConnId, refusal: &Refusal) {
        self.stats.refusals += 1;
        self.queue(id, Payload::new(refusal.response()));
        self.linger(id);
    }

    /// The peer has finished sending. Without a close frame that is 1006, whatever it is waiting for.
    pub(super) fn ended(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if let Phase::Lingering { ended, .. } = &mut conn.phase {
            *ended = true;
            if conn.outbox.is_idle() {
                self.let_go(id);
            }
            return;
        }
        self.leave_lost(id);
        // What came before the end may have been answered in this same turn: that leaves first.
        match self.conns.get_mut(id) {
            Some(conn) if !conn.outbox.is_idle() && !matches!(conn.phase, Phase::Leaving) => {
                conn.phase = Phase::Lingering { fin: false, ended: true };
                self.mark_dirty(id);
                self.set_due(id, self.now + Duration::from_millis(LINGER_MS_MAX));
            }
            Some(_) | None => self.let_go(id),
        }
    }

    /// The network has ended the connection.
    pub(super) fn broken(&mut self, id: ConnId) {
        self.lost(id);
    }

    fn lost(&mut self, id: ConnId) {
        self.leave_lost(id);
        self.let_go(id);
    }

    fn leave_lost(&mut self, id: ConnId) {
        if self.conns.get(id).is_some_and(Conn::is_open) {
            self.stats.broken += 1;
            self.stats.count_close(ABNORMAL);
            self.leave_open(id, ABNORMAL, "connection lost");
        }
    }

    /// What carries the protocol has failed: its last words leave, ours cannot.
    pub(super) fn break_off(&mut self, id: ConnId) {
        self.leave_lost(id);
        self.linger(id);
    }

    /// Nothing is left to send to this connection.
    pub(super) fn all_said(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if let Phase::Lingering { fin, ended } = &mut conn.phase {
            if *ended {
                self.let_go(id);
            } else if !*fin {
                *fin = true;
                self.outputs.push(Output::Shutdown { conn: id });
            }
        }
    }

    /// The driver shall close; the slot lives on until it has.
    pub(super) fn let_go(&mut self, id: ConnId) {
        let is_stream = self.conns.get(id).is_some_and(|conn| conn.is_stream);
        if self.forsake(id) {
            if is_stream {
                return self.close_stream(id);
            }
            self.outputs.push(Output::Close { conn: id });
        }
    }

    /// The control plane takes over: it gets the socket and what was read from it.
    pub(super) fn hand_over(&mut self, id: ConnId, received: Vec<u8>) {
        if self.forsake(id) {
            self.stats.handovers += 1;
            let sealed = self.give_session(id);
            self.outputs.push(Output::HandOver { conn: id, received: Heard { plain: received, sealed } });
        }
    }

    /// Bytes that were read in the turn in which the connection left are its new owner's.
    pub(super) fn add_to_handover(&mut self, id: ConnId, bytes: &[u8]) {
        for output in &mut self.outputs {
            if let Output::HandOver { conn, received } = output
                && *conn == id
            {
                received.extend_from_slice(bytes);
            }
        }
    }

    fn forsake(&mut self, id: ConnId) -> bool {
        let Some(conn) = self.conns.get_mut(id) else {
            return false;
        };
        if matches!(conn.phase, Phase::Leaving) {
            return false;
        }
        conn.phase = Phase::Leaving;
        conn.outbox.clear(&mut self.nodes);
        self.release_reader(id);
        self.takeovers.end(id);
        self.wheel.disarm(id.slot);
        self.forget_rest(id);
        true
    }

    pub(super) fn closed(&mut self, id: ConnId) {
        let mut conn = self.conns.remove(id);
        if let Some(conn) = &mut conn {
            conn.outbox.landed(&mut self.nodes);
        }
        if conn.is_some_and(|conn| conn.is_sealed) {
            self.stats.tls_connections -= 1;
            self.keys.forget(id);
        }
        self.finish_drain();
    }

    /// Clients whose queue overflowed: what is queued is dropped, they are told and can recover. What they had still to say
    /// may be dropped as well, so that nothing that follows on it can be read, least of all by TLS.
    pub(super) fn cut_slow(&mut self) {
        while let Some(slot) = self.slow.pop() {
            let Some(id) = self.conns.id_of(slot) else { continue };
            let Some(conn) = self.conns.get_mut(id) else { continue };
            if conn.is_open() {
                conn.outbox.clear(&mut self.nodes);
                self.stats.slow_disconnects += 1;
                self.attempt_for(Work::Input, id, |shard| {
                    shard.cut_off(id, Disconnect::Slow);
                    // Our last word is behind all that it has not read yet.
                    shard.set_due(id, shard.now + shard.options.close_max);
                });
            } else if matches!(conn.phase, Phase::Closing) {
                self.linger(id);
            }
        }
        // Clients of the JSON codec that were owed something binary.
        while let Some(slot) = self.unfit.pop() {
            if let Some(id) = self.conns.id_of(slot) {
                self.attempt_for(Work::Input, id, |shard| {
                    shard.disconnect(id, Disconnect::InappropriateProtocol);
                });
            }
        }
    }

    /// Leaves every channel and stops reading messages. False if it was not open.
    fn leave_open(&mut self, id: ConnId, code: u16, reason: &str) -> bool {
        if !self.conns.get(id).is_some_and(Conn::is_open) {
            return false;
        }
        // What this input has answered so far comes before the close frame.
        self.uncork();
        self.note_disconnect(id, code, reason);
        self.leave_all(id);
        self.abandon_connect(id);
        self.unindex(id);
        if let Some(conn) = self.conns.get_mut(id) {
            if conn.session().is_some_and(Session::is_connected) {
                self.stats.sessions = self.stats.sessions.saturating_sub(1);
            }
            conn.message_due = None;
        }
        self.release_reader(id);
        true
    }

    fn say_close(&mut self, id: ConnId, code: Option<CloseCode>, reason: &str) {
        self.stats.count_close(code.map_or(NO_STATUS, CloseCode::get));
        let mut frame = Vec::with_capacity(4 + reason.len());
        ws::append_close(&mut frame, code, reason);
        // A close frame is never refused: a full queue is the reason for some of them.
        if let Some(conn) = self.conns.get_mut(id) {
            let _ = conn.outbox.push(&mut self.nodes, Payload::new(frame), u32::MAX);
        }
        self.mark_dirty(id);
    }

    /// Without a close frame the protocol's own push says it.
    fn say_disconnect(&mut self, id: ConnId, code: Option<CloseCode>, reason: &str) {
        let code = code.map_or(NO_STATUS, CloseCode::get);
        self.stats.count_close(code);
        let reconnect = !matches!(code, 3500..=3999 | 4500..=4999);
        let Some(wire) = self.session(id).map(|session| session.wire) else {
            return;
        };
        let push = Push::Disconnect { code: u32::from(code), reason, reconnect };
        let payload = Style { wire, numeric: false }.push(&push, &mut self.text, &mut self.deflater);
        if let Some(conn) = self.conns.get_mut(id) {
            let _ = conn.outbox.push(&mut self.nodes, payload, u32::MAX);
        }
    }

    /// A stream has nothing to shake hands about: what is queued goes out, then it ends.
    fn end(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.phase = Phase::Lingering { fin: true, ended: true };
        }
        self.mark_dirty(id);
        self.set_due(id, self.now + self.options.close_max);
    }

    pub(super) fn linger(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.phase = Phase::Lingering { fin: false, ended: false };
            if let Some(session) = &mut conn.tls {
                session.forget_partial();
            }
        }
        self.mark_dirty(id);
        self.set_due(id, self.now + Duration::from_millis(LINGER_MS_MAX));
    }
}

/// As much of a reason as a close frame carries, cut between characters.
fn shortened(reason: &str) -> &str {
    let end = reason.len().min(CLOSE_REASON_BYTES_MAX);
    let end = (0..=end).rev().find(|&at| reason.is_char_boundary(at)).unwrap_or_default();
    &reason[..end]
}

/// RFC 6455 section 7.4.1: never on the wire, only in our figures.
const NO_STATUS: u16 = 1005;
const ABNORMAL: u16 = 1006;
