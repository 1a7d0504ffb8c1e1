//! The program as a whole, against servers on loopback.

#![expect(clippy::unwrap_used, reason = "tests")]

mod comparison;
mod delivery;
mod server;
