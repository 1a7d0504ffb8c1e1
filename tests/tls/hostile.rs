//! Peers that do not mean well. Memory in the handshake and floods of records are tested beside the code.

use crate::authority::Authority;
use crate::person::{config, connect, upgrade};
use crate::support::client::Client;
use crate::support::wait::{PATIENCE, pause, wait_until};
use rustls::version::TLS13;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use tungstenite::Message;

/// T-01
#[test]
fn a_peer_that_says_nothing_or_little_is_closed_at_its_deadline() {
    let authority = Authority::new();
    let server = authority.serve("handshake_timeout = \"1s\"");
    let mut silent = Client::connect(server.public);
    let mut slow = Client::connect(server.public);
    // A record that claims 512 bytes, a byte now and then: that does not move the deadline.
    slow.send(&[22, 3, 1, 2, 0, 1]);
    for _ in 0..200 {
        if slow.try_send(&[0]).is_err() {
            break;
        }
        pause(Duration::from_millis(20));
    }
    silent.ended();
    server.wait_for("tls_timeouts_total", 2);
    server.settled();
}

/// T-02
#[test]
fn plain_http_is_answered_and_closed_at_once() {
    let authority = Authority::new();
    let server = authority.serve("");
    let mut client = Client::connect(server.public);
    client.send(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.refused().status, 400);
    for garbage in [&b"\x80\x2e\x01\x00\x02"[..], b"\0\0\0\0", b"\x16\x03\x01\x00\x04\x01\x00\x00\x00"] {
        let mut socket = TcpStream::connect(server.public).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(garbage).unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).unwrap();
        assert!(answer.len() == 7 && answer[0] == 21, "an alert and the end: {answer:?}");
    }
    server.wait_for("tls_failed_foreign_total", 3);
    server.settled();
}

/// T-05
#[test]
fn a_client_that_goes_away_at_any_moment_leaves_nothing_behind() {
    let authority = Authority::new();
    let server = authority.serve("");
    let mut stream = connect(&server, &config(&authority, &TLS13), "localhost");
    let mut hello = Vec::new();
    stream.conn.write_tls(&mut hello).unwrap();
    for cut in [0, 1, 4, 5, 6, hello.len() / 2, hello.len() - 1, hello.len()] {
        let mut socket = TcpStream::connect(server.public).unwrap();
        socket.write_all(&hello[..cut]).unwrap();
        if cut == hello.len() {
            let _ = socket.read(&mut [0; 1]);
        }
        socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
    }
    drop(stream);
    server.settled();
}

/// T-08
#[test]
fn handshakes_beyond_the_rate_are_closed_before_they_cost_anything() {
    let authority = Authority::new();
    let server = authority.serve("handshake_rate_limit = 2");
    let config = config(&authority, &TLS13);
    let mut honest = upgrade(connect(&server, &config, "localhost"), "/echo");
    let mut refused = 0;
    for _ in 0..50 {
        let mut stream = connect(&server, &config, "localhost");
        refused += u64::from(stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").is_err());
    }
    assert!(refused >= 25, "{refused} of 50");
    wait_until("they are counted", || server.metrics().figure("tls_refused_total") == refused);
    honest.send(Message::text("still here")).unwrap();
    assert_eq!(honest.read().unwrap().into_text().unwrap().as_str(), "still here");
    drop(honest);
    server.settled();
}

#[test]
fn a_peer_that_ends_without_a_word_in_tls_has_ended() {
    let authority = Authority::new();
    let server = authority.serve("");
    let mut socket = upgrade(connect(&server, &config(&authority, &TLS13), "localhost"), "/echo");
    socket.send(Message::text("x")).unwrap();
    socket.read().unwrap();
    socket.get_ref().sock.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(socket.read().is_err());
    server.wait_for_closes(1006, 1);
    server.settled();
}
