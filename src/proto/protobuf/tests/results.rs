//! What we write, read by generated types; and byte for byte what they would write.

use std::num::NonZeroU32;

use proptest::prelude::*;
use prost::Message as _;

use super::super::generated as wire;
use super::framed;
use crate::proto::codec::Codec;
use crate::proto::codes::Reject;
use crate::proto::push::{Push, Subject};
use crate::proto::raw::Raw;
use crate::proto::reply::*;

fn reply(id: u32, reply: &Reply<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    Codec::Protobuf.encode_reply(id, reply, &mut out);
    out
}

fn push(push: &Push<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    Codec::Protobuf.encode_push(push, &mut out);
    out
}

#[test]
fn a_reply_names_its_result_even_when_it_is_empty() {
    assert_eq!(reply(3, &Reply::Unsubscribe), [4, 8, 3, 0x3a, 0]);
    for (result, tag) in [
        (Reply::Connect(ConnectResult::default()), 5),
        (Reply::Subscribe(SubscribeResult::default()), 6),
        (Reply::Publish, 8),
        (Reply::Presence(PresenceResult::default()), 9),
        (Reply::PresenceStats(PresenceStatsResult::default()), 10),
        (Reply::History(HistoryResult::default()), 11),
        (Reply::Rpc(RpcResult::default()), 13),
        (Reply::Refresh(RefreshResult::default()), 14),
        (Reply::SubRefresh(SubRefreshResult::default()), 15),
    ] {
        assert_eq!(reply(3, &result), [4, 8, 3, tag << 3 | 2, 0]);
    }
}

#[test]
fn frames_join_messages_without_a_separator() {
    let mut out = Vec::new();
    Codec::Protobuf.encode_reply(4, &Reply::Publish, &mut out);
    Codec::Protobuf.separate(&mut out);
    Codec::Protobuf.encode_ping(&mut out);
    assert_eq!(out, [4, 8, 4, 0x42, 0, 0]);
}

#[test]
fn errors_carry_code_message_and_temporary() {
    let error = |code, message: &str, temporary| {
        let error = wire::Error { code, message: message.into(), temporary };
        framed(&wire::Reply { id: 4, error: Some(error), ..Default::default() })
    };
    assert_eq!(reply(4, &Reply::Error(Reject::Internal)), error(100, "internal server error", true));
    let failure = Failure { code: 1000, message: "no", temporary: false };
    assert_eq!(reply(4, &Reply::Failure(failure)), error(1000, "no", false));
}

fn wire_info(text: &str, data: &[u8]) -> wire::ClientInfo {
    wire::ClientInfo {
        user: text.into(),
        client: "c".into(),
        conn_info: data.to_vec(),
        chan_info: data.to_vec(),
    }
}

