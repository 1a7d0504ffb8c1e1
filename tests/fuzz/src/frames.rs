//! Any bytes are events or one violation, and cutting them differently changes nothing. Peer bytes never panic.

use super::chunk_ends;
use ringway::ws::deflate::{History, Window};
use ringway::ws::{CloseCode, Event, Kind, Pool, ReadOptions, Reader, Role, Violation};

#[derive(Debug, PartialEq)]
enum Seen {
    Message(Kind, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<CloseCode>, Vec<u8>),
    Violation(Violation),
}

fn read(options: &ReadOptions, bytes: &[u8], ends: impl Iterator<Item = usize>) -> Vec<Seen> {
    // In one of the roles compressed messages build on each other.
    let mut history = (options.role == Role::Client).then(|| History::new(Window::Bits9));
    let (mut reader, mut pool, mut seen, mut start) = (Reader::new(), Pool::new(), Vec::new(), 0);
    for end in ends {
        let mut chunk = bytes[start..end].to_vec();
        let mut input = chunk.as_mut_slice();
        start = end;
        loop {
            let event = match reader.next_after(&mut input, options, &mut pool, history.as_mut()) {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(violation) => {
                    seen.push(Seen::Violation(violation));
                    return seen;
                }
            };
            seen.push(match event {
                Event::Message(kind, payload) => {
                    assert!(payload.len() <= options.message_bytes_max as usize);
                    assert!(kind == Kind::Binary || std::str::from_utf8(payload).is_ok());
                    Seen::Message(kind, payload.to_vec())
                }
                Event::Ping(payload) => Seen::Ping(payload.to_vec()),
                Event::Pong(payload) => Seen::Pong(payload.to_vec()),
                Event::Close(code, reason) => {
                    assert!(std::str::from_utf8(reason).is_ok());
                    seen.push(Seen::Close(code, reason.to_vec()));
                    return seen;
                }
            });
        }
        assert!(input.is_empty());
    }
    reader.release(&mut pool);
    assert!(reader.is_idle());
    seen
}

pub fn run(data: &[u8]) {
    let Some((&[choice, ref sizes @ ..], bytes)) = data.split_first_chunk::<8>() else { return };
    let options = ReadOptions {
        role: if choice & 1 == 0 { Role::Server } else { Role::Client },
        message_bytes_max: 1 << (choice >> 4),
        empty_frames_max: u32::from(choice >> 1 & 3),
        deflate: choice & 8 != 0,
    };
    let whole = read(&options, bytes, std::iter::once(bytes.len()));
    assert_eq!(read(&options, bytes, chunk_ends(sizes, bytes.len())), whole);
    assert_eq!(read(&options, bytes, 1..=bytes.len()), whole);
}
