//! Frames of ours. RFC 6455 sections 5.2, 5.3 and 5.5, RFC 7692 section 6.1.
//! Invariant: one frame a message, the shortest length form, a reserved bit only for what is compressed; control payloads
//! fit their 125 bytes.

use super::{CloseCode, Opcode, unmask};
use crate::limits::{CLOSE_REASON_BYTES_MAX, CONTROL_BYTES_MAX};

const FIN: u8 = 0x80;
/// RSV1, "Per-Message Compressed".
const PACKED: u8 = 0x40;
const MASKED: u8 = 0x80;
/// In place of a length: it follows in two, or in eight, bytes.
const LEN_16: u8 = 0x7e;
const LEN_64: u8 = 0x7f;

/// The header of a server's frame; the caller appends `payload_len` bytes.
pub fn append_header(out: &mut Vec<u8>, opcode: Opcode, payload_len: usize) {
    append_head(out, opcode, payload_len, 0);
}

/// A server's frame. The payload of a control frame is cut at 125 bytes: a pong that echoes a ping never needs it.
pub fn append_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    let payload = legal(opcode, payload);
    append_head(out, opcode, payload.len(), 0);
    out.extend_from_slice(payload);
}

/// A server's close frame. The reason is cut at a character boundary to what fits; without a code it cannot be sent.
pub fn append_close(out: &mut Vec<u8>, code: Option<CloseCode>, reason: &str) {
    let Some(code) = code else { return append_head(out, Opcode::Close, 0, 0) };
    let reason = &reason[..reason.floor_char_boundary(CLOSE_REASON_BYTES_MAX)];
    append_head(out, Opcode::Close, 2 + reason.len(), 0);
    out.extend_from_slice(&code.get().to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}

/// A client's frame. The key should be unpredictable where a proxy may sit between (section 10.3).
pub fn append_masked_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], key: [u8; 4]) {
    let payload = legal(opcode, payload);
    append_head(out, opcode, payload.len(), MASKED);
    out.extend_from_slice(&key);
    let start = out.len();
    out.extend_from_slice(payload);
    unmask(&mut out[start..], key, 0);
}

/// A server's frame of a compressed message.
pub(super) fn append_packed_frame(out: &mut Vec<u8>, opcode: Opcode, packed: &[u8]) {
    let start = out.len();
    append_head(out, opcode, packed.len(), 0);
    if let Some(first) = out.get_mut(start) {
        *first |= PACKED;
    }
    out.extend_from_slice(packed);
}

/// The first of several frames that `append_frame` has made: opcode, payload, and what comes behind it.
pub(super) fn split_frame(bytes: &[u8]) -> Option<(Opcode, &[u8], &[u8])> {
    let (&[first, len], rest) = bytes.split_first_chunk::<2>()?;
    let opcode = Opcode::new(first ^ FIN)?;
    let (len, rest) = match len {
        LEN_64 => {
            rest.split_first_chunk::<8>().map(|(len, rest)| (u64::from_be_bytes(*len) as usize, rest))?
        }
        LEN_16 => {
            rest.split_first_chunk::<2>().map(|(len, rest)| (usize::from(u16::from_be_bytes(*len)), rest))?
        }
        len => (usize::from(len), rest),
    };
    let (payload, rest) = rest.split_at_checked(len)?;
    Some((opcode, payload, rest))
}

fn legal(opcode: Opcode, payload: &[u8]) -> &[u8] {
    if opcode.is_control() { &payload[..payload.len().min(CONTROL_BYTES_MAX as usize)] } else { payload }
}

fn append_head(out: &mut Vec<u8>, opcode: Opcode, payload_len: usize, masked: u8) {
    let first = FIN | opcode as u8;
    match payload_len {
        0..=125 => out.extend_from_slice(&[first, masked | payload_len as u8]),
        126..=0xffff => {
            let [a, b] = (payload_len as u16).to_be_bytes();
            out.extend_from_slice(&[first, masked | LEN_16, a, b]);
        }
        _ => {
            out.extend_from_slice(&[first, masked | LEN_64]);
            out.extend_from_slice(&(payload_len as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(append: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        append(&mut out);
        out
    }

    /// RFC 6455 section 5.2: "the minimal number of bytes MUST be used to encode the length".
    #[test]
    fn the_length_takes_its_shortest_form() {
        for (len, header) in [
            (0, &b"\x82\0"[..]),
            (125, b"\x82\x7d"),
            (126, b"\x82\x7e\0\x7e"),
            (0xffff, b"\x82\x7e\xff\xff"),
            (0x1_0000, b"\x82\x7f\0\0\0\0\0\x01\0\0"),
        ] {
            assert_eq!(made(|out| append_header(out, Opcode::Binary, len)), header);
        }
    }

    /// RFC 6455 section 5.7.
    #[test]
    fn the_examples_of_the_rfc_are_made() {
        assert_eq!(made(|out| append_frame(out, Opcode::Text, b"Hello")), b"\x81\x05Hello");
        assert_eq!(
            made(|out| append_masked_frame(out, Opcode::Text, b"Hello", [0x37, 0xfa, 0x21, 0x3d])),
            b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
        );
    }

    /// RFC 6455 section 5.5.
    #[test]
    fn a_control_frame_never_exceeds_its_limit() {
        let long = [7; 300];
        assert_eq!(made(|out| append_frame(out, Opcode::Pong, &long))[..2], [0x8a, 125]);
        let reason = "ß".repeat(100);
        let close = made(|out| append_close(out, Some(CloseCode::GOING_AWAY), &reason));
        assert_eq!(close[..4], [0x88, 124, 0x03, 0xe9]);
        assert_eq!(std::str::from_utf8(&close[4..]), Ok("ß".repeat(61).as_str()));
    }

    #[test]
    fn a_close_without_a_code_is_empty() {
        assert_eq!(made(|out| append_close(out, None, "unsaid")), b"\x88\0");
    }
}
