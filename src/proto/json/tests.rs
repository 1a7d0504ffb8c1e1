//! The JSON wire, line by line.

use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::limits::{COMMANDS_PER_MESSAGE_MAX, JSON_DEPTH_MAX};
use crate::proto::codec::{Codec, Malformed};
use crate::proto::codes::{Disconnect, Reject, Unsubscribed};
use crate::proto::command::*;
use crate::proto::push::Push;
use crate::proto::raw::Raw;
use crate::proto::reply::*;

fn all(message: &str) -> Vec<Result<Command<'_>, Malformed>> {
    Codec::Json.decode(message.as_bytes()).collect()
}

fn one(message: &str) -> Result<Command<'_>, Malformed> {
    let mut commands = Codec::Json.decode(message.as_bytes());
    let command = commands.next().expect("a message yields at least one result");
    assert_eq!(commands.next(), None, "{message}");
    command
}

fn request(message: &str) -> Request<'_> {
    one(message).expect(message).request
}

fn raw(text: &str) -> Raw<'_> {
    Raw::accepted(text.as_bytes())
}

fn reply(id: u32, reply: &Reply<'_>) -> String {
    let mut out = Vec::new();
    Codec::Json.encode_reply(id, reply, &mut out);
    String::from_utf8(out).unwrap()
}

fn push(push: &Push<'_>) -> String {
    let mut out = Vec::new();
    Codec::Json.encode_push(push, &mut out);
    String::from_utf8(out).unwrap()
}

// Commands: the example lines of the protocol, then every other request.

#[test]
fn a_message_carries_several_commands() {
    let message = r#"{"id":1,"connect":{"token":"abc","name":"js"}}
{"id":2,"subscribe":{"channel":"news","flag":1}}
"#;
    let connect = Connect { token: "abc".into(), name: "js".into(), ..Connect::default() };
    let subscribe = Subscribe { channel: "news".into(), flag: 1, ..Subscribe::default() };
    assert_eq!(
        all(message),
        [
            Ok(Command { id: 1, request: Request::Connect(connect) }),
            Ok(Command { id: 2, request: Request::Subscribe(subscribe) }),
        ]
    );
}

