//! HTTP streams and event streams against a core that the test plays: its mailbox is read here, its memos written here.

use super::{Client, Node, PATIENCE, Response};
use crate::control::Live;
use crate::control::http::Bounds;
use crate::control::{ControlOptions, Cores, Full, Line, LiveSettings, Places, StreamOptions, Succession};
use crate::http::OriginPolicy;
use crate::ids::CoreId;
use crate::shard::Settings;
use crate::shard::mail::Mail;
use crate::shard::memo::Memo;
use crate::shard::stream::{Opening, StreamId, StreamInput, StreamKind, StreamOutput};
use crate::stats::Stats;
use crate::sys::clock;
use crate::sys::mailbox::{Inbox, Mailbox, mailbox};
use std::io::{BufRead, Read};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Room for so many, and never a leave too many.
#[derive(Debug)]
struct Room(AtomicI64);

impl Places for Room {
    fn enter(&self, address: Option<IpAddr>) -> Result<Option<IpAddr>, Full> {
        assert_eq!(address, Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        if self.0.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Ok(address);
        }
        self.leave(address);
        Err(Full::Node)
    }

    fn leave(&self, _: Option<IpAddr>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

pub(super) fn options() -> StreamOptions {
    StreamOptions {
        http_stream: true,
        sse: true,
        uni_http_stream: true,
        uni_sse: true,
        count_max: 100,
        origins: Live::new(OriginPolicy::new(&[String::from("https://good.com")]).unwrap()),
        headers: Live::new(vec![Box::from("x-user")]),
        places: Arc::new(Room(AtomicI64::new(100))),
        tallies: Arc::default(),
    }
}

/// A node with two cores that this thread plays.
struct Stage {
    node: Node,
    cores: Vec<Inbox<Mail>>,
    memos: Mailbox<Memo>,
}

impl Stage {
    fn new() -> Self {
        Self::with(options(), Bounds::PUBLIC, 1024)
    }

    fn with(streams: StreamOptions, bounds: Bounds, mail_count_max: usize) -> Self {
        Self::under(Settings::open(), streams, bounds, mail_count_max)
    }

    fn under(settings: Settings, streams: StreamOptions, bounds: Bounds, mail_count_max: usize) -> Self {
        let (mailboxes, inboxes) = (0..2).map(|_| mailbox(mail_count_max).unwrap()).unzip();
        let (memos, inbox) = mailbox(1024).unwrap();
        let desk = Cores::new(mailboxes, 0);
        let live = LiveSettings::new(Arc::new(settings), Arc::clone(&desk));
        let line = Line {
            cores: desk,
            memos: inbox,
            live,
            reload: None,
            ledger: None,
            succession: Succession::default(),
        };
        let options = ControlOptions { streams, ..super::options(PATIENCE) };
        let node = Node::with(bounds, options, line);
        node.lifecycle.set_ready();
        Self { node, cores: inboxes, memos }
    }

    fn post(&self, path: &str, fields: &str, body: &str) -> Client {
        let length = body.len();
        self.node.request(&format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{fields}\r\n{body}"
        ))
    }

    /// The next letter of any core.
    fn heard(&self) -> (CoreId, StreamId, StreamInput) {
        let end = clock::now() + PATIENCE;
        loop {
            for (core, inbox) in self.cores.iter().enumerate() {
                match inbox.take() {
                    Some(Mail::Stream { stream, input }) => return (CoreId(core as u16), stream, input),
                    Some(other) => panic!("{other:?}"),
                    None => {}
                }
            }
            assert!(clock::now() < end, "no letter came");
            std::thread::yield_now();
        }
    }

    fn opened(&self) -> (CoreId, StreamId, Opening) {
        match self.heard() {
            (core, stream, StreamInput::Open(opening)) => (core, stream, *opening),
            (_, _, other) => panic!("{other:?}"),
        }
    }

    fn say(&self, (core, stream): (CoreId, StreamId), output: StreamOutput) {
        self.memos.post(Memo::Stream { core, stream, output }).unwrap();
    }

    /// A stream with its head already read.
    fn stream(&self) -> (Client, (CoreId, StreamId), Opening) {
        let mut client = self.post("/connection/http_stream", "", "{\"id\":1,\"connect\":{}}");
        let (core, stream, opening) = self.opened();
        let head = client.response(false);
        assert_eq!(head.status(), 200, "{head:?}");
        (client, (core, stream), opening)
    }

    fn is_quiet(&self) -> bool {
        // Whatever a request before this one has caused is older than its answer.
        let mut client = self.node.request("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.response(true).status(), 200);
        self.cores.iter().all(|core| core.depth() == 0)
    }

    fn refused(&self, client: &mut Client) -> Response {
        let response = client.response(true);
        assert!(self.is_quiet(), "a refused request has reached a core");
        response
    }
}

/// The next chunk of a chunked body; empty: the last.
fn chunk(client: &mut Client) -> Vec<u8> {
    let mut line = String::new();
    client.0.read_line(&mut line).unwrap();
    let length = usize::from_str_radix(line.trim(), 16).unwrap_or_else(|_| panic!("no chunk: {line:?}"));
    let mut bytes = vec![0; length + 2];
    client.0.read_exact(&mut bytes).unwrap();
    bytes.truncate(length);
    bytes
}

#[test]
fn an_http_stream_carries_what_its_core_says_until_the_end() {
    let stage = Stage::new();
    let mut client = stage.post("/connection/http_stream", "x-user: ann\r\nx-other: no\r\n", "connect");
    let (core, stream, opening) = stage.opened();
    assert_eq!(
        (opening.kind, opening.is_protobuf, &*opening.first),
        (StreamKind::HttpStream, false, &b"connect"[..])
    );
    assert_eq!(&*opening.headers, [(Box::from("x-user"), Box::from("ann"))]);
    let head = client.response(false);
    assert_eq!(head.status(), 200);
    assert_eq!(head.header("transfer-encoding"), Some("chunked"));
    assert_eq!(head.header("x-accel-buffering"), Some("no"));
    assert!(head.header("cache-control").unwrap().contains("no-cache"));
    for text in ["one\n", "two\n"] {
        stage.say((core, stream), StreamOutput::Bytes(text.into()));
        assert_eq!(chunk(&mut client), text.as_bytes());
        assert!(matches!(stage.heard(), (at, of, StreamInput::Sent) if (at, of) == (core, stream)));
    }
    stage.node.wait_for_metric("ringway_streams{kind=\"http_stream\"} 1");
    stage.say((core, stream), StreamOutput::Bytes(b"bye\n".to_vec()));
    stage.say((core, stream), StreamOutput::End);
    assert_eq!(chunk(&mut client), b"bye\n");
    assert_eq!(chunk(&mut client), b"");
    assert!(client.is_closed(), "a stream is the last response of its connection");
    stage.node.wait_for_metric("ringway_streams{kind=\"http_stream\"} 0");
    stage.node.wait_for_metric("ringway_streams_opened_total{kind=\"http_stream\"} 1");
    let gone = |input| matches!(input, StreamInput::Gone);
    while !stage.is_quiet() {
        assert!(!gone(stage.heard().2), "the core has ended the stream itself");
    }
}

#[test]
fn an_event_stream_begins_with_a_blank_line_and_takes_its_command_from_the_query() {
    let stage = Stage::new();
    let mut client =
        stage.node.request("GET /connection/sse?cf_connect=%7B%22id%22%3A1%7D HTTP/1.1\r\nHost: a\r\n\r\n");
    let (core, stream, opening) = stage.opened();
    assert_eq!((opening.kind, &*opening.first), (StreamKind::Sse, &b"{\"id\":1}"[..]));
    let head = client.response(false);
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert_eq!(chunk(&mut client), b"\r\n");
    stage.say((core, stream), StreamOutput::Bytes(b"data: {}\n\n".to_vec()));
    assert_eq!(chunk(&mut client), b"data: {}\n\n");
}

#[test]
fn an_event_stream_takes_its_command_from_a_body_as_well() {
    let stage = Stage::new();
    let _client = stage.post("/connection/sse", "", "command");
    assert_eq!(&*stage.opened().2.first, b"command");
}

#[test]
fn a_unidirectional_stream_may_begin_without_a_word() {
    let stage = Stage::new();
    let _sse = stage.node.request("GET /connection/uni_sse HTTP/1.1\r\nHost: a\r\n\r\n");
    let (_, _, opening) = stage.opened();
    assert_eq!((opening.kind, &*opening.first), (StreamKind::UniSse, &b"{}"[..]));
    let _stream = stage.post("/connection/uni_http_stream", "", "{\"token\":\"x\"}");
    let (_, _, opening) = stage.opened();
    assert_eq!((opening.kind, &*opening.first), (StreamKind::UniHttpStream, &b"{\"token\":\"x\"}"[..]));
}

#[test]
fn a_peer_that_leaves_is_gone_once() {
    let stage = Stage::new();
    let (client, at, _) = stage.stream();
    drop(client);
    let (core, stream, input) = stage.heard();
    assert!((core, stream) == at && matches!(input, StreamInput::Gone), "{input:?}");
    stage.node.wait_for_metric("ringway_streams{kind=\"http_stream\"} 0");
    assert!(stage.is_quiet());
}

#[test]
fn a_slow_reader_holds_one_piece_and_its_core_hears_nothing() {
    let stage = Stage::new();
    let (client, at, _) = stage.stream();
    // More than the buffers of both sockets take, so that a part of it must stay with us.
    let mut sent = 0;
    loop {
        stage.say(at, StreamOutput::Bytes(vec![b'x'; 1024 * 1024]));
        let end = clock::now() + Duration::from_millis(500);
        let mut heard = false;
        while clock::now() < end && !heard {
            heard = stage.cores.iter().any(|core| core.depth() > 0);
            std::thread::yield_now();
        }
        if !heard {
            break;
        }
        assert!(matches!(stage.heard().2, StreamInput::Sent));
        sent += 1;
        assert!(sent < 64, "64 MiB are nowhere but in our memory");
    }
    drop(client);
    // With the connection goes the piece, and then the stream.
    assert!(matches!(stage.heard().2, StreamInput::Sent));
    assert!(matches!(stage.heard().2, StreamInput::Gone));
    assert!(stage.is_quiet());
}

#[test]
fn streams_are_spread_over_the_cores() {
    let stage = Stage::new();
    stage.node.publish(0, &Stats { connections: 3, ..Stats::default() });
    let streams: Vec<_> = (0..7).map(|_| stage.stream()).collect();
    let on = |wanted| streams.iter().filter(|(_, (core, _), _)| core.0 == wanted).count();
    assert_eq!((on(0), on(1)), (2, 5));
}

#[test]
fn commands_of_a_session_reach_its_stream() {
    let stage = Stage::new();
    let (_client, at, opening) = stage.stream();
    let body = format!(
        "{{\"session\":\"{}\",\"node\":\"{}\",\"data\":\"{{\\\"id\\\":2}}\\n{{}}\"}}",
        opening.session, opening.node
    );
    let mut poster = stage.post("/emulation", "", &body);
    let answer = poster.response(true);
    assert_eq!(answer.status(), 204, "{answer:?}");
    let (core, stream, input) = stage.heard();
    assert_eq!((core, stream), at);
    assert!(matches!(&input, StreamInput::Commands(bytes) if bytes == b"{\"id\":2}\n{}"), "{input:?}");
    stage.node.wait_for_metric("ringway_emulation_requests_total 1");
}

#[test]
fn a_protobuf_client_posts_its_commands_as_a_message() {
    let stage = Stage::new();
    let fields = "Content-Type: application/octet-stream\r\n";
    let _client = stage.post("/connection/http_stream", fields, "\u{2}\u{8}\u{1}");
    let (core, stream, opening) = stage.opened();
    assert!(opening.is_protobuf);
    let part = |number: char, text: &str| {
        format!("{}{}{text}", char::from(number as u8 * 8 + 2), char::from(text.len() as u8))
    };
    let (node, session) = (opening.node.to_string(), opening.session.to_string());
    let body = part('\u{1}', &node) + &part('\u{2}', &session) + &part('\u{3}', "\u{2}\u{8}\u{2}");
    let answer = stage.post("/emulation", fields, &body).response(true);
    assert_eq!(answer.status(), 204, "{answer:?}");
    let (at, of, input) = stage.heard();
    assert_eq!((at, of), (core, stream));
    assert!(matches!(&input, StreamInput::Commands(bytes) if bytes == b"\x02\x08\x02"), "{input:?}");
}

#[test]
fn a_session_is_known_while_its_stream_is_open_and_under_its_node_alone() {
    let stage = Stage::new();
    let (client, at, opening) = stage.stream();
    let (session, node) = (opening.session, opening.node);
    let status = |session: &str, node: &str| {
        let body = format!("{{\"session\":\"{session}\",\"node\":\"{node}\",\"data\":\"{{}}\"}}");
        stage.post("/emulation", "", &body).response(true).status()
    };
    let (session, node) = (session.to_string(), node.to_string());
    assert_eq!(status(&session, &session), 404);
    assert_eq!(status(&node, &node), 404);
    assert_eq!(status("x", &node), 404);
    assert!(stage.is_quiet());
    stage.say(at, StreamOutput::End);
    let mut client = client;
    assert_eq!(chunk(&mut client), b"");
    assert_eq!(status(&session, &node), 404);
    assert!(stage.is_quiet());
}

#[test]
fn a_unidirectional_session_takes_no_commands() {
    let stage = Stage::new();
    let _client = stage.post("/connection/uni_http_stream", "", "{}");
    let (_, _, opening) = stage.opened();
    let body =
        format!("{{\"session\":\"{}\",\"node\":\"{}\",\"data\":\"{{}}\"}}", opening.session, opening.node);
    assert_eq!(stage.post("/emulation", "", &body).response(true).status(), 404);
}

#[test]
fn malformed_requests_are_refused_before_any_core_hears_of_them() {
    let stage = Stage::new();
    for body in ["", "x", "{}", "{\"session\":1}", "{\"session\":\"\",\"node\":\"\",\"data\":{}}"] {
        assert_eq!(stage.refused(&mut stage.post("/emulation", "", body)).status(), 400, "{body}");
    }
    assert_eq!(stage.refused(&mut stage.post("/connection/http_stream", "", "")).status(), 400);
    let sse = "GET /connection/sse HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(stage.refused(&mut stage.node.request(sse)).status(), 400);
    for (method, path, allow) in [
        ("GET", "/connection/http_stream", "POST"),
        ("GET", "/emulation", "POST"),
        ("PUT", "/connection/sse", "GET, POST"),
        ("HEAD", "/connection/uni_sse", "GET, POST"),
    ] {
        let mut client = stage.node.request(&format!("{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let response = client.response(false);
        assert_eq!((response.status(), response.header("allow")), (405, Some(allow)), "{method} {path}");
    }
    assert!(stage.is_quiet());
    stage.node.wait_for_metric("ringway_streams_refused_total{kind=\"emulation\",reason=\"bad_request\"} 5");
}

#[test]
fn a_body_beyond_64_kib_is_refused() {
    let stage = Stage::new();
    for path in ["/connection/http_stream", "/emulation"] {
        let mut client = stage.post(path, "", &"x".repeat(65_537));
        assert_eq!(stage.refused(&mut client).status(), 413, "{path}");
    }
    let _client = stage.post("/connection/http_stream", "", &"x".repeat(65_536));
    assert_eq!(stage.opened().2.first.len(), 65_536);
}

#[test]
fn pages_of_strangers_are_refused_and_allowed_ones_are_named() {
    let stage = Stage::new();
    for path in ["/connection/http_stream", "/connection/sse", "/connection/uni_sse", "/emulation"] {
        let mut client = stage.post(path, "Origin: https://evil.com\r\n", "x");
        let response = stage.refused(&mut client);
        assert_eq!(response.status(), 403, "{path}");
        assert_eq!(response.header("access-control-allow-origin"), None);
        let head = format!(
            "OPTIONS {path} HTTP/1.1\r\nHost: a\r\nOrigin: https://good.com\r\n\
             Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n"
        );
        let preflight = stage.node.request(&head).response(true);
        assert_eq!(preflight.status(), 204);
        assert_eq!(preflight.header("access-control-allow-origin"), Some("https://good.com"));
        assert_eq!(preflight.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(preflight.header("access-control-allow-headers"), Some("content-type"));
    }
    let mut client = stage.post("/connection/http_stream", "Origin: https://good.com\r\n", "x");
    stage.opened();
    let head = client.response(false);
    assert_eq!(head.header("access-control-allow-origin"), Some("https://good.com"));
    assert_eq!(head.header("vary"), Some("Origin"));
}

#[test]
fn a_stream_outlives_the_bounds_of_a_page() {
    let bounds = Bounds {
        life: Duration::from_millis(50),
        end: Duration::from_millis(50),
        slot_count: 1,
        ..Bounds::PUBLIC
    };
    let stage = Stage::with(options(), bounds, 1024);
    let (mut client, at, _) = stage.stream();
    let end = clock::now() + Duration::from_millis(300);
    while clock::now() < end {
        std::thread::yield_now();
    }
    assert!(stage.is_quiet(), "and its slot serves others");
    stage.say(at, StreamOutput::Bytes(b"late".to_vec()));
    assert_eq!(chunk(&mut client), b"late");
}

#[test]
fn a_reader_that_takes_nothing_is_cut_when_its_core_has_ended_the_stream() {
    let bounds =
        Bounds { life: Duration::from_millis(50), end: Duration::from_millis(100), ..Bounds::PUBLIC };
    let room = Arc::new(Room(AtomicI64::new(100)));
    let stage = Stage::with(StreamOptions { places: Arc::<Room>::clone(&room), ..options() }, bounds, 1024);
    let (client, at, _) = stage.stream();
    stage.say(at, StreamOutput::Bytes(vec![b'x'; 32 * 1024 * 1024]));
    stage.say(at, StreamOutput::End);
    stage.node.wait_for_metric("ringway_streams{kind=\"http_stream\"} 0");
    let end = clock::now() + PATIENCE;
    while room.0.load(Ordering::SeqCst) != 100 {
        assert!(clock::now() < end, "the connection keeps its place");
        std::thread::yield_now();
    }
    drop(client);
}

#[test]
fn beyond_the_limits_of_streams_or_connections_the_answer_is_503() {
    for options in [
        StreamOptions { count_max: 2, ..options() },
        StreamOptions { places: Arc::new(Room(AtomicI64::new(2))), ..options() },
    ] {
        let stage = Stage::with(options, Bounds::PUBLIC, 1024);
        let (one, ..) = stage.stream();
        let _other = stage.stream();
        let refused = stage.refused(&mut stage.post("/connection/http_stream", "", "x"));
        assert_eq!((refused.status(), refused.header("retry-after")), (503, Some("1")));
        drop(one);
        assert!(matches!(stage.heard().2, StreamInput::Gone));
        let end = clock::now() + PATIENCE;
        while stage.post("/connection/http_stream", "", "x").response(false).status() != 200 {
            assert!(clock::now() < end, "the place was not given back");
        }
    }
}

#[test]
fn streams_come_at_the_rate_of_connections_and_refusals_are_counted_by_what_they_exceed() {
    let mut settings = Settings::open();
    settings.limits.handshake_rate = Some(1);
    settings.limits.message_bytes_max = 64;
    let room = Arc::new(Room(AtomicI64::new(1000)));
    let streams = StreamOptions { places: Arc::<Room>::clone(&room), ..options() };
    let stage = Stage::under(settings, streams, Bounds::PUBLIC, 1024);
    let metric =
        |reason| format!("ringway_streams_refused_total{{kind=\"http_stream\",reason=\"{reason}\"}} 1");
    let mut open = Vec::new();
    loop {
        let mut client = stage.post("/connection/http_stream", "", "x");
        let response = client.response(false);
        if response.status() != 200 {
            assert_eq!((response.status(), response.header("retry-after")), (503, Some("1")));
            break;
        }
        open.push(client);
        assert!(open.len() < 100, "one a second");
    }
    stage.node.wait_for_metric(&metric("connection_rate_limit"));
    assert_eq!(
        room.0.load(Ordering::SeqCst),
        1000 - i64::try_from(open.len()).unwrap(),
        "who is refused gives the place back"
    );
    let mut large = stage.post("/connection/http_stream", "", &"x".repeat(65));
    assert_eq!(large.response(true).status(), 413, "a body is a message");
    let places = room.0.swap(0, Ordering::SeqCst);
    let mut late = stage.post("/connection/http_stream", "", "x");
    assert_eq!(late.response(true).status(), 503);
    stage.node.wait_for_metric(&metric("connection_limit"));
    room.0.fetch_add(places, Ordering::SeqCst);
}

#[test]
fn a_core_without_room_for_mail_costs_a_503() {
    let stage = Stage::with(options(), Bounds::PUBLIC, 1);
    let _first = stage.post("/connection/http_stream", "", "x");
    let _second = stage.post("/connection/http_stream", "", "x");
    let end = clock::now() + PATIENCE;
    while stage.cores.iter().any(|core| core.depth() == 0) {
        assert!(clock::now() < end, "two cores get a stream each");
        std::thread::yield_now();
    }
    let mut third = stage.post("/connection/http_stream", "", "x");
    assert_eq!(third.response(true).status(), 503);
}

#[test]
fn a_core_that_cannot_hear_of_what_was_sent_loses_the_stream() {
    let stage = Stage::with(options(), Bounds::PUBLIC, 1);
    let (mut client, at, _) = stage.stream();
    let (_other, other, _) = stage.stream();
    assert_ne!(at.0, other.0);
    stage.cores[at.0.index()].doze();
    // The answer to the first piece fills the mailbox; the answer to the second finds it full.
    stage.say(at, StreamOutput::Bytes(b"one".to_vec()));
    assert_eq!(chunk(&mut client), b"one");
    stage.say(at, StreamOutput::Bytes(b"two".to_vec()));
    assert_eq!(chunk(&mut client), b"two");
    assert!(client.is_closed(), "broken off, without a last chunk");
    assert!(matches!(stage.heard().2, StreamInput::Sent));
    assert!(matches!(stage.heard().2, StreamInput::Gone), "said again until the core has room");
}

#[test]
fn a_node_that_stops_takes_no_streams_and_keeps_those_it_has_until_their_end() {
    let mut stage = Stage::new();
    let (mut client, at, _) = stage.stream();
    stage.node.lifecycle.set_draining();
    let refused = stage.refused(&mut stage.post("/connection/http_stream", "", "x"));
    assert_eq!(refused.status(), 503);
    stage.say(at, StreamOutput::Bytes(b"bye".to_vec()));
    assert_eq!(chunk(&mut client), b"bye");
    stage.say(at, StreamOutput::End);
    // The cores have ended right behind their last word.
    let reader = std::thread::spawn(move || chunk(&mut client));
    stage.node.control.take().unwrap().finish();
    assert_eq!(reader.join().unwrap(), b"");
}
