//! How connections end: politely, abruptly, silently. RFC 6455 sections 5.5.1 and 7.1.

use crate::support::client::{Client, upgrade_head};
use crate::support::frame::{self, *};
use crate::support::metrics::descriptor_count;
use crate::support::server::Server;
use crate::support::wait::wait_until;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::thread;

/// F-22: RFC 6455 section 5.5.1: "an endpoint MUST NOT send any more data frames after sending a Close frame".
#[test]
fn after_a_close_nothing_is_answered() {
    let server = Server::echo("");
    for after in [masked(TEXT, b"hi"), masked(PING, b"hi"), frame::close(1000, b""), b"\xff\xff".to_vec()] {
        let mut client = Client::echo(&server);
        client.send(&[frame::close(1000, b""), after.repeat(3)].concat());
        client.closed(1000);
    }
    // The server's own close is not answered with a second one either.
    let mut client = Client::echo(&server);
    client.send(&masked(0x83, b""));
    assert_eq!(client.frame().close_code(), Some(1002));
    client.send(&frame::close(1002, b""));
    client.ended();
    drop(client);
    server.settled();
    assert_eq!(server.metrics().figure("messages_in_total"), 0);
}

/// F-23: a FIN without a close frame, wherever it falls. Nothing stays in CLOSE_WAIT: that is a descriptor of ours.
#[test]
fn a_half_close_ends_the_connection() {
    let server = Server::echo("");
    for bytes in [&b""[..], b"GET /ec", upgrade_head("/echo").as_bytes()] {
        let mut client = Client::connect(server.public);
        client.send(bytes);
        client.finish();
        client.ended();
    }
    let frame = masked(TEXT, b"whole");
    for len in [0, 1, 2, 6, 8, frame.len()] {
        let mut client = Client::echo(&server);
        client.send(&frame[..len]);
        client.finish();
        if len == frame.len() {
            client.expect(TEXT, b"whole");
        }
        client.ended();
    }
    server.wait_for_closes(1006, 6);
    server.settled();
}

/// F-24
#[test]
fn a_reset_ends_the_connection_wherever_it_falls() {
    let server = Server::echo("");
    for round in 0..20 {
        Client::connect(server.public).reset();
        let mut client = Client::connect(server.public);
        client.send(b"GET /echo HT");
        client.reset();
        let mut client = Client::echo(&server);
        client.send(&masked(TEXT, b"hello")[..round % 10]);
        client.reset();
        // While there is more to send than fits.
        let mut client = Client::connect(server.public);
        client.set_receive_buffer(4096);
        client.send(format!("{}\r\n", upgrade_head("/echo")).as_bytes());
        assert_eq!(client.response().status, 101);
        client.send(&masked(BINARY, &vec![1; 60_000]).repeat(4));
        client.reset();
    }
    let mut client = Client::echo(&server);
    client.send(&masked(TEXT, b"still here"));
    client.expect(TEXT, b"still here");
    drop(client);
    server.settled();
}

/// F-26: a peer that never answers a ping, with and without data that waits for it.
#[test]
fn a_mute_peer_is_closed_after_its_ping() {
    let server = Server::echo(IMPATIENT);
    let mut mute = Client::echo(&server);
    assert_eq!(mute.frame().first, PING);
    mute.closed(3012);
    let mut stuck = Client::connect(server.public);
    stuck.set_receive_buffer(4096);
    stuck.send(format!("{}\r\n", upgrade_head("/echo")).as_bytes());
    for _ in 0..10 {
        if stuck.try_send(&masked(BINARY, &vec![1; 60_000])).is_err() {
            break;
        }
    }
    // It reads nothing at all; the server gives up on its own.
    server.settled();
    drop(stuck);
}

/// F-26: a peer whose packets vanish in both directions. Needs the right to make a network namespace.
#[test]
fn a_vanished_peer_is_closed_without_a_packet() {
    let Some(namespace) = Namespace::new() else {
        eprintln!("skipped: no right to make a network namespace (run as root)");
        return;
    };
    let scenario = thread::spawn(move || {
        namespace.enter();
        let server = Server::echo(IMPATIENT);
        let baseline = descriptor_count(server.pid());
        let mut clients: Vec<Client> = (0..5).map(|_| Client::echo(&server)).collect();
        clients[0].send(&masked(TEXT, b"hello"));
        clients[0].expect(TEXT, b"hello");
        server.wait_for("connections", 5);
        Namespace::set_link("down");
        wait_until("descriptors are back although no packet came", || {
            descriptor_count(server.pid()) <= baseline
        });
        Namespace::set_link("up");
        server.settled();
    });
    scenario.join().unwrap();
}

/// Pings soon, and gives up soon.
const IMPATIENT: &str = "[client]\nping_interval = \"1s\"\npong_timeout = \"300ms\"\n\
    [websocket]\nclose_timeout = \"300ms\"\n";

/// A network of our own, held by a process that sleeps in it.
struct Namespace(Child);

impl Namespace {
    fn new() -> Option<Self> {
        let mut holder = Command::new("unshare")
            .args(["--net", "--", "sh", "-c", "ip link set lo up && echo up && exec sleep 600"])
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut line = String::new();
        BufReader::new(holder.stdout.take()?).read_line(&mut line).ok()?;
        let namespace = Self(holder);
        (line == "up\n").then_some(namespace)
    }

    /// From here on sockets and children of this thread live in it.
    fn enter(&self) {
        let network = File::open(format!("/proc/{}/ns/net", self.0.id())).unwrap();
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }

    fn set_link(state: &str) {
        let status = Command::new("ip").args(["link", "set", "lo", state]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
