//! Legal frames that servers have tripped over. RFC 6455 sections 5.2 to 5.5.

use crate::support::canary::Canary;
use crate::support::client::Client;
use crate::support::frame::{self, *};
use crate::support::metrics::cpu_ns;
use crate::support::server::Server;

/// F-07: RFC 6455 sections 5.4 and 5.5.
#[test]
fn control_frames_are_answered_inside_a_message() {
    let server = Server::echo("");
    let mut client = Client::echo(&server);
    client.send(&[masked(TEXT_START, b"a"), masked(PING, b"now")].concat());
    client.expect(PONG, b"now");
    client
        .send(&[masked(MORE, b"b"), masked(PONG, b""), masked(PING, &[7; 125]), masked(LAST, b"c")].concat());
    client.expect(PONG, &[7; 125]);
    client.expect(TEXT, b"abc");
    client.send(&[masked(TEXT_START, b"never ends"), frame::close(1000, b"changed my mind")].concat());
    client.closed(1000);
    server.settled();
}

/// F-17: RFC 6455 section 5.5.3.
#[test]
fn unsolicited_pongs_are_ignored() {
    let server = Server::echo("");
    let mut client = Client::echo(&server);
    client.send(&[masked(PONG, b""), masked(PONG, &[1; 125]), masked(TEXT, b"hi")].concat());
    client.expect(TEXT, b"hi");
    drop(client);
    server.settled();
}

/// F-27: one byte a segment, header and payload alike.
#[test]
fn frames_in_single_bytes_mean_the_same() {
    let server = Server::echo("");
    let mut client = Client::echo(&server);
    client.send_slowly(
        &[
            masked(TEXT, "Grüße".as_bytes()),
            masked(PING, b"beat"),
            masked(BINARY_START, &[1; 200]),
            masked(LAST, &[2; 3]),
            masked(TEXT, b""),
        ]
        .concat(),
    );
    client.expect(TEXT, "Grüße".as_bytes());
    client.expect(PONG, b"beat");
    client.expect(BINARY, &[&[1; 200][..], &[2; 3]].concat());
    client.expect(TEXT, b"");
    client.send_slowly(&frame::close(1001, b""));
    client.closed(1001);
    server.settled();
}

/// F-27: very many messages in one segment.
#[test]
fn a_flood_of_empty_messages_is_answered_without_harm_to_others() {
    let server = Server::echo("");
    let canary = Canary::start(&server);
    let mut client = Client::echo(&server);
    for _ in 0..10 {
        client.send(&masked(TEXT, b"").repeat(10_900));
        for _ in 0..10_900 {
            client.expect(TEXT, b"");
        }
    }
    drop(client);
    canary.unharmed();
    server.settled();
}

/// F-28: every length, so every alignment in the receive buffers.
#[test]
fn every_length_is_unmasked_right() {
    let server = Server::echo("");
    let mut client = Client::echo(&server);
    let payload: Vec<u8> = (0..1025_u32).map(|at| (at * 31 % 251) as u8).collect();
    for lengths in (0..=1024_usize).collect::<Vec<_>>().chunks(128) {
        let frames: Vec<u8> = lengths.iter().flat_map(|&len| masked(BINARY, &payload[..len])).collect();
        client.send(&frames);
        for &len in lengths {
            client.expect(BINARY, &payload[..len]);
        }
    }
    for key in [[0; 4], [0xff; 4]] {
        let masked = payload.iter().map(|byte| byte ^ key[0]);
        client.send(&[&b"\x82\xfe\x04\x01"[..], &key].concat());
        client.send(&masked.collect::<Vec<_>>());
        client.expect(BINARY, &payload);
    }
    drop(client);
    server.settled();
}

/// F-15: the cost of a message is linear in its fragments. A quadratic one would be 16 times as dear.
#[test]
fn many_fragments_cost_linear_time() {
    let server =
        Server::echo("[websocket]\nmessage_size_limit = 8_000_000\n[client]\nqueue_max_size = 16_000_000\n");
    let mut client = Client::echo(&server);
    let mut cost = |count: usize| {
        let begin = cpu_ns(server.pid());
        let mut fragments = masked(BINARY_START, &[9; 64]);
        fragments.extend(masked(MORE, &[9; 64]).repeat(count - 2));
        fragments.extend(masked(LAST, &[9; 64]));
        client.send(&fragments);
        client.expect(BINARY, &vec![9; 64 * count]);
        cpu_ns(server.pid()) - begin
    };
    cost(4096);
    let small = (0..5).map(|_| cost(4096)).min().unwrap();
    let large = (0..5).map(|_| cost(65_536)).min().unwrap();
    // If each had to look at those before it, it would be 256 times; caches and growing buffers alone are far from 64.
    assert!(large < 64 * small, "sixteen times the fragments cost {large} ns after {small} ns");
    drop(client);
    server.settled();
}
