//! From lines to commands.

use super::*;

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
