//! Connections over TLS: what arrives is opened, what leaves is sealed, and everything between is as without it.
//!
//! Invariant: nothing leaves such a connection but records; a peer costs no cryptography before it was admitted. Of the
//! handshake the rest of the shard sees only its deadline.

use super::heard::Sealed;
use super::rate::Rate;
use super::rests::Piece;
use super::{Output, Shard};
use crate::conn::{Conn, Phase};
use crate::ids::ConnId;
use crate::payload::Payload;
use crate::stats::Stats;
use crate::time::Moment;
use crate::tls::{Event, Failure, Opened, Session, Version};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

impl Shard {
    /// Opens records where they lie, and reads on with what is in them.
    pub(super) fn unseal(&mut self, id: ConnId, mut session: Box<Session>, bytes: &mut [u8]) {
        let mut rest = bytes;
        loop {
            let len = rest.len();
            let mut input = &mut *rest;
            let next = session.next(&mut input, &mut self.keys, id);
            let outcome = catch_unwind(AssertUnwindSafe(|| match next {
                Ok(Some(event)) => self.tls_event(id, event),
                Ok(None) => false,
                Err(failure) => {
                    self.tls_failed(id, &failure);
                    false
                }
            }));
            let then = match outcome {
                Ok(then) => then,
                // What a bug of ours leaves to say is said in records, too: the session outlives it.
                Err(panic) => {
                    self.keep_session(id, session, &[]);
                    resume_unwind(panic);
                }
            };
            let left = input.len();
            rest = rest.get_mut(len - left..).unwrap_or_default();
            let is_over = self.conns.get(id).is_none_or(|conn| conn.phase.is_over());
            if !then || is_over {
                break;
            }
            // What one record has brought waits, so the next stays sealed behind it. Before the upgrade nothing waits: a socket
            // that changes planes takes everything along.
            let is_open = self.conns.get(id).is_some_and(Conn::is_open);
            if is_open && !rest.is_empty() && self.is_cut(id) {
                self.put_off(id, Piece::Bytes(std::mem::take(&mut rest).to_vec()));
                break;
            }
        }
        self.keep_session(id, session, rest);
    }

    /// False if nothing that follows matters.
    fn tls_event(&mut self, id: ConnId, event: Event<'_>) -> bool {
        match event {
            Event::Hello => self.admit_tls(id),
            Event::Opened(opened) => {
                self.tls_opened(id, opened);
                true
            }
            Event::Data(plain) => {
                self.charge_bytes(plain.len());
                self.take_plain(id, plain);
                true
            }
            Event::Ended => {
                self.no_more(id);
                false
            }
        }
    }

