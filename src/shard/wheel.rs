//! Deadlines of connections, one per slot, in a hashed wheel.
//!
//! Invariant: a slot stands in the bucket of its tick or nowhere; nothing fires before its time, and at most one tick
//! late. Arming, re-arming and firing cost the same whatever the number of connections; nothing wakes for a bucket whose
//! slots all belong to a later round.

use crate::pages::Pages;
use crate::time::Moment;

/// Resolution: pings of a tick share one wake-up.
const TICK_NANOS: u64 = 64_000_000;
/// 32.8 s a round, so that a ping interval of 25 s is found in its own round.
const BUCKETS: usize = 512;
const NONE: u32 = u32::MAX;
const UNARMED: u64 = u64::MAX;

#[derive(Debug)]
pub struct Wheel {
    /// First slot of each bucket.
    buckets: [u32; BUCKETS],
    /// One bit per bucket that is not empty.
    occupied: [u64; BUCKETS / 64],
    /// A tick before which nothing in the bucket is due.
    earliest: [u64; BUCKETS],
    links: Pages<Link>,
    /// The last tick that has fired.
    tick: u64,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    tick: u64,
    next: u32,
    previous: u32,
}

impl Wheel {
    pub fn new(now: Moment) -> Self {
        Self {
            buckets: [NONE; BUCKETS],
            occupied: [0; BUCKETS / 64],
            earliest: [UNARMED; BUCKETS],
            links: Pages::default(),
            tick: now.as_nanos() / TICK_NANOS,
        }
    }

    /// Arms or re-arms. A deadline in the past fires with the next tick.
    pub fn arm(&mut self, slot: u32, due: Moment) {
        while self.links.len() <= slot as usize {
            self.links.push(Link { tick: UNARMED, next: NONE, previous: NONE });
        }
        let tick = due.as_nanos().div_ceil(TICK_NANOS).max(self.tick + 1);
        if self.link(slot).tick == tick {
            return;
        }
        self.disarm(slot);
        let bucket = bucket(tick);
        let next = self.buckets[bucket];
        *self.link_mut(slot) = Link { tick, next, previous: NONE };
        if next != NONE {
            self.link_mut(next).previous = slot;
        }
        self.buckets[bucket] = slot;
        self.earliest[bucket] = if next == NONE { tick } else { self.earliest[bucket].min(tick) };
        self.occupied[bucket / 64] |= 1 << (bucket % 64);
    }

    pub fn disarm(&mut self, slot: u32) {
        let link = self.link(slot);
        if link.tick == UNARMED {
            return;
        }
        let bucket = bucket(link.tick);
        if link.previous == NONE {
            self.buckets[bucket] = link.next;
            if link.next == NONE {
                self.occupied[bucket / 64] &= !(1 << (bucket % 64));
            }
        } else {
            self.link_mut(link.previous).next = link.next;
        }
        if link.next != NONE {
            self.link_mut(link.next).previous = link.previous;
        }
        self.link_mut(slot).tick = UNARMED;
    }

    /// Moves every slot whose time has come into `fired`.
    pub fn advance(&mut self, now: Moment, fired: &mut Vec<u32>) {
        let target = now.as_nanos() / TICK_NANOS;
        // After a long sleep every bucket is looked at once; its entries carry their full tick.
        let first = (self.tick + 1).max((target + 1).saturating_sub(BUCKETS as u64));
        for tick in first..=target {
            let bucket = bucket(tick);
            if self.earliest[bucket] > target {
                continue;
            }
            self.earliest[bucket] = UNARMED;
            let mut slot = self.buckets[bucket];
            while slot != NONE {
                let link = self.link(slot);
                if link.tick <= target {
                    self.disarm(slot);
                    fired.push(slot);
                } else {
                    self.earliest[bucket] = self.earliest[bucket].min(link.tick);
                }
                slot = link.next;
            }
        }
        self.tick = self.tick.max(target);
    }

    /// When `advance` is worth calling next; perhaps in vain, if what stood there was disarmed.
    pub fn deadline(&self) -> Option<Moment> {
        let first = bucket(self.tick + 1);
        let mut earliest = UNARMED;
        for step in 0..=BUCKETS / 64 {
            let word = (first / 64 + step) % (BUCKETS / 64);
            let mut bits = self.occupied[word];
            if step == 0 {
                bits &= u64::MAX << (first % 64);
            }
            while bits != 0 {
                let bucket = word * 64 + bits.trailing_zeros() as usize;
                let ahead = (bucket + BUCKETS - first) % BUCKETS;
                earliest = earliest.min(self.earliest[bucket]);
                // Due in this round: no bucket behind it can be earlier.
                if earliest <= self.tick + 1 + ahead as u64 {
                    return Some(Moment::from_nanos(earliest * TICK_NANOS));
                }
                bits &= bits - 1;
            }
        }
        (earliest != UNARMED).then(|| Moment::from_nanos(earliest * TICK_NANOS))
    }

    fn link(&self, slot: u32) -> Link {
        self.links.get(slot as usize).copied().unwrap_or(Link { tick: UNARMED, next: NONE, previous: NONE })
    }

    fn link_mut(&mut self, slot: u32) -> &mut Link {
        &mut self.links[slot as usize]
    }
}

const fn bucket(tick: u64) -> usize {
    (tick % BUCKETS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    proptest! {
        #[test]
        fn nothing_fires_early_late_or_twice(
            steps in prop::collection::vec((0..8_u32, 0..80_000_u64, 0..20_000_u64), 1..100)
        ) {
            let mut wheel = Wheel::new(at(0));
            let mut model: BTreeMap<u32, u64> = BTreeMap::new();
            let mut now = 0;
            for (slot, delay, pass) in steps {
                if delay % 7 == 0 {
                    wheel.disarm(slot);
                    model.remove(&slot);
                } else {
                    wheel.arm(slot, at(now + delay));
                    model.insert(slot, now + delay);
                }
                now += pass;
                let mut fired = Vec::new();
                wheel.advance(at(now), &mut fired);
                for slot in fired {
                    let due = model.remove(&slot).expect("fires what is armed, once");
                    prop_assert!(due <= now, "not early");
                }
                prop_assert!(model.values().all(|&due| due + 128 > now), "not late");
                if let Some(deadline) = wheel.deadline() {
                    let earliest = model.values().min().copied();
                    prop_assert!(earliest.is_some_and(|due| deadline <= at(due + 128)), "sleeps not too long");
                    prop_assert!(deadline > at(now.saturating_sub(64)), "makes progress");
                } else {
                    prop_assert!(model.is_empty());
                }
            }
        }
    }

    #[test]
    fn a_slot_of_a_later_round_wakes_nobody_in_this_one() {
        let mut wheel = Wheel::new(at(0));
        for slot in 0..100 {
            wheel.arm(slot, at(3_600_000 + u64::from(slot) * 640));
        }
        assert_eq!(wheel.deadline(), Some(at(3_600_000)));
        wheel.disarm(0);
        wheel.arm(1, at(50_000));
        assert_eq!(wheel.deadline(), Some(at(50_048)));
    }

    #[test]
    fn an_empty_wheel_needs_no_waking() {
        assert_eq!(Wheel::new(at(5)).deadline(), None);
    }
}
