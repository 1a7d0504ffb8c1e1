//! Compressed messages that lie, and thousands of them. RFC 7692; the payloads were made with zlib 1.3 (Python).

use crate::support::canary::Canary;
use crate::support::client::{Client, upgrade_head};
use crate::support::frame::*;
use crate::support::metrics::resident_bytes;
use crate::support::server::Server;

const MIB: u64 = 1024 * 1024;
const ON: &str = "[websocket]\ncompression = true\n";
/// With takeover in both directions.
const TAKEOVER: &str = "[websocket]\ncompression = true\ncompression_takeover = true\n";
/// RFC 7692 section 7.2.3.1: "Hello".
const HELLO: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
/// Section 7.2.3.2: "Hello" again, as a reference to the message before.
const AGAIN: &[u8] = &[0xf2, 0x00, 0x11, 0x00, 0x00];

/// The answer to an upgrade with these header lines, and the client.
fn offer(server: &Server, path: &str, fields: &str) -> (Option<String>, Client) {
    let mut client = Client::connect(server.public);
    client.send(format!("{}{fields}\r\n", upgrade_head(path)).as_bytes());
    let response = client.response();
    assert_eq!(response.status, 101, "{fields}");
    let answer = response.field("sec-websocket-extensions").map(str::to_owned);
    client.deflate = answer.is_some();
    (answer, client)
}

fn compressing(server: &Server) -> Client {
    let (answer, client) = offer(server, "/echo", "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    assert!(answer.is_some());
    client
}

#[track_caller]
fn violates(server: &Server, bytes: &[u8], code: u16) {
    let mut client = compressing(server);
    client.send(&[&masked(TEXT | PACKED, HELLO), bytes].concat());
    client.expect(TEXT, b"Hello");
    assert!(!client.closed(code).reason().is_empty(), "the peer hears why");
}

/// `len` zeros. Their compressed form is one code for each 258 of them, hence 1,029 to 1.
fn zeros(len: usize) -> Vec<u8> {
    use flate2::{Compress, Compression, FlushCompress};
    let mut out = Vec::with_capacity(len / 500 + 100);
    let mut compress = Compress::new(Compression::best(), false);
    let chunk = vec![0; MIB as usize];
    let mut rest = len;
    while rest > 0 {
        let part = rest.min(chunk.len());
        compress.compress_vec(&chunk[..part], &mut out, FlushCompress::None).unwrap();
        rest -= part;
    }
    compress.compress_vec(&[], &mut out, FlushCompress::Sync).unwrap();
    out.truncate(out.len() - 4);
    out
}

/// H-19: RFC 7692 sections 5 and 7.1, RFC 6455 section 9.1.
#[test]
fn offers_are_answered_declined_or_refused() {
    let server = Server::echo(ON);
    let neither = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    for (field, answer) in [
        ("permessage-deflate", Some(neither.to_owned())),
        ("permessage-deflate; client_max_window_bits", Some(neither.to_owned())),
        ("foo, permessage-deflate; server_max_window_bits=8, permessage-deflate", Some(neither.to_owned())),
        (
            "permessage-deflate; server_max_window_bits=\"10\"",
            Some(format!("{neither}; server_max_window_bits=10")),
        ),
        ("permessage-deflate; server_max_window_bits=16", None),
        ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", None),
        ("constructor, __proto__; a=b", None),
    ] {
        let (answered, _) = offer(&server, "/echo", &format!("Sec-WebSocket-Extensions: {field}\r\n"));
        assert_eq!(answered, answer, "{field}");
    }
    let two = "Sec-WebSocket-Extensions: x\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";
    assert_eq!(offer(&server, "/echo", two).0, Some(neither.to_owned()), "one list in two fields");
    let many = "a;b, ".repeat(1_000);
    assert_eq!(offer(&server, "/echo", &format!("Sec-WebSocket-Extensions: {many}\r\n")).0, None);
    for malformed in [format!("a;b=\"{}", "\\c".repeat(2_000)), "permessage-deflate;".to_owned()] {
        let mut client = Client::connect(server.public);
        let head = format!("{}Sec-WebSocket-Extensions: {malformed}\r\n\r\n", upgrade_head("/echo"));
        client.send(head.as_bytes());
        assert_eq!(client.refused().status, 400);
    }
    server.settled();
}

/// Z-01, Z-02: before anybody has said who it is, in one frame, in a thousand, and from many at once.
#[test]
fn bombs_cost_no_more_than_the_limit() {
    let server = Server::echo(ON);
    let bomb = zeros(60 << 20);
    assert!(bomb.len() < 64 * 1024, "{}", bomb.len());
    violates(&server, &masked(TEXT | PACKED, &bomb), 1009);
    let mut fragments = masked(TEXT_START | PACKED, b"");
    fragments.extend(bomb.chunks(bomb.len().div_ceil(1_000)).flat_map(|part| masked(MORE, part)));
    fragments.extend(masked(LAST, b""));
    violates(&server, &fragments, 1009);
    let (_, mut client) =
        offer(&server, "/connection/websocket", "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    client.send(&masked(TEXT | PACKED, &bomb));
    client.closed(1009);

    let canary = Canary::start(&server);
    let mut clients: Vec<Client> = (0..300).map(|_| compressing(&server)).collect();
    let before = resident_bytes(server.pid());
    // Each sends one that fits, again and again, and then one that does not.
    let fits = masked(BINARY | PACKED, &zeros(60_000)).repeat(20);
    for client in &mut clients {
        let _ = client.try_send(&fits);
        let _ = client.try_send(&masked(TEXT | PACKED, &bomb));
    }
    for client in &mut clients {
        while client.frame().first != CLOSE {}
    }
    let grown = resident_bytes(server.pid()).saturating_sub(before);
    assert!(grown < 24 * MIB, "{grown} bytes for bombs of {}", 300 * 60 * MIB);
    drop(clients);
    canary.unharmed();
    server.settled();
}

/// Z-03: RFC 7692 section 7.2.2.
#[test]
fn what_is_not_deflate_is_refused() {
    let server = Server::echo(ON);
    violates(&server, &masked(TEXT | PACKED, &[0xff, 0xff, 0xff]), 1007);
    violates(&server, &masked(TEXT | PACKED, &[0x06, 0x00]), 1007);
    violates(&server, &masked(TEXT | PACKED, &HELLO[..4]), 1007);
    violates(&server, &masked(TEXT | PACKED, &[0xf2, 0x00, 0x11, 0x00, 0x00]), 1007);
    // A distance beyond what there is: Z-09, after `client_no_context_takeover`.
    violates(&server, &masked(TEXT | PACKED, AGAIN), 1007);
    // Text that is none, once it is known.
    violates(&server, &masked(TEXT | PACKED, &[0x00, 0x02, 0x00, 0xfd, 0xff, 0xff, 0xfe, 0x00]), 1007);
    // The next connection of the core reads on as if nothing had been.
    let mut client = compressing(&server);
    client.send(&masked(TEXT | PACKED, HELLO));
    client.expect(TEXT, b"Hello");
    drop(client);
    server.wait_for_closes(1007, 6);
    server.settled();
}

/// Z-04: RFC 7692 section 6.1; and RFC 6455 section 5.2 where nothing was agreed on.
#[test]
fn the_bit_belongs_to_the_first_frame_of_a_message() {
    let server = Server::echo(ON);
    violates(
        &server,
        &[masked(TEXT_START | PACKED, &HELLO[..2]), masked(LAST | PACKED, &HELLO[2..])].concat(),
        1002,
    );
    for first in [PING, PONG, CLOSE] {
        violates(&server, &masked(first | PACKED, b""), 1002);
    }
    let mut client = Client::echo(&server);
    client.send(&masked(TEXT | PACKED, HELLO));
    client.closed(1002);
    drop(client);
    server.settled();
}

/// Z-05, Z-06: RFC 7692 sections 6 and 7.2.3.
#[test]
fn everything_that_is_legal_is_read() {
    for config in [ON, TAKEOVER] {
        let server = Server::echo(config);
        let mut client = compressing(&server);
        for (payload, said) in [
            (HELLO, &b"Hello"[..]),
            (&[0x00], b""),
            (&[], b""),
            (&[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00], b"Hello"),
            (&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00], b"Hello"),
            (&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], b"Hello"),
            (&[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00], b"Hello"),
        ] {
            client.send(&masked(TEXT | PACKED, payload));
            client.expect(TEXT, said);
        }
        client.send(
            &[masked(TEXT_START | PACKED, &HELLO[..3]), masked(PING, b"in"), masked(LAST, &HELLO[3..])]
                .concat(),
        );
        client.expect(PONG, b"in");
        client.expect(TEXT, b"Hello");
        drop(client);
        server.settled();
    }
}

