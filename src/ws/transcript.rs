//! For tests: what a reader made of a stream of chunks, in a form that owns its bytes and can be compared.

use super::deflate::History;
use super::{CloseCode, Event, Kind, Opcode, Pool, ReadOptions, Reader, Violation, append_masked_frame};

pub(super) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// An event that owns its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Message(Kind, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    Violation(Violation),
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Message(kind, payload) => Self::Message(kind, payload.to_vec()),
            Event::Ping(payload) => Self::Ping(payload.to_vec()),
            Event::Pong(payload) => Self::Pong(payload.to_vec()),
            Event::Close(code, reason) => {
                Self::Close(code.map(CloseCode::get), String::from_utf8(reason.to_vec()).unwrap())
            }
        }
    }
}

pub(super) fn text(text: &str) -> Seen {
    Seen::Message(Kind::Text, text.as_bytes().to_vec())
}

pub(super) fn binary(payload: &[u8]) -> Seen {
    Seen::Message(Kind::Binary, payload.to_vec())
}

/// Reads until the input ends, a close or a violation; the second figure is how many bytes were in by then.
pub(super) fn read_chunks<'a>(
    options: &ReadOptions,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Seen>, usize) {
    read_with(options, chunks, None)
}

/// The same where compressed messages may build on each other.
pub(super) fn read_with<'a>(
    options: &ReadOptions,
    chunks: impl IntoIterator<Item = &'a [u8]>,
    mut history: Option<History>,
) -> (Vec<Seen>, usize) {
    let (mut reader, mut pool, mut seen, mut received) = (Reader::new(), Pool::new(), Vec::new(), 0);
    for chunk in chunks {
        received += chunk.len();
        let mut chunk = chunk.to_vec();
        let mut input = chunk.as_mut_slice();
        loop {
            match reader.next_after(&mut input, options, &mut pool, history.as_mut()) {
                Ok(Some(event)) => seen.push(event.into()),
                Ok(None) => break,
                Err(violation) => seen.push(Seen::Violation(violation)),
            }
            if matches!(seen.last(), Some(Seen::Close(..) | Seen::Violation(_))) {
                return (seen, received);
            }
        }
        assert!(input.is_empty(), "None means that the input is used up");
    }
    (seen, received)
}

/// A masked frame made of a first byte and a payload.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    append_masked_frame(&mut out, Opcode::Binary, payload, KEY);
    out[0] = first;
    out
}

pub(super) fn frames(parts: &[(u8, &[u8])]) -> Vec<u8> {
    parts.iter().flat_map(|(first, payload)| frame(*first, payload)).collect()
}
