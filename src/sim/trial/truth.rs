//! The naive model: what was published, where it turned out to stand, and what has to follow from that.
//!
//! Invariant: a publication has one place and a place one publication, whoever tells of it: a push, a recovery, a page
//! of history or an answer of the API. Whoever was told less than everything must be able to name the reason.

use crate::time::Moment;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The order of things in a world.
pub type Tick = u64;

#[derive(Debug, Default)]
pub struct Truth {
    written: Vec<Written>,
    places: BTreeMap<usize, Place>,
    by_place: BTreeMap<Place, usize>,
    skips: Vec<Skip>,
    keep: Keep,
    /// Streams outlive the process, so each channel has one.
    is_durable: bool,
    epochs: BTreeMap<usize, String>,
}

/// What channels of this world remember.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keep {
    pub size: u64,
    pub ttl: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub channel: usize,
    pub epoch: String,
    pub offset: u64,
}

#[derive(Debug)]
pub struct Written {
    pub channel: usize,
    pub tag: Option<&'static str>,
    /// The member that published it; none: the API.
    pub by: Option<usize>,
    pub data: Value,
    pub tick: Tick,
    at: Moment,
    pub is_acknowledged: bool,
}

/// A subscriber was not told of these.
#[derive(Debug)]
struct Skip {
    after: Place,
    before: u64,
    reason: Reason,
}

/// Why a subscriber may be told less than everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reason {
    /// It wants publications with this tag alone.
    pub filter: Option<&'static str>,
    /// It does not get what it published itself.
    pub excluded: Option<usize>,
}

impl Reason {
    pub const fn is_none(&self) -> bool {
        self.filter.is_none() && self.excluded.is_none()
    }

    pub fn holds_back(&self, written: &Written) -> bool {
        self.filter.is_some_and(|tag| written.tag != Some(tag))
            || (written.by.is_some() && written.by == self.excluded)
    }
}

impl Truth {
    pub fn new(keep: Keep, is_durable: bool) -> Self {
        Self { keep, is_durable, ..Self::default() }
    }

    pub fn write(
        &mut self,
        channel: usize,
        by: Option<usize>,
        tag: Option<&'static str>,
        pad: usize,
        (tick, at): (Tick, Moment),
    ) -> usize {
        let number = self.written.len();
        // Alike enough for patches, and different enough to tell a wrong one.
        let data = json!({"n": number, "pad": "grüße ".repeat(pad), "end": number * 7919});
        self.written.push(Written { channel, tag, by, data, tick, at, is_acknowledged: false });
        number
    }

    pub fn written(&self, number: usize) -> &Written {
        &self.written[number]
    }

    pub fn acknowledge(&mut self, number: usize) {
        self.written[number].is_acknowledged = true;
    }

    /// Somebody says that `data` stands at `place`.
    pub fn heard(&mut self, place: &Place, data: &Value, tag: Option<&str>) -> usize {
        let number = data["n"].as_u64().map(|number| number as usize);
        let written = number.and_then(|number| self.written.get(number));
        assert!(
            written.is_some_and(|written| written.data == *data && written.tag == tag),
            "nobody has published {data} {tag:?}, heard at {place:?}"
        );
        let number = number.unwrap_or_default();
        self.stands(number, place);
        number
    }

    pub fn stands(&mut self, number: usize, place: &Place) {
        assert_eq!(self.written[number].channel, place.channel, "{number} in a channel that it is not of");
        let known = self.places.entry(number).or_insert_with(|| place.clone());
        assert_eq!(&*known, place, "publication {number} stands in two places");
        self.judge_epoch(place.channel, &place.epoch);
        self.epochs.insert(place.channel, place.epoch.clone());
        let there = *self.by_place.entry(place.clone()).or_insert(number);
        assert_eq!(there, number, "two publications at {place:?}");
    }

    /// The channel has a stream of this epoch. Before anything was published a restart may still give it another.
    pub fn judge_epoch(&mut self, channel: usize, epoch: &str) {
        if let Some(known) = self.epochs.get(&channel) {
            assert!(!self.is_durable || known == epoch, "channel {channel} was {known} and is {epoch}");
        }
    }

    pub fn place(&self, number: usize) -> Option<&Place> {
        self.places.get(&number)
    }

    /// A subscriber that stood at `after` heard nothing of what lies between that and `before`.
    pub fn skip(&mut self, after: &Place, before: u64, reason: Reason) {
        if before > after.offset + 1 {
            assert!(!reason.is_none(), "lost between {after:?} and offset {before}");
            self.skips.push(Skip { after: after.clone(), before, reason });
        }
    }

    /// The server says that it cannot bring what was missed since `since`; its stream stands at `now`.
    pub fn lost(&self, since: &Place, now: &Place, time: Moment) {
        if since.epoch != now.epoch || now.offset < since.offset || now.offset - since.offset > self.keep.size
        {
            return;
        }
        let is_kept = |offset| {
            let place = Place { offset, ..since.clone() };
            let number = self.by_place.get(&place);
            // Published after it was written: it is kept at least as long.
            number.is_some_and(|number| self.written[*number].at + self.keep.ttl > time)
        };
        let is_all_kept = (since.offset + 1..=now.offset).all(is_kept);
        assert!(!is_all_kept, "not recovered from {since:?}, though nothing was lost up to {}", now.offset);
    }

    /// The server says that it has nothing to give of a channel that stands at `top`.
    pub fn judge_empty_cache(&self, top: &Place, time: Moment) {
        let latest = self.by_place.get(top).map(|number| &self.written[*number]);
        let is_kept = latest.is_some_and(|latest| latest.at + self.keep.ttl > time);
        assert!(!is_kept, "the latest publication is kept and was not given: {top:?}");
    }

    /// The stream of a channel at rest: nothing that was told of stands beyond its end.
    pub fn judge_top(&self, channel: usize, epoch: &str, top: u64) {
        let places = self.by_place.keys().filter(|place| place.channel == channel && place.epoch == epoch);
        let last = places.map(|place| place.offset).max().unwrap_or_default();
        assert!(last <= top, "channel {channel} stands at {top}, and {last} was told of");
    }

    /// At the end, when most places are known.
    pub fn judge(&self) {
        for skip in &self.skips {
            for offset in skip.after.offset + 1..skip.before {
                let place = Place { offset, ..skip.after.clone() };
                if let Some(number) = self.by_place.get(&place) {
                    let is_held_back = skip.reason.holds_back(&self.written[*number]);
                    assert!(is_held_back, "{place:?} was kept from a subscriber without a reason: {skip:?}");
                }
            }
        }
    }

    /// What was acknowledged and has no known place.
    pub fn unheard(&self) -> impl Iterator<Item = (usize, &Written)> {
        let written = self.written.iter().enumerate();
        written.filter(|(number, written)| written.is_acknowledged && !self.places.contains_key(number))
    }
}
