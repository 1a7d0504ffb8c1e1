//! The Protobuf client protocol, as far as a load generator needs it: length-prefixed messages in binary frames.
//!
//! As with JSON, nearly everything that arrives is a push with a stamp, recognised by its first bytes. All publishes
//! carry one id, because a number of fixed width is not what Protobuf writes; nothing here tells their replies apart.

use super::centrifuge::{CONNECT_ID, SUBSCRIBE_ID};
use super::{CONNECT_REPLY, Item, SUBSCRIBE_REPLY, channels, pad};
use crate::frame::{CHANNEL_DIGITS, Fields, digits};
use crate::plan::Shape;
use crate::stamp::{MARK, STAMP_BYTES, Stamp};

/// The data of a publication is the stamp.
pub const SIZE_MIN: u32 = STAMP_BYTES as u32;

/// Id of every publish.
const PUBLISH_ID: u64 = 1000;

/// The client's answer to a ping: a message of no length.
pub const PONG: &[u8] = &[0];

// Fields of the schema: number and wire type, as they are written.
const COMMAND_ID: u8 = 1 << 3;
const COMMAND_CONNECT: u8 = 4 << 3 | 2;
const COMMAND_SUBSCRIBE: u8 = 5 << 3 | 2;
const COMMAND_PUBLISH: u8 = 7 << 3 | 2;
const REPLY_ID: u8 = 1 << 3;
const REPLY_ERROR: u8 = 2 << 3 | 2;
const REPLY_PUSH: u8 = 4 << 3 | 2;
const PUSH_UNSUBSCRIBE: u8 = 7 << 3 | 2;

/// A publish command whose channel and stamp are left open.
pub fn message(shape: &Shape) -> (Vec<u8>, Fields) {
    let mut channel = shape.channel_prefix.as_bytes().to_vec();
    channel.extend_from_slice(&digits::<CHANNEL_DIGITS>(0));
    let mut data = vec![b'.'; STAMP_BYTES];
    pad(&mut data, shape.size as usize - SIZE_MIN as usize);
    let mut body = Vec::new();
    field(&mut body, 1 << 3 | 2, &channel);
    field(&mut body, 2 << 3 | 2, &data);
    let command = command(PUBLISH_ID, COMMAND_PUBLISH, &body);
    let stamp_at = command.len() - data.len();
    // Between them lie the tag and the length of the data.
    let between = 1 + varint_len(data.len() as u64);
    let channel_at = stamp_at - between - CHANNEL_DIGITS;
    (command, Fields { stamp_at, number_at: None, channel_at: Some(channel_at) })
}

/// Connect, and subscribe in the same message.
pub fn hello(shape: &Shape, group: u32) -> (Vec<u8>, u8) {
    let mut connect = Vec::new();
    if !shape.token.is_empty() {
        field(&mut connect, 1 << 3 | 2, shape.token.as_bytes());
    }
    field(&mut connect, 4 << 3 | 2, b"ringway-bench");
    let mut out = command(u64::from(CONNECT_ID), COMMAND_CONNECT, &connect);
    if !shape.subscribe {
        return (out, CONNECT_REPLY);
    }
    for (at, channel) in channels(shape, group).enumerate() {
        let mut subscribe = Vec::new();
        field(&mut subscribe, 1 << 3 | 2, channel.as_bytes());
        if shape.recover {
            // recover, and recoverable
            subscribe.extend_from_slice(&[3 << 3, 1, 10 << 3, 1]);
        }
        out.extend(command(u64::from(SUBSCRIBE_ID) + at as u64, COMMAND_SUBSCRIBE, &subscribe));
    }
    (out, CONNECT_REPLY | SUBSCRIBE_REPLY)
}

#[derive(Debug, Default)]
pub struct Scanner {
    /// Where the last push had its stamp: the next one very likely has it there too.
    stamp_at: usize,
}

impl Scanner {
    pub fn scan(&mut self, message: &[u8], mut sink: impl FnMut(Item)) {
        let mut rest = message;
        while !rest.is_empty() {
            let Some((len, after)) = varint(rest) else { return sink(Item::Garbage) };
            let Some((one, more)) = after.split_at_checked(len as usize) else { return sink(Item::Garbage) };
            rest = more;
            sink(self.one(one));
        }
    }

