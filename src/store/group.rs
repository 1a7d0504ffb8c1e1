//! Orders that are committed together: turned into changes of the database, with the fates to deliver afterwards.
//!
//! Invariant: an order changes everything it has to or nothing; orders of a group see those before them. A channel's
//! card is read once and written once a group.

use super::fault::StoreError;
use super::keys::{self, StreamNumber, Table};
use super::order::{Fate, Idempotency, Keep, Note, Order, Ticket, Version};
use super::record::{self, Card, Key, Refuse, Sheet};
use super::shelf::{Changes, Shelf};
use crate::limits;
use crate::publication::Publication;
use crate::sys::entropy;
use std::collections::HashMap;
use std::sync::Arc;

pub(super) struct Group<'a> {
    pub(super) shelf: &'a Shelf,
    pub(super) now_ms: u64,
    pub(super) tally: Tally,
    cards: HashMap<Arc<str>, Slot>,
    changes: Changes,
    fates: Vec<Pending>,
    notice: fn(&str),
}

/// What a group did, for the figures.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) orders: u64,
    pub(super) loads: u64,
    pub(super) records: u64,
    pub(super) cut: u64,
    pub(super) lost_epochs: u64,
    pub(super) swept: u64,
}

pub(super) struct Pending {
    pub(super) fate: Fate,
    /// True only once the group is on disk.
    pub(super) is_written: bool,
}

struct Slot {
    card: Option<Card>,
    is_dirty: bool,
}

/// A group ready to be committed.
pub(super) struct Sealed {
    pub(super) changes: Changes,
    pub(super) fates: Vec<Pending>,
    pub(super) tally: Tally,
    /// The changes are not all of it.
    pub(super) error: Option<StoreError>,
}

struct Append<'o> {
    channel: &'o Arc<str>,
    epoch: &'o str,
    publication: &'o Publication,
    keep: Keep,
    idempotency: Option<Idempotency>,
    version: Option<Box<Version>>,
}

impl<'a> Group<'a> {
    pub(super) fn new(shelf: &'a Shelf, now_ms: u64, notice: fn(&str)) -> Self {
        Self {
            shelf,
            now_ms,
            tally: Tally::default(),
            cards: HashMap::new(),
            changes: Changes::new(),
            fates: Vec::new(),
            notice,
        }
    }

    /// Whether it holds something of this channel that a load would not see.
    pub(super) fn holds(&self, channel: &str) -> bool {
        self.cards.get(channel).is_some_and(|slot| slot.is_dirty)
    }

    pub(super) fn take(&mut self, order: Order) {
        self.tally.orders += 1;
        match order {
            Order::Load { ticket, channel, limit } => self.load(ticket, &channel, limit),
            Order::Append { ticket, channel, epoch, publication, keep, idempotency, version } => {
                let append = Append {
                    channel: &channel,
                    epoch: &epoch,
                    publication: &publication,
                    keep,
                    idempotency,
                    version,
                };
                let done = self.append(append);
                self.answer(ticket, done);
            }
            Order::Remove { ticket, channel } => {
                let done = self.expire(&channel, u64::MAX);
                self.answer(ticket, done);
            }
            Order::Cursor { ticket, channel, user, offset } => {
                let done = self.cursor(&channel, &user, offset);
                self.answer(ticket, done);
            }
            Order::Note { ticket, note } => {
                let done = self.note(note);
                self.answer(ticket, done);
            }
            // Nobody waits; what fails now, the sweep does.
            Order::Expire { channel, up_to_offset } => drop(self.expire(&channel, up_to_offset)),
        }
    }

    pub(super) fn seal(mut self) -> Sealed {
        let mut error = None;
        for (channel, slot) in self.cards.drain().filter(|(_, slot)| slot.is_dirty) {
            let key = channel.as_bytes().to_vec();
            match slot.card.map(|card| record::seal(&key, &card)).transpose() {
                Ok(sealed) => drop(self.changes.insert((Table::Channels, key), sealed)),
                Err(why) => error = Some(why),
            }
        }
        Sealed { changes: self.changes, fates: self.fates, tally: self.tally, error }
    }

