//! Where records lie. Keys sort as the numbers in them do.
//!
//! A stream is one epoch of one channel under a random number, so that the past of a channel can be forgotten at once
//! and taken away later. Invariant: the number of a stream is never used twice.

/// A table of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Table {
    /// Name of a channel to its `Card`.
    Channels,
    /// Stream and offset to `Sheet`.
    Publications,
    /// Stream and offset to `Key`: idempotency.
    Results,
    /// Stream and user to an offset.
    Cursors,
    /// Stream to `Refuse`: what of it is to be taken away.
    Refuse,
    /// `ERA`, and notes.
    House,
}

impl Table {
    pub(super) const ALL: [Self; 6] =
        [Self::Channels, Self::Publications, Self::Results, Self::Cursors, Self::Refuse, Self::House];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Channels => "channels",
            Self::Publications => "publications",
            Self::Results => "results",
            Self::Cursors => "cursors",
            Self::Refuse => "refuse",
            Self::House => "house",
        }
    }
}

impl Table {
    /// Where each table has the number of the last commit, so that none can go back in time unseen. No channel, stream or
    /// number of the house sorts there: names are UTF-8, streams have eight bytes.
    pub(super) const fn commit(self) -> &'static [u8] {
        match self {
            Self::Channels => b"\xff-commit",
            Self::Publications | Self::Results | Self::Cursors | Self::Refuse => b"\0",
            Self::House => b"commit",
        }
    }
}

/// Before the name of a note.
pub(super) const NOTE: &[u8] = b"note-";

/// Positions from earlier eras are void.
pub(super) const ERA: &[u8] = b"era";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct StreamNumber(pub(super) u64);

impl StreamNumber {
    pub(super) fn key(self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }

    pub(super) fn parse(key: &[u8]) -> Option<Self> {
        Some(Self(u64::from_be_bytes(key.try_into().ok()?)))
    }

    pub(super) fn at(self, offset: u64) -> Vec<u8> {
        let mut key = Vec::with_capacity(16);
        key.extend_from_slice(&self.0.to_be_bytes());
        key.extend_from_slice(&offset.to_be_bytes());
        key
    }

    /// Behind all of its users: no UTF-8 has this byte.
    pub(super) fn behind_users(self) -> Vec<u8> {
        let mut key = self.key();
        key.push(0xff);
        key
    }

    pub(super) fn user(self, user: &str) -> Vec<u8> {
        let mut key = self.key();
        key.extend_from_slice(user.as_bytes());
        key
    }
}

/// The offset in a key of `StreamNumber::at`.
pub(super) fn offset(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(8..)?.try_into().ok()?))
}
