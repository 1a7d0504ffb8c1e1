//! permessage-deflate inside TLS: records, frames and DEFLATE cut the same bytes at places of their own.

use crate::authority::Authority;
use crate::person::{Stream, config, connect};
use crate::support::client::upgrade_head;
use crate::support::frame::{Frame, LAST, MORE, PACKED, TEXT, TEXT_START, masked};
use crate::support::wait::wait_until;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use rustls::version::{TLS12, TLS13};
use std::io::{Read, Write};

/// What RFC 7692 section 7.2.1 takes off the end.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

fn deflated(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 1024);
    Compress::new(Compression::fast(), false).compress_vec(text, &mut out, FlushCompress::Sync).unwrap();
    assert!(out.ends_with(&TAIL));
    out.truncate(out.len() - TAIL.len());
    out
}

fn inflated(packed: &[u8], len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(len + 1024);
    let whole = [packed, &TAIL].concat();
    Decompress::new(false).decompress_vec(&whole, &mut out, FlushDecompress::Sync).unwrap();
    out
}

/// The next frame, with its payload as it was meant.
fn heard(stream: &mut Stream, received: &mut Vec<u8>, len: usize) -> (bool, Vec<u8>) {
    loop {
        if let Some(Frame { first, payload }) = Frame::take(received) {
            let is_packed = first & PACKED != 0;
            return (is_packed, if is_packed { inflated(&payload, len) } else { payload });
        }
        let mut buffer = [0; 8192];
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "an echo");
        received.extend_from_slice(&buffer[..count]);
    }
}

/// Something like text: words that come again, and numbers that do not.
fn text(len: usize) -> Vec<u8> {
    let words =
        (0_u32..).flat_map(|at| format!("{} bottles of beer, ", at.wrapping_mul(2_654_435_761)).into_bytes());
    words.take(len).collect()
}

#[test]
fn compressed_messages_of_all_sizes_come_back_between_key_updates() {
    let authority = Authority::new();
    let server = authority.serve("[websocket]\ncompression = true\ncompression_min_size = 0\n");
    for version in [&TLS13, &TLS12] {
        let mut stream = connect(&server, &config(&authority, version), "localhost");
        let offer = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
            client_no_context_takeover\r\n\r\n";
        stream.write_all(format!("{}{offer}", upgrade_head("/echo")).as_bytes()).unwrap();
        let mut received = Vec::new();
        while !received.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            received.push(byte[0]);
        }
        assert!(received.windows(18).any(|window| window == b"permessage-deflate"));
        received.clear();
        for (round, len) in [0, 1, 5, 125, 126, 1000, 16_384, 40_000, 65_536].into_iter().enumerate() {
            if version.version == rustls::ProtocolVersion::TLSv1_3 {
                stream.conn.refresh_traffic_keys().unwrap();
            }
            let text = text(len);
            let packed = deflated(&text);
            let (start, end) = packed.split_at(packed.len() / 2);
            // Whole, in fragments with an update between them, and as it is.
            stream.write_all(&masked(TEXT | PACKED, &packed)).unwrap();
            stream.write_all(&masked(TEXT_START | PACKED, start)).unwrap();
            if version.version == rustls::ProtocolVersion::TLSv1_3 {
                stream.conn.refresh_traffic_keys().unwrap();
            }
            stream.write_all(&masked(MORE | LAST, end)).unwrap();
            stream.write_all(&masked(TEXT, &text)).unwrap();
            for _ in 0..3 {
                let (is_packed, back) = heard(&mut stream, &mut received, len);
                assert!(back == text, "{len} in round {round}");
                assert!(is_packed || len < 1000, "{len} is worth it");
            }
        }
        drop(stream);
    }
    wait_until("figures", || server.metrics().figure("inflated_messages_total") > 30);
    server.settled();
}
