//! What one input is answered, put together, and owing something to a connection.
//!
//! Invariant: what is corked leaves before anything else that its connection is owed; a queue that is full makes its reader
//! slow, and one that is getting full asks for a drain.

use super::Shard;
use crate::conn::Load;
use crate::ids::ConnId;
use crate::limits;
use crate::payload::Payload;
use crate::ws::Opcode;

/// Frames for one connection that the current input has caused: they leave as one payload.
#[derive(Debug, Default)]
pub(super) struct Cork {
    pub(super) conn: Option<ConnId>,
    pub(super) bytes: Vec<u8>,
    /// As far as the last answer that is whole.
    pub(super) whole: usize,
}

impl Cork {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.whole = 0;
    }
}

impl Shard {
    /// Appends a frame to what the current input answers to `id`.
    pub(super) fn answer(&mut self, id: ConnId, opcode: Opcode, payload: &[u8]) {
        self.cork_for(id, payload.len());
        let window = self.conns.get(id).and_then(|conn| conn.deflate.shared());
        self.deflater.append(&mut self.cork.bytes, opcode, payload, window);
        self.corked();
    }

    pub(super) fn corked(&mut self) {
        self.stats.messages_out += 1;
        self.cork.whole = self.cork.bytes.len();
        // Many small commands can ask for large answers: the limit of the queue holds within one input, too.
        if self.cork.bytes.len() >= self.outbox_bytes_max() as usize {
            self.uncork();
        }
    }

    pub(super) fn is_slow(&self, id: ConnId) -> bool {
        self.conns.get(id).is_none_or(|conn| conn.is_slow)
    }

    /// `bytes` more or so are going to be answered to `id`. What a send carries is not exceeded but by one answer alone: a
    /// buffer that grows with what one input may ask for leaves gaps in memory of its own size.
    pub(super) fn cork_for(&mut self, id: ConnId, bytes: usize) {
        let is_full = !self.cork.bytes.is_empty() && self.cork.bytes.len() + bytes > CORK_BYTES_KEPT;
        if self.cork.conn != Some(id) || is_full {
            self.uncork();
            self.cork.conn = Some(id);
        }
    }

    /// Queues what is corked. Needed before anything else is queued that must not overtake it.
    pub(super) fn uncork(&mut self) {
        let Some(id) = self.cork.conn.take() else {
            return;
        };
        self.cork.whole = 0;
        if self.cork.bytes.is_empty() {
            return;
        }
        let payload = if self.cork.bytes.capacity() > CORK_BYTES_KEPT {
            Payload::new(std::mem::take(&mut self.cork.bytes))
        } else {
            let payload = Payload::copy(&self.cork.bytes);
            self.cork.bytes.clear();
            payload
        };
        self.queue(id, payload);
    }

    /// Owes `payload` to `id`, or marks the connection as slow.
    pub(super) fn queue(&mut self, id: ConnId, payload: Payload) {
        let bytes_max = self.outbox_bytes_max();
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let Ok(load) = conn.owe(&mut self.nodes, payload, bytes_max) else {
            return self.slow.push(id.slot);
        };
        self.is_pressed |= load == Load::Heavy;
        self.mark_dirty(id);
    }

    /// What a queue takes now.
    pub(super) fn outbox_bytes_max(&self) -> u32 {
        self.settings.limits.outbox_bytes_max >> self.stage.narrowing()
    }
}

/// A reply buffer that grew beyond this goes with its payload instead of being kept.
const CORK_BYTES_KEPT: usize = 64 * limits::KIB as usize;
