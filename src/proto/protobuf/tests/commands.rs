//! Commands that generated types wrote, read by us; and the same commands in JSON.

use proptest::prelude::*;
use serde_json::json;

use super::super::generated as wire;
use super::{all, framed};
use crate::proto::codec::Codec;
use crate::proto::command::*;
use crate::proto::raw::Raw;

#[test]
fn a_command_reads_as_documented() {
    let connect = Connect { name: "js".into(), ..Connect::default() };
    let bytes = [0x08, 0x08, 0x01, 0x22, 0x04, 0x22, 0x02, 0x6a, 0x73];
    assert_eq!(all(&bytes), [Ok(Command { id: 1, request: Request::Connect(connect) })]);
    assert_eq!(all(&[0]), [Ok(Command { id: 0, request: Request::Pong })]);
}

#[test]
fn the_first_request_in_the_order_of_the_protocol_is_served() {
    let both = wire::Command {
        id: 1,
        subscribe: Some(wire::SubscribeRequest::default()),
        ping: Some(wire::PingRequest {}),
        rpc: Some(wire::RpcRequest::default()),
        send: Some(wire::SendRequest::default()),
        ..Default::default()
    };
    assert_eq!(all(&framed(&both)), [Ok(Command { id: 1, request: Request::Ping })]);
    let both = wire::Command { ping: None, subscribe: None, ..both };
    assert_eq!(all(&framed(&both)), [Ok(Command { id: 1, request: Request::Rpc(Rpc::default()) })]);
}

#[test]
fn data_is_any_bytes_and_lies_where_it_was() {
    let publish = wire::PublishRequest { channel: "c".into(), data: vec![0, 255, 10], ..Default::default() };
    let bytes = framed(&wire::Command { id: 1, publish: Some(publish), ..Default::default() });
    let commands = all(&bytes);
    let Ok(Command { request: Request::Publish(publish), .. }) = &commands[0] else { panic!("{commands:?}") };
    assert_eq!(publish.data.bytes(), [0, 255, 10]);
    assert!(bytes.as_ptr_range().contains(&publish.data.bytes().as_ptr()));
    assert!(publish.data.line().is_err());
}

