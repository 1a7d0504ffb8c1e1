//! Connections by something else than their slot: by user, by client id.
//! Invariant: an index holds slots only; what a slot stands for is looked up, so that an entry costs five bytes and
//! several connections may share a key.

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hash};

#[derive(Debug)]
pub(super) struct Index {
    slots: HashTable<u32>,
    hasher: FixedState,
}

impl Index {
    pub(super) fn new(seed: u64) -> Self {
        Self { slots: HashTable::new(), hasher: FixedState::with_seed(seed) }
    }

    /// `key_of` gives the key of a slot that is in here.
    pub(super) fn add<K: Hash>(&mut self, slot: u32, key: &K, key_of: impl Fn(u32) -> Option<K>) {
        let hasher = &self.hasher;
        let rehash = |&slot: &u32| key_of(slot).map_or(0, |key| hasher.hash_one(key));
        self.slots.insert_unique(hasher.hash_one(key), slot, rehash);
    }

    pub(super) fn remove<K: Hash>(&mut self, slot: u32, key: &K) {
        if let Ok(entry) = self.slots.find_entry(self.hasher.hash_one(key), |&other| other == slot) {
            entry.remove();
        }
        if self.slots.is_empty() {
            self.slots = HashTable::new();
        }
    }

    /// The same when the key is lost.
    pub(super) fn forget(&mut self, slot: u32) {
        self.slots.retain(|&mut other| other != slot);
    }

    pub(super) fn find<K: Hash + PartialEq>(
        &self,
        key: &K,
        key_of: impl Fn(u32) -> Option<K>,
    ) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        self.slots.find(hash, |&slot| key_of(slot).is_some_and(|other| other == *key)).copied()
    }

    pub(super) fn count(&self) -> usize {
        self.slots.len()
    }

    /// All slots that may have this key: hashes can collide, so the caller compares.
    pub(super) fn candidates<K: Hash>(&self, key: &K) -> Vec<u32> {
        self.slots.iter_hash(self.hasher.hash_one(key)).copied().collect()
    }
}
