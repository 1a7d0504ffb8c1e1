//! What the disk knows of one channel, and what happens when it knows less than it was told.
//!
//! Invariant: publications are served without a hole, each as it was stored at that offset. If one is missing or does
//! not validate, it and all behind it are cut, and what is left goes on in a new epoch: positions of the old one are
//! void, because clients may have seen what is gone.

use super::fault::StoreError;
use super::group::Group;
use super::keys::{self, StreamNumber, Table};
use super::order::{ChannelState, Remembered, Version};
use super::record::{self, Card, Key, Refuse, Sheet};
use crate::limits;
use crate::publication::Publication;
use crate::sys::entropy;
use std::sync::Arc;

impl Group<'_> {
    /// The newest `limit` publications and everything else.
    pub(super) fn state(
        &mut self,
        channel: &Arc<str>,
        limit: u32,
    ) -> Result<Option<ChannelState>, StoreError> {
        let Some(mut card) = self.card(channel)? else { return Ok(None) };
        if card.is_over(self.now_ms) {
            self.forget(channel, &card)?;
            return Ok(None);
        }
        if card.is_history_over(self.now_ms) && card.first <= card.top {
            self.expire(channel, u64::MAX)?;
            card.first = card.top + 1;
        }
        let publications = self.publications(&card, limit)?;
        let first = card.first.max((card.top + 1).saturating_sub(u64::from(limit)));
        let cut = card.top + 1 - first - publications.len() as u64;
        if cut > 0 || card.era != self.shelf.era() || self.is_stale(&card)? {
            card = self.renew(channel, &card, first, cut, &publications)?;
        }
        let stream = StreamNumber(card.stream);
        let cursors = if card.cursor_count > 0 { self.cursors(stream)? } else { Vec::new() };
        let has_keys = card.results_until_ms > self.now_ms;
        let idempotency = if has_keys { self.keys(stream)? } else { Vec::new() };
        Ok(Some(ChannelState {
            epoch: Arc::from(&*card.epoch),
            top: card.top,
            publications,
            version: Version { version: card.version, epoch: card.version_epoch },
            cursors,
            idempotency,
        }))
    }

    /// Oldest first, up to the first that is missing or does not validate.
    fn publications(&self, card: &Card, limit: u32) -> Result<Vec<Arc<Publication>>, StoreError> {
        let stream = StreamNumber(card.stream);
        let first = card.first.max((card.top + 1).saturating_sub(u64::from(limit)));
        let mut publications = Vec::new();
        if first > card.top {
            return Ok(publications);
        }
        let records = self.shelf.scan(Table::Publications, stream.at(first), stream.at(card.top))?;
        for (expected, record) in (first..).zip(records) {
            let (key, sealed) = match record {
                Ok(record) => record,
                Err(StoreError::Damaged { .. }) => break,
                Err(error) => return Err(error),
            };
            if keys::offset(&key) != Some(expected) {
                break;
            }
            let Some(sheet) = record::open::<Sheet>(&key, &sealed) else { break };
            publications.push(Arc::new(sheet.publication(expected)));
        }
        Ok(publications)
    }

    /// Whether there are publications that the card does not know of: then it is an earlier one, which the database
    /// should not have any more.
    fn is_stale(&self, card: &Card) -> Result<bool, StoreError> {
        let stream = StreamNumber(card.stream);
        let newer =
            self.shelf.scan(Table::Publications, stream.at(card.top + 1), stream.at(u64::MAX))?.next();
        Ok(newer.is_some())
    }

    /// A new epoch with what is left, in a stream of its own: cursors and idempotency keys spoke of the old offsets.
    fn renew(
        &mut self,
        channel: &Arc<str>,
        old: &Card,
        first: u64,
        cut: u64,
        publications: &[Arc<Publication>],
    ) -> Result<Card, StoreError> {
        let stream = StreamNumber(entropy::seed());
        let card = Card {
            stream: stream.0,
            epoch: epoch(),
            era: self.shelf.era(),
            top: old.top - cut,
            first,
            cursor_count: 0,
            results_until_ms: 0,
            ..old.clone()
        };
        for publication in publications {
            let key = stream.at(publication.offset);
            let sealed = record::seal(&key, &Sheet::of(publication))?;
            self.put(Table::Publications, key, sealed);
        }
        self.refuse(StreamNumber(old.stream), Refuse { up_to: u64::MAX, is_all: true })?;
        self.tally.cut += cut;
        self.tally.lost_epochs += 1;
        if cut > 0 {
            self.notice(&format!(
                "channel {channel:?}: {cut} publications from offset {} on are damaged or missing; it goes on in a new epoch",
                card.top + 1
            ));
        }
        self.keep(channel, Some(card.clone()));
        Ok(card)
    }

    fn cursors(&mut self, stream: StreamNumber) -> Result<Vec<(Box<str>, u64)>, StoreError> {
        let mut cursors = Vec::new();
        let mut cut = 0;
        for record in self.shelf.scan(Table::Cursors, stream.key(), stream.behind_users())? {
            let (key, sealed) = match record {
                Ok(record) => record,
                Err(StoreError::Damaged { .. }) => {
                    cut += 1;
                    break;
                }
                Err(error) => return Err(error),
            };
            let Some(user) = key.strip_prefix(&*stream.key()) else { break };
            match (std::str::from_utf8(user), record::open::<u64>(&key, &sealed)) {
                (Ok(user), Some(offset)) => cursors.push((Box::from(user), offset)),
                (Ok(_) | Err(_), _) => cut += 1,
            }
        }
        self.tally.cut += cut;
        Ok(cursors)
    }

    /// The newest ones that still live, by offset.
    fn keys(&mut self, stream: StreamNumber) -> Result<Vec<Remembered>, StoreError> {
        let mut remembered = Vec::new();
        let mut cut = 0;
        let newest = self.shelf.scan(Table::Results, stream.at(0), stream.at(u64::MAX))?.rev();
        for record in newest.take(limits::STORE_KEY_COUNT_MAX) {
            let (key, sealed) = match record {
                Ok(record) => record,
                Err(StoreError::Damaged { .. }) => {
                    cut += 1;
                    break;
                }
                Err(error) => return Err(error),
            };
            match (keys::offset(&key), record::open::<Key>(&key, &sealed)) {
                (Some(offset), Some(Key { key, until_ms })) => {
                    if until_ms > self.now_ms {
                        remembered.push(Remembered { key, offset, until_ms });
                    }
                }
                (Some(_) | None, _) => cut += 1,
            }
        }
        remembered.reverse();
        self.tally.cut += cut;
        Ok(remembered)
    }
}

/// Eight random letters.
fn epoch() -> Box<str> {
    let mut seed = entropy::seed();
    let letters = (0..8).map(|_| {
        let letter = b'a' + (seed % 26) as u8;
        seed /= 26;
        char::from(letter)
    });
    letters.collect::<String>().into_boxed_str()
}
