//! How near the node is to the end of its memory, and what that means for newcomers and for those with long queues.
//!
//! Invariant: a stage is entered at its threshold and left only some way below, so that it does not flicker. Whoever
//! reads the stage reads one atomic; whichever core measures does so a few times a second, and when what it holds may have
//! used up its share of what was left.
//! Knows nothing of how memory is measured.

use crate::time::Moment;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// Each includes the ones before it. Envoy's overload manager acts at about the same marks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    #[default]
    Calm,
    /// 92 %: no new subscriptions, and kept buffers are given back.
    Tight,
    /// 95 %: no new connections.
    Shut,
    /// 98 %: those who hold the most of it are cut.
    Shedding,
}

impl Stage {
    /// What it means, for the log.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Calm => "everybody is served",
            Self::Tight => "new subscriptions are refused for now",
            Self::Shut => "new subscriptions and connections are refused for now",
            Self::Shedding => "clients that hold the most of it are closed (3008)",
        }
    }

    /// By how many powers of two the queue of a client is shorter than otherwise.
    pub const fn narrowing(self) -> u32 {
        match self {
            Self::Calm | Self::Tight => 0,
            Self::Shut => 1,
            Self::Shedding => 3,
        }
    }

    const ALL: [(Self, u64); 3] =
        [(Self::Tight, TIGHT_PERMILLE), (Self::Shut, SHUT_PERMILLE), (Self::Shedding, SHEDDING_PERMILLE)];

    const fn of(number: u8) -> Self {
        match number {
            0 => Self::Calm,
            1 => Self::Tight,
            2 => Self::Shut,
            _ => Self::Shedding,
        }
    }

    /// Where `used` of `limit` bytes leads from here.
    fn next(self, used: u64, limit: u64) -> Self {
        let permille = u128::from(used) * 1000 / u128::from(limit.max(1));
        let entered = |(stage, from): &(Self, u64)| {
            let from = if self >= *stage { from - RELIEF_PERMILLE } else { *from };
            permille >= u128::from(from)
        };
        Self::ALL.into_iter().rfind(entered).map(|(stage, _)| stage).unwrap_or_default()
    }
}

/// Shared by the cores of a node and the control plane.
#[derive(Debug, Default)]
pub struct Pressure {
    /// Zero: nothing is measured.
    limit: u64,
    /// They all grow at once.
    cores: u64,
    used: AtomicU64,
    stage: AtomicU8,
    /// In nanoseconds of the monotonic clock.
    measured_at: AtomicU64,
}

impl Pressure {
    pub fn new(limit_bytes: u64, cores: usize) -> Self {
        Self { limit: limit_bytes, cores: cores as u64, ..Self::default() }
    }

    pub fn stage(&self) -> Stage {
        Stage::of(self.stage.load(Ordering::Relaxed))
    }

    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// A core that has taken so many bytes more does not wait for its turn to measure: all of them together have then used
    /// up a part of what was left before the first mark, or of the limit.
    pub fn growth(&self) -> u64 {
        if self.limit == 0 {
            return u64::MAX;
        }
        let room = (self.limit / 1000 * TIGHT_PERMILLE).saturating_sub(self.used());
        (room / ROOM_PART).max(self.limit / GROWTH_PART) / self.cores.max(1)
    }

    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// True for one of those who ask, now and then, or for whoever has taken so much more by itself: it is to measure.
    pub fn is_due(&self, now: Moment, grown_bytes: u64) -> bool {
        if grown_bytes >= self.growth() {
            self.measured_at.store(now.as_nanos(), Ordering::Relaxed);
            return true;
        }
        let last = self.measured_at.load(Ordering::Relaxed);
        let interval = INTERVAL.as_nanos() as u64;
        self.limit() > 0
            && now.as_nanos().saturating_sub(last) >= interval
            && (self.measured_at)
                .compare_exchange(last, now.as_nanos(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// When it has to be measured again even if nothing happens; none while all is calm.
    pub fn deadline(&self) -> Option<Moment> {
        let last = self.measured_at.load(Ordering::Relaxed);
        (self.stage() > Stage::Calm).then(|| Moment::from_nanos(last) + INTERVAL)
    }

    /// Some: the stage is another one now.
    pub fn note(&self, used_bytes: u64) -> Option<Stage> {
        self.used.store(used_bytes, Ordering::Relaxed);
        let before = self.stage();
        let now = before.next(used_bytes, self.limit());
        self.stage.store(now as u8, Ordering::Relaxed);
        (now != before).then_some(now)
    }
}

/// Of what is left before the first mark, so much may go unseen.
const ROOM_PART: u64 = 4;
/// Of the limit, when nothing is left before that mark.
const GROWTH_PART: u64 = 64;
const TIGHT_PERMILLE: u64 = 920;
const SHUT_PERMILLE: u64 = 950;
const SHEDDING_PERMILLE: u64 = 980;
/// So far below its mark is a stage left.
const RELIEF_PERMILLE: u64 = 20;
/// Between two measurements: at 1 GB/s of growth a quarter of a GB, which 2 % of a large machine are.
const INTERVAL: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_entered_at_its_mark_and_left_some_way_below() {
        let pressure = Pressure::new(1000, 1);
        for (used, changed, stage) in [
            (919, None, Stage::Calm),
            (920, Some(Stage::Tight), Stage::Tight),
            (905, None, Stage::Tight),
            (899, Some(Stage::Calm), Stage::Calm),
            (985, Some(Stage::Shedding), Stage::Shedding),
            (961, None, Stage::Shedding),
            (959, Some(Stage::Shut), Stage::Shut),
            (931, None, Stage::Shut),
            (100, Some(Stage::Calm), Stage::Calm),
        ] {
            assert_eq!(pressure.note(used), changed, "{used}");
            assert_eq!(pressure.stage(), stage, "{used}");
        }
        assert_eq!(pressure.used(), 100);
    }

    #[test]
    fn one_of_many_measures_and_not_too_often() {
        let at = Moment::from_millis;
        let pressure = Pressure::new(1000, 1);
        assert!(pressure.is_due(at(1_000), 0));
        assert!(!pressure.is_due(at(1_000), 0));
        assert!(!pressure.is_due(at(1_249), 0));
        assert!(pressure.is_due(at(1_250), 0));
        assert!(!Pressure::default().is_due(at(1_000), 0), "without a limit there is nothing to measure");
    }

    #[test]
    fn whoever_grows_fast_is_measured_at_once_and_sooner_the_less_is_left() {
        let at = Moment::from_millis(1_000);
        for (cores, used, growth) in [
            (1, 18_880, 10_000),
            (4, 18_880, 2_500),
            (1, 56_000, 1_000),
            (2, 56_000, 500),
            (1, 99_999, 1_000),
        ] {
            let pressure = Pressure::new(64_000, cores);
            assert!(pressure.is_due(at, 0));
            pressure.note(used);
            assert!(!pressure.is_due(at, growth - 1), "{used} on {cores}");
            assert!(pressure.is_due(at, growth), "{used} on {cores}");
        }
    }

    #[test]
    fn a_node_without_pressure_need_not_wake_for_it() {
        let pressure = Pressure::new(1000, 1);
        assert_eq!(pressure.deadline(), None);
        pressure.is_due(Moment::from_millis(1_000), 0);
        pressure.note(990);
        assert_eq!(pressure.deadline(), Some(Moment::from_millis(1_250)));
    }
}
