//! The limit of connections that streams share with the sockets of the cores, and the place that a stream takes there.
//! Invariant: every `enter` that said true is followed by one `leave`.

use std::fmt::Debug;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Counts connections over the whole node.
pub trait Places: Debug + Send + Sync {
    /// Counts one in, if there is room.
    fn enter(&self) -> bool;
    fn leave(&self);
}

/// Of one stream; given back with its drop.
pub(super) struct Place {
    places: Arc<dyn Places>,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    pub(super) fn take(places: &Arc<dyn Places>, permit: OwnedSemaphorePermit) -> Option<Self> {
        places.enter().then(|| Self { places: Arc::clone(places), _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.leave();
    }
}
