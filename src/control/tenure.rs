//! What entitles a connection to be open, and for how long: a slot of its port, or the ticket of a stream that it carries.
//!
//! Invariant: holds one ticket at a time until the connection ends; a stream is begun at most once a connection, because
//! its response is the last one.

use std::any::Any;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Gives back with its drop whatever it stands for.
pub(super) type Ticket = Box<dyn Any + Send>;

/// Attached to every request of the connection.
pub(super) struct Tenure {
    /// Of the peer.
    address: Option<IpAddr>,
    held: Mutex<Held>,
}

struct Held {
    ticket: Option<Ticket>,
    /// Of the stream: closed at its end.
    open: Option<watch::Receiver<()>>,
}

impl Tenure {
    pub(super) fn new(ticket: Ticket, address: Option<IpAddr>) -> Self {
        Self { address, held: Mutex::new(Held { ticket: Some(ticket), open: None }) }
    }

    pub(super) const fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Exchanges the ticket: the slot that the connection had is free for others.
    pub(super) fn stream(&self, ticket: Ticket, open: watch::Receiver<()>) {
        let mut held = self.held();
        held.open = Some(open);
        held.ticket = Some(ticket);
    }

    /// The connection has ended.
    pub(super) fn end(&self) {
        self.held().ticket = None;
    }

    /// Waits while a stream is under way; false when there has been none.
    pub(super) async fn stream_over(&self) -> bool {
        let Some(mut open) = self.held().open.take() else { return false };
        while open.changed().await.is_ok() {}
        true
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