    fn one(&mut self, message: &[u8]) -> Item {
        match message.first() {
            None => Item::Ping,
            Some(&REPLY_PUSH) => self.push(message),
            Some(&REPLY_ID) => reply(&message[1..]),
            Some(_) => Item::Garbage,
        }
    }

    fn push(&mut self, message: &[u8]) -> Item {
        if let Some(stamp) = message.get(self.stamp_at..).and_then(Stamp::decode) {
            return Item::Delivery(stamp);
        }
        for at in memchr::memchr_iter(MARK, message) {
            if let Some(stamp) = Stamp::decode(&message[at..]) {
                self.stamp_at = at;
                return Item::Delivery(stamp);
            }
        }
        if message.contains(&PUSH_UNSUBSCRIBE) { Item::Unsubscribed { code: 0 } } else { Item::Other }
    }
}

fn reply(bytes: &[u8]) -> Item {
    let Some((id, rest)) = varint(bytes) else { return Item::Garbage };
    let id = id as u32;
    if rest.first() != Some(&REPLY_ERROR) {
        return Item::Reply { id };
    }
    // Length, then the code behind its tag.
    let code =
        varint(&rest[1..]).and_then(|(_, body)| varint(body.get(1..)?)).map_or(0, |(code, _)| code as u32);
    Item::Error { id, code, message: String::from("error reply") }
}

fn command(id: u64, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![COMMAND_ID];
    put_varint(&mut message, id);
    field(&mut message, kind, body);
    let mut out = Vec::new();
    put_varint(&mut out, message.len() as u64);
    out.extend(message);
    out
}

fn field(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

const fn varint_len(mut value: u64) -> usize {
    let mut len = 1;
    while value >= 0x80 {
        value >>= 7;
        len += 1;
    }
    len
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (at, &byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Pace;
    use ringway::proto::{Codec, Request};

    fn shape() -> Shape {
        Shape {
            connections: 1,
            members: 1,
            speakers: 1,
            size: 200,
            binary: true,
            pace: Pace::Silent,
            subscribe: true,
            subscriptions: 3,
            recover: true,
            channel_prefix: "bench-".into(),
            token: "token".into(),
        }
    }

    #[test]
    fn the_server_understands_what_is_sent() {
        let (hello, replies) = hello(&shape(), 7);
        let commands: Vec<_> = Codec::Protobuf.decode(&hello).map(Result::unwrap).collect();
        assert_eq!(commands.len(), 4);
        assert!(matches!(&commands[0].request, Request::Connect(connect) if connect.token == "token"));
        assert!(
            matches!(&commands[1].request, Request::Subscribe(subscribe) if subscribe.channel == "bench-00000007" && subscribe.recover && subscribe.recoverable)
        );
        assert_eq!(replies, CONNECT_REPLY | SUBSCRIBE_REPLY);
        let (message, fields) = message(&shape());
        let publish = Codec::Protobuf.decode(&message).next().unwrap().unwrap();
        assert!(
            matches!(&publish.request, Request::Publish(publish) if publish.channel == "bench-00000000" && publish.data.bytes().len() == 200)
        );
        assert_eq!(&message[fields.channel_at.unwrap()..][..CHANNEL_DIGITS], b"00000000");
        assert_eq!(&message[fields.stamp_at..][..STAMP_BYTES], &[b'.'; STAMP_BYTES]);
    }

    #[test]
    fn pings_replies_errors_and_pushes_are_told_apart() {
        let stamp = Stamp { intended_ns: 1, sequence: 2, publisher: 3 };
        let mut wire = vec![0, 4, REPLY_ID, 3, 0x3a, 0, 6, REPLY_ID, 2, REPLY_ERROR, 2, 8, 103];
        let mut push = vec![REPLY_PUSH, 30];
        push.extend([b'x'; 12]);
        push.extend(stamp.encode());
        put_varint(&mut wire, push.len() as u64);
        wire.extend(push);
        let mut items = Vec::new();
        Scanner::default().scan(&wire, |item| items.push(item));
        let error = Item::Error { id: 2, code: 103, message: "error reply".into() };
        assert_eq!(items, [Item::Ping, Item::Reply { id: 3 }, error, Item::Delivery(stamp)]);
        items.clear();
        Scanner::default().scan(&[9, 1], |item| items.push(item));
        assert_eq!(items, [Item::Garbage]);
    }
}
