//! Where the blocks of a base are: a hash table over its every sixteenth byte.
//! Invariant: a candidate is a guess; whoever uses it compares the bytes. The table is reused from base to base.

use crate::limits::DELTA_SCRATCH_BYTES_KEPT_MAX;

#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// By hash: the first block with it.
    heads: Vec<u32>,
    /// By block: the next one with the same hash.
    chain: Vec<u32>,
    /// What turns a hash into an index of `heads`.
    shift: u32,
}

impl Blocks {
    /// At most 2^32 bytes.
    pub(super) fn index(&mut self, base: &[u8]) {
        let (blocks, _) = base.as_chunks::<BLOCK>();
        let head_count = blocks.len().max(2).next_power_of_two();
        self.shift = u32::BITS - head_count.ilog2();
        self.heads.clear();
        self.heads.resize(head_count, NONE);
        self.chain.clear();
        self.chain.resize(blocks.len(), NONE);
        for (at, block) in blocks.iter().enumerate().rev() {
            let slot = self.slot(Window::over(block));
            self.chain[at] = self.heads[slot];
            self.heads[slot] = at as u32;
        }
    }

    /// Offsets in the base at which a block with this hash begins.
    pub(super) fn candidates(&self, window: Window) -> impl Iterator<Item = usize> {
        let block = |links: &[u32], at: usize| links.get(at).filter(|at| **at != NONE).map(|at| *at as usize);
        let first = block(&self.heads, self.slot(window));
        std::iter::successors(first, move |at| block(&self.chain, *at)).map(|at| at * BLOCK)
    }

    /// One large base does not set the size for ever.
    pub(super) fn trim(&mut self) {
        if (self.heads.capacity() + self.chain.capacity()) * size_of::<u32>() > DELTA_SCRATCH_BYTES_KEPT_MAX {
            *self = Self::default();
        }
    }

    const fn slot(&self, window: Window) -> usize {
        // Fibonacci hashing: the upper bits of the product depend on all of the sum.
        (window.0.wrapping_mul(0x9E37_79B1) >> self.shift) as usize
    }
}

/// The hash of sixteen bytes, which moves along a text byte by byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window(u32);

impl Window {
    pub(super) fn over(block: &[u8; BLOCK]) -> Self {
        Self(block.iter().fold(0, |sum, byte| sum.wrapping_mul(RADIX).wrapping_add(u32::from(*byte))))
    }

    pub(super) const fn moved(self, out: u8, into: u8) -> Self {
        let kept = self.0.wrapping_sub((out as u32).wrapping_mul(TOP));
        Self(kept.wrapping_mul(RADIX).wrapping_add(into as u32))
    }
}

/// The width of a block in bytes: shorter matches save little, and longer ones are found by extension.
pub(super) const BLOCK: usize = 16;
const NONE: u32 = u32::MAX;
const RADIX: u32 = 0x0100_0193;
/// What the first byte of a window counts.
const TOP: u32 = RADIX.wrapping_pow(BLOCK as u32 - 1);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_window_that_moved_is_the_window_over_where_it_is(bytes in prop::collection::vec(any::<u8>(), 17..80)) {
            let over = |at: usize| Window::over(bytes[at..at + BLOCK].try_into().unwrap());
            let mut window = over(0);
            for at in 1..=bytes.len() - BLOCK {
                window = window.moved(bytes[at - 1], bytes[at - 1 + BLOCK]);
                prop_assert_eq!(window, over(at));
            }
        }

        #[test]
        fn every_block_is_among_the_candidates_of_its_hash(base in prop::collection::vec(0..3_u8, 16..200)) {
            let mut blocks = Blocks::default();
            blocks.index(&[7; 1000]);
            blocks.index(&base);
            for (at, block) in base.as_chunks::<BLOCK>().0.iter().enumerate() {
                prop_assert!(blocks.candidates(Window::over(block)).any(|offset| offset == at * BLOCK));
            }
        }
    }

    #[test]
    fn the_table_of_a_large_base_is_given_back() {
        let mut blocks = Blocks::default();
        blocks.index(&vec![0; 64 * 1024]);
        blocks.trim();
        assert!(blocks.chain.capacity() > 0);
        blocks.index(&vec![0; 4 * DELTA_SCRATCH_BYTES_KEPT_MAX]);
        blocks.trim();
        assert_eq!(blocks.chain.capacity(), 0);
    }
}