#[test]
fn connect_reads_every_field() {
    let line = r##"{"id":1,"connect":{"token":"eyJ","data":{"tz":"UTC"},"name":"js","version":"5.7.1","headers":{"x-a":"b"},"subs":{"#42":{"recover":true,"offset":7,"epoch":"kQpL"}},"flag":4}}"##;
    let sub = Subscribe { recover: true, offset: 7, epoch: "kQpL".into(), ..Subscribe::default() };
    let expected = Connect {
        token: "eyJ".into(),
        data: raw(r#"{"tz":"UTC"}"#),
        subs: [("#42".into(), sub)].into(),
        name: "js".into(),
        version: "5.7.1".into(),
        headers: [("x-a".into(), "b".into())].into(),
        flag: 4,
    };
    assert_eq!(request(line), Request::Connect(expected));
}

#[test]
fn subscribe_reads_every_field_of_a_stream_subscription() {
    let line = r#"{"id":2,"subscribe":{"channel":"chat:1","token":"t","recover":true,"offset":40,"epoch":"qWer","join_leave":true,"flag":3,"data":[1],"positioned":true,"recoverable":true,"delta":"fossil","type":1,"tf":{"op":"and","nodes":[{"key":"a","cmp":"in","vals":["x","y"]},{"key":"b","cmp":"eq","val":"z"}]}}}"#;
    let leaf = |key: &'static str, cmp: &'static str| FilterNode {
        key: key.into(),
        cmp: cmp.into(),
        ..FilterNode::default()
    };
    let nodes = vec![
        FilterNode { vals: vec!["x".into(), "y".into()], ..leaf("a", "in") },
        FilterNode { val: "z".into(), ..leaf("b", "eq") },
    ];
    let expected = Subscribe {
        channel: "chat:1".into(),
        token: "t".into(),
        recover: true,
        epoch: "qWer".into(),
        offset: 40,
        data: raw("[1]"),
        positioned: true,
        recoverable: true,
        join_leave: true,
        delta: "fossil".into(),
        tags_filter: Some(Box::new(FilterNode { op: "and".into(), nodes, ..FilterNode::default() })),
        flag: 3,
        kind: 1,
    };
    assert!(expected.rejects_unrecovered());
    assert_eq!(request(line), Request::Subscribe(expected));
}

#[test]
fn every_other_request_reads_its_fields() {
    let channel = || Cow::from("c");
    for (line, expected) in [
        (r#"{"id":3,"ping":{}}"#, Request::Ping),
        (
            r#"{"id":3,"unsubscribe":{"channel":"c"}}"#,
            Request::Unsubscribe(Unsubscribe { channel: channel() }),
        ),
        (
            r#"{"id":3,"publish":{"channel":"c","data":{"x":[1, 2]},"type":1}}"#,
            Request::Publish(Publish { channel: channel(), data: raw(r#"{"x":[1, 2]}"#), kind: 1 }),
        ),
        (r#"{"id":3,"presence":{"channel":"c"}}"#, Request::Presence(Presence { channel: channel() })),
        (
            r#"{"id":3,"presence_stats":{"channel":"c"}}"#,
            Request::PresenceStats(PresenceStats { channel: channel() }),
        ),
        (
            r#"{"id":3,"history":{"channel":"c","limit":-1,"since":{"offset":5,"epoch":"e"},"reverse":true}}"#,
            Request::History(History {
                channel: channel(),
                limit: -1,
                since: Some(Position { offset: 5, epoch: "e".into() }),
                reverse: true,
            }),
        ),
        (
            r#"{"id":3,"rpc":{"method":"m","data":"d"}}"#,
            Request::Rpc(Rpc { data: raw(r#""d""#), method: "m".into() }),
        ),
        (r#"{"send":{"data":7}}"#, Request::Send(Send { data: raw("7") })),
        (r#"{"id":3,"refresh":{"token":"t"}}"#, Request::Refresh(Refresh { token: "t".into() })),
        (
            r#"{"id":3,"sub_refresh":{"channel":"c","token":"t","type":2}}"#,
            Request::SubRefresh(SubRefresh { channel: channel(), token: "t".into(), kind: 2 }),
        ),
    ] {
        assert_eq!(request(line), expected, "{line}");
    }
}

#[test]
fn a_command_without_an_id_is_a_pong_unless_it_sends() {
    for line in
        ["{}", r#"{"id":0}"#, r#"{"id":null}"#, r#"{"subscribe":{"channel":"c"}}"#, r#"{"send":null}"#]
    {
        assert_eq!(one(line), Ok(Command { id: 0, request: Request::Pong }), "{line}");
    }
    assert_eq!(one(r#"{"send":{}}"#), Ok(Command { id: 0, request: Request::Send(Send::default()) }));
}

#[test]
fn the_first_request_in_the_order_of_the_protocol_is_served() {
    let keys = [
        "connect",
        "ping",
        "subscribe",
        "unsubscribe",
        "publish",
        "presence",
        "presence_stats",
        "history",
        "rpc",
        "send",
        "refresh",
        "sub_refresh",
    ];
    for pair in keys.windows(2) {
        let alone = format!(r#"{{"id":1,"{}":{{}}}}"#, pair[0]);
        let backwards = format!(r#"{{"{}":{{}},"{}":{{}},"id":1}}"#, pair[1], pair[0]);
        assert_eq!(one(&backwards), one(&alone));
        let nulled = format!(r#"{{"id":1,"{}":null,"{}":{{}}}}"#, pair[0], pair[1]);
        let alone = format!(r#"{{"id":1,"{}":{{}}}}"#, pair[1]);
        assert_eq!(one(&nulled), one(&alone));
    }
}

#[test]
fn unknown_keys_are_skipped_and_null_is_absent() {
    let line =
        r#"{"x":{"y":[{"id":9}]},"id":1,"publish":{"k":1,"channel":"c","data":null,"type":null},"z":null}"#;
    let expected = Publish { channel: "c".into(), ..Publish::default() };
    assert_eq!(request(line), Request::Publish(expected));
    let line =
        r#"{"id":1,"connect":{"token":null,"subs":{"a":null},"headers":null,"flag":null,"data":null}}"#;
    assert_eq!(request(line), Request::Connect(Connect::default()));
    assert_eq!(request(r#"{"id":1,"history":{"since":null}}"#), Request::History(History::default()));
}

#[test]
fn strings_are_borrowed_unless_they_hold_an_escape() {
    let Request::Presence(plain) = request(r#"{"id":1,"presence":{"channel":"gr\u00fc\u00dfe"}}"#) else {
        panic!()
    };
    assert_eq!(plain.channel, "grüße");
    let Request::Presence(plain) = request(r#"{"id":1,"presence":{"channel":"grüße"}}"#) else { panic!() };
    assert!(matches!(plain.channel, Cow::Borrowed("grüße")));
}

#[test]
fn what_is_not_a_command_is_malformed() {
    for line in [
        "{",
        "[]",
        "1",
        "null",
        "nul",
        r#"{"id":1,"ping":{}} x"#,
        r#"{"id":1,"ping":[]}"#,
        r#"{"id":1,"ping":1}"#,
        r#"{"id":1,"presence":["c"]}"#,
        r#"{"id":1,"history":{"since":[1,"e"]}}"#,
        r#"{"id":1,"presence":{"channel":1}}"#,
        r#"{"id":1,"publish":{"data":tru}}"#,
        r#"{"id":1,"publish":{"data":[1,]}}"#,
        "{\"id\":1,\"publish\":{\"data\":\"\u{1}\"}}",
        // Numbers: whole, and in the range of their field.
        r#"{"id":1.0,"ping":{}}"#,
        r#"{"id":1e2,"ping":{}}"#,
        r#"{"id":1e999,"ping":{}}"#,
        r#"{"id":-1,"ping":{}}"#,
        r#"{"id":4294967296,"ping":{}}"#,
        r#"{"id":"1","ping":{}}"#,
        r#"{"id":1,"subscribe":{"offset":-1}}"#,
        r#"{"id":1,"subscribe":{"offset":18446744073709551616}}"#,
        r#"{"id":1,"history":{"limit":2147483648}}"#,
        // Repeated keys: two readers of the same bytes must not see two meanings.
        r#"{"id":1,"id":2,"ping":{}}"#,
        r#"{"id":1,"ping":{},"ping":{}}"#,
        r#"{"id":1,"ping":null,"ping":{}}"#,
        r#"{"id":1,"presence":{"channel":"a","channel":"b"}}"#,
        r#"{"id":1,"connect":{"subs":{"a":{},"a":{}}}}"#,
        r#"{"id":1,"connect":{"headers":{"a":"1","a":"2"}}}"#,
    ] {
        assert_eq!(one(line), Err(Malformed::Syntax), "{line}");
    }
    assert_eq!(
        Codec::Json.decode(b"{\"id\":1,\"rpc\":{\"data\":\"\xff\"}}").last(),
        Some(Err(Malformed::Syntax))
    );
    for line in [r#"{"id":1}"#, r#"{"id":1,"ping":null}"#, r#"{"id":1,"unheard":{}}"#] {
        assert_eq!(one(line), Err(Malformed::NoRequest), "{line}");
    }
}

#[test]
fn a_message_without_a_command_is_malformed() {
    for message in ["", "\n", " ", "\r\n"] {
        assert_eq!(one(message), Err(Malformed::Empty), "{message:?}");
    }
    assert_eq!(all("{}\n\n{}").last(), Some(&Err(Malformed::Empty)), "only one newline may trail");
    assert_eq!(all("{}\n\n").last(), Some(&Err(Malformed::Empty)));
    assert_eq!(all("\n{}"), [Err(Malformed::Empty)]);
}

#[test]
fn decoding_ends_with_the_first_error() {
    let commands = all("{}\nx\n{}");
    assert_eq!(commands.len(), 2);
    assert_eq!(commands[1], Err(Malformed::Syntax));
}

#[test]
fn a_message_holds_a_limited_number_of_commands() {
    let most = vec!["{}"; COMMANDS_PER_MESSAGE_MAX as usize].join("\n");
    assert!(all(&most).iter().all(Result::is_ok));
    let more = format!("{most}\n{{}}\n{{}}");
    assert_eq!(all(&more)[COMMANDS_PER_MESSAGE_MAX as usize..], [Err(Malformed::TooMany)]);
}

#[test]
fn embedded_data_nests_to_its_limit_and_no_further() {
    let nested = |depth: usize| {
        format!(r#"{{"id":1,"publish":{{"channel":"c","data":{}{}}}}}"#, "[".repeat(depth), "]".repeat(depth))
    };
    let deepest = JSON_DEPTH_MAX as usize;
    assert!(one(&nested(deepest)).is_ok());
    assert_eq!(one(&nested(deepest + 1)), Err(Malformed::TooDeep));
    let data = "[".repeat(deepest + 1) + &"]".repeat(deepest + 1);
    assert_eq!(Raw::json(data.as_bytes()), Err(Malformed::TooDeep));
    assert!(Raw::json(&data.as_bytes()[1..=2 * deepest]).is_ok());
}

#[test]
fn a_hundred_thousand_brackets_are_refused_without_recursion() {
    for opening in ["[", r#"{"a":"#] {
        let data = opening.repeat(100_000);
        assert_eq!(one(&format!(r#"{{"id":1,"rpc":{{"data":{data}"#)), Err(Malformed::TooDeep));
        assert_eq!(one(&format!(r#"{{"unheard":{data}"#)), Err(Malformed::TooDeep));
        assert_eq!(Raw::json(data.as_bytes()), Err(Malformed::TooDeep));
    }
}

// Replies.

const INFO: ClientInfo<'_> =
    ClientInfo { user: "7", client: "2f9c", conn_info: Raw::accepted(b"{\"a\":1}"), chan_info: Raw::NONE };

#[test]
fn a_reply_names_its_result_even_when_it_is_empty() {
    for (result, line) in [
        (Reply::Connect(ConnectResult::default()), r#"{"id":3,"connect":{}}"#),
        (Reply::Subscribe(SubscribeResult::default()), r#"{"id":3,"subscribe":{}}"#),
        (Reply::Unsubscribe, r#"{"id":3,"unsubscribe":{}}"#),
        (Reply::Publish, r#"{"id":3,"publish":{}}"#),
        (Reply::Presence(PresenceResult::default()), r#"{"id":3,"presence":{"presence":{}}}"#),
        (
            Reply::PresenceStats(PresenceStatsResult::default()),
            r#"{"id":3,"presence_stats":{"num_clients":0,"num_users":0}}"#,
        ),
        (
            Reply::History(HistoryResult::default()),
            r#"{"id":3,"history":{"publications":[],"epoch":"","offset":0}}"#,
        ),
        (Reply::Rpc(RpcResult::default()), r#"{"id":3,"rpc":{}}"#),
        (Reply::Refresh(RefreshResult::default()), r#"{"id":3,"refresh":{}}"#),
        (Reply::SubRefresh(SubRefreshResult::default()), r#"{"id":3,"sub_refresh":{}}"#),
    ] {
        assert_eq!(reply(3, &result), line);
    }
}

#[test]
fn an_error_says_whether_it_is_temporary_only_if_it_is() {
    assert_eq!(
        reply(4, &Reply::Error(Reject::PermissionDenied)),
        r#"{"id":4,"error":{"code":103,"message":"permission denied"}}"#
    );
    assert_eq!(
        reply(4, &Reply::Error(Reject::Internal)),
        r#"{"id":4,"error":{"code":100,"message":"internal server error","temporary":true}}"#
    );
}

#[test]
fn connect_replies_as_documented() {
    let result = ConnectResult {
        client: "0e1c",
        version: "6.9.1 OSS",
        ping_seconds: 25,
        pong: true,
        ..ConnectResult::default()
    };
    assert_eq!(
        reply(1, &Reply::Connect(result)),
        r#"{"id":1,"connect":{"client":"0e1c","version":"6.9.1 OSS","ping":25,"pong":true}}"#
    );
    let publications = [Publication { data: raw(r#"{"n":8}"#).into(), offset: 8, ..Publication::default() }];
    let sub = SubscribeResult {
        recoverable: true,
        positioned: true,
        epoch: "kQpL",
        offset: 7,
        recovered: true,
        was_recovering: true,
        publications: &publications,
        ..SubscribeResult::default()
    };
    let result = ConnectResult {
        client: "2f9c",
        version: "1",
        expires: true,
        ttl_seconds: 299,
        data: raw(r#"{"hello":1}"#),
        subs: &[("#42", sub), ("b", SubscribeResult::default())],
        ping_seconds: 25,
        pong: true,
        session: "s",
        node: "n",
        time_ms: 5,
    };
    let line = r##"{"id":1,"connect":{"client":"2f9c","version":"1","expires":true,"ttl":299,"data":{"hello":1},"subs":{"#42":{"recoverable":true,"epoch":"kQpL","publications":[{"data":{"n":8},"offset":8}],"recovered":true,"offset":7,"positioned":true,"was_recovering":true},"b":{}},"ping":25,"pong":true,"session":"s","node":"n","time":5}}"##;
    assert_eq!(reply(1, &Reply::Connect(result)), line);
}

#[test]
fn subscribe_replies_as_documented() {
    let result = SubscribeResult {
        recoverable: true,
        epoch: "aBcD",
        offset: 12,
        positioned: true,
        ..SubscribeResult::default()
    };
    assert_eq!(
        reply(2, &Reply::Subscribe(result)),
        r#"{"id":2,"subscribe":{"recoverable":true,"epoch":"aBcD","offset":12,"positioned":true}}"#
    );
    let publications = [
        Publication { data: raw("1").into(), offset: 41, info: Some(INFO), ..Publication::default() },
        Publication { data: raw("2").into(), offset: 42, ..Publication::default() },
    ];
    let result = SubscribeResult {
        expires: true,
        ttl_seconds: 600,
        publications: &publications,
        data: raw(r#"{"title":"x"}"#),
        delta: true,
        ..SubscribeResult::default()
    };
    assert_eq!(
        reply(2, &Reply::Subscribe(result)),
        r#"{"id":2,"subscribe":{"expires":true,"ttl":600,"publications":[{"data":1,"info":{"user":"7","client":"2f9c","conn_info":{"a":1}},"offset":41},{"data":2,"offset":42}],"data":{"title":"x"},"delta":true}}"#
    );
}

#[test]
fn presence_is_keyed_by_client() {
    let clients = [INFO, ClientInfo { client: "b", chan_info: raw("2"), ..ClientInfo::default() }];
    assert_eq!(
        reply(5, &Reply::Presence(PresenceResult { clients: &clients })),
        r#"{"id":5,"presence":{"presence":{"2f9c":{"user":"7","client":"2f9c","conn_info":{"a":1}},"b":{"user":"","client":"b","chan_info":2}}}}"#
    );
    assert_eq!(
        reply(5, &Reply::PresenceStats(PresenceStatsResult { client_count: 12, user_count: 3 })),
        r#"{"id":5,"presence_stats":{"num_clients":12,"num_users":3}}"#
    );
}

#[test]
fn the_other_results_carry_their_fields() {
    let publications = [Publication { data: raw("1").into(), offset: 2, ..Publication::default() }];
    for (result, line) in [
        (
            Reply::History(HistoryResult { publications: &publications, epoch: "e", offset: u64::MAX }),
            r#"{"id":6,"history":{"publications":[{"data":1,"offset":2}],"epoch":"e","offset":18446744073709551615}}"#,
        ),
        (Reply::Rpc(RpcResult { data: raw("[]") }), r#"{"id":6,"rpc":{"data":[]}}"#),
        (
            Reply::Refresh(RefreshResult { client: "c", version: "1", expires: true, ttl_seconds: 9 }),
            r#"{"id":6,"refresh":{"client":"c","version":"1","expires":true,"ttl":9}}"#,
        ),
        (
            Reply::SubRefresh(SubRefreshResult { expires: true, ttl_seconds: 9 }),
            r#"{"id":6,"sub_refresh":{"expires":true,"ttl":9}}"#,
        ),
    ] {
        assert_eq!(reply(6, &result), line);
    }
}

// Pushes.

#[test]
fn pushes_read_as_documented() {
    let publication = Publication { data: raw(r#"{"x":1}"#).into(), offset: 13, ..Publication::default() };
    let whole = Publication {
        info: Some(INFO),
        tags: &[("a", "1"), ("b", "2")],
        delta: true,
        time_ms: 6,
        channel: "news:1",
        epoch: "e",
        ..publication.clone()
    };
    for (value, line) in [
        (
            Push::Publication { channel: "news".into(), publication },
            r#"{"push":{"channel":"news","pub":{"data":{"x":1},"offset":13}}}"#,
        ),
        (
            Push::Publication { channel: "news:*".into(), publication: whole },
            r#"{"push":{"channel":"news:*","pub":{"data":{"x":1},"info":{"user":"7","client":"2f9c","conn_info":{"a":1}},"offset":13,"tags":{"a":"1","b":"2"},"delta":true,"time":6,"channel":"news:1","epoch":"e"}}}"#,
        ),
        (
            Push::Join { channel: "c".into(), info: INFO },
            r#"{"push":{"channel":"c","join":{"info":{"user":"7","client":"2f9c","conn_info":{"a":1}}}}}"#,
        ),
        (
            Push::Leave { channel: "c".into(), info: ClientInfo::default() },
            r#"{"push":{"channel":"c","leave":{"info":{"user":"","client":""}}}}"#,
        ),
        (
            Push::unsubscribed("c", Unsubscribed::Server),
            r#"{"push":{"channel":"c","unsubscribe":{"code":2000,"reason":"server unsubscribe"}}}"#,
        ),
        (Push::Message { data: raw("1") }, r#"{"push":{"message":{"data":1}}}"#),
        (
            Push::Subscribe {
                channel: "c",
                recoverable: true,
                epoch: "e",
                offset: 4,
                positioned: true,
                data: raw("1"),
            },
            r#"{"push":{"channel":"c","subscribe":{"recoverable":true,"epoch":"e","offset":4,"positioned":true,"data":1}}}"#,
        ),
        (Push::Connect(ConnectResult::default()), r#"{"push":{"connect":{}}}"#),
        (
            Push::Disconnect { code: 3001, reason: Disconnect::Shutdown.reason(), reconnect: true },
            r#"{"push":{"disconnect":{"code":3001,"reason":"shutdown","reconnect":true}}}"#,
        ),
        (Push::Refresh { expires: true, ttl_seconds: 3 }, r#"{"push":{"refresh":{"expires":true,"ttl":3}}}"#),
    ] {
        assert_eq!(push(&value), line);
    }
}

#[test]
fn messages_of_one_frame_are_joined_by_newlines() {
    let mut out = Vec::new();
    Codec::Json.encode_reply(4, &Reply::Publish, &mut out);
    Codec::Json.separate(&mut out);
    Codec::Json.encode_ping(&mut out);
    assert_eq!(out, b"{\"id\":4,\"publish\":{}}\n{}");
}

#[test]
fn newlines_leave_embedded_data_and_nothing_else_does() {
    let data = raw("\n{\n \"a\" :\t[1,\r\n2]}\n");
    assert_eq!(
        reply(1, &Reply::Rpc(RpcResult { data })),
        "{\"id\":1,\"rpc\":{\"data\":{ \"a\" :\t[1,\r2]}}}"
    );
}

// Properties.

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Eighths survive printing and parsing; serde_json rounds other fractions.
        any::<i32>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The meaning of one encoded line.
fn meaning(line: &str) -> Value {
    assert!(!line.contains('\n'), "{line}");
    serde_json::from_str(line).expect(line)
}

proptest! {
    #[test]
    fn arbitrary_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let results = Codec::Json.decode(&bytes).collect::<Vec<_>>();
        prop_assert!(!results.is_empty());
        let errors = results.iter().filter(|result| result.is_err()).count();
        prop_assert!(errors == 0 || (errors == 1 && results[results.len() - 1].is_err()));
    }

    #[test]
    fn nearly_json_decodes_or_is_refused(text in r#"[\[\]{}":,\\ \n0-9a-c]{0,60}"#) {
        let _ = Codec::Json.decode(text.as_bytes()).count();
        let line = format!(r#"{{"id":1,"rpc":{{"data":{text}}}}}"#);
        if let Ok(Command { request: Request::Rpc(rpc), .. }) = one_of(&line) {
            prop_assert!(rpc.data.is_empty() || Raw::json(rpc.data.bytes()).is_ok());
        }
    }

    #[test]
    fn a_truncated_command_is_refused(data in any_json(), cut in any::<prop::sample::Index>()) {
        let line = json!({"id": 1, "publish": {"channel": "c", "data": data}}).to_string();
        let cut = cut.index(line.len());
        prop_assert!(Codec::Json.decode(&line.as_bytes()[..cut]).any(|result| result.is_err()));
    }

    #[test]
    fn a_publish_keeps_its_meaning(id in 1_u32.., channel: String, data in any_json()) {
        let line = json!({"id": id, "publish": {"channel": channel, "data": data}}).to_string();
        let command = one(&line).unwrap();
        let Request::Publish(publish) = command.request else { panic!("{line}") };
        prop_assert_eq!(command.id, id);
        prop_assert_eq!(publish.channel, channel);
        if data.is_null() {
            prop_assert!(publish.data.is_empty());
        } else {
            prop_assert_eq!(serde_json::from_slice::<Value>(publish.data.bytes()).unwrap(), data);
        }
    }

    #[test]
    fn a_publication_push_is_one_line_with_the_same_meaning(
        channel in ".+", data in any_json(), offset: u64, user: String, client: String, key: String, pretty: bool,
    ) {
        let text = if pretty { serde_json::to_string_pretty(&data) } else { serde_json::to_string(&data) }.unwrap();
        let info = ClientInfo { user: &user, client: &client, ..ClientInfo::default() };
        let tags = [(key.as_str(), user.as_str())];
        let publication =
            Publication { data: raw(&text).into(), offset, info: Some(info), tags: &tags, ..Publication::default() };
        let line = push(&Push::Publication { channel: channel.as_str().into(), publication });
        let mut expected = json!({"data": data, "info": {"user": user, "client": client}, "tags": {key: user}});
        if offset != 0 {
            expected["offset"] = offset.into();
        }
        prop_assert_eq!(meaning(&line), json!({"push": {"channel": channel, "pub": expected}}));
    }

    #[test]
    fn replies_are_one_line_with_the_same_meaning(
        id in 1_u32.., text in ".+", ttl in 1_u32.., offset in 1_u64.., data in any_json(), expires: bool,
    ) {
        let embedded = data.to_string();
        let result = ConnectResult {
            client: &text, version: &text, expires, ttl_seconds: ttl, data: raw(&embedded), time_ms: offset,
            ..ConnectResult::default()
        };
        let mut expected = json!({"client": text, "version": text, "ttl": ttl, "data": data, "time": offset});
        if expires {
            expected["expires"] = true.into();
        }
        prop_assert_eq!(meaning(&reply(id, &Reply::Connect(result))), json!({"id": id, "connect": expected}));

        let clients = [ClientInfo { user: &text, client: &text, conn_info: raw(&embedded), chan_info: raw(&embedded) }];
        let line = reply(id, &Reply::Presence(PresenceResult { clients: &clients }));
        let info = json!({"user": text, "client": text, "conn_info": data, "chan_info": data});
        prop_assert_eq!(meaning(&line), json!({"id": id, "presence": {"presence": {text: info}}}));
    }
}

fn one_of(line: &str) -> Result<Command<'_>, Malformed> {
    Codec::Json.decode(line.as_bytes()).next().unwrap_or(Err(Malformed::Empty))
}

/// `cargo test --release --lib proto:: -- --ignored --nocapture` prints what a publish costs.
#[test]
#[ignore = "a measurement, not a test"]
fn cost_of_a_publish() {
    const ROUNDS: u32 = 1_000_000;
    let line = br#"{"id":17,"publish":{"channel":"chat:room-42","data":{"text":"hello there, everyone","n":12345}}}"#;
    let begin = crate::sys::clock::now();
    for _ in 0..ROUNDS {
        for command in Codec::Json.decode(std::hint::black_box(line)) {
            std::hint::black_box(&command.unwrap());
        }
    }
    eprintln!("decode a publish: {:?}", crate::sys::clock::now().since(begin) / ROUNDS);
    let mut out = Vec::with_capacity(256);
    let begin = crate::sys::clock::now();
    for _ in 0..ROUNDS {
        out.clear();
        let publication = Publication {
            data: raw(r#"{"text":"hello"}"#).into(),
            info: Some(INFO),
            ..Publication::default()
        };
        Codec::Json.encode_push(&Push::Publication { channel: "chat:room-42".into(), publication }, &mut out);
        std::hint::black_box(&out);
    }
    eprintln!("encode its push: {:?}", crate::sys::clock::now().since(begin) / ROUNDS);
}
