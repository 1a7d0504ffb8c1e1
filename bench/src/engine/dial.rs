//! Brings connections up in stages: at most so many a second, so many handshakes under way, and again after a failure.
//! Keeps the books only; the sockets are opened by `engine::connect`. Time comes in as an argument.

use crate::plan::Dialled;
use crate::record::Durations;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

/// Pause after the first failure; it doubles with each further one.
const PAUSE_NS: u64 = 50_000_000;
/// How often it doubles.
const DOUBLINGS_MAX: u8 = 6;
/// A handshake that takes longer has failed: long enough for three lost SYNs (1 + 2 + 4 s).
const HANDSHAKE_NS_MAX: u64 = 10_000_000_000;
/// Distance between two looks for handshakes that take too long.
const SWEEP_NS: u64 = 250_000_000;

#[derive(Clone, Copy, Debug)]
struct Attempt {
    started_ns: u64,
    tries: u8,
}

#[derive(Debug)]
pub struct Dialer {
    /// Next slot that has never been dialled, and how many there shall be.
    next: u32,
    until: u32,
    again: BinaryHeap<Reverse<(u64, u32, u8)>>,
    flying: HashMap<u32, Attempt>,
    in_flight_max: usize,
    tries_max: u8,
    spacing_ns: u64,
    next_start_ns: u64,
    next_sweep_ns: u64,
    /// In a storm latency counts from here.
    storm_ns: Option<u64>,
    since_ns: u64,
    connected: u32,
    figures: Dialled,
    latency: Durations,
    reasons: BTreeMap<String, u64>,
    active: bool,
}

impl Dialer {
    pub fn new(connect_rate: u32, in_flight_max: u32, tries_max: u8) -> Self {
        Self {
            next: 0,
            until: 0,
            again: BinaryHeap::new(),
            flying: HashMap::new(),
            in_flight_max: in_flight_max.max(1) as usize,
            tries_max,
            spacing_ns: 1_000_000_000_u64.checked_div(u64::from(connect_rate)).unwrap_or(0),
            next_start_ns: 0,
            next_sweep_ns: 0,
            storm_ns: None,
            since_ns: 0,
            connected: 0,
            figures: Dialled::default(),
            latency: Durations::new(),
            reasons: BTreeMap::new(),
            active: false,
        }
    }

    /// Aims at `count` connections.
    pub fn raise(&mut self, now_ns: u64, count: u32) {
        self.until = self.until.max(count);
        self.begin(now_ns);
    }

    /// All connections are gone and wanted back, counted from `at_ns`.
    /// No rate is kept: a storm has none.
    pub fn storm(&mut self, at_ns: u64) {
        self.spacing_ns = 0;
        self.again.clear();
        self.flying.clear();
        self.next = 0;
        self.connected = 0;
        self.begin(at_ns);
        self.storm_ns = Some(at_ns);
    }

    fn begin(&mut self, now_ns: u64) {
        self.since_ns = now_ns;
        self.next_start_ns = now_ns;
        self.next_sweep_ns = now_ns + SWEEP_NS;
        self.storm_ns = None;
        self.figures = Dialled::default();
        self.latency.clear();
        self.reasons.clear();
        self.active = true;
    }

    /// The next slot to dial at `now_ns`.
    pub fn take(&mut self, now_ns: u64) -> Option<u32> {
        if self.flying.len() >= self.in_flight_max || now_ns < self.next_start_ns {
            return None;
        }
        let due = self.again.peek().is_some_and(|Reverse((at, ..))| *at <= now_ns);
        let (slot, tries) = if due {
            self.again.pop().map(|Reverse((_, slot, tries))| (slot, tries))?
        } else if self.next < self.until {
            self.next += 1;
            (self.next - 1, 0)
        } else {
            return None;
        };
        // From the intended time, so that the rate holds; but a pause is not caught up with.
        self.next_start_ns = (self.next_start_ns + self.spacing_ns).max(now_ns.saturating_sub(SWEEP_NS));
        self.flying.insert(slot, Attempt { started_ns: now_ns, tries: tries + 1 });
        self.figures.attempts += 1;
        Some(slot)
    }

    /// The connection is up.
    pub fn ready(&mut self, slot: u32, now_ns: u64) {
        if let Some(attempt) = self.flying.remove(&slot) {
            self.latency.record(now_ns - self.storm_ns.unwrap_or(attempt.started_ns));
            self.connected += 1;
        }
    }

    /// The attempt failed. False when it was the last one.
    pub fn failed(&mut self, slot: u32, now_ns: u64, reason: &str) -> bool {
        let Some(attempt) = self.flying.remove(&slot) else { return false };
        *self.reasons.entry(reason.to_owned()).or_default() += 1;
        if attempt.tries >= self.tries_max {
            self.figures.given_up += 1;
            return false;
        }
        self.figures.retries += 1;
        let pause_ns = PAUSE_NS << (attempt.tries - 1).min(DOUBLINGS_MAX);
        self.again.push(Reverse((now_ns + pause_ns, slot, attempt.tries)));
        true
    }

