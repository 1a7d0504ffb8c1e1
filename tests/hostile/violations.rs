//! Frames that break a rule, and the one close code that each gets. RFC 6455 sections 5 and 7.4.

use crate::support::client::Client;
use crate::support::frame::{self, *};
use crate::support::server::Server;

/// Sends these bytes after a message that must still be answered, then expects to be closed with `code`.
#[track_caller]
fn violates(server: &Server, bytes: &[u8], code: u16) {
    let mut client = Client::echo(server);
    client.send(&[&masked(TEXT, b"before"), bytes].concat());
    client.expect(TEXT, b"before");
    let close = client.closed(code);
    assert!(!close.reason().is_empty(), "the peer hears why");
}

/// F-01: RFC 6455 section 5.1. The payload is not delivered even once.
#[test]
fn an_unmasked_frame_is_refused() {
    let server = Server::echo("");
    violates(&server, b"\x81\x02hi", 1002);
    violates(&server, b"\x89\x00", 1002);
    server.wait_for_closes(1002, 2);
    server.settled();
    assert_eq!(server.metrics().figure("messages_in_total"), 2, "the two that came before");
}

/// F-02, F-03: RFC 6455 section 5.2.
#[test]
fn reserved_bits_and_opcodes_are_refused() {
    let server = Server::echo("");
    for first in [0xc1, 0xa1, 0x91, 0xf1] {
        violates(&server, &masked(first, b"hi"), 1002);
    }
    for opcode in [3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf] {
        violates(&server, &masked(0x80 | opcode, b""), 1002);
    }
    server.settled();
}

/// F-04, F-05: RFC 6455 section 5.5. On the header: the payload never comes.
#[test]
fn control_frames_are_whole_and_short() {
    let server = Server::echo("");
    violates(&server, &masked(0x09, b""), 1002);
    violates(&server, &masked(0x08, b""), 1002);
    violates(&server, &masked(0x0a, b""), 1002);
    for first in [PING, PONG, CLOSE] {
        violates(&server, &frame::header(first, 126), 1002);
    }
    server.settled();
}

/// F-06: RFC 6455 section 5.4.
#[test]
fn fragments_belong_to_one_open_message() {
    let server = Server::echo("");
    violates(&server, &masked(LAST, b"hi"), 1002);
    violates(&server, &masked(MORE, b"hi"), 1002);
    violates(&server, &[masked(TEXT_START, b"hi"), masked(TEXT, b"hi")].concat(), 1002);
    violates(&server, &[masked(TEXT_START, b"hi"), masked(BINARY_START, b"hi")].concat(), 1002);
    server.settled();
}

/// F-08, F-10: RFC 6455 section 5.2. The bug that took down NATS, SwiftNIO, undici, gorilla and Tomcat.
#[test]
fn impossible_lengths_are_refused_on_the_header() {
    let server = Server::echo("");
    violates(&server, &frame::header(BINARY, u64::MAX), 1002);
    violates(&server, &frame::header(BINARY, 1 << 63), 1002);
    violates(&server, &frame::header(TEXT, u64::MAX), 1002);
    violates(&server, b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff\x41", 1002);
    violates(&server, &frame::header(BINARY, (1 << 63) - 1), 1009);
    violates(&server, &frame::header(BINARY, 64 << 30), 1009);
    violates(&server, &frame::header(BINARY, 64 * 1024 + 1), 1009);
    // "the minimal number of bytes MUST be used to encode the length"
    violates(&server, &[&b"\x82\xfe\x00\x05"[..], &KEY, b"12345"].concat(), 1002);
    violates(&server, &[&b"\x82\xff\0\0\0\0\0\0\x00\x05"[..], &KEY, b"12345"].concat(), 1002);
    server.settled();
}

/// F-12
#[test]
fn the_limit_is_that_of_the_message() {
    let server = Server::echo("[websocket]\nmessage_size_limit = 1000\n");
    let mut client = Client::echo(&server);
    client.send(&[masked(BINARY_START, &[1; 600]), masked(LAST, &[2; 400])].concat());
    client.expect(BINARY, &[&[1; 600][..], &[2; 400]].concat());
    drop(client);
    violates(
        &server,
        &[masked(BINARY_START, &[1; 600]), masked(MORE, &[2; 300]), masked(LAST, &[3; 101])].concat(),
        1009,
    );
    violates(&server, &masked(BINARY, &[1; 1001]), 1009);
    server.settled();
}

/// F-13
#[test]
fn endless_empty_fragments_are_refused() {
    let server = Server::echo("");
    let mut client = Client::echo(&server);
    // Refused in the middle of it: the rest may meet a closed door.
    let _ = client.try_send(&[masked(TEXT_START, b""), masked(MORE, b"").repeat(1_000)].concat());
    client.closed(1008);
    server.settled();
}

/// F-20: RFC 6455 sections 5.5.1 and 7.4.
#[test]
fn close_codes_are_checked_and_legal_ones_echoed() {
    let server = Server::echo("");
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
        violates(&server, &frame::close(code, b""), 1002);
    }
    violates(&server, &masked(CLOSE, b"\x03"), 1002);
    violates(&server, &frame::close(1000, b"\xff\xfe"), 1007);
    for code in [1000, 1001, 1002, 1003, 1007, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
        let mut client = Client::echo(&server);
        client.send(&frame::close(code, b"why not"));
        client.closed(code);
    }
    let mut client = Client::echo(&server);
    client.send(&masked(CLOSE, b""));
    assert_eq!(client.frame().close_code(), None);
    client.ended();
    server.settled();
}
