//! How messages to one client look on their way: codec, dress, envelope and compression.
//!
//! Invariant: what `append` adds is whole: any number of them one behind the other is legal on the transport.
//! Knows nothing of what a message says.

use crate::proto::Codec;
use crate::ws::Opcode;
use crate::ws::deflate::{Deflater, Window};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Wire {
    pub codec: Codec,
    /// A unidirectional client: it gets pushes without the wrapper of a reply, and no replies.
    pub is_bare: bool,
    pub envelope: Envelope,
    /// Messages are compressed by themselves, where they are made, with this window. None: they are not, or not there.
    pub deflate: Option<Window>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Envelope {
    /// A WebSocket message.
    Frame,
    /// A line of a response without end; Protobuf messages bring their length themselves.
    Line,
    /// A server-sent event.
    Event,
}

impl Wire {
    pub const fn websocket(codec: Codec) -> Self {
        Self { codec, is_bare: false, envelope: Envelope::Frame, deflate: None }
    }

    pub fn append(self, out: &mut Vec<u8>, message: &[u8], deflater: &mut Deflater) {
        match (self.envelope, self.codec) {
            (Envelope::Frame, Codec::Json) => deflater.append(out, Opcode::Text, message, self.deflate),
            (Envelope::Frame, Codec::Protobuf) => deflater.append(out, Opcode::Binary, message, self.deflate),
            (Envelope::Line, Codec::Json) => {
                out.extend_from_slice(message);
                out.push(b'\n');
            }
            (Envelope::Line, Codec::Protobuf) => out.extend_from_slice(message),
            (Envelope::Event, Codec::Json | Codec::Protobuf) => {
                out.extend_from_slice(b"data: ");
                out.extend_from_slice(message);
                out.extend_from_slice(b"\n\n");
            }
        }
    }

    /// Seven bits, different for every wire.
    pub const fn bits(self) -> u8 {
        let codec = match self.codec {
            Codec::Json => 0,
            Codec::Protobuf => 1,
        };
        let envelope = match self.envelope {
            Envelope::Frame => 0,
            Envelope::Line => 1,
            Envelope::Event => 2,
        };
        let deflate = match self.deflate {
            None => 0,
            Some(window) => window.bits() - (Window::Bits9.bits() - 1),
        };
        codec | (self.is_bare as u8) << 1 | envelope << 2 | deflate << 4
    }

    pub const fn from_bits(bits: u8) -> Self {
        Self {
            codec: if bits & 1 == 0 { Codec::Json } else { Codec::Protobuf },
            is_bare: bits & 2 != 0,
            envelope: match bits >> 2 & 3 {
                0 => Envelope::Frame,
                1 => Envelope::Line,
                _ => Envelope::Event,
            },
            deflate: Window::new((bits >> 4) + (Window::Bits9.bits() - 1)),
        }
    }

    /// As hooks and the API call it.
    pub const fn protocol(self) -> &'static str {
        match self.codec {
            Codec::Json => "json",
            Codec::Protobuf => "protobuf",
        }
    }

    pub const fn transport(self) -> &'static str {
        match (self.envelope, self.is_bare) {
            (Envelope::Frame, false) => "websocket",
            (Envelope::Frame, true) => "uni_websocket",
            (Envelope::Line, false) => "http_stream",
            (Envelope::Line, true) => "uni_http_stream",
            (Envelope::Event, false) => "sse",
            (Envelope::Event, true) => "uni_sse",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wire_has_bits_of_its_own() {
        for bits in (0..128).filter(|bits| bits >> 2 & 3 != 3) {
            assert_eq!(Wire::from_bits(bits).bits(), bits);
        }
        assert_eq!(Wire::from_bits(0).deflate, None);
        assert_eq!(Wire::from_bits(0x70).deflate, Some(Window::Bits15));
    }
}
