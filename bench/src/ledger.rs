//! The proof of delivery: every message of every publisher reaches every member of its group once and in order.
//!
//! Each pair of receiver and publisher has one counter, the number that must come next. Only a pair that saw a gap
//! costs more: what it skipped is remembered, so that a late arrival counts as reordered and not as a duplicate.
//! Invariant: delivered + lost = what was sent to the receivers, whatever arrived and in whatever order.

use std::collections::HashMap;
use std::ops::Range;

/// Gaps remembered over all pairs; a run with more is broken beyond doubt and only the counts become coarser.
const GAP_COUNT_MAX: usize = 1 << 20;

/// What became of the messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// First arrivals.
    pub delivered: u64,
    /// Arrivals of a message that had arrived before.
    pub duplicated: u64,
    /// First arrivals after a later message of the same publisher.
    pub reordered: u64,
    /// Messages of publishers whom this receiver does not listen to.
    pub stray: u64,
}

#[derive(Debug)]
pub struct Ledger {
    /// Publishers per group; receiver r and the s-th publisher of its group share `next[r * speakers + s]`.
    speakers: u32,
    next: Vec<u32>,
    gaps: HashMap<u32, Vec<Range<u32>>>,
    gap_count: usize,
    proof: Proof,
}

impl Ledger {
    pub fn new(receivers: u32, speakers: u32) -> Self {
        let next = vec![0; receivers as usize * speakers as usize];
        Self { speakers, next, gaps: HashMap::new(), gap_count: 0, proof: Proof::default() }
    }

    /// Books one arrival. True when it is the first of its message: only those count as delivered.
    pub fn arrive(&mut self, receiver: u32, group: u32, publisher: u32, sequence: u32) -> bool {
        let speaker = publisher.wrapping_sub(group * self.speakers);
        if speaker >= self.speakers {
            self.proof.stray += 1;
            return false;
        }
        let pair = receiver * self.speakers + speaker;
        let next = &mut self.next[pair as usize];
        if sequence == *next {
            *next += 1;
        } else if sequence > *next {
            let gap = *next..sequence;
            *next = sequence + 1;
            self.open(pair, gap);
        } else if self.close(pair, sequence) {
            self.proof.reordered += 1;
        } else {
            self.proof.duplicated += 1;
            return false;
        }
        self.proof.delivered += 1;
        true
    }

    pub fn proof(&self) -> Proof {
        self.proof
    }

    fn open(&mut self, pair: u32, gap: Range<u32>) {
        if self.gap_count < GAP_COUNT_MAX {
            self.gap_count += 1;
            self.gaps.entry(pair).or_default().push(gap);
        }
    }

    /// Takes `sequence` out of the gaps of `pair`; false when it is in none.
    fn close(&mut self, pair: u32, sequence: u32) -> bool {
        let Some(gaps) = self.gaps.get_mut(&pair) else { return false };
        let Some(index) = gaps.iter().position(|gap| gap.contains(&sequence)) else { return false };
        let gap = gaps.swap_remove(index);
        let parts = [gap.start..sequence, sequence + 1..gap.end];
        gaps.extend(parts.into_iter().filter(|part| !part.is_empty()));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(sequences: &[u32]) -> Proof {
        let mut ledger = Ledger::new(2, 3);
        for &sequence in sequences {
            ledger.arrive(1, 7, 7 * 3 + 2, sequence);
        }
        ledger.proof()
    }

    #[test]
    fn order_is_delivered_and_nothing_else() {
        assert_eq!(feed(&[0, 1, 2, 3]), Proof { delivered: 4, ..Proof::default() });
    }

    #[test]
    fn a_gap_is_not_delivered() {
        assert_eq!(feed(&[0, 3, 4]), Proof { delivered: 3, ..Proof::default() });
    }

    #[test]
    fn a_late_arrival_is_reordered_and_its_repetition_a_duplicate() {
        assert_eq!(feed(&[0, 4, 2]), Proof { delivered: 3, reordered: 1, ..Proof::default() });
        assert_eq!(
            feed(&[0, 4, 2, 2, 1, 3, 3]),
            Proof { delivered: 5, reordered: 3, duplicated: 2, ..Proof::default() }
        );
    }

    #[test]
    fn a_repetition_is_a_duplicate() {
        assert_eq!(feed(&[0, 1, 1, 0]), Proof { delivered: 2, duplicated: 2, ..Proof::default() });
    }

    #[test]
    fn a_message_of_another_group_is_stray() {
        let mut ledger = Ledger::new(2, 3);
        for publisher in [0, 7 * 3 - 1, 8 * 3, u32::MAX] {
            assert!(!ledger.arrive(1, 7, publisher, 0));
        }
        assert_eq!(ledger.proof(), Proof { stray: 4, ..Proof::default() });
    }

    #[test]
    fn pairs_do_not_disturb_each_other() {
        let mut ledger = Ledger::new(2, 2);
        for (receiver, publisher) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            for sequence in 0..3 {
                assert!(ledger.arrive(receiver, 0, publisher, sequence));
            }
        }
        assert_eq!(ledger.proof(), Proof { delivered: 12, ..Proof::default() });
    }
}
