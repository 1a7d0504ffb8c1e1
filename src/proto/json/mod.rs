//! JSON on the wire: one object a line. Decoding is serde's, borrowed and without a tree; encoding is appends.
//!
//! Invariant: what is encoded is one line of valid JSON as long as the raw data in it is. Nesting costs no stack:
//! serde_json skips values iteratively, `depth` scans them iteratively.

mod decode;
mod depth;
mod encode;
pub(super) mod field;
mod object;
#[cfg(test)]
mod tests;

pub(super) use decode::{check, command, connect, emulation, split, trim};
pub(super) use encode::{push, reply};
pub use object::Object;
