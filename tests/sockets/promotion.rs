//! From parked to hot and back, and the moment in between. To epoll all sockets are the same: what is promised about bytes
//! holds, and nobody is counted.

use crate::support::client::Client;
use crate::support::frame::{BINARY, TEXT, masked};
use crate::support::server::{Server, is_epoll};
use crate::support::session::OPEN;
use crate::support::wait::{pause, wait_until};
use std::time::Duration;

#[test]
fn a_busy_connection_becomes_hot_and_a_quiet_one_is_parked_again() {
    let server = Server::start(OPEN);
    let mut idle = Client::echo(&server);
    let mut busy = [Client::echo(&server)];
    for _ in 0..2 {
        make_hot(&server, &mut busy);
        wait_until("the quiet one is parked", || hot(&server) == 0);
        for client in busy.iter_mut().chain([&mut idle]) {
            client.send(&masked(TEXT, b"quiet"));
            client.expect(TEXT, b"quiet");
        }
    }
    let promoted = if is_epoll() { 0 } else { 2 };
    assert_eq!(server.metrics().figure("promoted_total"), promoted, "a few messages make nobody hot");
    drop((busy, idle));
    server.settled();
}

/// More is on its way whenever an answer comes, so the switch falls between, and inside of, messages.
#[test]
fn nothing_is_lost_while_a_connection_becomes_hot() {
    const CLIENTS: usize = 100;
    const BURSTS: usize = 15;
    const BURST: usize = 4;
    let server = Server::start(OPEN);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::echo(&server)).collect();
    for (at, client) in clients.iter_mut().enumerate() {
        for burst in 0..BURSTS {
            for message in burst * BURST..(burst + 1) * BURST {
                let bytes = masked(BINARY, &numbered(at, message));
                let (start, end) = bytes.split_at(at * 7 % bytes.len());
                client.send(start);
                client.send(end);
            }
            client.expect(BINARY, &numbered(at, burst));
        }
        for message in BURSTS..BURSTS * BURST {
            client.expect(BINARY, &numbered(at, message));
        }
    }
    // On a slow machine bursts fall together, and then they are no streak.
    assert!(is_epoll() || server.metrics().figure("promoted_total") > 0, "nobody became hot");
    drop(clients);
    server.settled();
}

/// Quiet clients speak again at about the time at which they are parked: some before, some after, some meanwhile.
#[test]
fn nothing_is_lost_while_a_connection_is_parked() {
    const CLIENTS: usize = 400;
    let server = Server::start(OPEN);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::echo(&server)).collect();
    make_hot(&server, &mut clients);
    pause(QUIET_MIN);
    for (at, client) in clients.iter_mut().enumerate() {
        client.send(&masked(BINARY, &numbered(at, 0)));
        pause(PARKING_TIME / CLIENTS as u32);
    }
    wait_until("some were parked while they spoke", || {
        is_epoll() || server.metrics().figure("parked_total") > 0
    });
    for (at, client) in clients.iter_mut().enumerate() {
        client.expect(BINARY, &numbered(at, 0));
        client.send(&masked(BINARY, &numbered(at, 1)));
        client.expect(BINARY, &numbered(at, 1));
    }
    drop(clients);
    server.settled();
}

/// Chats with all of them until every one is hot. Twelve messages do, unless the machine takes breaks in between.
pub fn make_hot(server: &Server, clients: &mut [Client]) {
    wait_until("all are hot", || {
        for _ in 0..12 {
            for client in &mut *clients {
                client.send(&masked(BINARY, b"busy"));
            }
            for client in &mut *clients {
                client.expect(BINARY, b"busy");
            }
        }
        is_epoll() || hot(server) == clients.len() as u64
    });
}

fn hot(server: &Server) -> u64 {
    let metrics = server.metrics();
    metrics.figure("promoted_total") - metrics.figure("parked_total")
}

/// Shorter than any connection stays hot without a message.
const QUIET_MIN: Duration = Duration::from_millis(4_500);
/// From then on until every connection without one is parked.
const PARKING_TIME: Duration = Duration::from_secs(2);

/// Different for every client and message, and sometimes longer than a receive buffer.
fn numbered(client: usize, message: usize) -> Vec<u8> {
    let len = 8 + (client * 31 + message * 977) % 6_000;
    let word = [client as u8, (client >> 8) as u8, message as u8, 0x5a];
    word.into_iter().cycle().take(len).collect()
}
