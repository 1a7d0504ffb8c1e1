//! Compression by itself and through the reader, against an implementation that shares nothing with ours.

use super::*;
use crate::limits::FINAL_BLOCK_COUNT_MAX;
use crate::ws::properties::{OPTIONS, chunked};
use crate::ws::transcript::{Seen, binary, frame, frames, read_with, text};
use crate::ws::{Kind, Opcode, Pool, ReadOptions, Role, Violation, append_frame};
use miniz_oxide::deflate::core::{CompressorOxide, TDEFLFlush, compress, create_comp_flags_from_zip_params};
use miniz_oxide::inflate::decompress_to_vec;
use proptest::collection::vec;
use proptest::prelude::*;

const DEFLATE: ReadOptions = ReadOptions { deflate: true, ..OPTIONS };
const EFFORT: Effort = Effort { level: 6, bytes_min: 0 };
const FIN: u8 = 0x80;
const PACKED: u8 = 0x40;

/// A peer that compresses with something else than we do.
struct Stranger(Box<CompressorOxide>);

impl Stranger {
    fn new(level: i32) -> Self {
        // Negative window bits: no header.
        Self(Box::new(CompressorOxide::new(create_comp_flags_from_zip_params(level, -15, 0))))
    }

    /// The payload of a message that may refer to those before.
    fn pack(&mut self, message: &[u8]) -> Vec<u8> {
        let mut out = vec![0; message.len() * 2 + 100];
        let (_, taken, made) = compress(&mut self.0, message, &mut out, TDEFLFlush::Sync);
        assert_eq!(taken, message.len());
        out.truncate(made);
        assert_eq!(out.split_off(made - 4), [0, 0, 0xff, 0xff]);
        out
    }

    fn pack_alone(message: &[u8]) -> Vec<u8> {
        Self::new(6).pack(message)
    }
}

/// What these payloads say, read one behind the other.
fn unpacked_by_a_stranger(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut stream = Vec::new();
    for payload in payloads {
        stream.extend_from_slice(payload);
        stream.extend_from_slice(&[0, 0, 0xff, 0xff]);
    }
    stream.extend_from_slice(&[1, 0, 0, 0xff, 0xff]);
    decompress_to_vec(&stream).unwrap()
}

/// The payload of the one compressed frame in `bytes`, none if it is not compressed.
fn packed(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut plain = bytes.to_vec();
    plain[0] &= !PACKED;
    let (_, payload, rest) = crate::ws::writer::split_frame(&plain).unwrap();
    assert!(rest.is_empty());
    (bytes[0] & PACKED != 0).then(|| payload.to_vec())
}

/// Read in one piece, byte by byte and cut in two anywhere: always the same.
#[track_caller]
fn read(options: &ReadOptions, bytes: &[u8], takeover: bool) -> Vec<Seen> {
    let history = || takeover.then(|| History::new(Window::Bits15));
    let whole = read_with(options, [bytes], history()).0;
    assert_eq!(read_with(options, bytes.chunks(1), history()).0, whole, "byte by byte");
    for cut in 0..=bytes.len().min(200) {
        let (front, back) = bytes.split_at(cut);
        assert_eq!(read_with(options, [front, back], history()).0, whole, "cut at {cut}");
    }
    whole
}

#[track_caller]
fn alone(bytes: &[u8]) -> Vec<Seen> {
    read(&DEFLATE, bytes, false)
}

/// RFC 7692 section 7.2.3.
#[test]
fn the_examples_of_the_rfc_are_read() {
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    for (payload, what) in [
        (&hello[..], "one block"),
        (&[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00], "no compression"),
        (&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00], "a block that says it is the last"),
        (
            &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
            "two blocks, the tail between them",
        ),
    ] {
        assert_eq!(alone(&frame(FIN | PACKED | 1, payload)), [text("Hello")], "{what}");
        assert_eq!(read(&DEFLATE, &frame(FIN | PACKED | 1, payload), true), [text("Hello")], "{what}");
    }
    let fragments = frames(&[(PACKED | 1, &hello[..3]), (FIN | 9, b"ping"), (FIN, &hello[3..])]);
    assert_eq!(alone(&fragments), [Seen::Ping(b"ping".to_vec()), text("Hello")]);
    // "Sharing LZ77 Sliding Window" (7.2.3.2).
    let again = frames(&[
        (FIN | PACKED | 1, &hello),
        (FIN | PACKED | 1, &[0xf2, 0x00, 0x11, 0x00, 0x00]),
        (FIN | PACKED | 1, &[0xf2, 0x00, 0x11, 0x00, 0x00]),
    ]);
    assert_eq!(read(&DEFLATE, &again, true), [text("Hello"), text("Hello"), text("Hello")]);
}

