//! Opening handshakes, good and bad. RFC 6455 section 4.2.

use crate::support::client::{Client, Response, upgrade_head};
use crate::support::frame::{self, BINARY, CLOSE, PING, PONG, TEXT, masked};
use crate::support::server::Server;

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";
const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n";

/// Sends a request for `/echo` with these fields and expects to be refused.
#[track_caller]
fn refused(server: &Server, method: &str, fields: &[&str], status: u16) -> Response {
    let mut client = Client::connect(server.public);
    client.send(format!("{method} /echo HTTP/1.1\r\nHost: a\r\n{}\r\n", fields.concat()).as_bytes());
    let response = client.refused();
    assert_eq!(response.status, status, "{fields:?}");
    response
}

/// H-01
#[test]
fn a_plain_request_is_told_to_upgrade() {
    let server = Server::echo("");
    for fields in [&[][..], &[KEY, VERSION], &["Upgrade: websocket\r\n", KEY, VERSION]] {
        let response = refused(&server, "GET", fields, 426);
        assert_eq!(response.field("upgrade"), Some("websocket"));
    }
    server.settled();
}

/// H-02, H-03: RFC 6455 sections 4.2.1 (5) and 11.3.1.
#[test]
fn a_bad_key_is_refused() {
    let server = Server::echo("");
    refused(&server, "GET", &[UPGRADE, VERSION], 400);
    refused(&server, "GET", &[UPGRADE, VERSION, KEY, KEY], 400);
    for key in [
        "",
        "test",
        "AAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAA=",
        "dGhlIHNhbXBsZSBub25j_Q==",
        "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
    ] {
        refused(&server, "GET", &[UPGRADE, VERSION, &format!("Sec-WebSocket-Key: {key}\r\n")], 400);
    }
    server.settled();
}

/// H-03, H-04: RFC 6455 sections 4.4 and 11.3.5.
#[test]
fn another_version_is_told_ours() {
    let server = Server::echo("");
    refused(&server, "GET", &[UPGRADE, KEY, VERSION, VERSION], 400);
    refused(&server, "GET", &[UPGRADE, KEY, "Sec-WebSocket-Version: 13, 8\r\n"], 400);
    refused(&server, "GET", &[UPGRADE, KEY], 426);
    for version in ["8", "0", "14", "013", "13abc", ""] {
        let field = format!("Sec-WebSocket-Version: {version}\r\n");
        let response = refused(&server, "GET", &[UPGRADE, KEY, &field], 426);
        assert_eq!(response.field("sec-websocket-version"), Some("13"));
    }
    server.settled();
}

/// H-05: RFC 6455 sections 1.3 and 4.2.1.
#[test]
fn what_real_clients_vary_is_accepted() {
    let server = Server::echo("");
    for fields in [
        format!("connection: keep-alive, UPGRADE\r\nupgrade: \t WebSocket \t\r\n{KEY}{VERSION}"),
        format!(
            "CONNECTION:Upgrade\r\nUPGRADE:websocket\r\nsec-websocket-key:dGhlIHNhbXBsZSBub25jZQ==\r\n{VERSION}"
        ),
        format!(
            "Upgrade: h2c\r\nUpgrade: websocket\r\nConnection: x\r\nConnection: upgrade\r\n{KEY}{VERSION}"
        ),
    ] {
        let mut client = Client::connect(server.public);
        client.send(format!("GET /echo?a=b HTTP/1.1\r\nhost: a:80\r\n{fields}\r\n").as_bytes());
        let response = client.response();
        assert_eq!(response.status, 101, "{fields}");
        assert_eq!(response.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(response.field("sec-websocket-extensions"), None);
        client.send(&masked(TEXT, b"hi"));
        client.expect(TEXT, b"hi");
    }
    server.settled();
}

/// H-06
#[test]
fn only_get_opens_a_websocket() {
    let server = Server::echo("");
    for method in ["POST", "HEAD", "PUT", "CONNECT", "get"] {
        let response = refused(&server, method, &[UPGRADE, KEY, VERSION], 405);
        assert_eq!(response.field("allow"), Some("GET"));
    }
    server.settled();
}

/// H-14: a body could only be read as frames, or as a second request. RFC 9112 section 6.3.
#[test]
fn an_upgrade_has_no_body() {
    let server = Server::echo("");
    for fields in [
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 111111111111111111111\r\n",
    ] {
        let mut client = Client::connect(server.public);
        let body = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";
        client.send(format!("{}{fields}\r\n{body}", upgrade_head("/echo")).as_bytes());
        assert_eq!(client.refused().status, 400, "{fields}");
    }
    server.settled();
}

/// H-14 on the way to the control plane, where bodies are legal but doubts are not.
#[test]
fn a_length_in_doubt_is_refused_on_every_path() {
    let server = Server::echo("");
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
    ] {
        let mut client = Client::connect(server.public);
        client.send(
            format!("POST /livez HTTP/1.1\r\nHost: a\r\n{fields}\r\nGET / HTTP/1.1\r\n\r\n").as_bytes(),
        );
        assert_eq!(client.refused().status, 400, "{fields}");
    }
    server.settled();
}

