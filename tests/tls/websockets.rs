//! WebSockets over TLS: the same as without, and a clean end.

use crate::authority::Authority;
use crate::person::{config, connect, upgrade};
use crate::support::server::Server;
use crate::support::session::{OPEN, PATH};
use rustls::version::{TLS12, TLS13};
use std::io::{Read, Write};
use tungstenite::Message;

#[test]
fn messages_of_all_sizes_come_back_over_both_versions() {
    let authority = Authority::new();
    let server = authority.serve("");
    for version in [&TLS13, &TLS12] {
        let mut socket = upgrade(connect(&server, &config(&authority, version), "localhost"), "/echo");
        for len in [0, 1, 125, 126, 16_300, 16_384, 40_000, 65_536] {
            let payload: Vec<u8> = (0..len).map(|at: usize| ((at * 31) >> 3) as u8).collect();
            socket.send(Message::binary(payload.clone())).unwrap();
            assert!(socket.read().unwrap().into_data() == payload, "{len}");
        }
        // Many small ones under way at the same time.
        for at in 0..500 {
            socket.write(Message::text(at.to_string())).unwrap();
        }
        socket.flush().unwrap();
        for at in 0..500 {
            assert_eq!(socket.read().unwrap().into_text().unwrap().as_str(), at.to_string());
        }
        server.wait_for("tls_connections", 1);
        socket.close(None).unwrap();
        while socket.read().is_ok() {}
        server.wait_for("tls_connections", 0);
    }
    let metrics = server.metrics();
    assert_eq!(metrics.figure("tls_handshakes_1_2_total"), 1);
    assert_eq!(metrics.figure("tls_handshakes_1_3_total"), 1);
    server.settled();
}

/// RFC 8446 section 6.1: a FIN without a last word would be read as a truncation.
#[test]
fn the_end_is_said_in_tls_before_it_is_said_in_tcp() {
    let authority = Authority::new();
    let server = authority.serve("");
    for version in [&TLS13, &TLS12] {
        let mut socket = upgrade(connect(&server, &config(&authority, version), "localhost"), "/echo");
        socket.close(None).unwrap();
        while socket.read().is_ok() {}
        let stream = socket.get_mut();
        assert_eq!(stream.read(&mut [0; 16]).expect("a clean end"), 0);
    }
    server.settled();
}

#[test]
fn a_refusal_arrives_whole() {
    let authority = Authority::new();
    let server = authority.serve("");
    let mut stream = connect(&server, &config(&authority, &TLS13), "localhost");
    stream.write_all(b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("a clean end");
    assert!(answer.starts_with("HTTP/1.1 400 ") || answer.starts_with("HTTP/1.1 426 "), "{answer}");
    server.settled();
}

#[test]
fn a_drain_says_goodbye_over_tls() {
    let authority = Authority::new();
    let mut server = authority.serve("[shutdown]\ndrain_window = \"100ms\"\n");
    let config = config(&authority, &TLS13);
    let mut sockets: Vec<_> =
        (0..5).map(|_| upgrade(connect(&server, &config, "localhost"), "/echo")).collect();
    server.signal(rustix::process::Signal::TERM);
    for socket in &mut sockets {
        let Message::Close(Some(close)) = socket.read().unwrap() else { panic!("a close frame") };
        assert_eq!(u16::from(close.code), 1012);
        while socket.read().is_ok() {}
    }
    assert!(server.wait_for_exit().success());
}

/// R-12: what is put off for its turn is opened once and served in its order, whether its record was opened before or not.
#[test]
fn commands_at_line_rate_come_in_their_order_over_tls() {
    const COMMANDS: usize = 20_000;
    let authority = Authority::new();
    let server = Server::start(&authority.section("server", &format!("{OPEN}queue_max_size = 16_777_216\n")));
    for version in [&TLS13, &TLS12] {
        let mut socket = upgrade(connect(&server, &config(&authority, version), "localhost"), PATH);
        socket.send(Message::text(r#"{"id":1,"connect":{}}"#)).unwrap();
        socket.read().unwrap();
        let before = server.metrics().figure("slices_total");
        for first in (0..COMMANDS).step_by(COMMANDS / 4) {
            let ids = first + 2..first + 2 + COMMANDS / 4;
            for id in ids.clone() {
                socket.write(Message::text(format!(r#"{{"id":{id},"rpc":{{"method":"none"}}}}"#))).unwrap();
            }
            socket.flush().unwrap();
            let mut ids = ids.peekable();
            while ids.peek().is_some() {
                let text = socket.read().unwrap().into_text().unwrap();
                for line in text.lines() {
                    let id = ids.next().unwrap();
                    assert!(line.starts_with(&format!(r#"{{"id":{id},"#)), "{line} in the place of {id}");
                }
            }
        }
        server.wait_for_more("slices_total", before);
        // The last word of TLS waits behind what came before it.
        for id in 0..2_000 {
            socket.write(Message::text(format!(r#"{{"id":{},"rpc":{{"method":"none"}}}}"#, id + 1))).unwrap();
        }
        socket.flush().unwrap();
        socket.get_mut().conn.send_close_notify();
        socket.get_mut().flush().unwrap();
        server.wait_for("connections", 0);
    }
    assert_eq!(server.metrics().figure("commands_total"), 2 * (1 + COMMANDS as u64 + 2_000));
    server.settled();
}
