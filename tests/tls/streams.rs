//! Streams and emulation over https: the control plane speaks their HTTP through the session that it was handed.

use crate::authority::Authority;
use crate::person::{Stream, config, connect};
use rustls::version::{TLS12, TLS13};
use std::io::{Read, Write};

const OPEN: &str = "[client]\nallow_anonymous_connect_without_token = true\n\
    [channel.without_namespace]\nallow_subscribe_for_client = true\nallow_subscribe_for_anonymous = true\n\
    allow_publish_for_subscriber = true\nallow_publish_for_anonymous = true\n";

/// A stream that is being read, and what has come of it.
struct Listener {
    stream: Stream,
    seen: String,
}

impl Listener {
    fn begin(mut stream: Stream, request: &str) -> Self {
        stream.write_all(request.as_bytes()).unwrap();
        Self { stream, seen: String::new() }
    }

    /// Reads until this has come.
    fn hears(&mut self, words: &str) {
        while !self.seen.contains(words) {
            let mut buffer = [0; 4096];
            let count = self.stream.read(&mut buffer).unwrap();
            assert!(count > 0, "{words:?} in {}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    }

    /// The value of this field of JSON, the first time that it comes.
    fn field(&self, name: &str) -> String {
        let (_, rest) = self.seen.split_once(&format!("\"{name}\":\"")).expect(name);
        rest.split_once('"').unwrap().0.to_owned()
    }
}

fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Commands come over connections of their own, one of them for all commands.
#[test]
fn streams_talk_through_emulation() {
    let authority = Authority::new();
    let server = authority.serve(OPEN);
    for version in [&TLS13, &TLS12] {
        let config = config(&authority, version);
        let open = || connect(&server, &config, "localhost");
        let connect_command = r#"{"id":1,"connect":{}}"#;
        let sse = "GET /connection/sse?cf_connect=%7B%22id%22%3A1%2C%22connect%22%3A%7B%7D%7D HTTP/1.1\r\n\
            Host: localhost\r\n\r\n";
        let mut listeners = [
            Listener::begin(open(), &post("/connection/http_stream", connect_command)),
            Listener::begin(open(), sse),
        ];
        let mut commands = Listener { stream: open(), seen: String::new() };
        let mut say = |listener: &Listener, command: &str| {
            let (session, node) = (listener.field("session"), listener.field("node"));
            let data = command.replace('"', "\\\"");
            let body = format!(r#"{{"session":"{session}","node":"{node}","data":"{data}"}}"#);
            commands.stream.write_all(post("/emulation", &body).as_bytes()).unwrap();
            commands.hears("HTTP/1.1 204");
            commands.seen.clear();
        };
        for listener in &mut listeners {
            listener.hears("\"session\":");
            say(listener, r#"{"id":2,"subscribe":{"channel":"room"}}"#);
            listener.hears(r#""id":2,"#);
        }
        say(&listeners[0], r#"{"id":3,"publish":{"channel":"room","data":{"text":"over TLS"}}}"#);
        for listener in &mut listeners {
            listener.hears("over TLS");
        }
        server.wait_for("sessions", 2);
        drop(listeners);
        server.wait_for("sessions", 0);
    }
    server.settled();
}

/// What does not open is the end, with the control plane, too, and no answer leaves in the open.
#[test]
fn a_request_that_was_tampered_with_is_not_answered() {
    let authority = Authority::new();
    let server = authority.serve("");
    let config = config(&authority, &TLS13);
    let request = post("/emulation", "0123456789");
    // Everything in one record that does not open, or only the body, whose head the control plane has.
    for len in [0, request.len() - 10] {
        let (good, bad) = request.split_at(len);
        let mut stream = connect(&server, &config, "localhost");
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).unwrap();
        }
        stream.write_all(good.as_bytes()).unwrap();
        stream.conn.writer().write_all(bad.as_bytes()).unwrap();
        let mut records = Vec::new();
        while stream.conn.wants_write() {
            stream.conn.write_tls(&mut records).unwrap();
        }
        *records.last_mut().unwrap() ^= 1;
        stream.sock.write_all(&records).unwrap();
        let mut answer = Vec::new();
        let end = stream.read_to_end(&mut answer);
        // An alert, and not an answer.
        assert!(end.is_err() && answer.is_empty(), "{end:?} {}", String::from_utf8_lossy(&answer));
    }
    server.settled();
}
