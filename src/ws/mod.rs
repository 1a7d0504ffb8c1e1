//! WebSocket frames (RFC 6455) and their compression (RFC 7692), without any IO: bytes in, events out; messages in,
//! bytes out.
//!
//! `Reader` is strict: what the RFC forbids is a `Violation`, found on the earliest byte that shows it. `writer` only
//! ever makes frames that a strict peer accepts. Splitting the input differently never changes the events.
//! Knows nothing of sockets, clocks, channels or the HTTP head that came before.

mod close;
pub mod deflate;
#[cfg(test)]
mod differential;
mod header;
mod mask;
mod opcode;
mod partial;
mod pool;
#[cfg(test)]
mod properties;
mod reader;
#[cfg(test)]
mod transcript;
mod utf8;
mod violation;
mod writer;

pub use close::CloseCode;
pub use mask::unmask;
pub use opcode::{Kind, Opcode};
pub use pool::Pool;
pub use reader::{Event, ReadOptions, Reader, Role};
pub use violation::Violation;
pub use writer::{append_close, append_frame, append_header, append_masked_frame};
