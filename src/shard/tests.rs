//! A shard by itself, as a dialogue: bytes in, bytes out, the clock moved by hand.

mod compression;
mod counters;
mod hooked;
mod messaging;
mod panics;
mod pressing;
mod revoking;
mod sealing;
mod slices;
mod tokens;

use super::*;
use crate::conn::Phase;
use crate::ids::CoreId;
use crate::limits;
use crate::ws::{CloseCode, Event, Kind, Reader};
use memo::Memo;
use std::collections::HashMap;

/// One core and its clients. Sends are completed as soon as they are made, unless a client is `stuck`.
struct Bench {
    shard: Shard,
    now: Moment,
    sent: HashMap<ConnId, Vec<u8>>,
    stuck: Vec<ConnId>,
    over: Vec<ConnId>,
    memos: Vec<Memo>,
    finished: bool,
}

const HEAD: &str = "GET /connection/websocket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

impl Bench {
    fn new(change: impl FnOnce(&mut ShardOptions)) -> Self {
        let mut options = ShardOptions::open(CoreId(0), 1, 1);
        change(&mut options);
        let now = Moment::from_millis(1_000);
        let shard = Shard::new(options, now);
        Self {
            shard,
            now,
            sent: HashMap::new(),
            stuck: Vec::new(),
            over: Vec::new(),
            memos: Vec::new(),
            finished: false,
        }
    }

    fn open(&mut self) -> ConnId {
        let id = self.shard.open(self.now, Admission::Welcome);
        self.settle();
        id
    }

