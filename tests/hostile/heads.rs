//! Bytes that are no head, or more of one than anybody needs. RFC 9112.

use crate::support::canary::Canary;
use crate::support::client::{Client, upgrade_head};
use crate::support::server::Server;

/// Sends these bytes and expects to be refused at once, without a blank line if there is none.
#[track_caller]
fn refused(server: &Server, bytes: &[u8], status: u16) {
    let mut client = Client::connect(server.public);
    // The server may have refused and gone before we are through.
    let _ = client.try_send(bytes);
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
    assert_eq!(client.refused().status, status, "{start:?}");
}

/// H-07
#[test]
fn other_protocols_are_refused_at_once() {
    let server = Server::echo("");
    for (bytes, status) in [
        (&b"GET /echo HTTP/1.0\r\n"[..], 505),
        (b"GET /echo HTTP/1.2\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET /echo\r\n", 400),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 400),
        (b"\0", 400),
        (b"\r\n", 400),
    ] {
        refused(&server, bytes, status);
    }
    server.settled();
}

/// H-08: RFC 9112 section 3.2.
#[test]
fn there_is_exactly_one_plausible_host() {
    let server = Server::echo("");
    let head = upgrade_head("/echo");
    for hosts in
        ["", "Host: a\r\nHost: a\r\n", "Host: a b\r\n", "Host: user@a\r\n", "Host:\r\n", "Host: a/b\r\n"]
    {
        let head = head.replace("Host: ringway.test\r\n", hosts);
        refused(&server, format!("{head}\r\n").as_bytes(), 400);
        let plain = format!("GET / HTTP/1.1\r\n{hosts}\r\n");
        refused(&server, plain.as_bytes(), 400);
    }
    server.settled();
}

/// H-10: and the core goes on serving.
#[test]
fn heads_have_limits() {
    let server = Server::echo("");
    let canary = Canary::start(&server);
    let head = upgrade_head("/echo");
    let long = "a".repeat(8 * 1024);
    refused(&server, format!("GET /{long} HTTP/1.1\r\n\r\n").as_bytes(), 414);
    refused(&server, format!("GET /{}", "a".repeat(1024 * 1024)).as_bytes(), 414);
    refused(&server, format!("{head}X: {long}\r\n\r\n").as_bytes(), 431);
    refused(&server, format!("{head}{}\r\n", format!("X: {}\r\n", &long[..1000]).repeat(20)).as_bytes(), 431);
    refused(&server, format!("{head}{}\r\n", "X: a\r\n".repeat(100)).as_bytes(), 431);
    refused(&server, format!("{head}{}\r\n", "!!: x\r\n".repeat(2_000)).as_bytes(), 431);
    // The largest that is legal.
    let mut client = Client::connect(server.public);
    client.send(format!("{head}{}\r\n", "!!: x\r\n".repeat(95)).as_bytes());
    assert_eq!(client.response().status, 101);
    drop(client);
    canary.unharmed();
    server.settled();
}

/// H-11: the limits hold byte by byte, and each byte is looked at once.
#[test]
fn a_head_in_single_bytes_costs_no_more() {
    let server = Server::echo("");
    let canary = Canary::start(&server);
    let mut client = Client::connect(server.public);
    client.send_slowly(format!("{}X: {}\r\n\r\n", upgrade_head("/echo"), "a".repeat(6_000)).as_bytes());
    assert_eq!(client.response().status, 101);
    drop(client);
    let mut client = Client::connect(server.public);
    for byte in format!("{}X: {}", upgrade_head("/echo"), "a".repeat(64 * 1024)).into_bytes() {
        if client.try_send(&[byte]).is_err() {
            break;
        }
    }
    drop(client);
    canary.unharmed();
    server.settled();
    assert_eq!(server.metrics().figure("refusals_total"), 1);
}

/// H-13: RFC 9112 sections 2.2, 5.1 and 5.2, RFC 9110 sections 5.5 and 5.6.2.
#[test]
fn broken_fields_are_refused() {
    let server = Server::echo("");
    let head = upgrade_head("/echo");
    let start = "GET /echo HTTP/1.1\r\n";
    let mut heads: Vec<Vec<u8>> = [
        "X: a\r\n b\r\n",
        "X : a\r\n",
        "X: a\nY: b\r\n",
        "X: a\rY: b\r\n",
        "X(: a\r\n",
        ": a\r\n",
        "X\r\n",
        "X: a\0b\r\n",
        "X: a\x7fb\r\n",
    ]
    .iter()
    .map(|field| format!("{head}{field}\r\n").into_bytes())
    .collect();
    heads.extend(
        (1..0x20)
            .filter(|control| !b"\t\r\n".contains(control))
            .map(|control| [head.as_bytes(), b"X: a", &[control], b"b\r\n\r\n"].concat()),
    );
    heads.push(head.replace(start, "GET /echo HTTP/1.1\r\n ").into_bytes());
    heads.push(head.replace("\r\n", "\n").into_bytes());
    heads.push(head.replace(start, "GET /e\tcho HTTP/1.1\r\n").into_bytes());
    for head in heads {
        refused(&server, &head, 400);
    }
    server.settled();
}
