//! The JSON client protocol, as far as a load generator needs it.
//!
//! Nearly everything that arrives is a push with a stamp or the reply to a publish: both are recognised by their bytes.
//! What looks different is parsed properly. Commands carry ids: 1 connect, 2 subscribe, from `PUBLISH_ID_MIN` publishes.

use super::{CONNECT_REPLY, Item, SUBSCRIBE_REPLY, channels, pad};
use crate::frame::{CHANNEL_DIGITS, Fields, NUMBER_DIGITS, digits};
use crate::plan::Shape;
use crate::stamp::{STAMP_BYTES, Stamp};
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The data of a publication is a JSON string around the stamp.
pub const SIZE_MIN: u32 = STAMP_BYTES as u32 + 2;

pub const CONNECT_ID: u32 = 1;
pub const SUBSCRIBE_ID: u32 = 2;
/// Ids of publishes all have ten digits, so that a prepared frame keeps its length.
pub const PUBLISH_ID_MIN: u32 = 1_000_000_000;
/// Ids beyond this start again.
const PUBLISH_ID_COUNT: u32 = 3_000_000_000;

/// The id of a publisher's `sequence`-th publish.
pub const fn publish_id(sequence: u32) -> u32 {
    PUBLISH_ID_MIN + sequence % PUBLISH_ID_COUNT
}

/// A publish command whose id, channel and stamp are left open.
pub fn message(shape: &Shape) -> (Vec<u8>, Fields) {
    let mut text = b"{\"id\":".to_vec();
    let number_at = text.len();
    text.extend_from_slice(&digits::<NUMBER_DIGITS>(0));
    text.extend_from_slice(b",\"publish\":{\"channel\":\"");
    text.extend_from_slice(shape.channel_prefix.as_bytes());
    let channel_at = text.len();
    text.extend_from_slice(&digits::<CHANNEL_DIGITS>(0));
    text.extend_from_slice(b"\",\"data\":\"");
    let stamp_at = text.len();
    text.extend_from_slice(&[b'.'; STAMP_BYTES]);
    pad(&mut text, shape.size as usize - SIZE_MIN as usize);
    text.extend_from_slice(b"\"}}");
    (text, Fields { stamp_at, number_at: Some(number_at), channel_at: Some(channel_at) })
}

/// Connect, and subscribe in the same message, as the official clients do.
pub fn hello(shape: &Shape, group: u32) -> (Vec<u8>, u8) {
    let token = serde_json::Value::from(shape.token.as_str());
    let mut text = if shape.token.is_empty() {
        format!("{{\"id\":{CONNECT_ID},\"connect\":{{\"name\":\"ringway-bench\"}}}}")
    } else {
        format!("{{\"id\":{CONNECT_ID},\"connect\":{{\"token\":{token},\"name\":\"ringway-bench\"}}}}")
    };
    if !shape.subscribe {
        return (text.into_bytes(), CONNECT_REPLY);
    }
    let recover = if shape.recover { ",\"recover\":true,\"recoverable\":true" } else { "" };
    for (id, channel) in (SUBSCRIBE_ID..).zip(channels(shape, group)) {
        text = format!("{text}\n{{\"id\":{id},\"subscribe\":{{\"channel\":\"{channel}\"{recover}}}}}");
    }
    (text.into_bytes(), CONNECT_REPLY | SUBSCRIBE_REPLY)
}

/// The client's answer to a ping.
pub const PONG: &[u8] = b"{}";

#[derive(Debug)]
pub struct Scanner {
    mark: Finder<'static>,
    /// Where the last push had its stamp: the next one very likely has it there too.
    stamp_at: usize,
}

const PUSH: &[u8] = b"{\"push\":";
const REPLY: &[u8] = b"{\"id\":";
const PUBLISHED: &[u8] = b",\"publish\":{}}";
const DATA: &[u8] = b"\"data\":\"~";

impl Default for Scanner {
    fn default() -> Self {
        Self { mark: Finder::new(DATA), stamp_at: 0 }
    }
}

impl Scanner {
    pub fn scan(&mut self, message: &[u8], mut sink: impl FnMut(Item)) {
        let mut rest = message;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let line = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            if !line.is_empty() {
                sink(self.line(line));
            }
        }
    }

    fn line(&mut self, line: &[u8]) -> Item {
        if line.starts_with(PUSH) {
            if let Some(stamp) = line.get(self.stamp_at..).and_then(Stamp::decode) {
                return Item::Delivery(stamp);
            }
            if let Some(at) = self.mark.find(line) {
                let stamp_at = at + DATA.len() - 1;
                if let Some(stamp) = Stamp::decode(&line[stamp_at..]) {
                    self.stamp_at = stamp_at;
                    return Item::Delivery(stamp);
                }
            }
        } else if line == PONG {
            return Item::Ping;
        } else if let Some(id) = published(line) {
            return Item::Reply { id };
        }
        parse(line)
    }
}

/// The id of `{"id":N,"publish":{}}`.
fn published(line: &[u8]) -> Option<u32> {
    let digits = line.strip_prefix(REPLY)?.strip_suffix(PUBLISHED)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(default)]
    id: u32,
    #[serde(borrow)]
    error: Option<ErrorBody<'a>>,
    #[serde(borrow)]
    push: Option<Push<'a>>,
}

