//! What everybody has written down, and what follows from it.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Memory,
    Durable,
}

/// Where a publication lies in the stream of its channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    pub channel: &'static str,
    pub epoch: String,
    pub offset: u64,
}

#[derive(Debug, Default)]
pub struct Book(Mutex<Pages>);

#[derive(Debug, Default)]
pub struct Pages {
    /// Acknowledged: where, what, by whom, and its number there.
    acks: Vec<(Place, u64, usize, u64)>,
    /// By subscriber.
    seen: HashMap<usize, Vec<(Place, u64)>>,
    /// Where each subscriber came in without a past, or was told that its past is lost.
    starts: HashMap<usize, Vec<Place>>,
    /// Of a loss: who, where it stood, where it stands.
    signals: Vec<(usize, Place, Place)>,
    /// From the loss of a connection to all subscriptions.
    pub recoveries: Vec<Duration>,
    /// Answers with error 100, temporary.
    pub refused: u64,
    /// What must never happen.
    pub violations: Vec<String>,
    pub faults: Vec<String>,
    /// Deaths that cost what was in memory.
    pub deaths: usize,
}

/// What a run has shown.
#[derive(Debug)]
pub struct Verdict {
    pub acknowledged: usize,
    pub seen: usize,
    /// Losses of which the subscriber was told.
    pub signalled: usize,
    /// Acknowledged publications that a subscriber has not seen, signalled or not; those from before it came apart.
    pub unseen: usize,
    pub refused: u64,
}

pub fn hash(data: &serde_json::Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    data.to_string().hash(&mut hasher);
    hasher.finish()
}

