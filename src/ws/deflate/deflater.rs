//! From a message to its compressed form. RFC 7692 section 7.2.1.
//!
//! Invariant: what is handed out can be read behind the given history, or behind anything if there is none, and is
//! shorter than the message. Otherwise the message goes as it is, which every peer must accept (section 6).

use super::{History, Tally, Window};
use crate::limits::{ASSEMBLY_BYTES_KEPT_MAX, DEFLATE_BYTES_MIN};
use crate::ws::{Opcode, writer};
use flate2::{Compress, Compression, FlushCompress};

/// One per core.
#[derive(Debug)]
pub struct Deflater {
    effort: Effort,
    /// By window, made when somebody first needs it: some 300 KiB each.
    engines: [Option<Compress>; Window::COUNT],
    packed: Vec<u8>,
    tally: Tally,
}

/// How much is done to save bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// 1, fast, to 9, small.
    pub level: u8,
    /// Messages below this go as they are.
    pub bytes_min: u32,
}

impl Effort {
    /// Short messages gain next to nothing from more; Centrifugo's default.
    pub const LEVEL: u8 = 1;
}

impl Default for Effort {
    fn default() -> Self {
        Self { level: Self::LEVEL, bytes_min: DEFLATE_BYTES_MIN }
    }
}

impl Deflater {
    pub fn new(effort: Effort) -> Self {
        Self { effort, engines: Default::default(), packed: Vec::new(), tally: Tally::default() }
    }

    pub const fn tally(&self) -> Tally {
        self.tally
    }

    #[cfg(test)]
    pub(super) fn packed_capacity(&self) -> usize {
        self.packed.capacity()
    }

    /// From the next message on.
    pub fn set_effort(&mut self, effort: Effort) {
        if effort.level != self.effort.level {
            self.engines = Default::default();
        }
        self.effort = effort;
    }

    /// Appends a server's frame. With a window the message may be compressed, by itself, and is if that saves something.
    pub fn append(&mut self, out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], window: Option<Window>) {
        let window = window.filter(|_| !opcode.is_control());
        match window.and_then(|window| self.deflate(window, payload, None)) {
            Some(packed) => writer::append_packed_frame(out, opcode, packed),
            None => writer::append_frame(out, opcode, payload),
        }
        self.trim();
    }

    /// Appends frames of ours, in which nothing is compressed yet, for a connection whose messages build on each other.
    /// `history` is what it has been sent compressed, in the order of the wire.
    pub fn repack(&mut self, out: &mut Vec<u8>, frames: &[u8], window: Window, history: &mut History) {
        let mut rest = frames;
        while let Some((opcode, payload, after)) = writer::split_frame(rest) {
            let frame = rest.get(..rest.len() - after.len()).unwrap_or_default();
            rest = after;
            match opcode {
                Opcode::Text | Opcode::Binary => match self.deflate(window, payload, Some(history)) {
                    Some(packed) => writer::append_packed_frame(out, opcode, packed),
                    None => out.extend_from_slice(frame),
                },
                Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => {
                    out.extend_from_slice(frame);
                }
            }
        }
        // Not frames at all: the answer to a head.
        out.extend_from_slice(rest);
        self.trim();
    }

    /// One huge message must not become the permanent size of the buffer.
    fn trim(&mut self) {
        if self.packed.capacity() > ASSEMBLY_BYTES_KEPT_MAX {
            self.packed = Vec::new();
        }
    }

    /// None: it is better sent as it is. The history then stays what it was, as it does for the peer.
    fn deflate(&mut self, window: Window, message: &[u8], history: Option<&mut History>) -> Option<&[u8]> {
        if message.len() < self.effort.bytes_min as usize || message.is_empty() {
            return None;
        }
        let level = Compression::new(u32::from(self.effort.level));
        let place = self.engines.get_mut(window.index())?;
        let engine = place.get_or_insert_with(|| Compress::new_with_window_bits(level, false, window.bits()));
        engine.reset();
        if let Some(history) = history.as_ref()
            && !history.bytes().is_empty()
        {
            engine.set_dictionary(history.bytes()).ok()?;
        }
        self.packed.clear();
        // Fixed codes take nine bits for some bytes.
        self.packed.reserve_exact(message.len() + message.len() / 8 + SLACK_BYTES);
        let result = engine.compress_vec(message, &mut self.packed, FlushCompress::Sync);
        let is_whole =
            engine.total_in() == message.len() as u64 && self.packed.len() < self.packed.capacity();
        if result.is_err() || !is_whole {
            // zlib-rs 0.6 does not forget all output that it still holds when it is reset, and panics later.
            *place = None;
            return None;
        }
        // "Remove 4 octets (that are 0x00 0x00 0xff 0xff) from the tail end."
        let packed = self.packed.strip_suffix(&TAIL).filter(|packed| packed.len() < message.len())?;
        self.tally.add(message.len(), packed.len());
        if let Some(history) = history {
            history.push(message);
        }
        Some(packed)
    }
}

/// For headers of blocks and for codes of lengths.
const SLACK_BYTES: usize = 1024;
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
