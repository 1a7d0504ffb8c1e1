//! Running out of descriptors.

use crate::support::client::Client;
use crate::support::frame::{TEXT, masked};
use crate::support::metrics::{cpu_ns, descriptor_count};
use crate::support::server::Server;
use crate::support::wait::{pause, wait_until};
use std::time::Duration;

/// what is kept back covers what a node holds with nothing to do, and a scraper, whatever the number of cores.
#[test]
fn what_is_kept_back_is_what_a_node_needs() {
    use ringway::limits::{
        RESERVED_DESCRIPTOR_COUNT_PER_CORE, SURPLUS_DESCRIPTOR_COUNT, reserved_descriptors,
    };
    // At rest: a file that is read for a moment, such as that of a figure, is what the surplus is for.
    let held = |cores| {
        let server = Server::start_on(cores, "");
        let count = || {
            pause(Duration::from_millis(10));
            descriptor_count(server.pid()) as u64
        };
        std::iter::repeat_with(count).take(20).min().unwrap_or_default()
    };
    let (one, cores) = (held(1), Server::core_count(2));
    let kept = |cores| reserved_descriptors(cores) - u64::from(SURPLUS_DESCRIPTOR_COUNT);
    assert!(one + 32 <= kept(1), "{one} on one core, of {}", kept(1));
    if cores > 1 {
        let more = held(cores) - one;
        assert!(more <= RESERVED_DESCRIPTOR_COUNT_PER_CORE, "{more} more for another core");
    }
}

/// mute peers fill every place and every descriptor that may be theirs. What the node keeps back is not theirs.
#[test]
fn a_flood_of_mute_peers_leaves_the_internal_port_and_the_clients_alone() {
    const DESCRIPTORS: u32 = 256;
    // What is left for clients: see `RESERVED_DESCRIPTOR_COUNT`.
    const PLACES: usize = 128;
    let server = Server::start_with_descriptors(
        DESCRIPTORS,
        "[routes]\necho = true\n[websocket]\nhandshake_timeout = \"10m\"\n",
    );
    let mut clients: Vec<Client> = (0..PLACES).map(|_| Client::echo(&server)).collect();
    let mute: Vec<Client> = (0..400).map(|_| Client::connect(server.public)).collect();
    wait_until("all are accepted or closed", || {
        let metrics = server.metrics();
        metrics.figure("accepted_total") + metrics.figure("accept_drops_total") == PLACES as u64 + 400
    });
    for client in &mut clients {
        client.send(&masked(TEXT, b"served"));
        client.expect(TEXT, b"served");
    }
    assert_eq!(server.metrics().figure("connections"), DESCRIPTORS as u64 - 64);
    // Places come back with those who leave.
    drop(mute);
    drop(clients.split_off(PLACES - 1));
    server.wait_for("connections", PLACES as u64 - 1);
    clients.push(Client::echo(&server));
    drop(clients);
    server.settled();
}

/// descriptors are gone all the same, because somebody else in the process holds them.
#[test]
fn without_descriptors_accepting_pauses_longer_and_longer_and_resumes() {
    let server = Server::start_with_descriptors(
        220,
        "[routes]\necho = true\n[websocket]\nhandshake_timeout = \"10m\"\n",
    );
    let mut clients: Vec<Client> = (0..50).map(|_| Client::echo(&server)).collect();
    let before = descriptor_count(server.pid());
    let internal: Vec<Client> = (0..60).map(|_| Client::connect(server.internal)).collect();
    wait_until("they are accepted", || descriptor_count(server.pid()) >= before + internal.len());
    // Not enough for all of these.
    let mut waiting: Vec<Client> = (0..100).map(|_| Client::connect(server.public)).collect();
    wait_until("descriptors run out", || descriptor_count(server.pid()) >= 220);
    let cpu_before = cpu_ns(server.pid());
    for _ in 0..30 {
        for client in &mut clients {
            client.send(&masked(TEXT, b"served"));
            client.expect(TEXT, b"served");
        }
        pause(Duration::from_millis(100));
    }
    let cpu = Duration::from_nanos(cpu_ns(server.pid()) - cpu_before);
    assert!(cpu < Duration::from_secs(1), "{cpu:?} of CPU time in three seconds of waiting");
    drop((internal, clients));
    for client in &mut waiting {
        client.ask_upgrade("/echo");
    }
    for client in &mut waiting {
        // Who came when every place was taken is refused, but nobody is forgotten.
        assert!(matches!(client.response().status, 101 | 503));
    }
    // Doubling from 10 ms to 1 s, three seconds hold nine pauses; a few more if the machine was slow.
    let pauses = server.metrics().figure("accept_pauses_total");
    assert!((4..20).contains(&pauses), "{pauses} pauses");
    drop(waiting);
    server.settled();
}
