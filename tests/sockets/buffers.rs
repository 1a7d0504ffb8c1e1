//! Running out of receive buffers.

use crate::promotion::make_hot;
use crate::support::client::Client;
use crate::support::frame::{BINARY, masked};
use crate::support::server::{Server, is_epoll};
use crate::support::session::OPEN;
use rustix::process::Signal;

/// far more bytes arrive at once than a core has buffers for (512 of 4 KiB for the ring, one of 64 KiB for epoll).
/// The server is stopped while they are sent, so that it finds all of them at the same time.
#[test]
fn a_core_without_buffers_serves_every_hot_connection_to_the_last_byte() {
    const CLIENTS: usize = 300;
    const LEN: usize = 150_000;
    let server = Server::start(&format!("{OPEN}[websocket]\nmessage_size_limit = 200_000\n"));
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::echo(&server)).collect();
    for client in &mut clients {
        client.set_send_buffer(4 * LEN);
    }
    make_hot(&server, &mut clients);
    for round in 0..3 {
        server.signal(Signal::STOP);
        for (at, client) in clients.iter_mut().enumerate() {
            client.send(&masked(BINARY, &message(at + round, LEN)));
        }
        server.signal(Signal::CONT);
        for (at, client) in clients.iter_mut().enumerate() {
            client.expect(BINARY, &message(at + round, LEN));
        }
    }
    let starved = server.metrics().figure("buffers_starved_total");
    assert!(is_epoll() || starved > 0, "there were enough buffers after all");
    drop(clients);
    server.settled();
}

/// Bytes that are different for every client and at every place.
fn message(seed: usize, len: usize) -> Vec<u8> {
    let mut state = seed as u32;
    let mut step = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| step()).collect()
}
