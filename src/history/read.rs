//! Pages of a stream, forward and backward: the `history` command.

use super::{HistoryError, Stream};
use crate::publication::Publication;
use crate::time::Moment;
use std::sync::Arc;

/// Which publications are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range<'a> {
    /// At most so many.
    pub count_max: usize,
    /// Strictly after this offset of this epoch, or before it if `reverse`. An empty epoch is any.
    pub since: Option<(u64, &'a str)>,
    pub reverse: bool,
}

pub type Page = Vec<Arc<Publication>>;

impl Stream {
    pub fn read(&self, range: &Range<'_>, now: Moment) -> Result<Page, HistoryError> {
        let live = self.live(now);
        // Offsets have no holes: what lies at or before one is found by counting.
        let before_live = self.top() - live.len() as u64;
        let up_to = |offset: u64| offset.saturating_sub(before_live).min(live.len() as u64) as usize;
        let (skip, end) = match range.since {
            None => (0, live.len()),
            Some((_, epoch)) if !epoch.is_empty() && epoch != &**self.epoch() => {
                return Err(HistoryError::Unrecoverable);
            }
            Some((0, _)) if range.reverse => return Err(HistoryError::BadRange),
            Some((offset, _)) if range.reverse => (0, up_to(offset - 1)),
            Some((offset, _)) => (up_to(offset), live.len()),
        };
        let wanted = live.take(end).skip(skip);
        Ok(if range.reverse {
            wanted.rev().take(range.count_max).cloned().collect()
        } else {
            wanted.take(range.count_max).cloned().collect()
        })
    }
}
