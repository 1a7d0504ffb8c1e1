//! The channels of one core: who listens, who owns, who else has to be told.
//!
//! Every channel has one owner core, chosen by the hash of its name. The owner puts publications in order and mails
//! each to the cores that linked themselves to the channel; every core fans out to its own members. So all members
//! on all cores see one order.
//! Knows nothing of connections, frames or commands: a `Member` is a number, a publication is a `Payload`.

mod channel;
mod engine;
mod fanout;
mod registry;
#[cfg(test)]
mod tests;

pub use channel::{Joined, Left};
pub use engine::{Seat, owner_of};
pub use fanout::Sink;
pub use registry::Hub;

/// A subscriber of this core: the slot of a connection, which the hub only stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Member(pub u32);