    /// Puts the session back, or gives it to the new owner of the socket with what was not opened.
    fn keep_session(&mut self, id: ConnId, session: Box<Session>, rest: &[u8]) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if !matches!(conn.phase, Phase::Leaving) {
            if !session.is_amid() && conn.reader.is_idle() {
                // What came last was whole, also if it was none of ours: a key update, a record without data.
                conn.message_due = None;
            } else if session.is_amid() && conn.is_open() && conn.message_due.is_none() {
                // A record is part of a message: it has no longer to arrive.
                conn.message_due = Some(self.now + self.settings.patience.message);
                self.wheel.arm(id.slot, conn.next_due());
            }
            let has_outgoing = session.has_outgoing();
            conn.tls = Some(session);
            if has_outgoing {
                self.mark_dirty(id);
            }
            return;
        }
        self.keys.forget(id);
        for output in &mut self.outputs {
            if let Output::HandOver { conn, received } = output
                && *conn == id
            {
                received.sealed = Some(Box::new(Sealed { session, records: rest.to_vec() }));
                return;
            }
        }
    }

    /// The means to read and write on, for the new owner of the socket. While a record is being opened, `keep_session` has
    /// them instead.
    pub(super) fn give_session(&mut self, id: ConnId) -> Option<Box<Sealed>> {
        let session = self.conns.get_mut(id)?.tls.take()?;
        self.keys.forget(id);
        Some(Box::new(Sealed { session, records: Vec::new() }))
    }

    /// Before the expensive part. Who is too much is closed: saying so would cost what we want to save.
    fn admit_tls(&mut self, id: ConnId) -> bool {
        let is_surplus = self.is_draining || self.conns.get(id).is_none_or(|conn| conn.is_surplus);
        let now = self.now;
        let is_admitted = !is_surplus && self.tls_rate.as_mut().is_none_or(|rate| rate.admit(now));
        if !is_admitted {
            self.stats.tls_refused += 1;
            self.let_go(id);
        }
        is_admitted
    }

    fn tls_opened(&mut self, id: ConnId, opened: Opened) {
        match opened.version {
            Version::Tls12 => self.stats.tls_handshakes_1_2 += 1,
            Version::Tls13 => self.stats.tls_handshakes_1_3 += 1,
        }
        self.stats.tls_resumed += u64::from(opened.is_resumed);
        self.stats.tls_connections += 1;
        if let Some(conn) = self.conns.get_mut(id) {
            conn.is_sealed = true;
        }
        // A drain has set an earlier one.
        if !self.is_draining {
            self.set_due(id, self.now + self.settings.patience.handshake);
        }
    }

    /// The session has said why; that leaves, and then the connection ends.
    fn tls_failed(&mut self, id: ConnId, failure: &Failure) {
        *kind(&mut self.stats, failure) += 1;
        if let Some(conn) = self.conns.get_mut(id) {
            conn.outbox.clear(&mut self.nodes);
        }
        self.break_off(id);
    }

    /// The handshake has taken too long, or the node cannot wait for it.
    pub(super) fn is_greeting(&self, id: ConnId) -> bool {
        self.conns.get(id).and_then(|conn| conn.tls.as_ref()).is_some_and(|session| !session.is_open())
    }

    /// What leaves next: what the session has to say, then `plain` in records, then, if it is the end, the last word.
    pub(super) fn seal(&mut self, id: ConnId, plain: Option<&Payload>) -> Option<Payload> {
        let Self { conns, keys, nodes, .. } = self;
        let conn = conns.get_mut(id)?;
        let Some(session) = conn.tls.as_mut() else {
            conn.outbox.landed(nodes);
            return None;
        };
        let is_last = matches!(conn.phase, Phase::Lingering { .. }) && !conn.outbox.has_queued();
        let mut records = session.take_outgoing();
        let bytes = plain.map_or(&[][..], Payload::bytes);
        let is_sealed = session.seal(bytes, &mut records, keys, id).is_ok();
        if is_last {
            session.close(&mut records, keys, id);
        }
        if !is_sealed {
            // The session has made its last words of it.
            records.extend_from_slice(&session.take_outgoing());
            self.stats.tls_failed_protocol += 1;
            self.break_off(id);
        }
        let conn = self.conns.get_mut(id)?;
        conn.outbox.fly(&mut self.nodes, records.len() as u32);
        (!records.is_empty()).then(|| Payload::new(records))
    }

    pub(super) fn tls_rate(per_second: Option<u32>, now: Moment) -> Option<Rate> {
        per_second.map(|per_second| Rate::new(per_second, now))
    }
}

fn kind<'a>(stats: &'a mut Stats, failure: &Failure) -> &'a mut u64 {
    match failure {
        Failure::PlainHttp | Failure::NotTls => &mut stats.tls_failed_foreign,
        Failure::Incompatible(_) => &mut stats.tls_failed_incompatible,
        Failure::Certificate(_) => &mut stats.tls_failed_certificate,
        Failure::GivenUp(_) => &mut stats.tls_failed_given_up,
        Failure::Renegotiation => &mut stats.tls_failed_renegotiation,
        Failure::TooLong
        | Failure::Handshake(_)
        | Failure::Record(_)
        | Failure::KeyUsedUp
        | Failure::Internal(_) => &mut stats.tls_failed_protocol,
    }
}
