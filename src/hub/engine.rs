//! The engine seam: who puts the publications of a channel in order and gives them their positions.
//!
//! The memory engine is the channel's owner core: its answer comes at once on that core and by mail on any other. An
//! engine behind a broker answers later, through the control plane, and becomes one more seat here; the compiler then
//! names every place that has to know. Callers treat all seats alike: what is not here is a request with an id, a
//! deadline and a typed error.

use crate::ids::CoreId;
use foldhash::fast::FixedState;
use std::hash::BuildHasher;

/// Where a channel's order is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seat {
    /// On this core.
    Here,
    /// On another core of this node: ask by mail.
    Core(CoreId),
}

/// Assigns channels to cores.
#[derive(Debug)]
pub(super) struct Seating {
    core: CoreId,
    core_count: u16,
    /// The same on all cores of a node, so that they agree; random, so that no client can aim at one core.
    hasher: FixedState,
}

impl Seating {
    pub(super) fn new(core: CoreId, core_count: u16, hash_seed: u64) -> Self {
        Self { core, core_count: core_count.max(1), hasher: FixedState::with_seed(hash_seed) }
    }

    pub(super) fn hash(&self, name: &str) -> u64 {
        self.hasher.hash_one(name)
    }

    pub(super) fn owner(&self, name: &str) -> CoreId {
        seat_of(self.hash(name), self.core_count)
    }

    pub(super) fn seat(&self, name: &str) -> Seat {
        let owner = self.owner(name);
        if owner == self.core { Seat::Here } else { Seat::Core(owner) }
    }
}

/// The owner of a channel, for those who are on no core.
pub fn owner_of(name: &str, core_count: u16, hash_seed: u64) -> CoreId {
    seat_of(FixedState::with_seed(hash_seed).hash_one(name), core_count.max(1))
}

fn seat_of(hash: u64, core_count: u16) -> CoreId {
    // The upper bits: the lower ones choose the bucket of the name table, and would leave it half empty.
    CoreId(((hash >> 40) % u64::from(core_count)) as u16)
}
