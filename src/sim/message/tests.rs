use super::*;
use serde_json::json;

#[test]
fn both_codecs_say_the_same() {
    let json = r#"{"id":2,"subscribe":{"recoverable":true,"epoch":"e","offset":7}}"#;
    let protobuf = [11, 8, 2, 50, 7, 24, 1, 50, 1, b'e', 72, 7];
    assert_eq!(Message::from_protobuf(&protobuf), Ok(vec![Message::from_json(json).unwrap()]));
}

#[test]
fn an_empty_message_is_a_ping() {
    assert_eq!(Message::from_json("{}"), Ok(Message::Ping));
    assert_eq!(Message::from_protobuf(&[0, 0]), Ok(vec![Message::Ping, Message::Ping]));
    assert!(Message::from_protobuf(&[]).is_err());
}

#[test]
fn leniency_is_an_error() {
    for line in [
        "",
        "[]",
        r#"{"id":1}"#,
        r#"{"publish":{}}"#,
        r#"{"id":0,"publish":{}}"#,
        r#"{"id":"1","publish":{}}"#,
        r#"{"id":1,"publish":{},"unsubscribe":{}}"#,
        r#"{"id":1,"publish":{"offset":1}}"#,
        r#"{"id":1,"subscribe":{"recovered":false}}"#,
        r#"{"id":1,"subscribe":{"epoch":""}}"#,
        r#"{"id":1,"presence":{}}"#,
        r#"{"id":1,"presence":{"presence":{"c":{"client":"c"}}}}"#,
        r#"{"id":1,"presence_stats":{"num_clients":0}}"#,
        r#"{"id":1,"history":{"epoch":"e","offset":0}}"#,
        r#"{"push":{"pub":{"data":1}}}"#,
        r#"{"push":{"channel":"c","id":1,"pub":{"data":1}}}"#,
        r#"{"push":{"channel":"c"}}"#,
        r#"{"id":1,"push":{"channel":"c","pub":{"data":1}}}"#,
    ] {
        assert!(Message::from_json(line).is_err(), "{line}");
    }
    for frame in [&[1][..], &[2, 8, 0], &[3, 8, 1, 8], &[4, 8, 1, 120, 1], &[3, 8, 1, 66]] {
        assert!(Message::from_protobuf(frame).is_err(), "{frame:?}");
    }
}

#[test]
fn what_clients_rely_on_is_there() {
    for line in [
        r#"{"id":1,"presence":{"presence":{}}}"#,
        r#"{"id":1,"presence_stats":{"num_clients":0,"num_users":0}}"#,
        r#"{"id":1,"history":{"publications":[],"epoch":"e","offset":0}}"#,
        r#"{"push":{"channel":"c","join":{"info":{"user":"","client":"c"}}}}"#,
    ] {
        assert!(Message::from_json(line).is_ok(), "{line}");
    }
}

#[test]
fn a_command_is_encoded_as_the_schema_says() {
    let connect = encode(&json!({"id": 1, "connect": {"name": "js"}}));
    assert_eq!(connect, [0x08, 0x08, 0x01, 0x22, 0x04, 0x22, 0x02, 0x6a, 0x73]);
    let publish = encode(&json!({"id": 2, "publish": {"channel": "c", "data": [1]}}));
    assert_eq!(publish, [12, 8, 2, 58, 8, 10, 1, b'c', 18, 3, b'[', b'1', b']']);
}