proptest! {
    #[test]
    fn pushes_and_replies_are_what_generated_types_write(
        text: String, data in prop::collection::vec(any::<u8>(), 0..20_000), offset: u64, ttl: u32, yes: bool, no: bool,
        id in 1_u32..,
    ) {
        let raw = Raw::accepted(&data);
        let info = ClientInfo { user: &text, client: "c", conn_info: raw, chan_info: raw };
        let time_ms = offset >> 1;
        let tags = [("k", text.as_str())];
        let publication = Publication {
            data: raw.into(), info: Some(info.clone()), offset, tags: &tags, delta: yes, time_ms, channel: &text, epoch: "e",
        };
        let wire_publication = wire::Publication {
            data: data.clone(), info: Some(wire_info(&text, &data)), offset, tags: [("k".into(), text.clone())].into(),
            delta: yes, time: time_ms.cast_signed(), channel: text.clone(), epoch: "e".into(), ..Default::default()
        };
        let in_reply = |push: wire::Push| framed(&wire::Reply { push: Some(push), ..Default::default() });

        let ours = Push::Publication { channel: Subject::Name(&text), publication: publication.clone() };
        let theirs = wire::Push { channel: text.clone(), r#pub: Some(wire_publication.clone()), ..Default::default() };
        let mut bare = Vec::new();
        Codec::Protobuf.encode_bare_push(&ours, &mut bare);
        prop_assert_eq!(bare, framed(&theirs));
        prop_assert_eq!(push(&ours), in_reply(theirs));

        let number = NonZeroU32::new(id).unwrap();
        let ours = Push::Join { channel: Subject::Id(number), info: info.clone() };
        let join = wire::Join { info: Some(wire_info(&text, &data)) };
        prop_assert_eq!(push(&ours), in_reply(wire::Push { id: id.into(), join: Some(join), ..Default::default() }));
        let ours = Push::Leave { channel: Subject::Name(&text), info: info.clone() };
        let leave = wire::Leave { info: Some(wire_info(&text, &data)) };
        prop_assert_eq!(
            push(&ours), in_reply(wire::Push { channel: text.clone(), leave: Some(leave), ..Default::default() })
        );
        let ours = Push::Unsubscribe { channel: &text, code: ttl, reason: &text };
        let unsubscribe = wire::Unsubscribe { code: ttl, reason: text.clone() };
        prop_assert_eq!(push(&ours), in_reply(wire::Push {
            channel: text.clone(), unsubscribe: Some(unsubscribe), ..Default::default()
        }));
        let message = wire::Message { data: data.clone() };
        prop_assert_eq!(
            push(&Push::Message { data: raw }), in_reply(wire::Push { message: Some(message), ..Default::default() })
        );
        let ours = Push::Subscribe {
            channel: &text, recoverable: yes, epoch: &text, offset, positioned: no, data: raw,
        };
        let subscribe = wire::Subscribe {
            recoverable: yes, epoch: text.clone(), offset, positioned: no, data: data.clone(),
        };
        prop_assert_eq!(push(&ours), in_reply(wire::Push {
            channel: text.clone(), subscribe: Some(subscribe), ..Default::default()
        }));
        let ours = Push::Disconnect { code: ttl, reason: &text, reconnect: yes };
        let disconnect = wire::Disconnect { code: ttl, reason: text.clone(), reconnect: yes };
        prop_assert_eq!(push(&ours), in_reply(wire::Push { disconnect: Some(disconnect), ..Default::default() }));
        let refresh = wire::Refresh { expires: yes, ttl };
        prop_assert_eq!(
            push(&Push::Refresh { expires: yes, ttl_seconds: ttl }),
            in_reply(wire::Push { refresh: Some(refresh), ..Default::default() })
        );

        let publications = [publication.clone(), Publication { info: None, ..publication }];
        let wire_publications = vec![wire_publication.clone(), wire::Publication { info: None, ..wire_publication }];
        let subscribe = SubscribeResult {
            expires: yes, ttl_seconds: ttl, recoverable: no, epoch: &text, publications: &publications, recovered: yes,
            offset, positioned: no, data: raw, was_recovering: yes, delta: no, id: Some(number),
        };
        let wire_subscribe = wire::SubscribeResult {
            expires: yes, ttl, recoverable: no, epoch: text.clone(), publications: wire_publications.clone(),
            recovered: yes, offset, positioned: no, data: data.clone(), was_recovering: yes, delta: no, id: id.into(),
            ..Default::default()
        };
        let subs = [("sub", subscribe.clone())];
        let wire_subs: std::collections::BTreeMap<_, _> = [("sub".to_owned(), wire_subscribe.clone())].into();
        let connect = ConnectResult {
            client: &text, version: "1", expires: yes, ttl_seconds: ttl, data: raw, subs: &subs, ping_seconds: ttl,
            pong: no, session: &text, node: "n", time_ms,
        };
        let wire_connect = wire::ConnectResult {
            client: text.clone(), version: "1".into(), expires: yes, ttl, data: data.clone(), subs: wire_subs.clone(),
            ping: ttl, pong: no, session: text.clone(), node: "n".into(), time: time_ms.cast_signed(),
        };
        let connect_push = wire::Connect {
            client: text.clone(), version: "1".into(), expires: yes, ttl, data: data.clone(), subs: wire_subs, ping: ttl,
            pong: no, session: text.clone(), node: "n".into(), time: time_ms.cast_signed(),
        };
        prop_assert_eq!(
            push(&Push::Connect(connect.clone())),
            in_reply(wire::Push { connect: Some(connect_push), ..Default::default() })
        );
        let clients = [info];
        let history = HistoryResult { publications: &publications, epoch: &text, offset };
        let refresh = RefreshResult { client: &text, version: "1", expires: yes, ttl_seconds: ttl };
        for (ours, theirs) in [
            (Reply::Connect(connect), wire::Reply { connect: Some(wire_connect), ..Default::default() }),
            (Reply::Subscribe(subscribe), wire::Reply { subscribe: Some(wire_subscribe), ..Default::default() }),
            (Reply::Presence(PresenceResult { clients: &clients }), wire::Reply {
                presence: Some(wire::PresenceResult { presence: [("c".into(), wire_info(&text, &data))].into() }),
                ..Default::default()
            }),
            (Reply::PresenceStats(PresenceStatsResult { client_count: ttl, user_count: id }), wire::Reply {
                presence_stats: Some(wire::PresenceStatsResult { num_clients: ttl, num_users: id }),
                ..Default::default()
            }),
            (Reply::History(history), wire::Reply {
                history: Some(wire::HistoryResult { publications: wire_publications, epoch: text.clone(), offset }),
                ..Default::default()
            }),
            (Reply::Rpc(RpcResult { data: raw }), wire::Reply {
                rpc: Some(wire::RpcResult { data: data.clone() }), ..Default::default()
            }),
            (Reply::Refresh(refresh), wire::Reply {
                refresh: Some(wire::RefreshResult { client: text.clone(), version: "1".into(), expires: yes, ttl }),
                ..Default::default()
            }),
            (Reply::SubRefresh(SubRefreshResult { expires: yes, ttl_seconds: ttl }), wire::Reply {
                sub_refresh: Some(wire::SubRefreshResult { expires: yes, ttl, ..Default::default() }),
                ..Default::default()
            }),
        ] {
            let bytes = reply(id, &ours);
            let theirs = wire::Reply { id, ..theirs };
            prop_assert_eq!(wire::Reply::decode_length_delimited(&*bytes).unwrap(), theirs.clone());
            // Members without a value are named by the generated map entries; ours leave zero out or not as they do.
            prop_assert_eq!(bytes, framed(&theirs));
        }
    }
}
