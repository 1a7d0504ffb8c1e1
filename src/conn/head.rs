//! A request head that arrives in pieces.
//! Invariant: no byte is scanned twice, and no more than a head and what may follow it early is kept.

use crate::http::Scan;

#[derive(Debug, Default)]
pub struct PartialHead {
    pub scan: Scan,
    pub bytes: Vec<u8>,
}
