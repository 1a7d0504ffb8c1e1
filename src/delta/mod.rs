//! Fossil deltas: a publication as a patch on the one before it.
//!
//! Invariant: what `Encoder` writes, `apply` and every fossil decoder turn into exactly the target; a patch is always
//! shorter than its target. A patch between texts is a text itself, so that it can travel in a JSON string. Bytes of a
//! peer cost time in proportion to their length, whatever they are. Knows nothing of JSON, channels or codecs.
//! The format: "Fossil Delta Format" in the documentation of Fossil.

mod blocks;
mod decoder;
mod encoder;
mod format;
mod patch;
#[cfg(test)]
mod tests;

pub use decoder::{Corrupt, apply};
pub use encoder::Encoder;
