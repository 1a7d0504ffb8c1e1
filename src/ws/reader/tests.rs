//! Framing rules one by one, each in every chunking that can matter: whole, byte by byte, and cut in two anywhere.

use super::*;
use crate::limits::CONTROL_BYTES_MAX;
use crate::ws::append_frame;
use crate::ws::transcript::{KEY, Seen, binary, frame, frames, read_chunks, text};

const OPTIONS: ReadOptions =
    ReadOptions { role: Role::Server, message_bytes_max: 1024, empty_frames_max: 4, deflate: false };

/// The events of these bytes, which must not depend on how they are cut.
#[track_caller]
fn read(options: &ReadOptions, bytes: &[u8]) -> Vec<Seen> {
    let (whole, _) = read_chunks(options, [bytes]);
    assert_eq!(read_chunks(options, bytes.chunks(1)).0, whole, "byte by byte");
    for cut in 0..=bytes.len().min(300) {
        let (front, back) = bytes.split_at(cut);
        assert_eq!(read_chunks(options, [front, back]).0, whole, "cut at {cut}");
    }
    whole
}

/// The violation of these bytes, and that `header_len` of them are enough to tell.
#[track_caller]
fn violates(bytes: &[u8], violation: Violation, needed: usize) {
    assert_eq!(read(&OPTIONS, bytes), [Seen::Violation(violation)]);
    assert_eq!(read_chunks(&OPTIONS, bytes.chunks(1)).1, needed, "told late or early");
}

/// RFC 6455 section 5.7.
#[test]
fn the_examples_of_the_rfc_are_read() {
    assert_eq!(read(&OPTIONS, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), [text("Hello")]);
    let client = ReadOptions { role: Role::Client, message_bytes_max: 0x1_0000, ..OPTIONS };
    assert_eq!(read(&client, b"\x81\x05Hello"), [text("Hello")]);
    assert_eq!(read(&client, b"\x01\x03Hel\x80\x02lo"), [text("Hello")]);
    assert_eq!(
        read(&client, b"\x89\x05Hello\x8a\x05Hello"),
        [Seen::Ping(b"Hello".to_vec()), Seen::Pong(b"Hello".to_vec())]
    );
    let long = [&b"\x82\x7e\x01\x00"[..], &[7; 256]].concat();
    assert_eq!(read(&client, &long), [binary(&[7; 256])]);
    let longer = [&b"\x82\x7f\0\0\0\0\0\x01\0\0"[..], &vec![7; 0x1_0000]].concat();
    assert_eq!(read_chunks(&client, [longer.as_slice()]).0, [binary(&vec![7; 0x1_0000])]);
    assert_eq!(read_chunks(&client, longer.chunks(1)).0, [binary(&vec![7; 0x1_0000])]);
}

#[test]
fn several_messages_in_one_chunk_come_in_order() {
    let bytes = frames(&[(0x81, b"a"), (0x82, b""), (0x89, b"p"), (0x81, b""), (0x8a, b"")]);
    assert_eq!(
        read(&OPTIONS, &bytes),
        [text("a"), binary(b""), Seen::Ping(b"p".to_vec()), text(""), Seen::Pong(Vec::new())]
    );
}

/// RFC 6455 section 5.4.
#[test]
fn control_frames_come_at_once_inside_a_fragmented_message() {
    let bytes = frames(&[(0x01, b"a"), (0x89, b"p"), (0x00, b""), (0x8a, b"q"), (0x80, b"b"), (0x81, b"c")]);
    assert_eq!(
        read(&OPTIONS, &bytes),
        [Seen::Ping(b"p".to_vec()), Seen::Pong(b"q".to_vec()), text("ab"), text("c")]
    );
    let closing = frames(&[(0x01, b"a"), (0x88, b"\x03\xe8bye")]);
    assert_eq!(read(&OPTIONS, &closing), [Seen::Close(Some(1000), "bye".to_owned())]);
}

