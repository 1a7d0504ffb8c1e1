//! The least of RFC 6455 that a well-behaved load generator needs: upgrade, unmask, frame. Checks nothing.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

pub const OPCODE_TEXT: u8 = 0x1;
pub const OPCODE_BINARY: u8 = 0x2;
pub const OPCODE_CLOSE: u8 = 0x8;

/// A frame whose payload has been unmasked in place.
pub struct Frame {
    pub opcode: u8,
    pub payload: Range<usize>,
    pub consumed: usize,
}

/// The answer to a request head and the length of that head. `None`: not an upgrade. `Some(None)`: not whole yet.
#[expect(
    clippy::option_option,
    reason = "an inner Option says whether there is enough, as everywhere in this file"
)]
pub fn upgrade(received: &[u8]) -> Option<Option<(Vec<u8>, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(consumed) = request.parse(received).ok()? else {
        return Some(None);
    };
    let key = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("Sec-WebSocket-Key"))?;
    let digest =
        Sha1::new().chain_update(key.value).chain_update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
    let reply = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        STANDARD.encode(digest)
    );
    Some(Some((reply.into_bytes(), consumed)))
}

/// Unmasks the first frame, when it has arrived whole (RFC 6455 section 5.2).
pub fn unmask_next(bytes: &mut [u8]) -> Option<Frame> {
    let [first, second, rest @ ..] = &*bytes else { return None };
    let opcode = first & 0x0f;
    let (length_bytes, length): (usize, usize) = match second & 0x7f {
        126 => (2, u16::from_be_bytes(*rest.first_chunk()?) as usize),
        127 => (8, u64::from_be_bytes(*rest.first_chunk()?) as usize),
        length => (0, length as usize),
    };
    let start = 2 + length_bytes + 4;
    let end = start.checked_add(length)?;
    if bytes.len() < end {
        return None;
    }
    let (head, payload) = bytes[..end].split_at_mut(start);
    let mask: [u8; 4] = *head.last_chunk()?;
    // Whole words: LLVM turns this into vector code.
    let word = u32::from_ne_bytes(mask);
    let mut words = payload.chunks_exact_mut(4);
    for chunk in &mut words {
        let clear = u32::from_ne_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]) ^ word;
        chunk.copy_from_slice(&clear.to_ne_bytes());
    }
    for (byte, mask) in words.into_remainder().iter_mut().zip(mask) {
        *byte ^= mask;
    }
    Some(Frame { opcode, payload: start..end, consumed: end })
}

/// Appends a server frame.
pub fn push(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    match payload.len() {
        length @ 0..=125 => out.push(length as u8),
        length @ 126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}
