//! The channels of one core: who listens here, which other cores listen, and where the stream stands.
//!
//! Invariant: a channel exists exactly as long as somebody is in it, waits for it, is linked to it, or something of its
//! history is kept. Knows nothing of connections, codecs or policies beyond the one that its channel was made with.

mod channel;
mod engine;
mod fanout;
mod filters;
mod member;
mod registry;
#[cfg(test)]
mod tests;

pub use channel::{Channel, Joined, Left, Place};
pub use engine::{Seat, owner_of};
pub use fanout::{Look, NOBODY, Sink, Walked};
pub use member::{FilterId, Form, Member};
pub use registry::Hub;
