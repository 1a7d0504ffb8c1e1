//! The connections of one core, by slot.
//! Invariant: an id finds its connection only while the generation matches; a freed slot starts a new generation, so
//! that a late completion or letter for the earlier tenant finds nobody.

use crate::conn::Conn;
use crate::ids::ConnId;
use crate::pages::Pages;

#[derive(Debug, Default)]
pub struct Conns {
    slots: Pages<Slot>,
    free: Vec<u32>,
    count: u32,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    conn: Option<Conn>,
}

impl Conns {
    pub fn count(&self) -> u32 {
        self.count
    }

    pub fn insert(&mut self, conn: Conn) -> ConnId {
        self.count += 1;
        if let Some(slot) = self.free.pop()
            && let Some(entry) = self.slots.get_mut(slot as usize)
        {
            entry.conn = Some(conn);
            return ConnId { slot, generation: entry.generation };
        }
        let slot = self.slots.len() as u32;
        self.slots.push(Slot { generation: 0, conn: Some(conn) });
        ConnId { slot, generation: 0 }
    }

    pub fn remove(&mut self, id: ConnId) -> Option<Conn> {
        let entry = self.slots.get_mut(id.index()).filter(|entry| entry.generation == id.generation)?;
        let conn = entry.conn.take()?;
        entry.generation = entry.generation.wrapping_add(1) & GENERATION_MASK;
        self.free.push(id.slot);
        self.count -= 1;
        Some(conn)
    }

    #[inline]
    pub fn get(&self, id: ConnId) -> Option<&Conn> {
        self.slots.get(id.index()).filter(|entry| entry.generation == id.generation)?.conn.as_ref()
    }

    #[inline]
    pub fn get_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.slots.get_mut(id.index()).filter(|entry| entry.generation == id.generation)?.conn.as_mut()
    }

    /// By slot alone, for lists that are corrected when a connection leaves.
    #[inline]
    pub fn at_slot(&mut self, slot: u32) -> Option<&mut Conn> {
        self.slots.get_mut(slot as usize)?.conn.as_mut()
    }

    pub fn id_of(&self, slot: u32) -> Option<ConnId> {
        let entry = self.slots.get(slot as usize)?;
        entry.conn.as_ref().map(|_| ConnId { slot, generation: entry.generation })
    }

    pub fn slot_count(&self) -> u32 {
        self.slots.len() as u32
    }

    pub fn ids(&self) -> impl Iterator<Item = ConnId> + '_ {
        (0..self.slot_count()).filter_map(|slot| self.id_of(slot))
    }
}

/// A driver packs slot and generation into 56 bits.
const GENERATION_MASK: u32 = (1 << 24) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_slot_does_not_answer_to_its_old_id() {
        let mut conns = Conns::default();
        let old = conns.insert(Conn::default());
        assert!(conns.remove(old).is_some());
        let new = conns.insert(Conn::default());
        assert_eq!(new.slot, old.slot);
        assert!(conns.get(old).is_none());
        assert!(conns.remove(old).is_none());
        assert!(conns.get(new).is_some());
        assert_eq!(conns.count(), 1);
    }

    /// After sixteen million tenants of one slot the drivers have no more bits for the next.
    #[test]
    fn generations_begin_anew_within_the_bits_that_a_driver_has() {
        let mut conns = Conns::default();
        let first = conns.insert(Conn::default());
        conns.slots[first.index()].generation = GENERATION_MASK;
        let last = ConnId { generation: GENERATION_MASK, ..first };
        assert!(conns.remove(last).is_some());
        let next = conns.insert(Conn::default());
        assert_eq!(next, first, "from zero");
        assert!(conns.get(last).is_none() && conns.get(next).is_some());
    }
}
