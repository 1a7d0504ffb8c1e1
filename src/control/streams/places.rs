//! The limits of connections that streams share with the sockets of the cores, and the place that a stream takes there.
//! Invariant: every `enter` that succeeded is followed by one `leave` with what it gave.

use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Counts connections over the whole node.
pub trait Places: Debug + Send + Sync {
    /// Counts one in, if there is room. Gives the address that it was counted for, if addresses count.
    fn enter(&self, address: Option<IpAddr>) -> Result<Option<IpAddr>, Full>;
    fn leave(&self, address: Option<IpAddr>);
}

/// What has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    Node,
    Address,
}

/// Of one stream; given back with its drop.
pub(super) struct Place {
    places: Arc<dyn Places>,
    address: Option<IpAddr>,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    pub(super) fn take(
        places: &Arc<dyn Places>,
        address: Option<IpAddr>,
        permit: OwnedSemaphorePermit,
    ) -> Result<Self, Full> {
        let address = places.enter(address)?;
        Ok(Self { places: Arc::clone(places), address, _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.leave(self.address);
    }
}