/// RFC 6455 section 5.2.
#[test]
fn reserved_bits_and_opcodes_are_refused_on_the_first_byte() {
    for bit in [0x40, 0x20, 0x10, 0x70] {
        violates(&frame(0x81 | bit, b"hi"), Violation::ReservedBitSet, 1);
    }
    for opcode in [3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf] {
        violates(&frame(0x80 | opcode, b""), Violation::OpcodeReserved, 1);
    }
}

/// RFC 6455 section 5.1.
#[test]
fn the_mask_is_there_from_a_client_and_not_from_a_server() {
    violates(b"\x81\x02hi", Violation::FrameNotMasked, 2);
    let client = ReadOptions { role: Role::Client, ..OPTIONS };
    assert_eq!(read(&client, &frame(0x81, b"hi")), [Seen::Violation(Violation::FrameMasked)]);
}

/// RFC 6455 section 5.5.
#[test]
fn a_control_frame_is_short_and_whole() {
    for opcode in [0x8, 0x9, 0xa] {
        violates(&frame(opcode, b""), Violation::ControlFragmented, 1);
        violates(&frame(0x80 | opcode, &[0; 126]), Violation::ControlTooLong, 2);
    }
    let longest = frame(0x89, &[1; CONTROL_BYTES_MAX as usize]);
    assert_eq!(read(&OPTIONS, &longest), [Seen::Ping(vec![1; CONTROL_BYTES_MAX as usize])]);
}

/// RFC 6455 section 5.4.
#[test]
fn fragments_belong_to_one_open_message() {
    violates(&frame(0x80, b"hi"), Violation::ContinuationWithoutStart, 1);
    violates(&frame(0x00, b"hi"), Violation::ContinuationWithoutStart, 1);
    violates(&frames(&[(0x01, b"a"), (0x81, b"b")]), Violation::MessageInsideMessage, 8);
    violates(&frames(&[(0x01, b"a"), (0x02, b"b")]), Violation::MessageInsideMessage, 8);
    let after = frames(&[(0x01, b"a"), (0x80, b"b"), (0x80, b"c")]);
    assert_eq!(read(&OPTIONS, &after), [text("ab"), Seen::Violation(Violation::ContinuationWithoutStart)]);
}

