//! A token bucket: so many a second, with one second's worth of burst.

use crate::time::Moment;

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

    /// Takes a token if there is one.
    pub fn admit(&mut self, now: Moment) -> bool {
        let elapsed = now.since(self.filled).as_nanos().min(u128::from(TOKEN)) as u64;
        self.filled = now;
        self.level = (self.level + elapsed * self.per_second).min(self.per_second * TOKEN);
        let admitted = self.level >= TOKEN;
        if admitted {
            self.level -= TOKEN;
        }
        admitted
    }
}

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
