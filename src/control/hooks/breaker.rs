//! Decides whether a back end is worth asking, from how the last requests went.
//!
//! Invariant: opens after so many failures in a row; then nothing is sent for a pause, and at most a few probes after it;
//! all of them must succeed before it closes. Outcomes of requests that began in an earlier phase are ignored.
//! Knows no clock and no request: `now` and outcomes come in.

use crate::time::Moment;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Failures in a row that open it.
    pub failure_count: u32,
    /// From the opening to the first probe.
    pub pause: Duration,
    /// Probes that must succeed; so many are under way at most.
    pub probe_count: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Closed,
    HalfOpen,
    Open,
}

#[derive(Debug)]
pub(super) struct Breaker {
    rules: Rules,
    phase: Phase,
    /// Counts phases.
    generation: u64,
}

#[derive(Debug)]
enum Phase {
    Closed { failures: u32 },
    Open { until: Moment },
    HalfOpen { under_way: u32, succeeded: u32 },
}

/// Leave to send one request; its outcome is owed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pass {
    pub(super) is_probe: bool,
    generation: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Go(Pass),
    Wait(Wait),
}

/// Why not now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// A probe is due after this time.
    Due(Duration),
    /// Enough probes are under way.
    Probes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    Failure,
    /// Nobody waited for the end.
    Abandoned,
}

impl Breaker {
    pub(super) const fn new(rules: Rules) -> Self {
        Self { rules, phase: Phase::Closed { failures: 0 }, generation: 0 }
    }

    pub(super) const fn state(&self) -> State {
        match self.phase {
            Phase::Closed { .. } => State::Closed,
            Phase::HalfOpen { .. } => State::HalfOpen,
            Phase::Open { .. } => State::Open,
        }
    }

    /// Whether `admit` would say no.
    pub(super) fn refuses(&self, now: Moment) -> Option<Wait> {
        match self.phase {
            Phase::Closed { .. } => None,
            Phase::Open { until } => (now < until).then(|| Wait::Due(until.since(now))),
            Phase::HalfOpen { under_way, succeeded } => {
                (under_way + succeeded >= self.rules.probe_count).then_some(Wait::Probes)
            }
        }
    }

    pub(super) fn admit(&mut self, now: Moment) -> Verdict {
        if let Some(wait) = self.refuses(now) {
            return Verdict::Wait(wait);
        }
        if let Phase::Open { .. } = self.phase {
            self.enter(Phase::HalfOpen { under_way: 0, succeeded: 0 });
        }
        let is_probe = match &mut self.phase {
            Phase::HalfOpen { under_way, .. } => {
                *under_way += 1;
                true
            }
            Phase::Closed { .. } | Phase::Open { .. } => false,
        };
        Verdict::Go(Pass { is_probe, generation: self.generation })
    }

    pub(super) fn record(&mut self, now: Moment, pass: &Pass, outcome: Outcome) {
        if pass.generation != self.generation {
            return;
        }
        let open = Phase::Open { until: now + self.rules.pause };
        match (&mut self.phase, outcome) {
            (Phase::Closed { failures }, Outcome::Success) => *failures = 0,
            (Phase::Closed { failures }, Outcome::Failure) => {
                *failures += 1;
                if *failures >= self.rules.failure_count {
                    self.enter(open);
                }
            }
            (Phase::HalfOpen { under_way, succeeded }, Outcome::Success) => {
                *under_way -= 1;
                *succeeded += 1;
                if *succeeded >= self.rules.probe_count {
                    self.enter(Phase::Closed { failures: 0 });
                }
            }
            (Phase::HalfOpen { .. }, Outcome::Failure) => self.enter(open),
            (Phase::HalfOpen { under_way, .. }, Outcome::Abandoned) => *under_way -= 1,
            (Phase::Closed { .. }, Outcome::Abandoned) | (Phase::Open { .. }, _) => {}
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { failure_count: 3, pause: Duration::from_secs(1), probe_count: 2 };

    fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    #[track_caller]
    fn go(breaker: &mut Breaker, ms: u64) -> Pass {
        match breaker.admit(at(ms)) {
            Verdict::Go(pass) => pass,
            Verdict::Wait(wait) => panic!("told to wait {wait:?}"),
        }
    }

    fn fail(breaker: &mut Breaker, ms: u64) {
        let pass = go(breaker, ms);
        breaker.record(at(ms), &pass, Outcome::Failure);
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(RULES);
        for _ in 0..3 {
            fail(&mut breaker, 0);
        }
        assert_eq!(breaker.state(), State::Open);
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
        let mut breaker = Breaker::new(RULES);
        fail(&mut breaker, 0);
        fail(&mut breaker, 0);
        let pass = go(&mut breaker, 0);
        breaker.record(at(0), &pass, Outcome::Success);
        fail(&mut breaker, 0);
        fail(&mut breaker, 0);
        assert_eq!(breaker.state(), State::Closed);
        fail(&mut breaker, 0);
        assert_eq!(breaker.state(), State::Open);
    }

    #[test]
    fn an_open_one_says_when_a_probe_is_due() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(400)), Verdict::Wait(Wait::Due(Duration::from_millis(600))));
        assert_eq!(breaker.state(), State::Open);
        assert!(go(&mut breaker, 1000).is_probe);
        assert_eq!(breaker.state(), State::HalfOpen);
    }

    #[test]
    fn probes_are_few_and_all_must_succeed() {
        let mut breaker = opened();
        let (one, other) = (go(&mut breaker, 1000), go(&mut breaker, 1000));
        assert_eq!(breaker.admit(at(1000)), Verdict::Wait(Wait::Probes));
        breaker.record(at(1001), &one, Outcome::Success);
        assert_eq!(
            breaker.admit(at(1001)),
            Verdict::Wait(Wait::Probes),
            "two successes are enough: no third probe"
        );
        assert_eq!(breaker.state(), State::HalfOpen);
        breaker.record(at(1002), &other, Outcome::Success);
        assert_eq!(breaker.state(), State::Closed);
        assert!(!go(&mut breaker, 1002).is_probe);
    }

    #[test]
    fn a_failed_probe_opens_it_for_another_pause() {
        let mut breaker = opened();
        let (one, other) = (go(&mut breaker, 1000), go(&mut breaker, 1000));
        breaker.record(at(1100), &one, Outcome::Failure);
        assert_eq!(breaker.admit(at(1100)), Verdict::Wait(Wait::Due(RULES.pause)));
        breaker.record(at(1200), &other, Outcome::Success);
        assert_eq!(breaker.state(), State::Open, "a late success of the same round changes nothing");
        assert!(go(&mut breaker, 2100).is_probe);
    }

    #[test]
    fn outcomes_of_an_earlier_phase_are_ignored() {
        let mut breaker = Breaker::new(RULES);
        let slow = go(&mut breaker, 0);
        for _ in 0..3 {
            fail(&mut breaker, 0);
        }
        let probe = go(&mut breaker, 1000);
        breaker.record(at(1000), &slow, Outcome::Failure);
        assert_eq!(breaker.state(), State::HalfOpen);
        breaker.record(at(1000), &probe, Outcome::Abandoned);
        assert!(breaker.refuses(at(1000)).is_none(), "an abandoned probe makes room for another");
    }
}