/// RFC 7692 section 7.1.1: after `client_no_context_takeover` nothing of an earlier message can be referred to.
#[test]
fn without_takeover_a_reference_to_an_earlier_message_is_an_error() {
    let again = frames(&[
        (FIN | PACKED | 1, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]),
        (FIN | PACKED | 1, &[0xf2, 0x00, 0x11, 0x00, 0x00]),
    ]);
    assert_eq!(alone(&again), [text("Hello"), Seen::Violation(Violation::DeflateInvalid)]);
}

/// RFC 7692 section 6: a message that is not compressed leaves the window as it was.
#[test]
fn messages_of_both_kinds_mix() {
    let mixed = frames(&[
        (FIN | PACKED | 1, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]),
        (FIN | 1, b"plain"),
        (1, b"in "),
        (FIN, b"two"),
        (FIN | PACKED | 1, &[0xf2, 0x00, 0x11, 0x00, 0x00]),
    ]);
    assert_eq!(read(&DEFLATE, &mixed, true), [text("Hello"), text("plain"), text("in two"), text("Hello")]);
}

/// RFC 7692 section 7.2.3.6, and what some send instead.
#[test]
fn empty_messages_are_read() {
    assert_eq!(alone(&frame(FIN | PACKED | 1, &[0x00])), [text("")]);
    assert_eq!(alone(&frame(FIN | PACKED | 1, &[])), [text("")]);
    assert_eq!(
        alone(&frame(FIN | PACKED | 2, &[0x02, 0x00])),
        [binary(b"")],
        "an empty block with fixed codes"
    );
    assert_eq!(alone(&frame(FIN | PACKED | 2, &[0x03, 0x00])), [binary(b"")], "the same, the last one");
    let fragments = frames(&[(PACKED | 1, b""), (0, b""), (FIN, b"\x00"), (FIN | PACKED | 1, b"\x00")]);
    assert_eq!(alone(&fragments), [text(""), text("")]);
}

/// RFC 7692 section 6.1.
#[test]
fn the_bit_belongs_to_the_first_frame_of_a_message_only() {
    let violation = [Seen::Violation(Violation::ReservedBitSet)];
    for opcode in [8, 9, 10] {
        assert_eq!(alone(&frame(FIN | PACKED | opcode, b"")), violation);
    }
    let start = frame(PACKED | 1, &[0xf2, 0x48, 0xcd]);
    assert_eq!(alone(&[start, frame(FIN | PACKED, b"")].concat()), violation);
    for bit in [0x20, 0x10] {
        assert_eq!(alone(&frame(FIN | PACKED | bit | 1, b"")), violation, "the other bits stay reserved");
    }
    assert_eq!(read(&OPTIONS, &frame(FIN | PACKED | 1, &[0]), false), violation, "nothing was agreed on");
}

