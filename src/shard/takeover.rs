//! Connections whose compressed messages build on those before: what each side of them has said. RFC 7692 section 7.1.1.
//! Invariant: the histories of all of them together never need more than what the operator allows, because a connection
//! for which they could is told at its handshake that its messages stand by themselves.

use super::Shard;
use crate::http::Agreement;
use crate::ids::ConnId;
use crate::payload::Payload;
use crate::ws::deflate::{Deflate, Deflater, History, Window};
use std::collections::HashMap;

#[derive(Debug, Default)]
pub(super) struct Takeovers {
    takeovers: HashMap<ConnId, Box<Takeover>>,
    /// What all of them will own at most.
    bytes: u64,
}

#[derive(Debug)]
struct Takeover {
    said: Option<History>,
    heard: Option<History>,
    bytes: u32,
}

impl Takeovers {
    pub fn count(&self) -> u64 {
        self.takeovers.len() as u64
    }

    /// Whether there is memory for another one.
    pub fn has_room(&self, agreement: Agreement, bytes_max: u64) -> bool {
        self.bytes + u64::from(bytes_of(agreement)) <= bytes_max
    }

    /// What the connection keeps to from here on.
    pub fn begin(&mut self, id: ConnId, agreement: Agreement) -> Deflate {
        let Some(window) = Window::new(agreement.server_window_bits) else { return Deflate::Off };
        let bytes = bytes_of(agreement);
        if bytes > 0 {
            let said = agreement.server_takeover.then(|| History::new(window));
            let heard = agreement.client_takeover.then(|| History::new(window_of_client(agreement)));
            self.bytes += u64::from(bytes);
            self.takeovers.insert(id, Box::new(Takeover { said, heard, bytes }));
        }
        if agreement.server_takeover { Deflate::Own(window) } else { Deflate::Shared(window) }
    }

    pub fn end(&mut self, id: ConnId) {
        if let Some(takeover) = self.takeovers.remove(&id) {
            self.bytes -= u64::from(takeover.bytes);
        }
    }

    /// What the client has said, if its messages build on that.
    pub fn heard(&mut self, id: ConnId) -> Option<&mut History> {
        if self.takeovers.is_empty() {
            return None;
        }
        self.takeovers.get_mut(&id)?.heard.as_mut()
    }

    /// Compresses what one send carries, in the order of the wire: this is the last moment before it leaves, so that
    /// nothing which is dropped from a queue is missing from the history.
    pub fn pack(&mut self, id: ConnId, window: Window, run: &mut [Payload], deflater: &mut Deflater) {
        let Some(history) = self.takeovers.get_mut(&id).and_then(|takeover| takeover.said.as_mut()) else {
            return;
        };
        for payload in run.iter_mut().filter(|payload| !payload.is_bare()) {
            let mut packed = Vec::with_capacity(payload.bytes().len());
            deflater.repack(&mut packed, payload.bytes(), window, history);
            *payload = Payload::new(packed);
        }
    }
}

impl Shard {
    pub(super) fn count_compression(&mut self) {
        let (out, inward) = (self.deflater.tally(), self.pool.inflater.tally());
        self.stats.takeovers = self.takeovers.count();
        self.stats.deflated_messages = out.messages;
        self.stats.deflated_plain_bytes = out.plain_bytes;
        self.stats.deflated_bytes = out.packed_bytes;
        self.stats.inflated_messages = inward.messages;
        self.stats.inflated_plain_bytes = inward.plain_bytes;
        self.stats.inflated_bytes = inward.packed_bytes;
    }
}

fn bytes_of(agreement: Agreement) -> u32 {
    let said = if agreement.server_takeover { 1 << agreement.server_window_bits } else { 0 };
    let heard = if agreement.client_takeover { window_of_client(agreement).bytes() } else { 0 };
    said + heard
}

/// One with eight bits is read with nine.
fn window_of_client(agreement: Agreement) -> Window {
    Window::new(agreement.client_window_bits).unwrap_or(Window::Bits9)
}