#[test]
fn transports_that_carry_no_commands_have_bodies_of_their_own() {
    let request = wire::EmulationRequest { node: "n".into(), session: "s".into(), data: vec![0] };
    let body = prost::Message::encode_to_vec(&request);
    let expected = Emulation { session: "s".into(), node: "n".into(), data: vec![0].into() };
    assert_eq!(Codec::Protobuf.decode_emulation(&body), Ok(expected.clone()));
    let body = br#"{"session":"s","node":"n","data":"\u0000"}"#;
    assert_eq!(Codec::Json.decode_emulation(body), Ok(expected));

    let request = wire::ConnectRequest { token: "t".into(), ..Default::default() };
    let body = prost::Message::encode_to_vec(&request);
    let expected = Connect { token: "t".into(), ..Connect::default() };
    assert_eq!(Codec::Protobuf.decode_connect(&body), Ok(expected.clone()));
    assert_eq!(Codec::Json.decode_connect(br#"{"token":"t"}"#), Ok(expected));
    for bad in ["", "[]", "{", r#"{"token":1}"#] {
        assert!(Codec::Json.decode_connect(bad.as_bytes()).is_err(), "{bad}");
    }
    assert!(Codec::Json.decode_emulation(br#"{"data":{}}"#).is_err(), "data is a string");
}

proptest! {
    #[test]
    fn both_codecs_read_the_same_command(
        kind in 0..12, id in 1_u32.., text: String, other: String, offset: u64, flag: i64, limit: i32, yes: bool, no: bool,
    ) {
        let data = json!({ "k": text }).to_string();
        let raw: serde_json::Value = serde_json::from_str(&data).unwrap();
        let mut command = wire::Command { id, ..Default::default() };
        let (channel, bytes) = (text.clone(), data.clone().into_bytes());
        let (name, request) = match kind {
            0 => {
                let sub = wire::SubscribeRequest { recover: yes, epoch: other.clone(), offset, ..Default::default() };
                command.connect = Some(wire::ConnectRequest {
                    token: text.clone(), data: bytes, subs: [(other.clone(), sub)].into(), name: other.clone(),
                    version: text.clone(), headers: [(text.clone(), other.clone())].into(), flag,
                });
                let sub = json!({"recover": yes, "epoch": other, "offset": offset});
                ("connect", json!({
                    "token": text, "data": raw, "subs": {&other: sub}, "name": other, "version": text,
                    "headers": {&text: other}, "flag": flag,
                }))
            }
            1 => {
                let leaf = wire::FilterNode {
                    key: text.clone(), cmp: other.clone(), val: text.clone(), vals: vec![other.clone()], ..Default::default()
                };
                let tf = wire::FilterNode { op: "not".into(), nodes: vec![leaf], ..Default::default() };
                command.subscribe = Some(wire::SubscribeRequest {
                    channel, token: other.clone(), recover: yes, epoch: text.clone(), offset, data: bytes, positioned: no,
                    recoverable: yes, join_leave: no, delta: other.clone(), tf: Some(tf), flag, r#type: limit,
                    ..Default::default()
                });
                let leaf = json!({"key": text, "cmp": other, "val": text, "vals": [other]});
                ("subscribe", json!({
                    "channel": text, "token": other, "recover": yes, "epoch": text, "offset": offset, "data": raw,
                    "positioned": no, "recoverable": yes, "join_leave": no, "delta": other,
                    "tf": {"op": "not", "nodes": [leaf]}, "flag": flag, "type": limit,
                }))
            }
            2 => {
                command.unsubscribe = Some(wire::UnsubscribeRequest { channel });
                ("unsubscribe", json!({"channel": text}))
            }
            3 => {
                command.publish =
                    Some(wire::PublishRequest { channel, data: bytes, r#type: limit, ..Default::default() });
                ("publish", json!({"channel": text, "data": raw, "type": limit}))
            }
            4 => {
                command.presence = Some(wire::PresenceRequest { channel });
                ("presence", json!({"channel": text}))
            }
            5 => {
                command.presence_stats = Some(wire::PresenceStatsRequest { channel });
                ("presence_stats", json!({"channel": text}))
            }
            6 => {
                let since = wire::StreamPosition { offset, epoch: other.clone() };
                command.history =
                    Some(wire::HistoryRequest { channel, limit, since: Some(since), reverse: yes });
                ("history", json!({
                    "channel": text, "limit": limit, "since": {"offset": offset, "epoch": other}, "reverse": yes,
                }))
            }
            7 => {
                command.rpc = Some(wire::RpcRequest { data: bytes, method: other.clone() });
                ("rpc", json!({"data": raw, "method": other}))
            }
            8 => {
                command.id = 0;
                command.send = Some(wire::SendRequest { data: bytes });
                ("send", json!({"data": raw}))
            }
            9 => {
                command.refresh = Some(wire::RefreshRequest { token: text.clone() });
                ("refresh", json!({"token": text}))
            }
            10 => {
                command.sub_refresh = Some(wire::SubRefreshRequest {
                    channel, token: other.clone(), r#type: limit, ..Default::default()
                });
                ("sub_refresh", json!({"channel": text, "token": other, "type": limit}))
            }
            _ => {
                command.ping = Some(wire::PingRequest {});
                ("ping", json!({}))
            }
        };
        let line = json!({"id": command.id, name: request}).to_string();
        let bytes = framed(&command);
        let ours = all(&bytes);
        prop_assert!(ours[0].is_ok());
        prop_assert_eq!(ours, Codec::Json.decode(line.as_bytes()).collect::<Vec<_>>());
    }

    #[test]
    fn several_commands_of_one_message_come_in_order(ids in prop::collection::vec(1_u32.., 1..20)) {
        let mut bytes = Vec::new();
        for &id in &ids {
            bytes.extend(framed(&wire::Command { id, ping: Some(wire::PingRequest {}), ..Default::default() }));
        }
        let expected: Vec<_> = ids.iter().map(|&id| Ok(Command { id, request: Request::Ping })).collect();
        prop_assert_eq!(all(&bytes), expected);
    }
}

#[test]
fn nothing_is_everything_at_zero() {
    let command =
        wire::Command { id: 1, publish: Some(wire::PublishRequest::default()), ..Default::default() };
    let expected = Publish { data: Raw::NONE, ..Publish::default() };
    assert_eq!(all(&framed(&command)), [Ok(Command { id: 1, request: Request::Publish(expected) })]);
}
