//! The one HTTP request in front of a WebSocket: bounded, incremental, strict. RFC 9112, RFC 6455 section 4.2, RFC 7692
//! section 7.1.
//!
//! `Scan` finds the end of a head that is still arriving, `Head` parses and checks it, `Upgrade` applies the rules of
//! the opening handshake, `OriginPolicy` those against foreign pages; every way to fail is a `Refusal`.
//! Knows nothing of routes, sockets or clocks; requests that are not upgrades are answered elsewhere.

mod authority;
mod compression;
mod extensions;
mod head;
mod origin;
#[cfg(test)]
mod properties;
mod refusal;
mod scan;
mod upgrade;

pub use compression::{Agreement, Terms};
pub use head::Head;
pub use origin::{OriginPatternError, OriginPolicy};
pub use refusal::Refusal;
pub use scan::Scan;
pub use upgrade::Upgrade;
