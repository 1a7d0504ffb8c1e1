//! Memory follows the bytes that were received, never the bytes that were declared, and comes back.

use crate::support::canary::Canary;
use crate::support::client::Client;
use crate::support::frame::{self, *};
use crate::support::metrics::resident_bytes;
use crate::support::server::Server;
use crate::support::wait::pause;
use std::time::Duration;

const MIB: u64 = 1024 * 1024;
/// What an allocator may take at once whatever it is asked for; an object for each fragment would cost more than that.
const SLACK: u64 = 24 * MIB;

/// F-11: three hundred clients declare a megabyte each and dawdle.
#[test]
fn a_declared_length_reserves_nothing() {
    let server = Server::echo("[websocket]\nmessage_size_limit = 1_048_576\nmessage_timeout = \"3s\"\n");
    let canary = Canary::start(&server);
    let mut clients: Vec<Client> = (0..300).map(|_| Client::echo(&server)).collect();
    let before = resident_bytes(server.pid());
    for client in &mut clients {
        client.send(&frame::header(BINARY, MIB));
    }
    for _ in 0..5 {
        for client in &mut clients {
            client.send(b"x");
        }
        pause(Duration::from_millis(50));
    }
    let grown = resident_bytes(server.pid()).saturating_sub(before);
    assert!(grown < SLACK, "{grown} bytes for {} declared", 300 * MIB);
    // A trickle does not extend the deadline of the message.
    for client in &mut clients {
        client.closed(1008);
    }
    drop(clients);
    canary.unharmed();
    server.settled();
}

/// F-14: one contiguous buffer, not an object for each fragment.
#[test]
fn endless_fragments_cost_their_bytes_and_end_at_the_deadline() {
    const CLIENTS: u64 = 8;
    const FRAGMENTS: u64 = 131_000;
    let server = Server::echo("[websocket]\nmessage_size_limit = 1_048_576\nmessage_timeout = \"5s\"\n");
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::echo(&server)).collect();
    let fragments = masked(MORE, b"a").repeat(FRAGMENTS as usize);
    let before = resident_bytes(server.pid());
    for client in &mut clients {
        client.send(&masked(TEXT_START, b"a"));
        client.send(&fragments);
        client.send(&masked(PING, b"all in"));
    }
    let mut grown = 0;
    for client in &mut clients {
        client.expect(PONG, b"all in");
        grown = resident_bytes(server.pid()).saturating_sub(before);
    }
    assert!(grown < 2 * CLIENTS * FRAGMENTS + SLACK, "{grown} bytes for {} received", CLIENTS * FRAGMENTS);
    for client in &mut clients {
        client.closed(1008);
    }
    drop(clients);
    server.settled();
}

/// F-10: refused on the header, so that nothing can have been allocated for it.
#[test]
fn an_absurd_length_costs_nothing() {
    let server = Server::echo("");
    Client::echo(&server).send(&masked(TEXT, b"warm"));
    let before = resident_bytes(server.pid());
    for _ in 0..50 {
        let mut client = Client::echo(&server);
        client.send(&frame::header(BINARY, 64 << 30));
        client.closed(1009);
    }
    let grown = resident_bytes(server.pid()).saturating_sub(before);
    assert!(grown < SLACK, "{grown} bytes");
    server.settled();
}