/// RFC 6455 section 5.2.
#[test]
fn a_length_is_refused_on_the_header() {
    let top = |len: [u8; 8]| [&b"\x82\xff"[..], &len, &KEY].concat();
    violates(&top([0xff; 8]), Violation::LengthTopBitSet, 10);
    violates(&top([0x80, 0, 0, 0, 0, 0, 0, 0]), Violation::LengthTopBitSet, 10);
    violates(b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff\x41", Violation::FrameNotMasked, 2);
    violates(&top([0, 0, 0, 0x10, 0, 0, 0, 0]), Violation::MessageTooBig, 10);
    violates(&top([0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), Violation::MessageTooBig, 10);
    violates(&top([0, 0, 0, 0, 0, 0, 0xff, 0xff]), Violation::LengthNotMinimal, 10);
    violates(&[&b"\x82\xfe\0\x7d"[..], &KEY].concat(), Violation::LengthNotMinimal, 4);
    violates(&[&b"\x82\xfe\x04\x01"[..], &KEY].concat(), Violation::MessageTooBig, 4);
}

#[test]
fn the_limit_is_that_of_the_message_not_of_its_frames() {
    assert_eq!(read(&OPTIONS, &frame(0x82, &[0; 1024])), [binary(&[0; 1024])]);
    let exact = frames(&[(0x02, &[0; 1000]), (0x80, &[0; 24])]);
    assert_eq!(read(&OPTIONS, &exact), [binary(&[0; 1024])]);
    let over = frames(&[(0x02, &[0; 1000]), (0x00, &[0; 24]), (0x80, b"x")]);
    assert_eq!(read(&OPTIONS, &over), [Seen::Violation(Violation::MessageTooBig)]);
    let tiny = ReadOptions { message_bytes_max: 0, ..OPTIONS };
    assert_eq!(read(&tiny, &frame(0x89, b"ping")), [Seen::Ping(b"ping".to_vec())]);
}

#[test]
fn endless_empty_fragments_are_refused() {
    let some = frames(&[(0x01, b""), (0x00, b""), (0x00, b""), (0x00, b"a"), (0x80, b"")]);
    assert_eq!(read(&OPTIONS, &some), [text("a")]);
    let many = frames(&[(0x01, b""), (0x00, b""), (0x00, b""), (0x00, b""), (0x80, b"")]);
    assert_eq!(read(&OPTIONS, &many), [Seen::Violation(Violation::TooManyEmptyFrames)]);
    // A message of one empty frame is no fragment, however many of them there are.
    let none = ReadOptions { empty_frames_max: 0, ..OPTIONS };
    assert_eq!(read(&none, &frame(0x81, b"").repeat(6)), vec![text(""); 6]);
}

/// RFC 6455 section 8.1: in any frame, as soon as the byte is in.
#[test]
fn text_that_is_not_utf8_is_refused_on_its_first_bad_byte() {
    for (payload, bad_at) in [
        (&b"ok\xc0\xaf........"[..], 3),
        (b"ok\xed\xa0\x80.......", 4),
        (b"ok\xf4\x90\x80\x80......", 4),
        (b"ok\xf8\x88\x80\x80\x80.....", 3),
        (b"ok\x80.........", 3),
    ] {
        violates(&frame(0x81, payload), Violation::TextNotUtf8, 6 + bad_at);
        violates(&frame(0x01, payload), Violation::TextNotUtf8, 6 + bad_at);
        let (front, back) = payload.split_at(3);
        let split = frames(&[(0x01, front), (0x80, back)]);
        assert_eq!(read(&OPTIONS, &split), [Seen::Violation(Violation::TextNotUtf8)]);
    }
    violates(&frame(0x81, b"ends in \xce"), Violation::TextNotUtf8, 6 + 9);
    violates(&frames(&[(0x01, b"\xe2\x82"), (0x80, b"")]), Violation::TextNotUtf8, 14);
    assert_eq!(read(&OPTIONS, &frames(&[(0x01, b"\xe2"), (0x00, b"\x82"), (0x80, b"\xac")])), [text("€")]);
    assert_eq!(read(&OPTIONS, &frame(0x82, b"\xff")), [binary(b"\xff")]);
}

/// RFC 6455 section 7.4.
#[test]
fn only_codes_that_may_be_sent_are_taken() {
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1011, 1014, 3000, 3999, 4000, 4999] {
        let bytes = frame(0x88, &u16::to_be_bytes(code));
        assert_eq!(read(&OPTIONS, &bytes), [Seen::Close(Some(code), String::new())]);
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
        let bytes = frame(0x88, &u16::to_be_bytes(code));
        assert_eq!(read(&OPTIONS, &bytes), [Seen::Violation(Violation::CloseCodeIllegal)], "{code}");
    }
    assert_eq!(read(&OPTIONS, &frame(0x88, b"")), [Seen::Close(None, String::new())]);
    assert_eq!(read(&OPTIONS, &frame(0x88, b"\x03")), [Seen::Violation(Violation::CloseCodeTruncated)]);
    let reason = frame(0x88, b"\x03\xe8\xce\xba\xff");
    assert_eq!(read(&OPTIONS, &reason), [Seen::Violation(Violation::CloseReasonNotUtf8)]);
}

#[test]
fn what_comes_before_a_violation_is_handed_out_first() {
    let bytes = frames(&[(0x81, b"a"), (0x89, b"p"), (0x83, b"")]);
    assert_eq!(
        read(&OPTIONS, &bytes),
        [text("a"), Seen::Ping(b"p".to_vec()), Seen::Violation(Violation::OpcodeReserved)]
    );
}

#[test]
fn a_message_that_lies_whole_in_the_chunk_is_not_copied() {
    let mut bytes = frame(0x82, b"zero copies");
    let range = bytes.as_ptr_range();
    let (mut reader, mut pool) = (Reader::new(), Pool::new());
    let mut input = bytes.as_mut_slice();
    let Ok(Some(Event::Message(_, payload))) = reader.next(&mut input, &OPTIONS, &mut pool) else { panic!() };
    assert!(range.contains(&payload.as_ptr()));
}

#[test]
fn between_messages_a_reader_owns_nothing() {
    assert_eq!(size_of::<Reader>(), size_of::<usize>());
    let bytes = frames(&[(0x01, b"a"), (0x80, b"b")]);
    let (mut reader, mut pool) = (Reader::new(), Pool::new());
    for (at, byte) in bytes.iter().enumerate() {
        let mut byte = [*byte];
        let mut input = byte.as_mut_slice();
        let got = reader.next(&mut input, &OPTIONS, &mut pool).unwrap().is_some();
        assert_eq!(reader.is_idle(), got, "byte {at}");
    }
    assert!(reader.next(&mut &mut [][..], &OPTIONS, &mut pool).unwrap().is_none());
    assert!(reader.0.is_none(), "the buffer is back in the pool");
}

/// What is held follows what was received: a peer that declares much and sends little gains nothing.
#[test]
fn memory_follows_bytes_received() {
    let options = ReadOptions { message_bytes_max: u32::MAX, ..OPTIONS };
    let (mut reader, mut pool) = (Reader::new(), Pool::new());
    let mut read = |bytes: &mut [u8]| {
        assert_eq!(reader.next(&mut &mut *bytes, &options, &mut pool), Ok(None));
        reader.0.as_ref().unwrap().data.capacity()
    };
    assert_eq!(read(&mut [&b"\x82\xff\0\0\0\0\x7f\xff\xff\xff"[..], &KEY].concat()), 0);
    let mut received = 0;
    for _ in 0..200 {
        received += 100;
        assert!(read(&mut [0; 100]) <= 2 * received);
    }
}

#[test]
fn many_fragments_are_one_contiguous_buffer() {
    let count = 65_536;
    let mut bytes = frame(0x02, &[b'a'; 64]);
    let fragment = frame(0x00, &[b'a'; 64]);
    for _ in 0..count - 2 {
        bytes.extend_from_slice(&fragment);
    }
    bytes.extend_from_slice(&frame(0x80, &[b'a'; 64]));
    let options = ReadOptions { message_bytes_max: u32::MAX, ..OPTIONS };
    let (seen, _) = read_chunks(&options, bytes.chunks(4096));
    assert_eq!(seen, [binary(&vec![b'a'; 64 * count])]);
}

#[test]
fn a_pool_keeps_few_buffers_and_no_large_ones() {
    use crate::limits::{ASSEMBLY_BYTES_KEPT_MAX, ASSEMBLY_COUNT_KEPT_MAX};
    let mut pool = Pool::new();
    let mut taken: Vec<_> = (0..=ASSEMBLY_COUNT_KEPT_MAX).map(|_| pool.take()).collect();
    taken.drain(..).for_each(|partial| pool.put(partial));
    assert_eq!(pool.kept(), ASSEMBLY_COUNT_KEPT_MAX);

    let mut pool = Pool::new();
    let mut large = pool.take();
    large.data.reserve_exact(ASSEMBLY_BYTES_KEPT_MAX + 1);
    pool.put(large);
    assert_eq!(pool.kept(), 0);
}

#[test]
fn what_the_writer_makes_the_reader_takes() {
    let client = ReadOptions { role: Role::Client, message_bytes_max: u32::MAX, ..OPTIONS };
    for len in [0, 1, 125, 126, 127, 0xffff, 0x1_0000] {
        let payload = vec![7; len];
        let mut bytes = Vec::new();
        append_frame(&mut bytes, Opcode::Binary, &payload);
        assert_eq!(read_chunks(&client, [bytes.as_slice()]).0, [binary(&payload)]);
    }
}