#[test]
fn what_is_not_deflate_is_an_error() {
    let hello = Stranger::pack_alone(b"Hello, hello, hello, this is long enough for something to be cut off");
    let invalid = Violation::DeflateInvalid;
    for payload in [&[0xff, 0xff, 0xff][..], &[0x06, 0x00], &[0x07], &[0x00, 0x05, 0x00, 0x00, 0x00, 0x61]] {
        assert_eq!(alone(&frame(FIN | PACKED | 2, payload)), [Seen::Violation(invalid)], "{payload:x?}");
    }
    for takeover in [false, true] {
        for len in 1..hello.len() - 1 {
            let seen = read_with(
                &DEFLATE,
                [frame(FIN | PACKED | 2, &hello[..len]).as_slice()],
                takeover.then(|| History::new(Window::Bits15)),
            );
            let is_seen = matches!(
                seen.0[..],
                [Seen::Violation(Violation::DeflateInvalid | Violation::DeflateTruncated)]
            );
            assert!(is_seen, "cut at {len} of {}: {:?}", hello.len(), seen.0);
        }
    }
    let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65];
    assert_eq!(alone(&frame(FIN | PACKED | 2, &stored)), [Seen::Violation(invalid)]);
    let fixed = [0xf2, 0x48];
    assert_eq!(alone(&frame(FIN | PACKED | 2, &fixed)), [Seen::Violation(invalid)]);
}

#[test]
fn text_is_checked_when_it_is_known() {
    for bad in [&b"\xff\xfe"[..], b"abc\xe2\x82", b"\xed\xa0\x80"] {
        let bytes = frame(FIN | PACKED | 1, &Stranger::pack_alone(bad));
        assert_eq!(alone(&bytes), [Seen::Violation(Violation::TextNotUtf8)]);
        let bytes = frame(FIN | PACKED | 2, &Stranger::pack_alone(bad));
        assert_eq!(alone(&bytes), [binary(bad)]);
    }
    // Compressed bytes are no text, and need not be.
    let euro = Stranger::pack_alone("€".repeat(50).as_bytes());
    let (front, back) = euro.split_at(2);
    assert_eq!(alone(&frames(&[(PACKED | 1, front), (FIN, back)])), [text(&"€".repeat(50))]);
}

/// The limit is one of the message as it is said, and of what is on the wire.
#[test]
fn a_bomb_ends_at_the_limit() {
    let too_big = [Seen::Violation(Violation::MessageTooBig)];
    let bomb = Stranger::pack_alone(&vec![0; 1 << 20]);
    assert!(bomb.len() < OPTIONS.message_bytes_max as usize, "{}", bomb.len());
    assert_eq!(alone(&frame(FIN | PACKED | 2, &bomb)), too_big);
    let mut parts: Vec<(u8, &[u8])> = bomb.chunks(2).map(|part| (0, part)).collect();
    parts[0].0 = PACKED | 2;
    parts.last_mut().unwrap().0 = FIN;
    assert_eq!(alone(&frames(&parts)), too_big);
    let limit = OPTIONS.message_bytes_max as usize;
    let fits = frame(FIN | PACKED | 2, &Stranger::pack_alone(&vec![7; limit]));
    assert_eq!(alone(&fits), [binary(&vec![7; limit])]);
    let beyond = frame(FIN | PACKED | 2, &Stranger::pack_alone(&vec![7; limit + 1]));
    assert_eq!(alone(&beyond), too_big);
    assert_eq!(alone(&frame(FIN | PACKED | 2, &vec![0; limit + 1])), too_big, "on the wire");
}

#[test]
fn memory_follows_what_comes_out_and_stays_below_the_limit() {
    let bomb = Stranger::pack_alone(&vec![0; 16 << 20]);
    let (mut inflater, mut out) = (Inflater::new(), Vec::new());
    let limit = 1 << 20;
    assert_eq!(inflater.inflate(&bomb, &mut out, limit, None), Err(Violation::MessageTooBig));
    assert!(out.capacity() <= limit as usize + 64, "{}", out.capacity());
    // Afterwards it reads on as if nothing had been.
    let mut out = Vec::new();
    assert_eq!(inflater.inflate(&Stranger::pack_alone(b"small"), &mut out, limit, None), Ok(()));
    assert_eq!((&out[..], out.capacity()), (&b"small"[..], 64));
}

