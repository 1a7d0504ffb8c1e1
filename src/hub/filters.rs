//! The distinct tag filters of a channel's members on this core.
//! Invariant: equal filters share an id, so that each is evaluated once per publication; an id lives as long as a member
//! has it.

use super::member::FilterId;
use crate::filter::Filter;
use crate::publication::Tags;

#[derive(Debug, Default)]
pub(super) struct Filters {
    /// By id, less one. A free place has no users.
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    filter: Filter,
    user_count: u32,
}

impl Filters {
    /// None when the channel has as many distinct filters as it can name.
    pub(super) fn share(&mut self, filter: Filter) -> Option<FilterId> {
        let is_same = |entry: &Entry| entry.user_count > 0 && entry.filter == filter;
        let at = if let Some(at) = self.entries.iter().position(is_same) {
            at
        } else if let Some(at) = self.entries.iter().position(|entry| entry.user_count == 0) {
            self.entries[at].filter = filter;
            at
        } else if self.entries.len() < FILTER_COUNT_MAX {
            self.entries.push(Entry { filter, user_count: 0 });
            self.entries.len() - 1
        } else {
            return None;
        };
        self.entries[at].user_count += 1;
        Some(FilterId(at as u16 + 1))
    }

    pub(super) fn release(&mut self, id: FilterId) {
        if let Some(entry) = self.entry_mut(id) {
            entry.user_count = entry.user_count.saturating_sub(1);
        }
        while self.entries.last().is_some_and(|entry| entry.user_count == 0) {
            self.entries.pop();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn passes(&self, id: FilterId, tags: &Tags) -> bool {
        let at = usize::from(id.0).checked_sub(1);
        at.and_then(|at| self.entries.get(at)).is_none_or(|entry| entry.filter.matches(tags))
    }

    fn entry_mut(&mut self, id: FilterId) -> Option<&mut Entry> {
        self.entries.get_mut(usize::from(id.0).checked_sub(1)?)
    }
}

/// Distinct filters of one channel on one core: each costs a look at every publication.
const FILTER_COUNT_MAX: usize = 1024;
