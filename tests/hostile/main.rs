//! Hostile peers against the real server: raw bytes in, and what the RFCs oblige us to answer.
//!
//! Every test starts the binary on one core and ends with `settled`: connections, descriptors and figures are back to
//! the baseline and no assertion of ours was tripped. The tag in a test's doc is its row in the catalogue of attacks:
//! H for the handshake, F for frames, Z for compression.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

#[path = "../tls/authority.rs"]
#[allow(dead_code, reason = "each suite uses its part")]
mod authority;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each suite uses its part")]
mod support;

mod compression;
mod endings;
mod framing;
mod handshake;
mod heads;
mod memory;
mod origins;
mod patience;
mod rows;
mod text;
mod violations;
