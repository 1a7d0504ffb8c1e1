//! Limits that WebSockets and HTTP streams share, each with its refusal and its figure.

use crate::support::client::Client;
use crate::support::server::Server;
use crate::support::session::{PATH, Session};
use crate::support::wait::{PATIENCE, wait_until};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

const CLIENTS: &str = "[channel.without_namespace]\nallow_publish_for_client = true\n\
    allow_publish_for_anonymous = true\nallow_subscribe_for_client = true\nallow_subscribe_for_anonymous = true\n\
    [http_stream]\nenabled = true\n\
    [client]\nallow_anonymous_connect_without_token = true\nping_interval = \"1h\"\n";

/// A response that is read line by line.
struct Stream {
    reader: BufReader<TcpStream>,
    status: u16,
}

impl Stream {
    fn post(server: &Server, path: &str, body: &str) -> Self {
        let mut stream = TcpStream::connect(server.public).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nHost: ringway.test\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        while line.trim_end() != "" {
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        Self { reader, status }
    }

    fn open(server: &Server) -> Self {
        Self::post(server, "/connection/http_stream", "{\"id\":1,\"connect\":{}}")
    }

    /// The next document in the body; lengths of chunks are passed over.
    fn message(&mut self) -> Value {
        loop {
            let mut line = String::new();
            assert_ne!(self.reader.read_line(&mut line).unwrap(), 0, "the stream has ended");
            if line.starts_with('{') {
                return serde_json::from_str(&line).unwrap();
            }
        }
    }
}

#[track_caller]
fn refuses_a_websocket(server: &Server) {
    let mut late = Client::connect(server.public);
    late.ask_upgrade(PATH);
    assert_eq!(late.refused().status, 503);
}

fn streams_refused(server: &Server, reason: &str) -> u64 {
    server.metrics().seen(&format!("streams_refused_total{{kind=\"http_stream\",reason=\"{reason}\"}}"))
}

#[test]
fn a_stream_is_a_connection_of_the_node() {
    let server = Server::start(&format!("{CLIENTS}connection_limit = 2\n"));
    let session = Session::start(&server);
    let stream = Stream::open(&server);
    assert_eq!(stream.status, 200);
    refuses_a_websocket(&server);
    server.wait_for("limited_connections_total", 1);
    drop(stream);
    wait_until("the place is free again", || {
        let mut late = Client::connect(server.public);
        late.ask_upgrade(PATH);
        late.response().status == 101
    });
    drop(session);
    server.settled();
}

#[test]
fn a_stream_is_a_connection_of_its_address() {
    let server = Server::start(&format!("{CLIENTS}address_connection_limit = 3\n"));
    let (one, other) = (Session::start(&server), Stream::open(&server));
    assert_eq!(other.status, 200);
    let third = Stream::open(&server);
    assert_eq!(third.status, 200);
    refuses_a_websocket(&server);
    server.wait_for("limited_addresses_total", 1);
    // A stream that is refused was a socket first, which is refused like any other.
    assert_eq!(Stream::open(&server).status, 503);
    drop(third);
    wait_until("the place is free again", || Stream::open(&server).status == 200);
    drop((one, other));
    server.settled();
}

#[test]
fn streams_and_websockets_come_at_one_rate() {
    let server = Server::start(&format!("{CLIENTS}connection_rate_limit = 1\n"));
    let mut open = Vec::new();
    wait_until("one comes too fast", || {
        open.push(Stream::open(&server));
        open.last().unwrap().status == 503
    });
    assert_eq!(streams_refused(&server, "connection_rate_limit"), 1);
    wait_until("so does a socket", || {
        let mut late = Client::connect(server.public);
        late.ask_upgrade(PATH);
        late.response().status == 503
    });
    server.wait_for("limited_arrivals_total", 1);
    drop(open);
    server.settled();
}

#[test]
fn commands_of_the_emulation_endpoint_are_paced_like_others() {
    let server = Server::start(&format!("{CLIENTS}command_rate_limit = 1\ncommand_rate_burst = 3\n"));
    let mut stream = Stream::open(&server);
    let hello = stream.message();
    let (session, node) = (&hello["connect"]["session"], &hello["connect"]["node"]);
    let commands: Vec<String> =
        (2..=40).map(|id| json!({"id": id, "publish": {"channel": "a", "data": 1}}).to_string()).collect();
    let body = json!({"session": session, "node": node, "data": commands.join("\n")}).to_string();
    assert_eq!(Stream::post(&server, "/emulation", &body).status, 204);
    let replies: Vec<Value> = commands.iter().map(|_| stream.message()).collect();
    let refused = replies.iter().filter(|reply| reply["error"]["code"] == 111).count();
    assert!((30..=36).contains(&refused), "{refused} of {}", replies.len());
    server.wait_for("commands_paced_total", refused as u64);
    drop(stream);
    server.settled();
}

#[test]
fn by_default_a_flood_is_paced_and_what_an_honest_client_does_is_not() {
    let server = Server::start(CLIENTS);
    let mut session = Session::start(&server);
    // Who comes back subscribes to everything at once.
    let commands: Vec<u64> =
        (0..128).map(|n| session.send("subscribe", &json!({"channel": n.to_string()}))).collect();
    for command in commands {
        assert!(session.reply(command)["error"].is_null());
    }
    assert_eq!(session.ask("subscribe", &json!({"channel": "one too many"}))["error"]["code"], 106);
    server.wait_for("limited_channels_total", 1);
    assert_eq!(server.metrics().figure("commands_paced_total"), 0);
    let mut flood = Session::start(&server);
    wait_until("the flood is paced", || {
        let commands = flood.send_many(4000, "publish", &json!({"channel": "a", "data": 1}));
        commands.into_iter().any(|command| flood.reply(command)["error"]["code"] == 111)
    });
    drop((session, flood));
    server.settled();
}

#[test]
fn in_development_nobody_is_paced() {
    let server = Server::develop();
    let mut session = Session::start(&server);
    let commands = session.send_many(4000, "publish", &json!({"channel": "a", "data": 1}));
    assert!(commands.into_iter().all(|command| session.reply(command)["error"].is_null()));
    drop(session);
    server.settled();
}

#[test]
fn publications_of_a_channel_have_a_rate_with_a_refusal_and_a_figure() {
    let config = CLIENTS.replace("[http_stream]", "publish_rate = 2\n[http_stream]");
    let server = Server::start(&config);
    let mut session = Session::start(&server);
    wait_until("the channel is full", || {
        session.ask("publish", &json!({"channel": "a", "data": 1}))["error"]["code"] == 111
    });
    server.wait_for("limited_publications_total", 1);
    drop(session);
    server.settled();
}