#[test]
fn a_core_keeps_nothing_of_a_huge_message() {
    let mut pool = Pool::new();
    let huge = Stranger::pack_alone(&vec![b'x'; 1 << 20]);
    let (front, back) = huge.split_at(100);
    let mut data = [front, back].concat();
    pool.inflater.inflate_in_place(&mut data, 1 << 20, None).unwrap();
    assert_eq!(data.len(), 1 << 20);
    assert!(pool.inflater.spare_capacity() <= crate::limits::ASSEMBLY_BYTES_KEPT_MAX);
    let mut deflater = Deflater::new(EFFORT);
    let noise: Vec<u8> = (0..1_u32 << 18).flat_map(|at| at.wrapping_mul(0x9e37_79b9).to_be_bytes()).collect();
    deflater.append(&mut Vec::new(), Opcode::Binary, &noise, Some(Window::Bits15));
    assert!(deflater.packed_capacity() <= crate::limits::ASSEMBLY_BYTES_KEPT_MAX);
}

/// Each of them costs a copy of the window.
#[test]
fn streams_within_a_message_are_counted() {
    let last = &[0x03, 0x00][..];
    let few = last.repeat(FINAL_BLOCK_COUNT_MAX as usize);
    assert_eq!(alone(&frame(FIN | PACKED | 2, &few)), [binary(b"")]);
    let many = last.repeat(FINAL_BLOCK_COUNT_MAX as usize + 2);
    assert_eq!(alone(&frame(FIN | PACKED | 2, &many)), [Seen::Violation(Violation::TooManyFinalBlocks)]);
}

/// What lies behind a last block may refer to what lies before it, within its message and in those before.
#[test]
fn the_window_outlives_a_last_block() {
    let ended = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xf2, 0x00, 0x11, 0x00, 0x00];
    let twice = frames(&[(FIN | PACKED | 1, &ended), (FIN | PACKED | 1, &ended)]);
    assert_eq!(read(&DEFLATE, &twice, true), [text("HelloHello"), text("HelloHello")]);
}

#[test]
fn work_is_what_was_read_and_made() {
    let mut inflater = Inflater::new();
    let packed = Stranger::pack_alone(&[0; 1_000]);
    inflater.inflate(&packed, &mut Vec::new(), 2_000, None).unwrap();
    let work = inflater.take_work();
    assert!(work >= 1_000 + packed.len() as u64, "{work}");
    assert_eq!(inflater.take_work(), 0);
    assert!(inflater.inflate(&packed, &mut Vec::new(), 500, None).is_err());
    assert!(inflater.take_work() >= 500, "what was refused has cost all the same");
    let tally = inflater.tally();
    assert_eq!((tally.messages, tally.plain_bytes, tally.packed_bytes), (1, 1_000, packed.len() as u64));
}

#[test]
fn what_would_not_become_shorter_goes_as_it_is() {
    let mut deflater = Deflater::new(Effort { level: 6, bytes_min: 10 });
    let mut made = |opcode, payload: &[u8], window| {
        let mut out = Vec::new();
        deflater.append(&mut out, opcode, payload, window);
        out
    };
    let window = Some(Window::Bits15);
    assert_eq!(made(Opcode::Text, b"aaaaaaaaa", window), b"\x81\x09aaaaaaaaa", "below the minimum");
    assert_eq!(made(Opcode::Text, b"0a9f83hgqz", window), b"\x81\x0a0a9f83hgqz", "nothing repeats");
    assert_eq!(made(Opcode::Text, b"aaaaaaaaaaaaaaaaaaaa", None)[..2], *b"\x81\x14", "nothing was agreed on");
    let ping = made(Opcode::Ping, b"aaaaaaaaaaaaaaaaaaaa", window);
    assert_eq!(ping, b"\x89\x14aaaaaaaaaaaaaaaaaaaa", "control frames never are");
    let short = made(Opcode::Text, b"aaaaaaaaaaaaaaaaaaaa", window);
    assert_eq!(short[0], 0xc1);
    assert!(short.len() < 12, "{short:x?}");
    assert_eq!(deflater.tally().messages, 1);
}

