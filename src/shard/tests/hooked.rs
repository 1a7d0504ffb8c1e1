//! Clients whose commands a back end decides about, and streams that the control plane carries.

use super::*;
use crate::channels::Policy;
use crate::ids::ClientId;
use crate::shard::ask::{Answer, Ask, AskId, Credentials, Published, Subscribed};
use crate::shard::mail::Mail;
use crate::shard::stream::{Opening, StreamInput, StreamKind, StreamOutput};
use std::sync::Arc;

fn bench() -> Bench {
    Bench::new(|options| {
        let settings = options.settings_mut();
        settings.hooks.connect = true;
        settings.hooks.rpc = Some("h".into());
        let hook = || Some(Box::from("h"));
        settings.set_policy(Policy { subscribe_proxy: hook(), publish_proxy: hook(), ..Policy::open() });
    })
}

impl Bench {
    /// The question that was asked last.
    #[track_caller]
    fn ask(&mut self) -> (AskId, Ask) {
        match self.memos.pop() {
            Some(Memo::Ask { id, ask }) => (id, ask),
            other => panic!("no question but {other:?}"),
        }
    }

    fn answer(&mut self, id: AskId, answer: Answer) {
        let mail = Mail::Answer { request: id.request, answer: Box::new(answer) };
        self.shard.handle(self.now, Input::Mail(mail));
        self.settle();
    }

    fn stream(&mut self, stream: u64, input: StreamInput) {
        let mail = Mail::Stream { stream: StreamId(stream), input };
        self.shard.handle(self.now, Input::Mail(mail));
        self.settle();
    }

    /// What was written to streams since the last look; `END` at the end.
    fn written(&mut self) -> String {
        let mut written = String::new();
        for memo in self.memos.drain(..) {
            if let Memo::Stream { output, .. } = memo {
                match output {
                    StreamOutput::Bytes(bytes) => written.push_str(std::str::from_utf8(&bytes).unwrap()),
                    StreamOutput::End => written.push_str("END"),
                }
            }
        }
        written
    }
}