    /// Upgraded and connected.
    fn client(&mut self) -> ConnId {
        let id = self.upgraded("/connection/websocket");
        self.say(id, r#"{"id":1,"connect":{}}"#);
        let reply = self.texts(id).join("");
        assert!(reply.contains(r#""ping":25,"pong":true"#), "{reply}");
        id
    }

    fn upgraded(&mut self, path: &str) -> ConnId {
        let id = self.open();
        self.bytes(id, HEAD.replace("/connection/websocket", path).as_bytes());
        let head = self.sent.remove(&id).unwrap();
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        id
    }

    fn bytes(&mut self, id: ConnId, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        self.shard.handle(self.now, Input::Received { conn: id, bytes: &mut bytes });
        self.settle();
    }

    fn say(&mut self, id: ConnId, text: &str) {
        let mut frame = Vec::new();
        ws::append_masked_frame(&mut frame, Opcode::Text, text.as_bytes(), [1, 2, 3, 4]);
        self.bytes(id, &frame);
    }

    fn pass(&mut self, millis: u64) {
        let end = Moment::from_millis(self.now.as_millis() + millis);
        while let Some(due) = self.shard.deadline().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            self.shard.advance(self.now);
            self.settle();
        }
        self.now = end;
        self.shard.advance(end);
        self.settle();
    }

    fn settle(&mut self) {
        loop {
            let mut outputs = Vec::new();
            self.shard.drain(&mut |output| outputs.push(output));
            assert!(!self.shard.post(|_, mail| Err(mail)), "one core has nobody to write to");
            self.shard.take_pressure();
            if outputs.is_empty() {
                self.shard.begin_turn();
                break self.shard.check();
            }
            for output in outputs {
                match output {
                    Output::Send { conn, payload } => {
                        if !self.stuck.contains(&conn) {
                            self.sent.entry(conn).or_default().extend_from_slice(payload.bytes());
                            self.shard.handle(self.now, Input::Sent { conn });
                        }
                    }
                    Output::Shutdown { conn } => self.shard.handle(self.now, Input::Ended { conn }),
                    Output::Close { conn } | Output::HandOver { conn, .. } => {
                        self.over.push(conn);
                        self.shard.handle(self.now, Input::Closed { conn });
                    }
                    Output::Memo(memo) => self.memos.push(memo),
                    Output::Pause { .. }
                    | Output::Resume { .. }
                    | Output::Order(_)
                    | Output::StopAccepting => {}
                    Output::Finished => self.finished = true,
                }
            }
        }
    }

    /// Messages sent to `id` since the last look; a close frame as `close CODE REASON`.
    fn texts(&mut self, id: ConnId) -> Vec<String> {
        let mut bytes = self.sent.remove(&id).unwrap_or_default();
        let options = ReadOptions {
            role: Role::Client,
            message_bytes_max: u32::MAX,
            empty_frames_max: 0,
            deflate: false,
        };
        let (mut reader, mut pool, mut texts) = (Reader::new(), Pool::new(), Vec::new());
        let mut at = 0;
        loop {
            let len = bytes.len();
            let mut rest = &mut bytes[at..];
            let Some(event) = reader.next(&mut rest, &options, &mut pool).unwrap() else {
                return texts;
            };
            let left = rest.len();
            texts.push(match event {
                Event::Message(Kind::Text, text) => String::from_utf8(text.to_vec()).unwrap(),
                Event::Message(Kind::Binary, bytes) => format!("binary {bytes:?}"),
                Event::Ping(_) => String::from("ping"),
                Event::Pong(bytes) => format!("pong {bytes:?}"),
                Event::Close(code, reason) => {
                    let code = code.map_or(0, CloseCode::get);
                    format!("close {code} {}", std::str::from_utf8(reason).unwrap())
                }
            });
            at = len - left;
        }
    }
}

#[test]
fn subscribers_get_what_is_published_and_the_publisher_its_reply() {
    let mut bench = Bench::new(|_| ());
    let (one, two) = (bench.client(), bench.client());
    bench.say(one, r#"{"id":2,"subscribe":{"channel":"news"}}"#);
    assert_eq!(bench.texts(one), [r#"{"id":2,"subscribe":{}}"#]);
    bench.say(two, "{\"id\":2,\"subscribe\":{\"channel\":\"news\"}}\n{\"id\":3,\"publish\":{\"channel\":\"news\",\"data\":{\"x\":1}}}");
    let push = bench.texts(one).join("");
    assert!(
        push.starts_with(r#"{"push":{"channel":"news","pub":{"data":{"x":1},"info":{"user":"","client":""#),
        "{push}"
    );
    let own = bench.texts(two);
    assert_eq!(own[0], r#"{"id":2,"subscribe":{}}"#, "the reply to subscribe precedes the first push");
    assert_eq!(own.len(), 3);
}

#[test]
fn nothing_is_delivered_after_the_reply_to_unsubscribe() {
    let mut bench = Bench::new(|_| ());
    let (one, two) = (bench.client(), bench.client());
    bench.say(one, r#"{"id":2,"subscribe":{"channel":"news"}}"#);
    bench.say(one, r#"{"id":3,"unsubscribe":{"channel":"news"}}"#);
    bench.say(two, r#"{"id":2,"publish":{"channel":"news","data":1}}"#);
    assert_eq!(bench.texts(one), [r#"{"id":2,"subscribe":{}}"#, r#"{"id":3,"unsubscribe":{}}"#]);
}

#[test]
fn presence_names_who_is_there() {
    let mut bench = Bench::new(|_| ());
    let (one, two) = (bench.client(), bench.client());
    bench.say(one, r#"{"id":2,"subscribe":{"channel":"room"}}"#);
    bench.say(two, "{\"id\":2,\"subscribe\":{\"channel\":\"room\"}}\n{\"id\":3,\"presence_stats\":{\"channel\":\"room\"}}");
    assert_eq!(bench.texts(two)[1], r#"{"id":3,"presence_stats":{"num_clients":2,"num_users":1}}"#);
    bench.shard.handle(bench.now, Input::Broken { conn: one });
    bench.settle();
    bench.say(two, r#"{"id":4,"presence":{"channel":"room"}}"#);
    let client = bench.shard.session(two).unwrap().client;
    let entry = format!(r#"{{"{client}":{{"user":"","client":"{client}"}}}}"#);
    assert_eq!(bench.texts(two), [format!(r#"{{"id":4,"presence":{{"presence":{entry}}}}}"#)]);
}

#[test]
fn the_first_command_is_connect_and_there_is_no_second_one() {
    let mut bench = Bench::new(|_| ());
    let id = bench.upgraded("/connection/websocket");
    bench.say(id, r#"{"id":1,"subscribe":{"channel":"a"}}"#);
    assert_eq!(bench.texts(id), ["close 3501 bad request"]);
    let id = bench.client();
    bench.say(id, r#"{"id":2,"connect":{}}"#);
    assert_eq!(bench.texts(id), ["close 3501 bad request"]);
}

#[test]
fn anonymous_clients_come_in_only_where_they_may() {
    let mut bench = Bench::new(|options| options.settings_mut().access.anonymous = false);
    let id = bench.upgraded("/connection/websocket");
    bench.say(id, r#"{"id":1,"connect":{}}"#);
    assert_eq!(bench.texts(id), ["close 3501 bad request"]);
}

#[test]
fn a_pong_that_nobody_asked_for_is_a_bad_request() {
    let mut bench = Bench::new(|_| ());
    let id = bench.client();
    bench.say(id, "{}");
    assert_eq!(bench.texts(id), ["close 3501 bad request"]);
}

#[test]
fn pings_come_at_their_interval_and_silence_ends_the_connection() {
    let mut bench = Bench::new(|_| ());
    let id = bench.client();
    bench.pass(26_000);
    assert_eq!(bench.texts(id), ["{}"]);
    bench.say(id, "{}");
    bench.pass(26_000);
    assert_eq!(bench.texts(id), ["{}"]);
    bench.pass(limits::PONG_MS_MAX + 100);
    assert_eq!(bench.texts(id), ["close 3012 no pong"]);
    bench.pass(limits::CLOSE_MS_MAX + 100);
    assert_eq!(bench.over, [id]);
}

#[test]
fn a_client_that_never_connects_is_stale() {
    let mut bench = Bench::new(|_| ());
    let id = bench.upgraded("/connection/websocket");
    bench.pass(limits::STALE_MS_MAX - 1_000);
    assert!(bench.texts(id).is_empty());
    bench.pass(1_100);
    assert_eq!(bench.texts(id), ["close 3502 stale"]);
}

#[test]
fn a_dripping_head_ends_at_an_absolute_deadline() {
    let mut bench = Bench::new(|_| ());
    let id = bench.open();
    for byte in HEAD.bytes().take(11) {
        bench.bytes(id, &[byte]);
        bench.pass(1_000);
    }
    let answer = bench.sent.remove(&id).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(bench.over, [id]);
    assert_eq!(bench.shard.stats().handshake_timeouts, 1);
}

#[test]
fn a_dripping_message_ends_at_its_deadline() {
    let mut bench = Bench::new(|options| options.ping_interval = std::time::Duration::ZERO);
    let id = bench.upgraded("/echo");
    bench.bytes(id, &[0x82, 0xfe, 0xff, 0xff, 0, 0, 0, 0]);
    for _ in 0..31 {
        bench.bytes(id, &[0]);
        bench.pass(1_000);
    }
    assert_eq!(bench.texts(id).last().unwrap(), "close 1008 message took too long");
}

#[test]
fn frames_behind_the_head_are_read_at_once() {
    let mut bench = Bench::new(|_| ());
    let id = bench.open();
    let mut bytes = HEAD.replace("/connection/websocket", "/echo").into_bytes();
    ws::append_masked_frame(&mut bytes, Opcode::Text, b"early", [9, 9, 9, 9]);
    bench.bytes(id, &bytes);
    let sent = &bench.sent[&id];
    assert!(sent.ends_with(b"\x81\x05early"), "{sent:?}");
}

#[test]
fn a_slow_reader_is_cut_with_a_code_and_its_queue_is_dropped() {
    let mut bench = Bench::new(|options| options.settings_mut().limits.outbox_bytes_max = 1_000);
    let (slow, fast) = (bench.client(), bench.client());
    bench.say(slow, r#"{"id":2,"subscribe":{"channel":"c"}}"#);
    bench.say(fast, r#"{"id":2,"subscribe":{"channel":"c"}}"#);
    bench.texts(slow);
    bench.stuck.push(slow);
    for _ in 0..20 {
        bench.say(fast, r#"{"id":3,"publish":{"channel":"c","data":"0123456789"}}"#);
    }
    assert_eq!(bench.shard.stats().slow_disconnects, 1);
    assert_eq!(bench.texts(fast).len(), 41, "others are not affected");
    bench.stuck.clear();
    bench.shard.handle(bench.now, Input::Sent { conn: slow });
    bench.settle();
    assert_eq!(bench.texts(slow), ["close 3008 slow"]);
}

#[test]
fn a_client_that_turns_slow_is_served_no_further() {
    let mut bench = Bench::new(|options| options.settings_mut().limits.outbox_bytes_max = 1_000);
    let id = bench.client();
    bench.say(id, r#"{"id":2,"subscribe":{"channel":"c"}}"#);
    bench.texts(id);
    let publish =
        |id, len| format!(r#"{{"id":{id},"publish":{{"channel":"c","data":"{}"}}}}"#, "x".repeat(len));
    // Something is under way to it that it does not take.
    bench.stuck.push(id);
    bench.say(id, &publish(2, 10));
    bench.settle();
    let message = [publish(3, 600), publish(4, 600), publish(5, 1)].join("\n");
    let mut frames = Vec::new();
    ws::append_masked_frame(&mut frames, Opcode::Text, message.as_bytes(), [0; 4]);
    ws::append_masked_frame(&mut frames, Opcode::Close, &[0x03, 0xe8], [0; 4]);
    bench.bytes(id, &frames);
    while bench.shard.has_put_off() {
        bench.shard.advance(bench.now);
        bench.settle();
    }
    bench.stuck.clear();
    bench.shard.handle(bench.now, Input::Sent { conn: id });
    bench.settle();
    // What lies behind the overflow is not served, not even the goodbye: the client is cut and may recover.
    assert_eq!(bench.texts(id), ["close 3008 slow"]);
}

#[test]
fn a_stream_of_messages_is_not_one_long_message() {
    let mut bench = Bench::new(|options| options.ping_interval = std::time::Duration::from_hours(1));
    let id = bench.upgraded("/echo");
    let mut frame = Vec::new();
    ws::append_masked_frame(&mut frame, Opcode::Binary, &[7; 100], [0; 4]);
    let (front, back) = frame.split_at(50);
    bench.bytes(id, front);
    // Every chunk ends one message and begins the next.
    let chunk = [back, front].concat();
    for _ in 0..40 {
        bench.pass(1_000);
        bench.bytes(id, &chunk);
    }
    assert_eq!(bench.texts(id).len(), 40);
    assert_eq!(bench.shard.conn_count(), 1);
}

#[test]
fn large_answers_to_one_input_come_in_slices_and_meet_the_limit_of_the_queue() {
    let mut bench = Bench::new(|options| options.settings_mut().limits.outbox_bytes_max = 1_000);
    let id = bench.client();
    bench.say(id, r#"{"id":2,"subscribe":{"channel":"c"}}"#);
    bench.texts(id);
    let presence = [r#"{"id":3,"presence":{"channel":"c"}}"#; 200].join("\n");
    bench.say(id, &presence);
    assert!(bench.shard.stats().commands < 60, "no more than the queue takes is served before it is sent");
    while bench.shard.has_put_off() {
        bench.shard.advance(bench.now);
        bench.settle();
    }
    assert_eq!(bench.texts(id).len(), 200, "who takes answers gets all of them");
    bench.stuck.push(id);
    bench.say(id, &presence);
    while bench.shard.has_put_off() {
        bench.shard.advance(bench.now);
        bench.settle();
    }
    assert!(bench.shard.stats().commands < 300, "who does not take answers is not served on");
    bench.stuck.clear();
    bench.shard.handle(bench.now, Input::Sent { conn: id });
    bench.settle();
    assert_eq!(bench.texts(id), ["close 3008 slow"]);
}

#[test]
fn bytes_behind_a_hand_over_in_the_same_turn_go_with_it() {
    let mut bench = Bench::new(|_| ());
    let id = bench.shard.open(bench.now, Admission::Welcome);
    for part in [&b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"[..], b"body"] {
        let mut bytes = part.to_vec();
        bench.shard.handle(bench.now, Input::Received { conn: id, bytes: &mut bytes });
    }
    let mut handed = Vec::new();
    bench.shard.drain(&mut |output| {
        if let Output::HandOver { received, .. } = output {
            handed = received.plain;
        }
    });
    assert!(handed.ends_with(b"\r\n\r\nbody"), "{}", String::from_utf8_lossy(&handed));
}

#[test]
fn a_connect_during_a_drain_does_not_outlive_it() {
    let mut bench = Bench::new(|_| ());
    let id = bench.upgraded("/connection/websocket");
    let window = std::time::Duration::from_secs(10);
    bench.shard.handle(bench.now, Input::Mail(mail::Mail::Drain { window }));
    bench.say(id, r#"{"id":1,"connect":{}}"#);
    bench.pass(200);
    assert_eq!(bench.texts(id).last().map(String::as_str), Some("close 3001 shutdown"));
}

#[test]
fn the_close_handshake_ends_with_the_peers_close() {
    let mut bench = Bench::new(|_| ());
    let id = bench.upgraded("/echo");
    let mut frame = Vec::new();
    ws::append_masked_frame(&mut frame, Opcode::Close, &[0x03, 0xe8], [0; 4]);
    ws::append_masked_frame(&mut frame, Opcode::Text, b"late", [0; 4]);
    bench.bytes(id, &frame);
    assert_eq!(bench.texts(id), ["close 1000 "]);
    assert_eq!(bench.over, [id]);
}

#[test]
fn a_drain_says_goodbye_to_everyone_within_its_window() {
    let mut bench = Bench::new(|_| ());
    let ids: Vec<ConnId> = (0..50).map(|_| bench.client()).collect();
    let echo = bench.upgraded("/echo");
    let window = std::time::Duration::from_millis(400);
    bench.shard.handle(bench.now, Input::Mail(mail::Mail::Drain { window }));
    bench.settle();
    bench.pass(200);
    let early = ids.iter().filter(|&&id| bench.sent.contains_key(&id)).count();
    assert!((10..40).contains(&early), "{early} of 50 after half of the window");
    bench.pass(300);
    assert!(ids.iter().all(|&id| bench.texts(id).last().is_some_and(|text| text == "close 3001 shutdown")));
    assert_eq!(bench.texts(echo), ["close 1012 service restart"]);
    bench.pass(limits::CLOSE_MS_MAX + limits::LINGER_MS_MAX + 200);
    assert!(bench.finished);
}

#[test]
fn plain_requests_leave_with_everything_that_was_read() {
    let mut bench = Bench::new(|_| ());
    let id = bench.open();
    bench.bytes(id, b"GET / HTTP/1.1\r\nHo");
    assert!(matches!(bench.shard.conns.get(id).unwrap().phase, Phase::Head(Some(_))));
    bench.bytes(id, b"st: a\r\n\r\n");
    assert_eq!(bench.over, [id]);
    assert_eq!(bench.shard.stats().handovers, 1);
}

#[test]
fn a_surplus_connection_is_told_to_come_back() {
    let mut bench = Bench::new(|_| ());
    let id = bench.shard.open(bench.now, Admission::Surplus);
    bench.bytes(id, HEAD.as_bytes());
    let answer = bench.sent.remove(&id).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 503 "), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn new_settings_hold_from_the_next_command_on_and_cost_no_connection() {
    let mut bench = Bench::new(|_| ());
    let id = bench.client();
    let subscribe = |id, channel: &str| format!(r#"{{"id":{id},"subscribe":{{"channel":"{channel}"}}}}"#);
    bench.say(id, &subscribe(2, "chat:1"));
    assert!(bench.texts(id)[0].contains(r#""code":102"#));

    let mut settings = Settings::open();
    let chat = (Box::from("chat"), crate::channels::Policy::open());
    let without = crate::channels::Policy::default();
    settings.namespaces = Arc::new(crate::channels::Namespaces::new(without, [chat], 255).unwrap());
    settings.limits.channels_per_client_max = 1;
    bench.shard.handle(bench.now, Input::Mail(mail::Mail::Settings(Arc::new(settings))));

    bench.say(id, &subscribe(3, "news"));
    assert!(bench.texts(id)[0].contains(r#""code":103"#));
    bench.say(id, &subscribe(4, "chat:1"));
    assert_eq!(bench.texts(id), [r#"{"id":4,"subscribe":{}}"#]);
    bench.say(id, &subscribe(5, "chat:2"));
    assert!(bench.texts(id)[0].contains(r#""code":106"#));
}

#[test]
fn limits_of_messages_and_handshakes_can_be_changed() {
    let mut bench = Bench::new(|_| ());
    let id = bench.upgraded("/echo");
    let mut settings = Settings::open();
    settings.limits.message_bytes_max = 3;
    settings.limits.handshake_rate = Some(1);
    bench.shard.handle(bench.now, Input::Mail(mail::Mail::Settings(Arc::new(settings))));
    bench.say(id, "abc");
    assert_eq!(bench.texts(id), ["abc"]);
    bench.say(id, "abcd");
    assert!(bench.texts(id)[0].starts_with("close 1009"));
    bench.upgraded("/echo");
    let late = bench.open();
    bench.bytes(late, HEAD.as_bytes());
    assert!(bench.sent.remove(&late).unwrap().starts_with(b"HTTP/1.1 503 "));
}