/// What was not sent leaves nothing behind in the compressor: zlib-rs keeps output across a reset if there was no room.
#[test]
fn noise_does_not_harm_what_comes_after_it() {
    let noise: Vec<u8> =
        (0..1_u32 << 16).flat_map(|at| at.wrapping_mul(0x9e37_79b9).rotate_left(at).to_be_bytes()).collect();
    for level in 1..=9 {
        let mut deflater = Deflater::new(Effort { level, bytes_min: 0 });
        for len in [100, 1_000, 65_536, 5_000, 262_144, 65_535, 131_072, 3] {
            let text = "the quick brown fox ".repeat(len / 20);
            let message = [&noise[..len], text.as_bytes()].concat();
            for message in [&noise[..len], &message, text.as_bytes()] {
                let mut out = Vec::new();
                deflater.append(&mut out, Opcode::Binary, message, Some(Window::Bits15));
                if let Some(payload) = packed(&out) {
                    assert_eq!(unpacked_by_a_stranger(&[payload]), message);
                }
            }
        }
    }
}

/// Many frames of ours in one send, and what is none of ours to touch.
#[test]
fn a_send_is_repacked_frame_by_frame() {
    let mut deflater = Deflater::new(Effort { level: 6, bytes_min: 5 });
    let (window, mut history) = (Window::Bits9, History::new(Window::Bits9));
    let head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
    let mut out = Vec::new();
    deflater.repack(&mut out, head, window, &mut history);
    assert_eq!(out, head);
    let (long, longer) = ("ab".repeat(100), "abc".repeat(30_000));
    let mut plain = Vec::new();
    append_frame(&mut plain, Opcode::Text, long.as_bytes());
    append_frame(&mut plain, Opcode::Ping, b"ping, ping, ping, ping");
    append_frame(&mut plain, Opcode::Text, b"tiny");
    append_frame(&mut plain, Opcode::Binary, longer.as_bytes());
    append_frame(&mut plain, Opcode::Text, long.as_bytes());
    append_frame(&mut plain, Opcode::Close, b"\x03\xe8bye bye bye bye");
    let mut out = Vec::new();
    deflater.repack(&mut out, &plain, window, &mut history);
    assert!(out.len() < 700, "{} bytes", out.len());
    let client = ReadOptions { role: Role::Client, message_bytes_max: 1 << 20, ..DEFLATE };
    let seen = read_with(&client, out.chunks(7), Some(History::new(window))).0;
    let wanted = [
        text(&long),
        Seen::Ping(b"ping, ping, ping, ping".to_vec()),
        text("tiny"),
        binary(longer.as_bytes()),
        text(&long),
        Seen::Close(Some(1000), "bye bye bye bye".to_owned()),
    ];
    assert_eq!(seen, wanted);
}

/// A client that has agreed on this window keeps no more than that of what it has heard.
#[test]
fn no_reference_reaches_beyond_the_window() {
    for bits in 9..=15 {
        let window = Window::new(bits).unwrap();
        for level in [1, 2, 3, 6, 9] {
            let mut deflater = Deflater::new(Effort { level, bytes_min: 0 });
            let mut history = History::new(window);
            let mut payloads = Vec::new();
            let mut said = Vec::new();
            // The same text again and again, at distances about the size of the window.
            let noise: Vec<u8> = (0..(1_u32 << bits) / 4 + 200)
                .flat_map(|at| at.wrapping_mul(0x9e37_79b9).to_be_bytes())
                .map(|byte| b'a' + byte % 16)
                .collect();
            for round in 0..6 {
                let message = [&noise[..(1 << bits) - 300 + 100 * round], b"edge"].concat();
                let mut plain = Vec::new();
                append_frame(&mut plain, Opcode::Binary, &message);
                let mut out = Vec::new();
                deflater.repack(&mut out, &plain, window, &mut history);
                if let Some(payload) = packed(&out) {
                    furthest_reference(&payload, window.bytes());
                    payloads.push(payload);
                    said.extend_from_slice(&message);
                }
            }
            assert_eq!(unpacked_by_a_stranger(&payloads), said);
            assert!(!payloads.is_empty(), "window {bits}, level {level}");
        }
    }
}

/// Walks the codes of a payload and checks every distance. RFC 1951 section 3.2.
fn furthest_reference(payload: &[u8], distance_max: u32) {
    let stream = [payload, &[0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff]].concat();
    for distance in strict::distances(&stream) {
        assert!(distance <= distance_max, "{distance} beyond {distance_max}");
    }
}

