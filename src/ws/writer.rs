//! Frames of ours. RFC 6455 sections 5.2, 5.3 and 5.5.
//! Invariant: one frame a message, the shortest length form, no reserved bit; control payloads fit their 125 bytes.

use super::{CloseCode, Opcode, unmask};
use crate::limits::{CLOSE_REASON_BYTES_MAX, CONTROL_BYTES_MAX};

const FIN: u8 = 0x80;
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
