//! What was put off of each connection, in its order.
//! Invariant: `bytes` is what all of it takes. Nobody has an empty rest, except whoever is being served.

use crate::ids::ConnId;
use std::collections::{HashMap, VecDeque};

#[derive(Debug, Default)]
pub(super) struct Rests {
    lists: HashMap<ConnId, VecDeque<Piece>>,
    bytes: u64,
}

/// Something that was put off.
#[derive(Debug)]
pub(super) enum Piece {
    /// As it came from the socket.
    Bytes(Vec<u8>),
    /// Without TLS around it.
    Plain(Vec<u8>),
    /// What is left of a message behind so many commands.
    Message { bytes: Vec<u8>, served: u32 },
    /// The peer had nothing more to say.
    End,
}

impl Piece {
    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) | Self::Plain(bytes) | Self::Message { bytes, .. } => bytes.len(),
            Self::End => 0,
        }
    }

    /// In memory: small pieces cost more than what they say.
    fn weight(&self) -> u64 {
        (size_of::<Self>() + self.len()) as u64
    }
}

impl Rests {
    pub(super) fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    pub(super) fn count(&self) -> usize {
        self.lists.len()
    }

    /// What all of it takes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn holds(&self, id: ConnId) -> bool {
        self.lists.contains_key(&id)
    }

    /// True: nothing waits.
    pub(super) fn is_served(&self, id: ConnId) -> bool {
        self.lists.get(&id).is_some_and(VecDeque::is_empty)
    }

    /// Bytes that wait.
    pub(super) fn bytes_of(&self, id: ConnId) -> usize {
        self.lists.get(&id).into_iter().flatten().map(Piece::len).sum()
    }

    /// Behind `before` others, or behind all.
    pub(super) fn insert(&mut self, id: ConnId, before: usize, piece: Piece) {
        self.bytes += piece.weight();
        let list = self.lists.entry(id).or_default();
        list.insert(before.min(list.len()), piece);
    }

    pub(super) fn append(&mut self, id: ConnId, piece: Piece) {
        self.insert(id, usize::MAX, piece);
    }

    pub(super) fn take_first(&mut self, id: ConnId) -> Option<Piece> {
        let piece = self.lists.get_mut(&id)?.pop_front()?;
        self.bytes = self.bytes.saturating_sub(piece.weight());
        Some(piece)
    }

    /// Drops everything but the end.
    pub(super) fn silence(&mut self, id: ConnId) {
        if let Some(list) = self.lists.get_mut(&id) {
            let mut dropped = 0;
            list.retain(|piece| {
                let is_end = matches!(piece, Piece::End);
                dropped += if is_end { 0 } else { piece.weight() };
                is_end
            });
            self.bytes = self.bytes.saturating_sub(dropped);
        }
    }

    /// False: there was nothing.
    pub(super) fn forget(&mut self, id: ConnId) -> bool {
        let Some(list) = self.lists.remove(&id) else { return false };
        self.bytes = self.bytes.saturating_sub(list.iter().map(Piece::weight).sum());
        // Gives a burst's memory back.
        if self.lists.is_empty() && self.lists.capacity() > LISTS_KEPT {
            self.lists = HashMap::new();
        }
        true
    }

    /// What `bytes` should be.
    pub(super) fn sum(&self) -> u64 {
        self.lists.values().flatten().map(Piece::weight).sum()
    }

    /// After a bug.
    pub(super) fn recount(&mut self) {
        self.bytes = self.sum();
    }
}

/// Bookkeeping that stays allocated when nothing waits.
const LISTS_KEPT: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ConnId = ConnId { slot: 1, generation: 1 };

    #[test]
    fn pieces_keep_their_order_and_their_sum() {
        let mut rests = Rests::default();
        rests.append(ID, Piece::Bytes(vec![1; 10]));
        rests.append(ID, Piece::End);
        rests.insert(ID, 0, Piece::Plain(vec![2; 20]));
        rests.insert(ID, 1, Piece::Message { bytes: vec![3; 30], served: 4 });
        assert_eq!((rests.bytes(), rests.bytes_of(ID)), (rests.sum(), 60));
        assert!(matches!(rests.take_first(ID), Some(Piece::Plain(_))));
        assert!(matches!(rests.take_first(ID), Some(Piece::Message { served: 4, .. })));
        assert_eq!((rests.bytes(), rests.bytes_of(ID)), (rests.sum(), 10));
        rests.silence(ID);
        assert_eq!(rests.bytes(), rests.sum());
        assert!(matches!(rests.take_first(ID), Some(Piece::End)));
        assert!(rests.is_served(ID));
        rests.append(ID, Piece::Bytes(vec![5; 50]));
        assert!(rests.forget(ID) && !rests.forget(ID));
        assert_eq!((rests.bytes(), rests.is_empty()), (0, true));
    }
}