#[test]
fn what_is_pipelined_behind_a_connect_waits_for_the_back_end() {
    let mut bench = bench();
    let id = bench.upgraded("/connection/websocket");
    bench.say(
        id,
        "{\"id\":1,\"connect\":{\"data\":{\"x\":1}}}\n{\"id\":2,\"rpc\":{\"method\":\"m\",\"data\":1}}",
    );
    bench.say(id, r#"{"id":3,"unsubscribe":{"channel":"a"}}"#);
    assert_eq!(bench.texts(id), [""; 0]);
    let (asked, ask) = bench.ask();
    assert!(matches!(ask, Ask::Connect { connect, .. } if *connect.data == *br#"{"x":1}"#));
    bench
        .answer(asked, Answer::Connect(Box::new(Credentials { user: "u".into(), ..Credentials::default() })));
    let texts = bench.texts(id);
    assert!(
        texts[0].starts_with(r#"{"id":1,"connect""#) && texts[1] == r#"{"id":3,"unsubscribe":{}}"#,
        "{texts:?}"
    );
    let (asked, ask) = bench.ask();
    assert!(matches!(ask, Ask::Rpc { who, .. } if &*who.user == "u"));
    bench.answer(asked, Answer::Rpc { data: Box::from(&b"42"[..]) });
    assert_eq!(bench.texts(id), [r#"{"id":2,"rpc":{"data":42}}"#]);
}

#[test]
fn a_back_end_may_refuse_in_its_own_words_and_silence_is_a_passing_error() {
    let mut bench = bench();
    let id = bench.upgraded("/connection/websocket");
    bench.say(id, r#"{"id":1,"connect":{}}"#);
    let (asked, _) = bench.ask();
    bench.answer(asked, Answer::Error { code: 1000, message: "go away".into(), temporary: false });
    assert_eq!(bench.texts(id), [r#"{"id":1,"error":{"code":1000,"message":"go away"}}"#]);
    let id = bench.upgraded("/connection/websocket");
    bench.say(id, r#"{"id":1,"connect":{}}"#);
    bench.pass(5_100);
    assert_eq!(
        bench.texts(id),
        [r#"{"id":1,"error":{"code":100,"message":"internal server error","temporary":true}}"#]
    );
    let id = bench.upgraded("/connection/websocket");
    bench.say(id, r#"{"id":1,"connect":{}}"#);
    let (asked, _) = bench.ask();
    bench.answer(asked, Answer::Disconnect { code: 4500, reason: "banned".into() });
    assert_eq!(bench.texts(id), ["close 4500 banned"]);
}

#[test]
fn a_back_end_grants_subscriptions_and_changes_publications() {
    let mut bench = bench();
    let id = bench.upgraded("/connection/websocket");
    bench.say(id, r#"{"id":1,"connect":{}}"#);
    let (asked, _) = bench.ask();
    bench.answer(asked, Answer::Connect(Box::default()));
    bench.texts(id);
    bench.say(id, "{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}\n{\"id\":3,\"subscribe\":{\"channel\":\"a\"}}\n{\"id\":4,\"unsubscribe\":{\"channel\":\"a\"}}");
    assert_eq!(bench.texts(id), [r#"{"id":3,"error":{"code":105,"message":"already subscribed"}}"#]);
    let (asked, _) = bench.ask();
    let granted = Subscribed { data: Some(Arc::from(&br#"{"t":1}"#[..])), ..Subscribed::default() };
    bench.answer(asked, Answer::Subscribe(Box::new(granted)));
    assert_eq!(bench.texts(id), [r#"{"id":2,"subscribe":{"data":{"t":1}}}"#, r#"{"id":4,"unsubscribe":{}}"#]);
    bench.say(id, r#"{"id":5,"publish":{"channel":"a","data":1}}"#);
    let (asked, _) = bench.ask();
    let changed = Published { data: Some(Box::from(&b"2"[..])), is_json: true, ..Published::default() };
    bench.answer(asked, Answer::Publish(Box::new(changed)));
    assert_eq!(bench.texts(id), [r#"{"id":5,"publish":{}}"#]);
}

#[test]
fn a_client_that_goes_while_the_back_end_thinks_leaves_nothing() {
    let mut bench = bench();
    let id = bench.upgraded("/connection/websocket");
    bench.say(id, r#"{"id":1,"connect":{}}"#);
    let (asked, _) = bench.ask();
    bench.shard.handle(bench.now, Input::Broken { conn: id });
    bench.settle();
    bench.answer(asked, Answer::Connect(Box::default()));
    assert_eq!(bench.shard.conn_count(), 0);
    assert_eq!(bench.shard.stats().sessions, 0);
}

fn opening(kind: StreamKind) -> Opening {
    Opening {
        kind,
        is_protobuf: false,
        session: ClientId([1; 16]),
        node: ClientId([2; 16]),
        headers: Arc::default(),
        first: br#"{"id":1,"connect":{}}"#.to_vec(),
    }
}

#[test]
fn a_stream_is_served_like_a_socket_and_told_its_end() {
    let mut bench = Bench::new(|_| ());
    bench.stream(1, StreamInput::Open(Box::new(opening(StreamKind::Sse))));
    let first = bench.written();
    assert!(
        first.starts_with(r#"data: {"id":1,"connect":{"client":""#) && first.ends_with("\n\n"),
        "{first}"
    );
    assert!(
        first.contains(r#""session":"01010101-0101-0101-0101-010101010101","node":"02020202"#),
        "{first}"
    );
    bench.stream(1, StreamInput::Sent);
    bench.stream(1, StreamInput::Commands(br#"{"id":2,"subscribe":{"channel":"a"}}"#.to_vec()));
    assert_eq!(bench.written(), "data: {\"id\":2,\"subscribe\":{}}\n\n");
    let id = bench.client();
    bench.say(id, r#"{"id":2,"publish":{"channel":"a","data":1}}"#);
    assert_eq!(bench.written(), "", "one write at a time");
    bench.stream(1, StreamInput::Sent);
    assert!(bench.written().starts_with(r#"data: {"push":{"channel":"a","pub":{"data":1"#));
    bench.stream(1, StreamInput::Sent);
    bench.stream(1, StreamInput::Commands(b"nonsense".to_vec()));
    let end = bench.written();
    assert_eq!(end, "data: {\"push\":{\"disconnect\":{\"code\":3501,\"reason\":\"bad request\"}}}\n\n");
    bench.stream(1, StreamInput::Sent);
    assert_eq!(bench.written(), "END");
    assert_eq!(bench.shard.conn_count(), 1);
}

/// In words of its own: a stream has no close frames.
#[test]
fn a_stream_that_is_cut_as_too_slow_is_told_why() {
    let mut bench = Bench::new(|options| options.settings_mut().limits.outbox_bytes_max = 1_500);
    bench.stream(1, StreamInput::Open(Box::new(opening(StreamKind::Sse))));
    bench.stream(1, StreamInput::Sent);
    bench.stream(1, StreamInput::Commands(br#"{"id":2,"subscribe":{"channel":"a"}}"#.to_vec()));
    bench.written();
    let id = bench.client();
    for _ in 0..3 {
        let data = "x".repeat(1_000);
        bench.say(id, &format!(r#"{{"id":2,"publish":{{"channel":"a","data":"{data}"}}}}"#));
    }
    assert_eq!((bench.written().as_str(), bench.shard.stats().slow_disconnects), ("", 1));
    bench.stream(1, StreamInput::Sent);
    let end = bench.written();
    assert!(end.starts_with(r#"data: {"push":{"disconnect":{"code":3008,"reason":"slow""#), "{end}");
    bench.stream(1, StreamInput::Sent);
    assert_eq!(bench.written(), "END");
    assert_eq!(bench.shard.conn_count(), 1);
}

#[test]
fn a_unidirectional_client_says_who_it_is_once_and_listens() {
    let mut bench = Bench::new(|_| ());
    let id = bench.upgraded("/connection/uni_websocket");
    bench.say(id, r#"{"name":"x"}"#);
    let connect = bench.texts(id).join("");
    assert!(connect.starts_with(r#"{"connect":{"client":""#), "{connect}");
    bench.pass(30_000);
    assert_eq!(bench.texts(id), ["{}"], "a ping that asks for no answer");
    bench.pass(24_000);
    assert!(bench.shard.conn_count() == 1);
}