/// H-16: RFC 6455 section 4.1 lets the client wait; some do not.
#[test]
fn frames_in_the_segment_of_the_head_are_handled_in_order() {
    let server = Server::echo("");
    let frames = [masked(TEXT, b"one"), masked(PING, b"two"), masked(BINARY, &[3; 3000])].concat();
    let head = format!("{}\r\n", upgrade_head("/echo"));
    let bytes = [head.as_bytes(), &frames].concat();
    for cut in [0, 1, head.len() - 1, head.len(), head.len() + 1, head.len() + 8, bytes.len()] {
        let mut client = Client::connect(server.public);
        client.send(&bytes[..cut]);
        client.send(&bytes[cut..]);
        assert_eq!(client.response().status, 101);
        client.expect(TEXT, b"one");
        client.expect(PONG, b"two");
        client.expect(BINARY, &[3; 3000]);
        client.send(&frame::close(1000, b""));
        client.closed(1000);
    }
    server.settled();
}

/// H-19: the offers that took other parsers down. RFC 6455 section 9.1.
#[test]
fn extensions_are_declined_and_malformed_offers_refused() {
    let server = Server::echo("");
    for offer in [
        "permessage-deflate; client_max_window_bits".to_owned(),
        "constructor, __proto__; a=\"b\"".to_owned(),
        "foo, ".repeat(1_000),
    ] {
        let mut client = Client::connect(server.public);
        client.send(format!("{}Sec-WebSocket-Extensions: {offer}\r\n\r\n", upgrade_head("/echo")).as_bytes());
        let response = client.response();
        assert_eq!((response.status, response.field("sec-websocket-extensions")), (101, None), "{offer}");
    }
    for (offer, status) in [
        (format!("a;b=\"{}", "\\c".repeat(3_000)), 400),
        (format!("a;b=\"{}", "\\c".repeat(25_000)), 431),
        ("a;;b".to_owned(), 400),
        ("a b".to_owned(), 400),
    ] {
        let field = format!("Sec-WebSocket-Extensions: {offer}\r\n");
        refused(&server, "GET", &[UPGRADE, KEY, VERSION, &field], status);
    }
    server.settled();
}

/// An implementation that shares nothing with ours agrees with the handshake, the frames and the goodbye. F-30.
#[test]
fn an_independent_client_is_served() {
    use tungstenite::{Message, protocol::CloseFrame, protocol::frame::coding::CloseCode};
    let server = Server::echo("");
    let stream = std::net::TcpStream::connect(server.public).unwrap();
    let (mut socket, response) = tungstenite::client(format!("ws://{}/echo", server.public), stream).unwrap();
    assert_eq!(response.status(), 101);
    for message in [Message::text("Grüße"), Message::binary(vec![7; 60_000]), Message::text("")] {
        socket.send(message.clone()).unwrap();
        assert_eq!(socket.read().unwrap(), message);
    }
    socket.send(Message::Ping(b"beat".to_vec().into())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong(b"beat".to_vec().into()));
    let bye = CloseFrame { code: CloseCode::Library(4321), reason: "bye".into() };
    socket.close(Some(bye)).unwrap();
    let echoed = socket.read().unwrap();
    let Message::Close(Some(frame)) = &echoed else { panic!("{echoed:?}") };
    assert_eq!(frame.code, CloseCode::Library(4321));
    assert!(matches!(socket.read(), Err(tungstenite::Error::ConnectionClosed)));
    drop(socket);
    server.settled();
}

/// The route of the client protocol stands behind the same gate.
#[test]
fn the_route_of_the_client_protocol_has_the_same_gate() {
    let server = Server::start("");
    for (fields, status) in [("", 426), ("Upgrade: websocket\r\nConnection: Upgrade\r\n", 426)] {
        let mut client = Client::connect(server.public);
        client.send(format!("GET /connection/websocket HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes());
        assert_eq!(client.refused().status, status);
    }
    // Not enabled: no such route.
    let mut client = Client::connect(server.public);
    client.send(format!("{}\r\n", upgrade_head("/echo")).as_bytes());
    assert_ne!(client.response().status, 101);
    drop(client);
    let mut client = Client::upgraded(&server, "/connection/websocket");
    client.send(&masked(CLOSE, b""));
    assert_eq!(client.frame().close_code(), None);
    client.ended();
    server.settled();
}
