//! A token bucket: so many a second, with one second's worth of burst.

use crate::time::Moment;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
pub struct Rate {
    per_second: u64,
    /// Billionths of a token, so that slow rates gain something between close calls.
    level: u64,
    filled: Moment,
}

const TOKEN: u64 = 1_000_000_000;

impl Rate {
    pub fn new(per_second: u32, now: Moment) -> Self {
        Self { per_second: u64::from(per_second), level: u64::from(per_second) * TOKEN, filled: now }
    }

    /// Another rate begins with a full bucket.
    pub fn set(&mut self, per_second: u32, now: Moment) {
        if self.per_second != u64::from(per_second) {
            *self = Self::new(per_second, now);
        }
    }

    /// Takes a token if there is one.
    pub fn admit(&mut self, now: Moment) -> bool {
        let elapsed = now.since(self.filled).as_nanos().min(u128::from(TOKEN)) as u64;
        self.filled = self.filled.max(now);
        self.level = (self.level + elapsed * self.per_second).min(self.per_second * TOKEN);
        let admitted = self.level >= TOKEN;
        if admitted {
            self.level -= TOKEN;
        }
        admitted
    }
}

/// Rates by name, for names that come and go.
#[derive(Debug, Default)]
pub(super) struct Rates {
    by_name: HashMap<Arc<str>, Rate>,
}

impl Rates {
    pub(super) fn admit(&mut self, name: &Arc<str>, per_second: u32, now: Moment) -> bool {
        if self.by_name.len() >= RATE_COUNT_MAX {
            // A bucket that nobody used for a second is full, and so is a new one.
            self.by_name.retain(|_, rate| now.since(rate.filled) < Duration::from_secs(1));
        }
        let rate = self.by_name.entry(Arc::clone(name)).or_insert_with(|| Rate::new(per_second, now));
        rate.set(per_second, now);
        rate.admit(now)
    }
}

/// Rates that are kept before unused ones are looked for.
const RATE_COUNT_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_one_second_passes_and_then_the_rate_holds() {
        let mut rate = Rate::new(10, Moment::ZERO);
        let mut admitted = |millis: u64| rate.admit(Moment::from_millis(millis));
        assert_eq!((0..20).filter(|_| admitted(0)).count(), 10);
        assert_eq!((0..10).filter(|_| admitted(100)).count(), 1);
        assert_eq!((0..100).filter(|_| admitted(60_000)).count(), 10);
    }
}
