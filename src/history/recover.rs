//! What a subscriber that comes back has missed.

use super::Stream;
use crate::publication::Publication;
use crate::time::Moment;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// All that it has missed, in order.
    Recovered(Vec<Arc<Publication>>),
    /// Something of it is not there any more.
    Lost,
}

impl Stream {
    /// Everything after `offset`, if it is all there and no more than `count_max`. An empty epoch is any.
    pub fn recover(&self, offset: u64, epoch: &str, count_max: usize, now: Moment) -> Recovery {
        if !epoch.is_empty() && epoch != &**self.epoch() {
            return Recovery::Lost;
        }
        let Some(missed) = self.top().checked_sub(offset) else {
            return Recovery::Lost;
        };
        if missed == 0 {
            return Recovery::Recovered(Vec::new());
        }
        // Offsets have no holes: enough of the latest ones are all that were missed.
        if missed > count_max as u64 || missed > self.live(now).len() as u64 {
            return Recovery::Lost;
        }
        let skip = self.live(now).len() - missed as usize;
        Recovery::Recovered(self.live(now).skip(skip).cloned().collect())
    }

    /// The latest publication, unless the client has it. Lost: there is none to give.
    pub fn recover_latest(&self, offset: u64, epoch: &str, now: Moment) -> Recovery {
        if offset > 0 && offset == self.top() && epoch == &**self.epoch() {
            return Recovery::Recovered(Vec::new());
        }
        match self.live(now).next_back() {
            Some(latest) if latest.offset == self.top() => Recovery::Recovered(vec![Arc::clone(latest)]),
            Some(_) | None => Recovery::Lost,
        }
    }
}
