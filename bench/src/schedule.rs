//! When each publisher of an engine should send: the open loop.
//!
//! All publishers have the same period and differ in phase, so due times come round and round in phase order and no
//! queue is needed. Intended times are computed from the start, never from the last send: a late sender catches up
//! and its lateness shows in the latency (no coordinated omission).

/// One engine's publishers in phase order.
#[derive(Debug)]
pub struct Schedule {
    begin_ns: u64,
    until_ns: u64,
    period_ns: f64,
    /// Phase and connection slot.
    turns: Vec<(u64, u32)>,
    cursor: usize,
    round: u64,
}

impl Schedule {
    /// `publishers` are (index among all publishers of the run, connection slot), in rising order; `count` is their
    /// number over all engines. Phases spread evenly over the period.
    pub fn new(
        begin_ns: u64,
        until_ns: u64,
        period_ns: f64,
        publishers: impl Iterator<Item = (u32, u32)>,
        count: u32,
    ) -> Self {
        let phase = |index: u32| (period_ns * f64::from(index) / f64::from(count.max(1))) as u64;
        let turns = publishers.map(|(index, slot)| (phase(index), slot)).collect();
        Self { begin_ns, until_ns, period_ns, turns, cursor: 0, round: 0 }
    }

    /// Intended time of the next message; `None` when the schedule is over.
    pub fn next_at(&self) -> Option<u64> {
        let (phase, _) = self.turns.get(self.cursor)?;
        let at = self.begin_ns + phase + (self.round as f64 * self.period_ns) as u64;
        (at < self.until_ns).then_some(at)
    }

    /// Takes the next message that is due at `now_ns`: its slot and its intended time.
    pub fn take(&mut self, now_ns: u64) -> Option<(u32, u64)> {
        let at = self.next_at().filter(|at| *at <= now_ns)?;
        let (_, slot) = *self.turns.get(self.cursor)?;
        self.cursor += 1;
        if self.cursor == self.turns.len() {
            self.cursor = 0;
            self.round += 1;
        }
        Some((slot, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(count: u32, period_ns: f64, until_ns: u64) -> Schedule {
        Schedule::new(1_000, until_ns, period_ns, (0..count).map(|index| (index, index + 100)), count)
    }

    #[test]
    fn phases_spread_evenly_over_the_period() {
        let mut schedule = schedule(4, 400.0, 2_000);
        let taken: Vec<_> = std::iter::from_fn(|| schedule.take(u64::MAX)).collect();
        assert_eq!(&taken[..5], &[(100, 1_000), (101, 1_100), (102, 1_200), (103, 1_300), (100, 1_400)]);
        assert_eq!(taken.len(), 10);
    }

    #[test]
    fn nothing_is_due_early_and_the_past_is_caught_up_with_its_own_times() {
        let mut schedule = schedule(1, 100.0, 10_000);
        assert_eq!(schedule.take(999), None);
        assert_eq!(schedule.take(1_350), Some((100, 1_000)));
        assert_eq!(schedule.take(1_350), Some((100, 1_100)));
        assert_eq!(schedule.take(1_350), Some((100, 1_200)));
        assert_eq!(schedule.take(1_350), Some((100, 1_300)));
        assert_eq!(schedule.take(1_350), None);
        assert_eq!(schedule.next_at(), Some(1_400));
    }

    #[test]
    fn a_fractional_period_does_not_drift() {
        let third = 1e9 / 3.0;
        let mut schedule = schedule(1, third, u64::MAX);
        let last = (0..3_000_001).filter_map(|_| schedule.take(u64::MAX)).last();
        assert_eq!(last, Some((100, 1_000 + 1_000_000_000_000_000)));
    }

    #[test]
    fn an_engine_without_publishers_has_nothing_to_do() {
        assert_eq!(schedule(0, 100.0, 10_000).next_at(), None);
    }
}
