//! The books of a load: what was sent and what arrived, second by second, and the proof that all of it did.
//!
//! Figures count only between `from` and `until` (warm-up left out): rates by the time of arrival, latencies by the
//! intended send time, so that a late message of the measured part counts and one of the warm-up never does.
//! The proof covers every message from the first. Time comes in as an argument.

use crate::ledger::Ledger;
use crate::plan::{Ending, Loaded, Second};
use crate::record::Durations;
use crate::sampler::process::Turns;
use crate::stamp::Stamp;
use std::collections::BTreeMap;

const SECOND_NS: u64 = 1_000_000_000;

/// When a load sends and when its figures count.
#[expect(clippy::struct_field_names, reason = "the unit belongs to the name")]
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub begin_ns: u64,
    pub from_ns: u64,
    pub until_ns: u64,
}

impl Window {
    fn counts(&self, at_ns: u64) -> bool {
        (self.from_ns..self.until_ns).contains(&at_ns)
    }

    pub fn sends(&self, at_ns: u64) -> bool {
        (self.begin_ns..self.until_ns).contains(&at_ns)
    }
}

#[derive(Debug)]
pub struct Traffic {
    epoch_ns: u64,
    ledger: Ledger,
    pub window: Option<Window>,
    second: Second,
    latency: Durations,
    lateness: Durations,
    counted: u64,
    crowded: u64,
    turns_from: Option<Turns>,
    turns: Option<Turns>,
    /// Since the start of the run, for the progress line.
    pub sent: u64,
    pub received: u64,
    pub unsent: u64,
    pub disconnects: BTreeMap<String, u64>,
    pub error_replies: BTreeMap<String, u64>,
}

impl Traffic {
    pub fn new(epoch_ns: u64, ledger: Ledger) -> Self {
        Self {
            epoch_ns,
            ledger,
            window: None,
            second: Second::default(),
            latency: Durations::new(),
            lateness: Durations::new(),
            counted: 0,
            crowded: 0,
            turns_from: None,
            turns: None,
            sent: 0,
            received: 0,
            unsent: 0,
            disconnects: BTreeMap::new(),
            error_replies: BTreeMap::new(),
        }
    }

    pub fn begin(&mut self, window: Window) {
        self.window = Some(window);
        self.second = Second::default();
        self.latency.clear();
        self.lateness.clear();
        self.counted = 0;
        self.crowded = 0;
        self.turns_from = None;
        self.turns = None;
    }

    pub fn stamp(&self, intended_ns: u64, sequence: u32, publisher: u32) -> Stamp {
        Stamp { intended_ns: intended_ns - self.epoch_ns, sequence, publisher }
    }

    /// A message has been handed to the socket.
    pub fn sent(&mut self, intended_ns: u64, now_ns: u64, bytes: usize) {
        self.sent += 1;
        if self.window.is_some_and(|window| window.counts(intended_ns)) {
            self.second.sent += 1;
            self.second.sent_bytes += bytes as u64;
            self.lateness.record(now_ns.saturating_sub(intended_ns));
        }
    }

    /// A publication has arrived.
    pub fn arrived(&mut self, receiver: u32, group: u32, stamp: Stamp, now_ns: u64, crowded: bool) {
        self.received += 1;
        if !self.ledger.arrive(receiver, group, stamp.publisher, stamp.sequence) {
            return;
        }
        let Some(window) = &self.window else { return };
        let intended_ns = self.epoch_ns + stamp.intended_ns;
        if window.counts(intended_ns) {
            self.latency.record(now_ns.saturating_sub(intended_ns));
        }
        if window.counts(now_ns) {
            self.second.received += 1;
            self.counted += 1;
            self.crowded += u64::from(crowded);
        }
    }

    /// Bytes have been read from a socket.
    pub fn read(&mut self, count: usize, now_ns: u64) {
        if self.window.is_some_and(|window| window.counts(now_ns)) {
            self.second.received_bytes += count as u64;
        }
    }

    /// When the next second, or the part that counts, ends.
    pub fn next_at(&self, now_ns: u64) -> Option<u64> {
        let window = self.window?;
        let second = window.from_ns + u64::from(self.second.index + 1) * SECOND_NS;
        [window.begin_ns, window.from_ns, window.until_ns, second].into_iter().filter(|at| *at > now_ns).min()
    }

