//! The broadcast hub of the peers on tokio: one queue per connection, every message to all of them.
//!
//! The queues are unbounded: that is the cheapest form for the peer, and the load of a comparison is bounded.
//! On the current-thread runtime the lock is never contended and costs a few nanoseconds per message, not per delivery.

use std::sync::{Mutex, PoisonError};

use slab::Slab;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The queues of all connections. `T` is shared by reference count, so a delivery copies no payload.
#[derive(Debug)]
pub struct Hub<T> {
    queues: Mutex<Slab<UnboundedSender<T>>>,
}

impl<T: Clone> Hub<T> {
    pub const fn new() -> Self {
        Self { queues: Mutex::new(Slab::new()) }
    }

    /// Adds a connection.
    pub fn join(&self) -> (usize, UnboundedReceiver<T>) {
        let (sender, receiver) = unbounded_channel();
        (self.queues.lock().unwrap_or_else(PoisonError::into_inner).insert(sender), receiver)
    }

    pub fn leave(&self, key: usize) {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// To one connection.
    pub fn send(&self, key: usize, message: T) {
        if let Some(queue) = self.queues.lock().unwrap_or_else(PoisonError::into_inner).get(key) {
            // A closed queue belongs to a connection that is about to leave.
            let _ = queue.send(message);
        }
    }

    /// To every connection.
    pub fn broadcast(&self, message: &T) {
        for (_, queue) in &*self.queues.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = queue.send(message.clone());
        }
    }
}

impl<T: Clone> Default for Hub<T> {
    fn default() -> Self {
        Self::new()
    }
}