    fn load(&mut self, ticket: Ticket, channel: &Arc<str>, limit: u32) {
        self.tally.loads += 1;
        let before = self.changes.len();
        let state = self.state(channel, limit);
        let is_written = self.changes.len() != before || self.holds(channel);
        self.fates.push(match state {
            Ok(state) => Pending { fate: Fate::Loaded { ticket, state: state.map(Box::new) }, is_written },
            Err(why) => Pending { fate: Fate::Failed { ticket, why }, is_written: false },
        });
    }

    fn note(&mut self, Note { name, value }: Note) -> Result<(), StoreError> {
        let key = [keys::NOTE, &name].concat();
        let sealed = value.map(|value| record::seal(&key, &value)).transpose()?;
        self.changes.insert((Table::House, key), sealed);
        Ok(())
    }

    fn answer(&mut self, ticket: Ticket, done: Result<(), StoreError>) {
        self.fates.push(match done {
            Ok(()) => Pending { fate: Fate::Done { ticket }, is_written: true },
            Err(why) => Pending { fate: Fate::Failed { ticket, why }, is_written: false },
        });
    }

    fn append(&mut self, append: Append<'_>) -> Result<(), StoreError> {
        let Append { channel, epoch, publication, keep, idempotency, version } = append;
        let offset = publication.offset;
        let known = self.card(channel)?;
        let (mut card, old) = match known {
            Some(card)
                if *card.epoch == *epoch && card.era == self.shelf.era() && !card.is_over(self.now_ms) =>
            {
                if offset != card.top + 1 {
                    return Err(StoreError::OutOfOrder { offset, top: card.top });
                }
                (card, None)
            }
            other => (self.begin(epoch, offset), other),
        };
        let stream = StreamNumber(card.stream);
        let first = if card.is_history_over(self.now_ms) { offset } else { card.first };
        let kept = first.max((offset + 1).saturating_sub(u64::from(keep.size)));

        // Whatever can fail comes first, so that a refused order leaves nothing behind.
        let key = stream.at(offset);
        let sheet = (keep.size > 0).then(|| record::seal(&key, &Sheet::of(publication))).transpose()?;
        let until_ms = idempotency.as_ref().map_or(0, |idempotency| idempotency.until_ms);
        let result = idempotency
            .map(|Idempotency { key: text, until_ms }| record::seal(&key, &Key { key: text, until_ms }));
        let result = result.transpose()?;
        self.trim(stream, card.first, kept)?;
        if let Some(old) = old {
            self.refuse(StreamNumber(old.stream), Refuse { up_to: u64::MAX, is_all: true })?;
        }
        if let Some(sheet) = sheet {
            self.put(Table::Publications, key.clone(), sheet);
        }
        if let Some(result) = result {
            self.put(Table::Results, key, result);
        }
        if let Some(version) = version {
            (card.version, card.version_epoch) = (version.version, version.epoch);
        }
        card.results_until_ms = card.results_until_ms.max(until_ms);
        (card.top, card.first) = (offset, kept);
        (card.ttl_ms, card.meta_ttl_ms, card.touched_ms) = (keep.ttl_ms, keep.meta_ttl_ms, self.now_ms);
        self.tally.records += 1;
        self.keep(channel, Some(card));
        Ok(())
    }

    /// A stream before its first publication.
    fn begin(&self, epoch: &str, offset: u64) -> Card {
        Card {
            stream: entropy::seed(),
            epoch: Box::from(epoch),
            era: self.shelf.era(),
            top: offset.saturating_sub(1),
            first: offset,
            version: 0,
            version_epoch: Box::default(),
            ttl_ms: 0,
            meta_ttl_ms: 0,
            touched_ms: self.now_ms,
            cursor_count: 0,
            results_until_ms: 0,
        }
    }

    /// Takes away publications below `kept`.
    fn trim(&mut self, stream: StreamNumber, first: u64, kept: u64) -> Result<(), StoreError> {
        if kept - first > limits::STORE_TRIM_COUNT_MAX {
            return self.refuse(stream, Refuse { up_to: kept - 1, is_all: false });
        }
        for offset in first..kept {
            self.tally.swept += 1;
            self.remove(Table::Publications, stream.at(offset));
        }
        Ok(())
    }

