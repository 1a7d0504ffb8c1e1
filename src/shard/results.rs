//! Results of publications with an idempotency key, so that a repetition is answered with the result of the first.
//! Invariant: at most `RESULT_COUNT_MAX` of each kind are kept, the oldest go first; none outlives its kind. Lives on the owner of the channel.

use crate::hub::Place;
use crate::time::Moment;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Results {
    requests: Shelf,
    events: Shelf,
}

/// Channel, and the key that the publisher gave.
type Key = (Box<str>, Box<str>);

/// Results with the same life, so that the oldest is always the first to go.
#[derive(Debug)]
struct Shelf {
    life: Duration,
    by_key: HashMap<Key, (Moment, Option<Place>)>,
    /// In the order of keeping.
    order: VecDeque<(Moment, Box<str>, Box<str>)>,
}

impl Default for Results {
    fn default() -> Self {
        Self { requests: Shelf::new(RESULT_MS_MAX), events: Shelf::new(EVENT_MS_MAX) }
    }
}

impl Results {
    /// None: the key is new. A result is a place, or none in a channel without history.
    #[expect(clippy::option_option, reason = "known or not, and if known, perhaps without a place")]
    pub(super) fn find(&self, channel: &str, key: &str, now: Moment) -> Option<Option<Place>> {
        let shelf = if key.starts_with(EVENT_KEY) { &self.events } else { &self.requests };
        let key = (Box::from(channel), Box::from(key));
        shelf.by_key.get(&key).filter(|(due, _)| *due > now).map(|(_, place)| place.clone())
    }

    pub(super) fn keep(&mut self, channel: &str, key: &str, place: Option<Place>, now: Moment) {
        let shelf = if key.starts_with(EVENT_KEY) { &mut self.events } else { &mut self.requests };
        shelf.keep(channel, key, place, now);
    }
}

impl Shelf {
    fn new(life_ms: u64) -> Self {
        Self { life: Duration::from_millis(life_ms), by_key: HashMap::new(), order: VecDeque::new() }
    }

    fn keep(&mut self, channel: &str, key: &str, place: Option<Place>, now: Moment) {
        while let Some((due, ..)) = self.order.front()
            && (*due <= now || self.order.len() >= RESULT_COUNT_MAX)
            && let Some((_, channel, key)) = self.order.pop_front()
        {
            self.by_key.remove(&(channel, key));
        }
        let due = now + self.life;
        self.by_key.insert((Box::from(channel), Box::from(key)), (due, place));
        self.order.push_back((due, Box::from(channel), Box::from(key)));
    }
}

/// How long a key is remembered, in milliseconds.
pub(super) fn life_ms(key: &str) -> u64 {
    if key.starts_with(EVENT_KEY) { EVENT_MS_MAX } else { RESULT_MS_MAX }
}

/// Keys of events that back ends publish; a repeated event is recognised for longer than a repeated request.
pub const EVENT_KEY: &str = "event:";

/// Centrifugo's life of an idempotency key.
const RESULT_MS_MAX: u64 = 5 * 60 * 1000;
/// An event that is repeated within an hour is dropped.
const EVENT_MS_MAX: u64 = 60 * 60 * 1000;
/// Of one core: some 30 MB at worst.
const RESULT_COUNT_MAX: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    #[test]
    fn a_result_is_found_for_five_minutes_by_channel_and_key() {
        let mut results = Results::default();
        results.keep("a", "k", None, at(0));
        assert_eq!(results.find("a", "k", at(RESULT_MS_MAX - 1)), Some(None));
        assert_eq!(results.find("a", "k", at(RESULT_MS_MAX)), None);
        assert_eq!(results.find("b", "k", at(1)), None);
        assert_eq!(results.find("a", "l", at(1)), None);
    }

    #[test]
    fn an_event_is_remembered_for_an_hour() {
        let mut results = Results::default();
        results.keep("a", "event:1", None, at(0));
        assert_eq!(results.find("a", "event:1", at(EVENT_MS_MAX - 1)), Some(None));
    }

    #[test]
    fn what_is_over_leaves_no_trace() {
        let mut results = Results::default();
        for n in 0..10 {
            results.keep("a", &n.to_string(), None, at(0));
        }
        results.keep("a", "late", None, at(RESULT_MS_MAX));
        assert_eq!(results.requests.by_key.len(), 1);
        assert_eq!(results.requests.order.len(), 1);
    }
}