impl Book {
    pub fn open(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    pub fn acknowledged(&mut self, place: Place, hash: u64, publisher: usize, number: u64) {
        self.acks.push((place, hash, publisher, number));
    }

    pub fn acknowledged_count(&self) -> usize {
        self.acks.len()
    }

    pub fn started(&mut self, subscriber: usize, place: Place) {
        self.starts.entry(subscriber).or_default().push(place);
    }

    pub fn saw(&mut self, subscriber: usize, place: Place, hash: u64) {
        self.seen.entry(subscriber).or_default().push((place, hash));
    }

    pub fn signalled(&mut self, subscriber: usize, from: Place, to: Place) {
        self.signals.push((subscriber, from, to.clone()));
        self.started(subscriber, to);
    }

    pub fn violated(&mut self, what: String) {
        self.violations.push(what);
    }

    /// Compares the books. `history` is what the node says at the end, by channel.
    pub fn judge(&mut self, engine: Engine, history: &[(Place, u64)]) -> Verdict {
        let mut contents: HashMap<Place, u64> = HashMap::new();
        let seen = self.seen.values().flatten();
        let acks = self.acks.iter().map(|(place, hash, ..)| (place, hash));
        let all = seen.map(|(place, hash)| (place, hash)).chain(acks);
        let mut objections: BTreeSet<String> = BTreeSet::new();
        for (place, hash) in all.chain(history.iter().map(|(place, hash)| (place, hash))) {
            if *contents.entry(place.clone()).or_insert(*hash) != *hash {
                objections.insert(format!("two contents at {place:?}"));
            }
        }
        self.judge_history(engine, history, &mut objections);
        self.judge_order(&mut objections);
        self.judge_signals(engine, &mut objections);
        let unseen = self.unseen(&mut objections);
        self.violations.extend(objections);
        Verdict {
            acknowledged: self.acks.len(),
            seen: self.seen.values().map(Vec::len).sum(),
            signalled: self.signals.len(),
            unseen,
            refused: self.refused,
        }
    }

    /// What was acknowledged is there: with durable history all of it, in memory what belongs to the present epoch.
    fn judge_history(&self, engine: Engine, history: &[(Place, u64)], objections: &mut BTreeSet<String>) {
        let there: HashSet<&Place> = history.iter().map(|(place, _)| place).collect();
        let epochs: HashSet<(&str, &str)> =
            history.iter().map(|(place, _)| (place.channel, place.epoch.as_str())).collect();
        for (place, ..) in &self.acks {
            let is_owed = engine == Engine::Durable || epochs.contains(&(place.channel, &place.epoch));
            if is_owed && !there.contains(place) {
                objections.insert(format!("acknowledged and lost: {place:?}"));
            }
        }
    }

    /// What one publisher sends in sequence keeps its order.
    fn judge_order(&self, objections: &mut BTreeSet<String>) {
        let mut last: HashMap<(usize, &str, &str), (u64, u64)> = HashMap::new();
        for (place, _, publisher, number) in &self.acks {
            let key = (*publisher, place.channel, place.epoch.as_str());
            if let Some((offset, before)) = last.insert(key, (place.offset, *number))
                && (place.offset <= offset || *number <= before)
            {
                objections.insert(format!("publisher {publisher}: {number} at {place:?} behind {before}"));
            }
        }
    }

    /// A signal needs a reason: the history is long enough for everything, so only a death is one.
    fn judge_signals(&self, engine: Engine, objections: &mut BTreeSet<String>) {
        for (subscriber, from, to) in &self.signals {
            if engine == Engine::Durable || from.epoch == to.epoch {
                objections
                    .insert(format!("subscriber {subscriber} has lost {from:?} to {to:?} without need"));
            }
        }
        let places = self.acks.iter().map(|(place, ..)| (place.channel, place.epoch.as_str()));
        let mut epochs: HashMap<&str, HashSet<&str>> = HashMap::new();
        for (channel, epoch) in places {
            epochs.entry(channel).or_default().insert(epoch);
        }
        for (channel, epochs) in epochs {
            let deaths = if engine == Engine::Durable { 0 } else { self.deaths };
            if epochs.len() > deaths + 1 {
                objections.insert(format!("{channel} has had {} epochs in {deaths} deaths", epochs.len()));
            }
        }
    }

    /// Acknowledged publications behind a start of a subscriber that it has not seen. Without a signal from that epoch
    /// that is a hole.
    fn unseen(&self, objections: &mut BTreeSet<String>) -> usize {
        let mut count = 0;
        for (subscriber, starts) in &self.starts {
            let seen: HashSet<&Place> =
                self.seen.get(subscriber).into_iter().flatten().map(|(place, _)| place).collect();
            for (place, ..) in self.acks.iter().filter(|(place, ..)| !seen.contains(place)) {
                let is_same = |other: &Place| (other.channel, &other.epoch) == (place.channel, &place.epoch);
                let is_behind = starts.iter().any(|start| is_same(start) && start.offset < place.offset);
                if !is_behind {
                    continue;
                }
                count += 1;
                let is_told = self
                    .signals
                    .iter()
                    .any(|(who, from, _)| who == subscriber && is_same(from) && from.offset < place.offset);
                if !is_told {
                    objections.insert(format!("a hole without a signal: subscriber {subscriber}, {place:?}"));
                }
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(epoch: &str, offset: u64) -> Place {
        Place { channel: "a", epoch: epoch.to_owned(), offset }
    }

    /// Two acknowledged publications, one subscriber from the start.
    fn pages() -> Pages {
        let mut pages = Pages::default();
        pages.started(0, place("e", 0));
        for offset in [1, 2] {
            pages.acknowledged(place("e", offset), offset, 0, offset);
        }
        pages
    }

    #[track_caller]
    fn objects(mut pages: Pages, engine: Engine, history: &[(Place, u64)], to: &str) {
        pages.judge(engine, history);
        assert!(pages.violations.iter().any(|what| what.contains(to)), "{to}: {:?}", pages.violations);
    }

    #[test]
    fn books_that_agree_are_fine_and_each_disagreement_is_found() {
        let history = [(place("e", 1), 1), (place("e", 2), 2)];
        let mut fine = pages();
        for (place, hash) in &history {
            fine.saw(0, place.clone(), *hash);
        }
        fine.judge(Engine::Durable, &history);
        assert!(fine.violations.is_empty(), "{:?}", fine.violations);

        objects(pages(), Engine::Durable, &history, "a hole without a signal");
        objects(pages(), Engine::Durable, &history[..1], "acknowledged and lost");
        let mut other = pages();
        other.saw(0, place("e", 1), 7);
        objects(other, Engine::Memory, &history, "two contents");
        let mut backwards = pages();
        backwards.acknowledged(place("e", 3), 3, 0, 1);
        objects(backwards, Engine::Memory, &history, "behind");
        let mut needless = pages();
        needless.signalled(0, place("e", 1), place("e", 2));
        objects(needless, Engine::Memory, &history, "without need");
        let mut reborn = pages();
        reborn.acknowledged(place("f", 1), 1, 0, 3);
        objects(reborn, Engine::Memory, &history, "2 epochs in 0 deaths");
    }

    #[test]
    fn a_loss_that_was_told_is_no_hole() {
        let mut pages = pages();
        pages.deaths = 1;
        pages.signalled(0, place("e", 0), place("f", 0));
        let verdict = pages.judge(Engine::Memory, &[]);
        assert_eq!((verdict.unseen, pages.violations.len()), (2, 0), "{:?}", pages.violations);
    }
}
