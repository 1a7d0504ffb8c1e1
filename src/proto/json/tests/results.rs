//! From replies and pushes to lines.

use super::*;

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
