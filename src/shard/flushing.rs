//! From outboxes to sends: everything that a connection is owed at the end of a turn leaves in one send.
//! Invariant: at most one send of a connection is under way; the next takes everything that queued up meanwhile.

use super::{Output, Shard};
use crate::conn::Phase;
use crate::conn::outbox::Gather;
use crate::failpoint::Point;
use crate::ids::ConnId;
use crate::limits;
use crate::payload::Payload;
use crate::stats::Work;
use crate::ws::deflate::Deflate;

/// Puts the payloads of a send together. Subscribers of the same channels are mostly owed the same payloads, and then
/// the bytes are put together once for all of them.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    run: Vec<Payload>,
    previous: Vec<Payload>,
    gathered: Option<Payload>,
}

impl Gathering {
    fn finish(&mut self) -> Option<Payload> {
        if self.run.len() < 2 {
            return self.run.pop();
        }
        let is_same = self.run.len() == self.previous.len()
            && self.run.iter().zip(&self.previous).all(|(one, other)| one.same(other));
        if !is_same {
            let bytes: Vec<&[u8]> = self.run.iter().map(Payload::bytes).collect();
            self.gathered = Some(Payload::new(bytes.concat()));
            std::mem::swap(&mut self.run, &mut self.previous);
        }
        self.run.clear();
        self.gathered.clone()
    }

    fn forget(&mut self) {
        self.previous.clear();
        self.gathered = None;
    }

    /// Whatever it was doing.
    pub(super) fn reset(&mut self) {
        self.run.clear();
        self.forget();
    }
}

impl Shard {
    /// Hands out everything that is owed. Letters go by `post`.
    pub fn drain(&mut self, out: &mut impl FnMut(Output)) {
        self.drain_pauses(out);
        self.flush_dirty(out);
        while self.wreckage.panic.is_some() {
            self.mend();
            self.cut_slow();
            self.flush_dirty(out);
        }
        // Of whoever went meanwhile.
        self.drain_pauses(out);
        let mut outputs = std::mem::take(&mut self.outputs);
        for output in outputs.drain(..) {
            out(output);
        }
        self.outputs = outputs;
    }

    fn flush_dirty(&mut self, out: &mut impl FnMut(Output)) {
        while !self.dirty.is_empty() {
            let mut dirty = std::mem::take(&mut self.dirty);
            for slot in dirty.drain(..) {
                let Some(id) = self.conns.id_of(slot) else { continue };
                let mut is_out = false;
                if !self.attempt(Work::Flush, |shard| shard.flush(id, out, &mut is_out)) {
                    self.lose_in_flush(id, is_out);
                }
            }
            // What was lost meanwhile has a goodbye to send.
            if self.dirty.is_empty() && dirty.capacity() <= LIST_KEPT {
                self.dirty = dirty;
            }
        }
        self.gathering.forget();
    }

    /// Without a send under way none will be reported as done.
    fn lose_in_flush(&mut self, id: ConnId, is_out: bool) {
        if !is_out && let Some(conn) = self.conns.get_mut(id) {
            conn.landed(&mut self.nodes);
        }
        self.lose(id);
    }

    fn flush(&mut self, id: ConnId, out: &mut impl FnMut(Output), is_out: &mut bool) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        conn.is_dirty = false;
        if conn.outbox.is_sending() {
            return;
        }
        let (is_stream, deflate) = (conn.is_stream, conn.deflate);
        // Also when a bug of ours has cost the session: then nothing leaves.
        let is_tls = self.settings.tls.is_some() && !is_stream;
        conn.outbox.take_run(&mut self.nodes, &mut self.gathering.run, GATHER);
        self.hit_for(Point::Flush, id);
        if let Deflate::Own(window) = deflate {
            self.takeovers.pack(id, window, &mut self.gathering.run, &mut self.deflater);
        }
        let mut payload = self.gathering.finish();
        if is_tls {
            payload = self.seal(id, payload.as_ref());
        }
        if let Some(payload) = payload {
            self.stats.sends += 1;
            self.stats.bytes_out += u64::from(payload.len());
            *is_out = true;
            if is_stream {
                return self.write_stream(id, &payload);
            }
            out(Output::Send { conn: id, payload });
        } else {
            self.all_said(id);
        }
    }

    pub(super) fn sent(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        conn.landed(&mut self.nodes);
        let has_outgoing = conn.tls.as_ref().is_some_and(|session| session.has_outgoing());
        let is_reading = matches!(conn.phase, Phase::Head(Some(_)));
        if conn.outbox.has_queued() || has_outgoing || matches!(conn.phase, Phase::Lingering { .. }) {
            self.mark_dirty(id);
        }
        if is_reading {
            // A head that came behind a TLS handshake waited for the end of that.
            self.read_head(id, &mut []);
        }
    }
}

const GATHER: Gather =
    Gather { bytes_max: limits::GATHER_BYTES_MAX, copy_bytes_max: limits::GATHER_COPY_BYTES_MAX };

/// Entries of a per-turn list that stay allocated.
const LIST_KEPT: usize = 16 * 1024;
