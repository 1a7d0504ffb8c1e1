//! Which stream of which core a session is: what the emulation endpoint looks up.
//! Invariant: holds the bidirectional streams that are open and nothing else, so it is bounded by their places.

use crate::ids::{ClientId, CoreId};
use crate::shard::stream::StreamId;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// With the keyed hash of the standard library, because anybody may ask for any session.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<ClientId, Seat>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    pub(super) core: CoreId,
    pub(super) stream: StreamId,
}

impl Sessions {
    pub(super) fn insert(&self, session: ClientId, seat: Seat) {
        self.map().insert(session, seat);
    }

    pub(super) fn remove(&self, session: ClientId) {
        self.map().remove(&session);
    }

    pub(super) fn find(&self, session: ClientId) -> Option<Seat> {
        self.map().get(&session).copied()
    }

    fn map(&self) -> MutexGuard<'_, HashMap<ClientId, Seat>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