    /// Handshakes that take too long.
    pub fn overdue(&mut self, now_ns: u64) -> Vec<u32> {
        if now_ns < self.next_sweep_ns || self.flying.is_empty() {
            return Vec::new();
        }
        self.next_sweep_ns = now_ns + SWEEP_NS;
        let late = |attempt: &Attempt| now_ns.saturating_sub(attempt.started_ns) > HANDSHAKE_NS_MAX;
        self.flying.iter().filter(|(_, attempt)| late(attempt)).map(|(slot, _)| *slot).collect()
    }

    /// When something has to be done even if nothing arrives.
    pub fn next_at(&self) -> Option<u64> {
        if !self.active {
            return None;
        }
        let sweep = (!self.flying.is_empty()).then_some(self.next_sweep_ns);
        if self.flying.len() >= self.in_flight_max {
            return sweep;
        }
        let fresh = (self.next < self.until).then_some(self.next_start_ns);
        let again = self.again.peek().map(|Reverse((at, ..))| (*at).max(self.next_start_ns));
        [sweep, fresh, again].into_iter().flatten().min()
    }

    pub fn connected(&self) -> u32 {
        self.connected
    }

    /// A connection that was up has gone.
    pub fn lost(&mut self) {
        self.connected = self.connected.saturating_sub(1);
    }

    /// The figures, once, when nothing is left to do.
    pub fn finish(&mut self, now_ns: u64) -> Option<Dialled> {
        let busy = self.next < self.until || !self.again.is_empty() || !self.flying.is_empty();
        if !self.active || busy {
            return None;
        }
        self.active = false;
        let mut figures = std::mem::take(&mut self.figures);
        figures.connected = self.connected;
        figures.elapsed_ns = now_ns.saturating_sub(self.since_ns);
        figures.latency = self.latency.to_bytes();
        figures.reasons = std::mem::take(&mut self.reasons).into_iter().collect();
        Some(figures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    /// One more than there are different pauses.
    const TRIES_MAX: u8 = DOUBLINGS_MAX + 3;

    #[test]
    fn handshakes_under_way_are_bounded() {
        let mut dialer = Dialer::new(0, 2, TRIES_MAX);
        dialer.raise(0, 3);
        assert_eq!([dialer.take(0), dialer.take(0), dialer.take(0)], [Some(0), Some(1), None]);
        dialer.ready(0, 5);
        assert_eq!(dialer.take(5), Some(2));
    }

    #[test]
    fn attempts_keep_their_rate() {
        let mut dialer = Dialer::new(10, 100, TRIES_MAX);
        dialer.raise(0, 100);
        let mut started = 0;
        for now in (0..SECOND).step_by(1_000_000) {
            while dialer.take(now).is_some() {
                started += 1;
            }
        }
        assert_eq!(started, 10);
    }

    #[test]
    fn a_failure_is_repeated_after_a_growing_pause_and_then_given_up() {
        let mut dialer = Dialer::new(0, 1, TRIES_MAX);
        dialer.raise(0, 1);
        let mut now = 0;
        for tries in 1..=TRIES_MAX {
            assert_eq!(dialer.take(now), Some(0));
            assert_eq!(dialer.failed(0, now, "refused"), tries < TRIES_MAX);
            if tries < TRIES_MAX {
                let at = dialer.next_at().unwrap();
                assert_eq!(at - now, PAUSE_NS << (tries - 1).min(DOUBLINGS_MAX));
                assert_eq!(dialer.take(at - 1), None);
                now = at;
            }
        }
        let figures = dialer.finish(now).unwrap();
        assert_eq!((figures.connected, figures.given_up), (0, 1));
        assert_eq!(figures.attempts, u64::from(TRIES_MAX));
        assert_eq!(figures.reasons, [("refused".to_owned(), u64::from(TRIES_MAX))]);
        assert!(dialer.finish(now).is_none(), "figures are given once");
    }

    #[test]
    fn a_storm_counts_from_its_beginning() {
        let mut dialer = Dialer::new(0, 1, TRIES_MAX);
        dialer.raise(0, 2);
        for slot in 0..2 {
            dialer.take(0);
            dialer.ready(slot, 1);
        }
        dialer.finish(1).unwrap();
        dialer.storm(SECOND);
        assert_eq!(dialer.take(SECOND), Some(0));
        dialer.ready(0, SECOND + 1_000_000);
        assert_eq!(dialer.take(SECOND + 1_000_000), Some(1));
        dialer.ready(1, SECOND + 3_000_000);
        let figures = dialer.finish(SECOND + 3_000_000).unwrap();
        let latency = Durations::from_bytes(&figures.latency).unwrap();
        assert!(latency.max().unwrap() >= 2_999_000);
        assert_eq!(figures.elapsed_ns, 3_000_000);
    }

    #[test]
    fn a_handshake_without_end_is_overdue() {
        let mut dialer = Dialer::new(0, 1, TRIES_MAX);
        dialer.raise(0, 1);
        dialer.take(0);
        assert!(dialer.overdue(HANDSHAKE_NS_MAX / 2).is_empty());
        assert_eq!(dialer.overdue(HANDSHAKE_NS_MAX + SWEEP_NS), [0]);
    }
}
