//! Protobuf on the wire: each message behind its length as a varint. The schema is `client.proto`.
//!
//! Reader and writer are written by hand. Generated types own what they hold: prost copies every string and payload, and
//! reads a whole tree before anyone looks at it; views of other generators borrow, but are types of their own that would
//! be turned into `command` afterwards. What a client may send fits a page, so it is read straight into the borrowed
//! types of `command`. The generated types stand beside it in the tests, as an independent opinion about every byte.
//!
//! Invariant: stricter than Protobuf where leniency means two readings: a singular field comes once, a number fits its
//! field, a key of a map is unique. Unknown fields are skipped. Nothing is copied, and only filters recurse, to a limit.

mod decode;
mod encode;
mod fields;
#[cfg(test)]
#[allow(clippy::pedantic, dead_code, reason = "written by a generator, for every message of the schema")]
mod generated;
mod message;
#[cfg(test)]
mod tests;

pub(super) use decode::{command, connect, emulation, split};
pub(super) use encode::{push, reply};

/// Ping and pong: a message of no bytes.
pub(super) const PING: u8 = 0;
