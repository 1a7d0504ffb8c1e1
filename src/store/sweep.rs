//! Takes away what is too old or was given up, a slice at a time, so that no order waits for it.
//!
//! Invariant: what a sweep removes could not be served any more; a node that dies in the middle begins again.

use super::fault::StoreError;
use super::group::Group;
use super::keys::{StreamNumber, Table};
use super::record::{self, Card, Key, Refuse};
use crate::limits;
use std::sync::Arc;

/// How far a pass over the channels has come.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// The next channel, by name; none between two passes.
    from: Option<Vec<u8>>,
}

impl Sweep {
    pub(super) const fn is_idle(&self) -> bool {
        self.from.is_none()
    }

    pub(super) fn begin(&mut self) {
        self.from = Some(Vec::new());
    }

    /// One slice of the pass.
    pub(super) fn step(&mut self, group: &mut Group<'_>) -> Result<(), StoreError> {
        let Some(from) = self.from.take() else { return Ok(()) };
        let mut room = limits::STORE_SWEEP_COUNT_MAX;
        let is_clean = take_refuse(group, &mut room)?;
        let next = look(group, from.clone(), &mut room)?;
        self.from = match next {
            Some(next) => Some(next),
            // All channels were seen, but there is still refuse.
            None if !is_clean => Some(after_all()),
            None => None,
        };
        Ok(())
    }
}

/// Looks at some channels. The name to go on with; none at the end.
fn look(group: &mut Group<'_>, from: Vec<u8>, room: &mut usize) -> Result<Option<Vec<u8>>, StoreError> {
    let cards: Vec<_> = group
        .shelf
        .scan(Table::Channels, from, after_all())?
        .take(limits::STORE_SWEEP_CHANNELS_MAX)
        .collect::<Result<_, _>>()?;
    let mut next = (cards.len() == limits::STORE_SWEEP_CHANNELS_MAX).then(after_all);
    for (name, sealed) in &cards {
        if next.is_some() {
            let mut behind = name.to_vec();
            behind.push(0);
            next = Some(behind);
        }
        let (Ok(channel), Some(_)) = (std::str::from_utf8(name), record::open::<Card>(name, sealed)) else {
            continue;
        };
        let channel: Arc<str> = Arc::from(channel);
        // Again, because orders of this group may have changed it.
        let Some(card) = group.card(&channel)? else { continue };
        if card.is_over(group.now_ms) {
            group.forget(&channel, &card)?;
            continue;
        }
        if card.is_history_over(group.now_ms) {
            group.expire(&channel, u64::MAX)?;
        }
        forget_keys(group, &channel, room)?;
    }
    Ok(next)
}

/// Idempotency keys that have expired, oldest first.
fn forget_keys(group: &mut Group<'_>, channel: &Arc<str>, room: &mut usize) -> Result<(), StoreError> {
    let Some(mut card) = group.card(channel)? else { return Ok(()) };
    if card.results_until_ms == 0 {
        return Ok(());
    }
    let stream = StreamNumber(card.stream);
    let mut gone = Vec::new();
    let mut is_all = true;
    for record in group.shelf.scan(Table::Results, stream.at(0), stream.at(u64::MAX))? {
        let (key, sealed) = record?;
        let is_live = record::open::<Key>(&key, &sealed).is_some_and(|key| key.until_ms > group.now_ms);
        if is_live || gone.len() >= *room {
            is_all = false;
            break;
        }
        gone.push(key.to_vec());
    }
    *room -= gone.len();
    group.tally.swept += gone.len() as u64;
    for key in gone {
        group.remove(Table::Results, key);
    }
    if is_all && card.results_until_ms <= group.now_ms {
        card.results_until_ms = 0;
        group.keep(channel, Some(card));
    }
    Ok(())
}

/// Removes records of streams that ended, or whose publications went. True: nothing is left.
fn take_refuse(group: &mut Group<'_>, room: &mut usize) -> Result<bool, StoreError> {
    let streams: Vec<_> = group
        .shelf
        .scan(Table::Refuse, StreamNumber(0).key(), StreamNumber(u64::MAX).key())?
        .take(limits::STORE_SWEEP_CHANNELS_MAX)
        .collect::<Result<_, _>>()?;
    let mut is_clean = streams.len() < limits::STORE_SWEEP_CHANNELS_MAX;
    for (key, sealed) in streams {
        let Some(stream) = StreamNumber::parse(&key) else { continue };
        // An illegible one names no more than its stream; that its publications stay costs space, nothing else.
        let refuse = record::open::<Refuse>(&key, &sealed).unwrap_or(Refuse { up_to: 0, is_all: false });
        let mut is_done = clear(group, Table::Publications, stream.at(0), stream.at(refuse.up_to), room)?;
        if refuse.is_all {
            is_done = is_done && clear(group, Table::Results, stream.at(0), stream.at(u64::MAX), room)?;
            is_done = is_done && clear(group, Table::Cursors, stream.key(), stream.behind_users(), room)?;
        }
        if is_done && !group.has_refuse(stream) {
            group.remove(Table::Refuse, key.to_vec());
        }
        is_clean &= is_done;
        if *room == 0 {
            return Ok(false);
        }
    }
    Ok(is_clean)
}

/// True: the range is empty now.
fn clear(
    group: &mut Group<'_>,
    table: Table,
    from: Vec<u8>,
    to: Vec<u8>,
    room: &mut usize,
) -> Result<bool, StoreError> {
    let records = group.shelf.scan(table, from, to)?.take(*room + 1);
    let mut gone = Vec::new();
    for record in records {
        gone.push(record?.0.to_vec());
    }
    let is_all = gone.len() <= *room;
    gone.truncate(*room);
    *room -= gone.len();
    group.tally.swept += gone.len() as u64;
    for key in gone {
        group.remove(table, key);
    }
    Ok(is_all)
}

/// Sorts behind every name: no UTF-8 begins with this byte.
fn after_all() -> Vec<u8> {
    vec![0xff]
}
