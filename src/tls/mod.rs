//! TLS 1.2 and 1.3 for the public port: received bytes in, plaintext out, and the other way round. RFC 8446, RFC 5246.
//!
//! rustls shakes hands. Afterwards it gives the secrets of the connection up, and the records are opened and sealed here
//! (`tunnel`), where they lie and with keys that only busy connections have (`keys`): what an idle connection keeps is
//! its secrets.
//! Invariant: no byte of the peer can make it panic; a session that has failed says why once, and then nothing more.
//! Knows no sockets and no connections. Randomness and the time of day, which certificates and tickets need, come with
//! the configuration of rustls (`acceptor`).

mod acceptor;
mod failure;
mod greeting;
mod identity;
mod keys;
mod record;
mod session;
#[cfg(test)]
mod tests;
mod tunnel;
mod updates;
mod validity;

pub use acceptor::{Acceptor, ClientAuth, Terms, TermsProblem};
pub use failure::Failure;
pub use greeting::{Opened, Version};
pub use identity::{Identity, IdentityProblem, outlines};
pub use keys::Keys;
pub use session::{Event, Session};
pub use validity::{Outline, Validity};
