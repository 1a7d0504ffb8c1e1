//! Until when something was granted, as far as its holder can know: refreshes that are under way may hold already.
//! Invariant: the end that the server goes by is one of those listed.

use crate::limits::EXPIRED_MS_MAX;

#[derive(Debug, Default)]
pub struct Lease {
    held: Vec<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Of the command that brought it.
    pub command: u32,
    /// Unix seconds; 0: never.
    pub expire_at: u64,
    /// Who can refresh it gets some time beyond its end.
    pub has_grace: bool,
}

/// Steps of the world and whole seconds may delay an end by this.
const SLACK_MS: u64 = 2000;

impl End {
    fn is_over(self, unix_ms: u64, slack_ms: u64) -> bool {
        let grace = if self.has_grace { EXPIRED_MS_MAX } else { 0 };
        self.expire_at > 0 && unix_ms >= self.expire_at * 1000 + grace + slack_ms
    }
}

impl Lease {
    pub fn of(ends: impl IntoIterator<Item = End>) -> Self {
        Self { held: ends.into_iter().collect() }
    }

    /// Asked for; in force from now on or later.
    pub fn offer(&mut self, end: End) {
        self.held.push(end);
    }

    /// The server has said that it holds. What was asked for before does not any more.
    pub fn confirm(&mut self, end: End) {
        self.held.retain(|held| held.command > end.command);
        self.held.insert(0, end);
    }

    pub fn may_be_over(&self, unix_ms: u64) -> bool {
        self.held.iter().any(|end| end.is_over(unix_ms, 0))
    }

    pub fn must_be_over(&self, unix_ms: u64) -> bool {
        !self.held.is_empty() && self.held.iter().all(|end| end.is_over(unix_ms, SLACK_MS))
    }
}
