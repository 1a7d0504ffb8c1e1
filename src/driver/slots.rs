//! What a core has one of for each connection, by the slot that the shard gave it.
//!
//! Invariant: who asks with an id of another generation finds nobody, so that what is said about an earlier tenant of a
//! slot reaches no later one.

use crate::ids::ConnId;
use crate::pages::Pages;

#[derive(Debug)]
pub(super) struct Slots<T>(Pages<Option<T>>);

/// What lies in a slot knows whose it is.
pub(super) trait Tenant {
    fn id(&self) -> ConnId;
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self(Pages::default())
    }
}

impl<T: Tenant> Slots<T> {
    pub(super) fn insert(&mut self, tenant: T) {
        let slot = tenant.id().index();
        while self.0.len() <= slot {
            self.0.push(None);
        }
        self.0[slot] = Some(tenant);
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: ConnId) -> Option<&mut T> {
        self.0.get_mut(id.index())?.as_mut().filter(|tenant| tenant.id() == id)
    }

    pub(super) fn at_slot(&mut self, slot: u32) -> Option<&mut T> {
        self.0.get_mut(slot as usize)?.as_mut()
    }

    pub(super) fn remove(&mut self, id: ConnId) -> Option<T> {
        self.0.get_mut(id.index())?.take_if(|tenant| tenant.id() == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Tenant for ConnId {
        fn id(&self) -> ConnId {
            *self
        }
    }

    #[test]
    fn a_later_tenant_is_not_found_by_the_id_of_an_earlier_one() {
        let [earlier, later] = [1, 2].map(|generation| ConnId { slot: 3, generation });
        let mut slots = Slots::default();
        slots.insert(later);
        assert_eq!(slots.get_mut(earlier), None);
        assert_eq!(slots.remove(earlier), None);
        assert_eq!(slots.at_slot(3).copied(), Some(later));
        assert_eq!(slots.remove(later), Some(later));
        assert_eq!(slots.at_slot(3), None);
    }
}
