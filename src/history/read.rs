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
        let Some((offset, epoch)) = range.since else {
            let live = self.live(now);
            return Ok(if range.reverse {
                live.rev().take(range.count_max).cloned().collect()
            } else {
                live.take(range.count_max).cloned().collect()
            });
        };
        if !epoch.is_empty() && epoch != &**self.epoch() {
            return Err(HistoryError::Unrecoverable);
        }
        if range.reverse {
            if offset == 0 {
                return Err(HistoryError::BadRange);
            }
            let before = self.live(now).rev().filter(|publication| publication.offset < offset);
            return Ok(before.take(range.count_max).cloned().collect());
        }
        let after = self.live(now).filter(|publication| publication.offset > offset);
        Ok(after.take(range.count_max).cloned().collect())
    }
}
