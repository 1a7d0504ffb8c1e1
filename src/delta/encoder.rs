//! Finds what a target has in common with its base.
//!
//! First the common beginning and end, at the speed of a comparison: most updates change one place. Only what is left
//! between them is searched for blocks of the base, greedily, from left to right.
//! Invariant: comparisons are paid from a budget in proportion to the lengths, so that no pair of texts is quadratic.

use super::blocks::{BLOCK, Blocks, Window};
use super::patch::{Copy, Cuts, Patch};
use crate::limits::{DELTA_CANDIDATE_COUNT_MAX, DELTA_COMPARED_BYTES_MAX};

/// Keeps its table for the next pair: a core needs one.
#[derive(Debug, Default)]
pub struct Encoder {
    blocks: Blocks,
}

impl Encoder {
    /// Appends a patch that turns `base` into `target`. False: it would not be shorter than the target, and `out` is as
    /// it was.
    #[must_use]
    pub fn encode(&mut self, base: &[u8], target: &[u8], out: &mut Vec<u8>) -> bool {
        self.write(base, target, Cuts::Anywhere, out)
    }

    /// The same for texts: the patch is valid UTF-8. False also if one of the two is not.
    #[must_use]
    pub fn encode_text(&mut self, base: &[u8], target: &[u8], out: &mut Vec<u8>) -> bool {
        let is_text = |bytes| simdutf8::basic::from_utf8(bytes).is_ok();
        is_text(base) && is_text(target) && self.write(base, target, Cuts::Characters, out)
    }

    fn write(&mut self, base: &[u8], target: &[u8], cuts: Cuts, out: &mut Vec<u8>) -> bool {
        let fits = |bytes: &[u8]| u32::try_from(bytes.len()).is_ok();
        // A smaller base has no block: the patch would be the target and some.
        if base.len() <= BLOCK || !fits(base) || !fits(target) {
            return false;
        }
        let start = out.len();
        let mut patch = Patch::begin(target, cuts, out);
        let prefix = common_prefix(base, target);
        patch.copy(Copy { at: 0, from: 0, length: prefix });
        let suffix = common_suffix(base, &target[prefix..]);
        let until = target.len() - suffix;
        if until - prefix >= BLOCK {
            self.search(base, target, prefix..until, &mut patch);
        }
        // A copy of the search may reach into the end.
        let at = until.max(patch.done());
        let length = target.len() - at;
        patch.copy(Copy { at, from: base.len() - length, length });
        patch.end();
        let is_shorter = out.len() - start < target.len();
        if !is_shorter {
            out.truncate(start);
        }
        is_shorter
    }

    /// Copies what it finds of the base in that part of the target.
    fn search(&mut self, base: &[u8], target: &[u8], part: std::ops::Range<usize>, patch: &mut Patch<'_>) {
        self.blocks.index(base);
        let mut budget = DELTA_COMPARED_BYTES_MAX.saturating_mul(base.len() + target.len());
        let mut at = part.start;
        let mut window = None;
        while at < part.end && budget > 0 {
            let Some(block) = target[at..].first_chunk::<BLOCK>() else { break };
            let here = *window.get_or_insert_with(|| Window::over(block));
            let found = self.longest(base, target, (patch.done(), at), here, &mut budget);
            if found.is_some_and(|copy| patch.copy(copy)) {
                at = patch.done().max(at + 1);
                window = None;
            } else {
                window = target.get(at + BLOCK).map(|into| here.moved(target[at], *into));
                at += 1;
            }
        }
        self.blocks.trim();
    }

    /// The longest copy around the block of the target at `at`, over which the window stands; it may begin as early as
    /// `earliest`.
    fn longest(
        &self,
        base: &[u8],
        target: &[u8],
        (earliest, at): (usize, usize),
        window: Window,
        budget: &mut usize,
    ) -> Option<Copy> {
        let mut best: Option<Copy> = None;
        for from in self.blocks.candidates(window).take(DELTA_CANDIDATE_COUNT_MAX) {
            let forward = common_prefix(&base[from..], &target[at..]);
            let is_guess_wrong = forward < BLOCK;
            let back = if is_guess_wrong { 0 } else { common_suffix(&base[..from], &target[earliest..at]) };
            *budget = budget.saturating_sub(BLOCK + forward + back);
            let length = back + forward;
            if !is_guess_wrong && best.is_none_or(|best| length > best.length) {
                best = Some(Copy { at: at - back, from: from - back, length });
            }
            if *budget == 0 || length >= ENOUGH_BYTES {
                break;
            }
        }
        best
    }
}

/// How many bytes two texts begin with alike.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let (strides, others) = (a.as_chunks::<STRIDE>().0, b.as_chunks::<STRIDE>().0);
    let whole = strides.iter().zip(others).take_while(|(a, b)| a == b).count() * STRIDE;
    whole + a[whole..].iter().zip(&b[whole..]).take_while(|(a, b)| a == b).count()
}

/// How many bytes two texts end with alike.
fn common_suffix(a: &[u8], b: &[u8]) -> usize {
    let (strides, others) = (a.as_rchunks::<STRIDE>().1, b.as_rchunks::<STRIDE>().1);
    let whole = strides.iter().rev().zip(others.iter().rev()).take_while(|(a, b)| a == b).count() * STRIDE;
    let (a, b) = (&a[..a.len() - whole], &b[..b.len() - whole]);
    whole + a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count()
}

/// Bytes compared at once: one vector register of the CPUs of today.
const STRIDE: usize = 32;
/// A match of this length is taken without a look for a longer one.
const ENOUGH_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn common_ends_are_as_long_as_a_walk_finds(
            (a, b) in (prop::collection::vec(0..2_u8, 0..150), prop::collection::vec(0..2_u8, 0..9), any::<bool>())
                .prop_map(|(a, tail, front)| {
                    let b = if front { [&tail[..], &a].concat() } else { [&a[..], &tail].concat() };
                    (a, b)
                }),
        ) {
            let prefix = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
            prop_assert_eq!(common_prefix(&a, &b), prefix);
            let suffix = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
            prop_assert_eq!(common_suffix(&a, &b), suffix);
        }
    }
}