fn messages() -> impl Strategy<Value = Vec<(bool, Vec<u8>)>> {
    let words = vec(prop_oneof!["[a-f]{1,4}", Just("publication".to_owned()), "[ -~€]{1,30}"], 1..20)
        .prop_map(|words| (true, words.join(" ").into_bytes()));
    let bytes = vec(any::<u8>(), 1..400).prop_map(|bytes| (false, bytes));
    vec(prop_oneof![3 => words, 1 => bytes], 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a stranger compresses, in however many frames and chunks, with and without takeover.
    #[test]
    fn we_read_what_a_stranger_has_compressed(
        messages in messages(),
        level in 0..10,
        takeover: bool,
        cut in 1_usize..50,
        sizes in vec(1_usize..40, 1..8),
    ) {
        let mut stranger = Stranger::new(level);
        let (mut bytes, mut wanted) = (Vec::new(), Vec::new());
        for (is_text, message) in &messages {
            if !takeover {
                stranger = Stranger::new(level);
            }
            let opcode = if *is_text { 1 } else { 2 };
            let payload = stranger.pack(message);
            let mut parts: Vec<(u8, &[u8])> = payload.chunks(cut.max(payload.len() / 3)).map(|part| (0, part)).collect();
            parts[0].0 = PACKED | opcode;
            parts.last_mut().unwrap().0 |= FIN;
            bytes.extend(frames(&parts));
            let kind = if *is_text { Kind::Text } else { Kind::Binary };
            wanted.push(Seen::Message(kind, message.clone()));
        }
        let history = || takeover.then(|| History::new(Window::Bits15));
        prop_assert_eq!(&read_with(&DEFLATE, [bytes.as_slice()], history()).0, &wanted);
        prop_assert_eq!(&read_with(&DEFLATE, bytes.chunks(1), history()).0, &wanted);
        prop_assert_eq!(&read_with(&DEFLATE, chunked(&bytes, &sizes), history()).0, &wanted);
    }

    #[test]
    fn a_stranger_reads_what_we_have_compressed(messages in messages(), bits in 9_u8..=15, level in 1_u8..=9, takeover: bool) {
        let window = Window::new(bits).unwrap();
        let mut deflater = Deflater::new(Effort { level, bytes_min: 20 });
        let mut history = History::new(window);
        let (mut payloads, mut wanted) = (Vec::new(), Vec::new());
        for (_, message) in &messages {
            let mut out = Vec::new();
            if takeover {
                let mut plain = Vec::new();
                append_frame(&mut plain, Opcode::Binary, message);
                deflater.repack(&mut out, &plain, window, &mut history);
            } else {
                deflater.append(&mut out, Opcode::Binary, message, Some(window));
            }
            if let Some(payload) = packed(&out) {
                prop_assert!(payload.len() < message.len());
                payloads.push(payload);
                wanted.extend_from_slice(message);
            }
        }
        prop_assert_eq!(unpacked_by_a_stranger(&payloads), wanted);
    }

    /// Damage is a violation or another message, whatever the chunks; never more than the limit, and never a panic.
    #[test]
    fn damage_is_seen_alike_in_all_chunks(
        messages in messages(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        takeover: bool,
        sizes in vec(1_usize..40, 1..8),
    ) {
        let mut bytes = Vec::new();
        for (_, message) in &messages {
            let mut payload = Stranger::pack_alone(message);
            for (at, value) in &damage {
                let at = at.index(payload.len());
                payload[at] = *value;
            }
            bytes.extend(frame(FIN | PACKED | 2, &payload));
        }
        let history = || takeover.then(|| History::new(Window::Bits15));
        let whole = read_with(&DEFLATE, [bytes.as_slice()], history()).0;
        prop_assert_eq!(&read_with(&DEFLATE, bytes.chunks(1), history()).0, &whole);
        prop_assert_eq!(&read_with(&DEFLATE, chunked(&bytes, &sizes), history()).0, &whole);
        for seen in whole {
            if let Seen::Message(_, message) = seen {
                prop_assert!(message.len() <= OPTIONS.message_bytes_max as usize);
            }
        }
    }
}
