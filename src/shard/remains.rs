//! What a core keeps for those who are there and for what is under way.
//! Invariant: with nobody there and nothing under way, all of it is zero. For tests and the simulator: a queue, a table or
//! a pool that keeps something of the dead shows here, not in the figures of an operator.

use super::Shard;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remains {
    /// Payloads in queues of connections.
    pub payloads: u32,
    /// Letters that wait for room.
    pub letters: usize,
    /// Without an answer yet.
    pub requests: usize,
    pub joins: usize,
    pub connects: usize,
    /// To the store, and what waits for it.
    pub orders: usize,
    /// Connections in the tables of names.
    pub named: usize,
}

impl Remains {
    /// The same without those who are there and whatever they may have unread.
    #[must_use]
    pub fn under_way(self) -> Self {
        Self { payloads: 0, named: 0, ..self }
    }
}

impl Shard {
    pub fn remains(&self) -> Remains {
        Remains {
            payloads: self.nodes.used(),
            letters: self.letters.count(),
            requests: self.requests.count(),
            joins: self.joins.all_count(),
            connects: self.connecting.len(),
            orders: self.vault.count(),
            named: self.clients.count() + self.users.count() + self.streams.len() + self.stream_names.len(),
        }
    }
}