/// Z-05, Z-11: the window of a client outlives messages that are not compressed; memory for it is limited.
#[test]
fn takeover_refers_to_what_was_compressed_and_has_a_budget() {
    let server = Server::echo(&format!("{TAKEOVER}compression_takeover_memory = 16384\n"));
    let field = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    let (answer, mut client) = offer(&server, "/echo", field);
    assert_eq!(
        answer.as_deref(),
        Some("permessage-deflate; server_max_window_bits=12; client_max_window_bits=12")
    );
    client.send(&[masked(TEXT | PACKED, HELLO), masked(TEXT, b"!"), masked(TEXT | PACKED, AGAIN)].concat());
    client.expect(TEXT, b"Hello");
    client.expect(TEXT, b"!");
    client.expect(TEXT, b"Hello");
    let (_, second) = offer(&server, "/echo", field);
    let (answer, mut third) = offer(&server, "/echo", field);
    let neither = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    assert_eq!(answer.as_deref(), Some(neither));
    third.send(&[masked(TEXT | PACKED, HELLO), masked(TEXT | PACKED, AGAIN)].concat());
    third.expect(TEXT, b"Hello");
    third.closed(1007);
    server.wait_for("takeovers", 2);
    drop((client, second, third));
    server.settled();
    server.wait_for("takeovers", 0);
}

/// Z-12
#[test]
fn one_huge_message_leaves_nothing_behind() {
    let server = Server::echo(
        "[websocket]\ncompression = true\nmessage_size_limit = 33_554_432\n[client]\nqueue_max_size = 67_108_864\n",
    );
    let mut client = compressing(&server);
    client.send(&masked(TEXT | PACKED, HELLO));
    client.expect(TEXT, b"Hello");
    let before = resident_bytes(server.pid());
    let huge = zeros(32 << 20);
    for _ in 0..3 {
        client.send(&masked(BINARY | PACKED, &huge));
        // It comes back compressed.
        let frame = client.frame();
        assert_eq!(frame.first, BINARY | PACKED);
        assert!(frame.payload.len() < 1 << 20);
    }
    client.send(&masked(TEXT | PACKED, HELLO));
    client.expect(TEXT, b"Hello");
    let grown = resident_bytes(server.pid()).saturating_sub(before);
    assert!(grown < 24 * MIB, "{grown} bytes");
    drop(client);
    server.settled();
}
