//! What the readers of one shard share: buffers for messages that arrive in pieces, or compressed, go round instead of
//! being allocated anew, and one decompressor serves all.
//! Invariant: what lies here is clear, and both the count and the size of what is kept are bounded.

use super::deflate::Inflater;
use super::partial::Partial;
use crate::limits::{ASSEMBLY_BYTES_KEPT_MAX, ASSEMBLY_COUNT_KEPT_MAX};

#[derive(Debug, Default)]
pub struct Pool {
    #[expect(clippy::vec_box, reason = "the boxes themselves are lent out: a reader is one pointer")]
    free: Vec<Box<Partial>>,
    pub inflater: Inflater,
}

impl Pool {
    pub const fn new() -> Self {
        Self { free: Vec::new(), inflater: Inflater::new() }
    }

    /// Gives back what is kept for the next time.
    pub fn shrink(&mut self) {
        self.free = Vec::new();
        self.inflater.shrink();
    }

    pub(super) fn take(&mut self) -> Box<Partial> {
        self.free.pop().unwrap_or_else(|| Box::new(Partial::new()))
    }

    pub(super) fn put(&mut self, mut partial: Box<Partial>) {
        // One huge message must not become the permanent size of a buffer.
        let small = partial.data.capacity() <= ASSEMBLY_BYTES_KEPT_MAX;
        if small && self.free.len() < ASSEMBLY_COUNT_KEPT_MAX {
            partial.clear();
            self.free.push(partial);
        }
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.free.len()
    }
}