#[derive(Deserialize)]
struct ErrorBody<'a> {
    #[serde(default)]
    code: u32,
    #[serde(borrow, default)]
    message: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Push<'a> {
    #[serde(borrow, rename = "pub")]
    publication: Option<Publication<'a>>,
    unsubscribe: Option<Ended>,
    disconnect: Option<Ended>,
}

#[derive(Deserialize)]
struct Publication<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Ended {
    #[serde(default)]
    code: u32,
}

/// The long way, for what is rare.
fn parse(line: &[u8]) -> Item {
    let Ok(reply) = serde_json::from_slice::<Reply>(line) else { return Item::Garbage };
    if let Some(error) = reply.error {
        return Item::Error { id: reply.id, code: error.code, message: error.message.into_owned() };
    }
    let Some(push) = reply.push else {
        return if reply.id == 0 { Item::Ping } else { Item::Reply { id: reply.id } };
    };
    if let Some(ended) = push.unsubscribe.or(push.disconnect) {
        return Item::Unsubscribed { code: ended.code };
    }
    let data = push.publication.and_then(|publication| publication.data);
    let stamp = data.and_then(|data| Stamp::decode(data.get().as_bytes().get(1..)?));
    stamp.map_or(Item::Other, Item::Delivery)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Pace;

    const STAMP: Stamp = Stamp { intended_ns: 1_234, sequence: 5, publisher: 6 };

    fn scan(text: &str) -> Vec<Item> {
        let mut items = Vec::new();
        Scanner::default().scan(text.as_bytes(), |item| items.push(item));
        items
    }

    fn stamp() -> String {
        String::from_utf8(STAMP.encode().to_vec()).unwrap()
    }

    #[test]
    fn one_frame_may_carry_pushes_replies_and_a_ping() {
        let push = format!("{{\"push\":{{\"channel\":\"c\",\"pub\":{{\"data\":\"{}abc\"}}}}}}", stamp());
        let text = format!("{push}\n{{\"id\":1000000000,\"publish\":{{}}}}\n{{}}\n{push}\n");
        let delivery = Item::Delivery(STAMP);
        assert_eq!(scan(&text), [delivery.clone(), Item::Reply { id: PUBLISH_ID_MIN }, Item::Ping, delivery]);
    }

    #[test]
    fn pushes_of_other_shapes_are_understood_too() {
        let push = format!(
            "{{\"push\": {{\"pub\": {{\"offset\": 3, \"data\" : \"{}\", \"info\":{{\"user\":\"\",\"client\":\"x\"}}}}}}}}",
            stamp()
        );
        assert_eq!(scan(&push), [Item::Delivery(STAMP)]);
        assert_eq!(scan("{\"push\":{\"channel\":\"c\",\"join\":{\"info\":{\"user\":\"\"}}}}"), [Item::Other]);
        assert_eq!(scan("{\"push\":{\"channel\":\"c\",\"pub\":{\"data\":{\"x\":1}}}}"), [Item::Other]);
    }

    #[test]
    fn failures_carry_their_code() {
        let error = Item::Error { id: 2, code: 103, message: "permission denied".into() };
        assert_eq!(scan("{\"id\":2,\"error\":{\"code\":103,\"message\":\"permission denied\"}}"), [error]);
        let ended = "{\"push\":{\"channel\":\"c\",\"unsubscribe\":{\"code\":2500,\"reason\":\"insufficient state\"}}}";
        assert_eq!(scan(ended), [Item::Unsubscribed { code: 2500 }]);
        assert_eq!(scan("hello"), [Item::Garbage]);
    }

    #[test]
    fn commands_are_json_with_the_fields_where_they_are_said_to_be() {
        let shape = Shape {
            connections: 1,
            members: 1,
            speakers: 1,
            size: 40,
            binary: false,
            pace: Pace::Silent,
            subscribe: true,
            subscriptions: 1,
            recover: false,
            channel_prefix: "bench-".into(),
            token: "to\"ken".into(),
        };
        let (mut text, fields) = message(&shape);
        text[fields.number_at.unwrap()] = b'1';
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(value["id"], PUBLISH_ID_MIN);
        assert_eq!(value["publish"]["channel"], "bench-00000000");
        assert_eq!(value["publish"]["data"].to_string().len(), 40);
        assert_eq!(&text[fields.channel_at.unwrap()..][..CHANNEL_DIGITS], b"00000000");
        assert_eq!(&text[fields.stamp_at..][..STAMP_BYTES], &[b'.'; STAMP_BYTES]);
        let (text, replies) = hello(&shape, 7);
        let lines: Vec<serde_json::Value> =
            text.split(|byte| *byte == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect();
        assert_eq!(lines[0]["connect"]["token"], "to\"ken");
        assert_eq!(lines[1]["subscribe"]["channel"], "bench-00000007");
        assert_eq!(replies, CONNECT_REPLY | SUBSCRIBE_REPLY);
    }
}
