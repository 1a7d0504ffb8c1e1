//! The two to fourteen bytes in front of a payload. RFC 6455 section 5.2, RFC 7692 section 6.
//!
//! Invariant: every rule that a header can break is checked here, in the order of its bytes and as soon as they are in,
//! so that the verdict depends on the bytes alone and never on how they were cut into chunks.

use super::{Opcode, Role, Violation};
use crate::limits::CONTROL_BYTES_MAX;

/// Two bytes, a length of eight, a key of four.
pub(super) const HEADER_BYTES_MAX: usize = 14;

#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub fin: bool,
    pub opcode: Opcode,
    /// Of the first frame of a message: what all its frames carry is compressed.
    pub is_compressed: bool,
    pub key: Option<[u8; 4]>,
    pub payload_len: u32,
    /// Bytes of the header itself.
    pub len: u8,
}

/// What the reader's state allows the next frame to be.
pub(super) struct Allowed {
    pub role: Role,
    /// A fragmented message is open: it can only go on or be interrupted by control frames.
    pub in_message: bool,
    /// Compression was agreed on.
    pub deflate: bool,
    /// What is left of the message limit.
    pub payload_bytes_max: u32,
}

impl Header {
    /// None while the header is not whole.
    pub fn decode(bytes: &[u8], allowed: &Allowed) -> Result<Option<Self>, Violation> {
        let Some((&first, bytes)) = bytes.split_first() else { return Ok(None) };
        let fin = first & 0x80 != 0;
        let (opcode, is_compressed) = decode_first(first, fin, allowed)?;

        let Some((&second, bytes)) = bytes.split_first() else { return Ok(None) };
        let masked = second & 0x80 != 0;
        check_mask(masked, allowed.role)?;
        let short_len = second & 0x7f;
        if opcode.is_control() && u32::from(short_len) > CONTROL_BYTES_MAX {
            return Err(Violation::ControlTooLong);
        }

        let Some((payload_len, bytes, extended)) = decode_length(short_len, bytes)? else { return Ok(None) };
        if !opcode.is_control() && payload_len > u64::from(allowed.payload_bytes_max) {
            return Err(Violation::MessageTooBig);
        }
        // Bounded by the check above, or by 125.
        let payload_len = payload_len as u32;

        if !masked {
            return Ok(Some(Self { fin, opcode, is_compressed, key: None, payload_len, len: 2 + extended }));
        }
        let Some(&key) = bytes.first_chunk::<4>() else { return Ok(None) };
        Ok(Some(Self { fin, opcode, is_compressed, key: Some(key), payload_len, len: 2 + extended + 4 }))
    }

    /// Bytes of header and payload together.
    pub const fn frame_len(&self) -> usize {
        self.len as usize + self.payload_len as usize
    }
}

fn decode_first(first: u8, fin: bool, allowed: &Allowed) -> Result<(Opcode, bool), Violation> {
    // "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values" (5.2).
    let is_compressed = first & 0x40 != 0;
    if first & 0x30 != 0 || (is_compressed && !allowed.deflate) {
        return Err(Violation::ReservedBitSet);
    }
    let opcode = Opcode::new(first & 0x0f).ok_or(Violation::OpcodeReserved)?;
    // "An endpoint MUST NOT set the 'Per-Message Compressed' bit of control frames and non-first fragments of a data
    // message" (RFC 7692 section 6.1).
    if is_compressed && !matches!(opcode, Opcode::Text | Opcode::Binary) {
        return Err(Violation::ReservedBitSet);
    }
    match opcode {
        // "Control frames themselves MUST NOT be fragmented" (5.4).
        Opcode::Close | Opcode::Ping | Opcode::Pong if !fin => Err(Violation::ControlFragmented),
        Opcode::Continuation if !allowed.in_message => Err(Violation::ContinuationWithoutStart),
        // "The fragments of one message MUST NOT be interleaved between the fragments of another message" (5.4).
        Opcode::Text | Opcode::Binary if allowed.in_message => Err(Violation::MessageInsideMessage),
        Opcode::Continuation
        | Opcode::Text
        | Opcode::Binary
        | Opcode::Close
        | Opcode::Ping
        | Opcode::Pong => Ok((opcode, is_compressed)),
    }
}

/// "A server MUST close the connection upon receiving a frame that is not masked", and a client the reverse (5.1).
const fn check_mask(masked: bool, role: Role) -> Result<(), Violation> {
    match (role, masked) {
        (Role::Server, true) | (Role::Client, false) => Ok(()),
        (Role::Server, false) => Err(Violation::FrameNotMasked),
        (Role::Client, true) => Err(Violation::FrameMasked),
    }
}

/// The length, the bytes behind it, and how many bytes its extension took. None while it is not whole.
type Length<'a> = Option<(u64, &'a [u8], u8)>;

fn decode_length(short_len: u8, bytes: &[u8]) -> Result<Length<'_>, Violation> {
    let (len, rest, extended, least) = match short_len {
        126 => match bytes.split_first_chunk::<2>() {
            Some((len, rest)) => (u64::from(u16::from_be_bytes(*len)), rest, 2, 126),
            None => return Ok(None),
        },
        127 => match bytes.split_first_chunk::<8>() {
            Some((len, rest)) => (u64::from_be_bytes(*len), rest, 8, 0x1_0000),
            None => return Ok(None),
        },
        short_len => (u64::from(short_len), bytes, 0, 0),
    };
    // "the most significant bit MUST be 0" (5.2).
    if len >> 63 != 0 {
        return Err(Violation::LengthTopBitSet);
    }
    // "in all cases, the minimal number of bytes MUST be used to encode the length" (5.2).
    if len < least {
        return Err(Violation::LengthNotMinimal);
    }
    Ok(Some((len, rest, extended)))
}
