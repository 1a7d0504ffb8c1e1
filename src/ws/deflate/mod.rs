//! Compression of single messages: permessage-deflate, RFC 7692.
//!
//! Invariant: a core has one `Inflater`, and one compressor for each window size that somebody asked for; both start
//! anew with every message. What a connection whose messages build on each other keeps is its `History` alone, the
//! bytes that the next message may refer to, which is handed to the compressor as a dictionary. So a connection without
//! context takeover owns nothing, one with it owns what it has said and no state of zlib, and after a message that was
//! refused there is nothing that could be used again.
//! Knows nothing of how both sides came to agree: see `http::compression`.

mod deflater;
mod history;
mod inflater;
#[cfg(test)]
mod strict;
#[cfg(test)]
mod tests;
mod window;

pub use deflater::{Deflater, Effort};
pub use history::History;
pub use inflater::Inflater;
pub use window::Window;

/// What a connection has agreed on about the messages that we send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deflate {
    #[default]
    Off,
    /// Each message by itself: every connection with this window can be sent the same bytes.
    Shared(Window),
    /// Messages build on those before.
    Own(Window),
}

impl Deflate {
    pub const fn is_on(self) -> bool {
        match self {
            Self::Off => false,
            Self::Shared(_) | Self::Own(_) => true,
        }
    }

    /// Of messages that can be compressed where they are made.
    pub const fn shared(self) -> Option<Window> {
        match self {
            Self::Shared(window) => Some(window),
            Self::Off | Self::Own(_) => None,
        }
    }
}

/// What compressed messages were and became.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub messages: u64,
    /// As they were said.
    pub plain_bytes: u64,
    /// As they went over the wire, without headers of frames.
    pub packed_bytes: u64,
}

impl Tally {
    fn add(&mut self, plain: usize, packed: usize) {
        self.messages += 1;
        self.plain_bytes += plain as u64;
        self.packed_bytes += packed as u64;
    }
}
