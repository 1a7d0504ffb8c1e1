//! The stream of one channel in memory: its latest publications in order, and a position that outlives them.
//!
//! Invariant: offsets ascend by one without a hole, and the last one kept is `top`; what was published first is over
//! first; `top` never goes back within an epoch. What has expired is never given out, even before it was swept. Knows
//! no clock: `now` comes in.

mod read;
mod recover;
#[cfg(test)]
mod tests;

pub use read::{Page, Range};
pub use recover::Recovery;

use crate::publication::Publication;
use crate::time::Moment;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

#[derive(Debug)]
pub struct Stream {
    epoch: Arc<str>,
    /// Offset of the latest publication ever; 0 before the first.
    top: u64,
    /// When each is over, oldest first.
    kept: VecDeque<(Moment, Arc<Publication>)>,
    /// What these occupy.
    bytes: u64,
    keep: Keep,
    /// When the position itself is forgotten, if nothing is published until then.
    forgotten_at: Moment,
    side: Option<Box<Side>>,
}

/// How much and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    pub count_max: u32,
    pub ttl: Duration,
    pub meta_ttl: Duration,
}

/// What only some streams have.
#[derive(Debug, Default)]
struct Side {
    version: u64,
    version_epoch: Box<str>,
    /// Offsets up to which users have acknowledged.
    cursors: BTreeMap<Box<str>, u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HistoryError {
    #[error("the position is of another stream")]
    Unrecoverable,
    #[error("a reverse page before the first offset")]
    BadRange,
    #[error("too many users have a cursor in this channel")]
    TooManyCursors,
}

impl Stream {
    /// `epoch` is random: a stream that was lost and begins anew must not look like the old one.
    pub fn new(epoch: Arc<str>, keep: Keep, now: Moment) -> Self {
        let forgotten_at = now + keep.meta_ttl;
        Self { epoch, top: 0, kept: VecDeque::new(), bytes: 0, keep, forgotten_at, side: None }
    }

    /// As it was kept elsewhere: a position with the publications, oldest first, that lead up to it.
    pub fn restored(
        epoch: Arc<str>,
        top: u64,
        kept: impl IntoIterator<Item = (Moment, Arc<Publication>)>,
        keep: Keep,
        now: Moment,
    ) -> Self {
        let mut stream = Self { top, ..Self::new(epoch, keep, now) };
        for (due, publication) in kept {
            // Ages come from a wall clock, which may have gone back meanwhile.
            let due = stream.kept.back().map_or(due, |(before, _)| due.max(*before));
            stream.push(due, publication);
        }
        stream.trim();
        stream
    }

    pub fn epoch(&self) -> &Arc<str> {
        &self.epoch
    }

    pub fn top(&self) -> u64 {
        self.top
    }

    /// Memory of the publications, whoever else shares them.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Holds for what is kept already, too.
    pub fn set_keep(&mut self, keep: Keep) {
        let (old, new) = (self.keep.ttl, keep.ttl);
        if old != new {
            for (due, _) in &mut self.kept {
                // One of the two is zero.
                *due = (*due + new.saturating_sub(old)).earlier(old.saturating_sub(new));
            }
        }
        self.keep = keep;
        self.trim();
    }

    /// `publication.offset` must be `top + 1`; another one is a bug of the caller and changes nothing.
    pub fn append(&mut self, publication: Arc<Publication>, now: Moment) -> bool {
        if publication.offset != self.top + 1 {
            return false;
        }
        self.top = publication.offset;
        self.push(now + self.keep.ttl, publication);
        self.forgotten_at = now + self.keep.meta_ttl;
        self.trim();
        true
    }

    /// The publications go, the position stays.
    pub fn remove(&mut self) {
        self.kept = VecDeque::new();
        self.bytes = 0;
    }

    /// Drops what is over. False: nothing is left and the stream itself may go.
    pub fn expire(&mut self, now: Moment) -> bool {
        while self.kept.front().is_some_and(|(due, _)| *due <= now) {
            self.pop();
        }
        if self.kept.is_empty() && self.kept.capacity() > 0 {
            self.kept = VecDeque::new();
        }
        now < self.forgotten_at
    }

    /// When `expire` is worth calling next.
    pub fn deadline(&self) -> Moment {
        self.kept.front().map_or(self.forgotten_at, |(due, _)| (*due).min(self.forgotten_at))
    }

    /// Whether a publication of this version may be accepted; a new version epoch begins anew.
    pub fn is_newer(&self, version: u64, version_epoch: &str) -> bool {
        self.side.as_ref().is_none_or(|side| &*side.version_epoch != version_epoch || version > side.version)
    }

    pub fn set_version(&mut self, version: u64, version_epoch: Box<str>) {
        if version > 0 {
            let side = self.side.get_or_insert_default();
            side.version = version;
            side.version_epoch = version_epoch;
        }
    }

    /// Zero: the user has acknowledged nothing.
    pub fn cursor(&self, user: &str) -> u64 {
        self.side.as_ref().and_then(|side| side.cursors.get(user)).copied().unwrap_or_default()
    }

    /// Moves forward only, and never beyond what was published. Returns where it stands.
    pub fn acknowledge(&mut self, user: &str, offset: u64) -> Result<u64, HistoryError> {
        let top = self.top;
        let side = self.side.get_or_insert_default();
        if let Some(cursor) = side.cursors.get_mut(user) {
            *cursor = (*cursor).max(offset.min(top));
            return Ok(*cursor);
        }
        if side.cursors.len() >= CURSOR_COUNT_MAX {
            return Err(HistoryError::TooManyCursors);
        }
        side.cursors.insert(Box::from(user), offset.min(top));
        Ok(offset.min(top))
    }

    fn push(&mut self, due: Moment, publication: Arc<Publication>) {
        self.bytes += publication.bytes();
        self.kept.push_back((due, publication));
    }

    fn pop(&mut self) {
        if let Some((_, publication)) = self.kept.pop_front() {
            self.bytes -= publication.bytes();
        }
    }

    fn trim(&mut self) {
        while self.kept.len() > self.keep.count_max as usize {
            self.pop();
        }
    }

    /// Unexpired publications, oldest first.
    fn live(&self, now: Moment) -> impl DoubleEndedIterator<Item = &Arc<Publication>> + ExactSizeIterator {
        let gone = self.kept.partition_point(|(due, _)| *due <= now);
        self.kept.range(gone..).map(|(_, publication)| publication)
    }
}

/// Users with a cursor in one channel: an inbox has one, a room its members.
const CURSOR_COUNT_MAX: usize = 100_000;