    /// Closes the second that `now_ns` has left behind, and notes what the scheduler gave us at both ends of what counts.
    pub fn roll(&mut self, now_ns: u64, turns: impl Fn() -> Turns) -> Option<Second> {
        let window = self.window?;
        if now_ns >= window.from_ns && self.turns_from.is_none() {
            self.turns_from = Some(turns());
        }
        if now_ns >= window.until_ns && self.turns.is_none() {
            self.turns = Some(turns().since(self.turns_from.unwrap_or_default()));
        }
        let end_ns = window.from_ns + u64::from(self.second.index + 1) * SECOND_NS;
        (now_ns >= end_ns).then(|| self.take_second())
    }

    fn take_second(&mut self) -> Second {
        let index = self.second.index + 1;
        let mut second = std::mem::replace(&mut self.second, Second { index, ..Second::default() });
        second.latency = self.latency.to_bytes();
        self.latency.clear();
        second
    }

    pub fn delivered(&self) -> u64 {
        self.ledger.proof().delivered
    }

    /// What has gone wrong since the start of the run.
    pub fn ending(&self) -> Ending {
        Ending {
            disconnects: self.disconnects.clone().into_iter().collect(),
            error_replies: self.error_replies.clone().into_iter().collect(),
        }
    }

    /// Ends the load: its last second and its sum.
    pub fn settle(&mut self, expected: u64) -> (Second, Loaded) {
        let second = self.take_second();
        self.window = None;
        let proof = self.ledger.proof();
        let turns = self.turns.unwrap_or_default();
        let loaded = Loaded {
            expected,
            delivered: proof.delivered,
            duplicated: proof.duplicated,
            reordered: proof.reordered,
            stray: proof.stray,
            unsent: self.unsent,
            lateness: self.lateness.to_bytes(),
            cpu_ns: turns.running_ns,
            waiting_ns: turns.waiting_ns,
            crowded: self.crowded,
            received: self.counted,
        };
        (second, loaded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: u64 = 1_000 * SECOND_NS;

    fn traffic() -> Traffic {
        let mut traffic = Traffic::new(EPOCH, Ledger::new(1, 1));
        let begin_ns = EPOCH + SECOND_NS;
        traffic.begin(Window { begin_ns, from_ns: begin_ns + SECOND_NS, until_ns: begin_ns + 3 * SECOND_NS });
        traffic
    }

    fn exchange(traffic: &mut Traffic, sequence: u32, intended_ns: u64, arrived_ns: u64) {
        let stamp = traffic.stamp(intended_ns, sequence, 0);
        traffic.sent(intended_ns, intended_ns, 10);
        traffic.arrived(0, 0, stamp, arrived_ns, false);
    }

    #[test]
    fn the_warm_up_is_proved_but_not_measured() {
        let mut traffic = traffic();
        let from = EPOCH + 2 * SECOND_NS;
        exchange(&mut traffic, 0, from - 500, from - 400);
        exchange(&mut traffic, 1, from - 300, from + 100);
        exchange(&mut traffic, 2, from, from + 200);
        assert_eq!(traffic.delivered(), 3);
        let second = traffic.roll(from + SECOND_NS, Turns::default).unwrap();
        assert_eq!((second.sent, second.received), (1, 2));
        assert_eq!(Durations::from_bytes(&second.latency).unwrap().count(), 1);
    }

    #[test]
    fn a_message_that_arrives_after_the_end_counts_for_latency_only() {
        let mut traffic = traffic();
        let until = EPOCH + 4 * SECOND_NS;
        traffic.roll(until, Turns::default).unwrap();
        exchange(&mut traffic, 0, until - 10, until + 5);
        let (second, loaded) = traffic.settle(1);
        assert_eq!((second.sent, second.received), (1, 0));
        assert_eq!(Durations::from_bytes(&second.latency).unwrap().count(), 1);
        assert_eq!((loaded.expected, loaded.delivered), (1, 1));
    }

    #[test]
    fn a_duplicate_has_no_latency() {
        let mut traffic = traffic();
        let from = EPOCH + 2 * SECOND_NS;
        exchange(&mut traffic, 0, from, from + 1);
        exchange(&mut traffic, 0, from, from + 2);
        let (second, loaded) = traffic.settle(2);
        assert_eq!(second.received, 1);
        assert_eq!(loaded.duplicated, 1);
    }
}