    /// Publications up to here go.
    pub(super) fn expire(&mut self, channel: &Arc<str>, up_to: u64) -> Result<(), StoreError> {
        let Some(mut card) = self.card(channel)? else { return Ok(()) };
        let first = card.first.max(up_to.saturating_add(1)).min(card.top + 1);
        if first > card.first {
            self.trim(StreamNumber(card.stream), card.first, first)?;
            card.first = first;
            self.keep(channel, Some(card));
        }
        Ok(())
    }

    /// The channel was never there.
    pub(super) fn forget(&mut self, channel: &Arc<str>, card: &Card) -> Result<(), StoreError> {
        self.refuse(StreamNumber(card.stream), Refuse { up_to: u64::MAX, is_all: true })?;
        self.keep(channel, None);
        Ok(())
    }

    fn cursor(&mut self, channel: &Arc<str>, user: &str, offset: u64) -> Result<(), StoreError> {
        let (era, now_ms) = (self.shelf.era(), self.now_ms);
        let mut card = self.card(channel)?.filter(|card| card.era == era && !card.is_over(now_ms));
        let card = card.as_mut().ok_or(StoreError::UnknownChannel)?;
        let key = StreamNumber(card.stream).user(user);
        if self.read(Table::Cursors, &key)?.is_none() {
            let count_max = limits::STORE_CURSOR_COUNT_MAX;
            if card.cursor_count >= count_max {
                return Err(StoreError::TooManyCursors { count_max });
            }
            card.cursor_count += 1;
            self.keep(channel, Some(card.clone()));
        }
        let sealed = record::seal(&key, &offset)?;
        self.put(Table::Cursors, key, sealed);
        Ok(())
    }

    /// Remembers what the sweep has to take away of a stream.
    pub(super) fn refuse(&mut self, stream: StreamNumber, refuse: Refuse) -> Result<(), StoreError> {
        let key = stream.key();
        let known = self.read(Table::Refuse, &key)?.and_then(|sealed| record::open::<Refuse>(&key, &sealed));
        let known = known.unwrap_or(Refuse { up_to: 0, is_all: false });
        let both = Refuse { up_to: refuse.up_to.max(known.up_to), is_all: refuse.is_all || known.is_all };
        let sealed = record::seal(&key, &both)?;
        self.put(Table::Refuse, key, sealed);
        Ok(())
    }

    /// Whether orders of this group left refuse of this stream.
    pub(super) fn has_refuse(&self, stream: StreamNumber) -> bool {
        self.changes.contains_key(&(Table::Refuse, stream.key()))
    }

    /// A card that does not validate is none: the owner begins anew, and nothing of the old stream is found again.
    pub(super) fn card(&mut self, channel: &Arc<str>) -> Result<Option<Card>, StoreError> {
        if let Some(slot) = self.cards.get(channel) {
            return Ok(slot.card.clone());
        }
        let key = channel.as_bytes();
        let card = match self.shelf.get(Table::Channels, key) {
            Ok(None) => None,
            Ok(Some(sealed)) => match record::open::<Card>(key, &sealed) {
                None => return Ok(self.lose_card(channel)),
                card => card,
            },
            Err(StoreError::Damaged { .. }) => return Ok(self.lose_card(channel)),
            Err(error) => return Err(error),
        };
        self.cards.insert(Arc::clone(channel), Slot { card: card.clone(), is_dirty: false });
        Ok(card)
    }

    fn lose_card(&mut self, channel: &Arc<str>) -> Option<Card> {
        self.tally.cut += 1;
        self.tally.lost_epochs += 1;
        (self.notice)(&format!("the position of channel {channel:?} is damaged; it begins a new epoch"));
        self.keep(channel, None);
        None
    }

    pub(super) fn keep(&mut self, channel: &Arc<str>, card: Option<Card>) {
        self.cards.insert(Arc::clone(channel), Slot { card, is_dirty: true });
    }

    /// As the orders before left it.
    fn read(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(change) = self.changes.get(&(table, key.to_vec())) {
            return Ok(change.clone());
        }
        Ok(self.shelf.get(table, key)?.map(|value| value.to_vec()))
    }

    pub(super) fn put(&mut self, table: Table, key: Vec<u8>, value: Vec<u8>) {
        self.changes.insert((table, key), Some(value));
    }

    pub(super) fn remove(&mut self, table: Table, key: Vec<u8>) {
        self.changes.insert((table, key), None);
    }

    pub(super) fn notice(&self, text: &str) {
        (self.notice)(text);
    }
}
