//! From the bytes of one Protobuf message to one command.
//! Invariant: of several requests the first in the protocol's order is served, as in JSON; all of them must be sound.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::fields::{Fields, Value, delimited};
use crate::limits::FILTER_DEPTH_MAX;
use crate::proto::codec::Malformed;
use crate::proto::command::{
    Command, Connect, Emulation, FilterNode, History, Position, Presence, PresenceStats, Publish, Refresh,
    Request, Rpc, Send, SubRefresh, Subscribe, Unsubscribe,
};
use crate::proto::raw::Raw;

/// The first message, and what is left when there are more.
pub(in crate::proto) fn split(mut message: &[u8]) -> Result<(&[u8], Option<&[u8]>), Malformed> {
    if message.is_empty() {
        return Err(Malformed::Empty);
    }
    let first = delimited(&mut message)?;
    Ok((first, (!message.is_empty()).then_some(message)))
}

pub(in crate::proto) fn command(message: &[u8]) -> Result<Command<'_>, Malformed> {
    let mut id = 0;
    let mut first: Option<(u32, Request<'_>)> = None;
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next(&[])? {
        if number == 1 {
            id = value.u32()?;
        } else if let Some((rank, request)) = request(number, value)?
            && first.as_ref().is_none_or(|(earlier, _)| rank < *earlier)
        {
            first = Some((rank, request));
        }
    }
    match first {
        Some((_, request @ Request::Send(_))) => Ok(Command { id, request }),
        _ if id == 0 => Ok(Command { id, request: Request::Pong }),
        Some((_, request)) => Ok(Command { id, request }),
        None => Err(Malformed::NoRequest),
    }
}

/// A request and its place in the order of service; `None` when the field is none of ours.
fn request(number: u32, value: Value<'_>) -> Result<Option<(u32, Request<'_>)>, Malformed> {
    Ok(Some(match number {
        4 => (0, Request::Connect(connect(value.bytes()?)?)),
        11 => {
            let mut fields = Fields::new(value.bytes()?);
            while fields.next(&[])?.is_some() {}
            (1, Request::Ping)
        }
        5 => (2, Request::Subscribe(subscribe(value)?)),
        6 => (3, Request::Unsubscribe(Unsubscribe { channel: sole(value)? })),
        7 => (4, Request::Publish(publish(value)?)),
        8 => (5, Request::Presence(Presence { channel: sole(value)? })),
        9 => (6, Request::PresenceStats(PresenceStats { channel: sole(value)? })),
        10 => (7, Request::History(history(value)?)),
        13 => (8, Request::Rpc(rpc(value)?)),
        12 => (9, Request::Send(send(value)?)),
        14 => (10, Request::Refresh(Refresh { token: sole(value)? })),
        15 => (11, Request::SubRefresh(sub_refresh(value)?)),
        _ => return Ok(None),
    }))
}

pub(in crate::proto) fn connect(message: &[u8]) -> Result<Connect<'_>, Malformed> {
    let mut connect = Connect::default();
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next(&[3, 6])? {
        match number {
            1 => connect.token = text(value)?,
            2 => connect.data = raw(value)?,
            3 => entry(value, &mut connect.subs, subscribe)?,
            4 => connect.name = text(value)?,
            5 => connect.version = text(value)?,
            6 => entry(value, &mut connect.headers, text)?,
            7 => connect.flag = value.i64()?,
            _ => {}
        }
    }
    Ok(connect)
}

pub(in crate::proto) fn emulation(message: &[u8]) -> Result<Emulation<'_>, Malformed> {
    let mut emulation = Emulation::default();
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next(&[])? {
        match number {
            1 => emulation.node = text(value)?,
            2 => emulation.session = text(value)?,
            3 => emulation.data = Cow::Borrowed(value.bytes()?),
            _ => {}
        }
    }
    Ok(emulation)
}

fn subscribe(value: Value<'_>) -> Result<Subscribe<'_>, Malformed> {
    let mut subscribe = Subscribe::default();
    let mut fields = Fields::new(value.bytes()?);
    while let Some((number, value)) = fields.next(&[])? {
        match number {
            1 => subscribe.channel = text(value)?,
            2 => subscribe.token = text(value)?,
            3 => subscribe.recover = value.flag()?,
            6 => subscribe.epoch = text(value)?,
            7 => subscribe.offset = value.u64()?,
            8 => subscribe.data = raw(value)?,
            9 => subscribe.positioned = value.flag()?,
            10 => subscribe.recoverable = value.flag()?,
            11 => subscribe.join_leave = value.flag()?,
            12 => subscribe.delta = text(value)?,
            13 => subscribe.tags_filter = Some(Box::new(filter(value, FILTER_DEPTH_MAX)?)),
            14 => subscribe.flag = value.i64()?,
            15 => subscribe.kind = value.i32()?,
            _ => {}
        }
    }
    Ok(subscribe)
}

/// `depth` levels are left, this one among them.
fn filter(value: Value<'_>, depth: u32) -> Result<FilterNode<'_>, Malformed> {
    let Some(below) = depth.checked_sub(1) else { return Err(Malformed::TooDeep) };
    let mut node = FilterNode::default();
    let mut fields = Fields::new(value.bytes()?);
    while let Some((number, value)) = fields.next(&[5, 6])? {
        match number {
            1 => node.op = text(value)?,
            2 => node.key = text(value)?,
            3 => node.cmp = text(value)?,
            4 => node.val = text(value)?,
            5 => node.vals.push(text(value)?),
            6 => node.nodes.push(filter(value, below)?),
            _ => {}
        }
    }
    Ok(node)
}

/// Requests that consist of one text, which is their first field.
fn sole(value: Value<'_>) -> Result<Cow<'_, str>, Malformed> {
    let mut sole = Cow::default();
    let mut fields = Fields::new(value.bytes()?);
    while let Some((number, value)) = fields.next(&[])? {
        if number == 1 {
            sole = text(value)?;
        }
    }
    Ok(sole)
}

fn publish(value: Value<'_>) -> Result<Publish<'_>, Malformed> {
    let mut publish = Publish::default();
    let mut fields = Fields::new(value.bytes()?);
    while let Some((number, value)) = fields.next(&[])? {
        match number {
            1 => publish.channel = text(value)?,
            2 => publish.data = raw(value)?,
            3 => publish.kind = value.i32()?,
            _ => {}
        }
    }
    Ok(publish)
}

fn history(value: Value<'_>) -> Result<History<'_>, Malformed> {
    let mut history = History::default();
    let mut fields = Fields::new(value.bytes()?);
    while let Some((number, value)) = fields.next(&[])? {
        match number {
            1 => history.channel = text(value)?,
            7 => history.limit = value.i32()?,
            8 => history.since = Some(position(value)?),
            9 => history.reverse = value.flag()?,
            _ => {}
        }
    }
    Ok(history)
}

fn position(value: Value<'_>) -> Result<Position<'_>, Malformed> {
    let mut position = Position::default();
    let mut fields = Fields::new(value.bytes()?);
    while let Some((number, value)) = fields.next(&[])? {
        match number {
            1 => position.offset = value.u64()?,
            2 => position.epoch = text(value)?,
            _ => {}
        }
    }
    Ok(position)
}

fn rpc(value: Value<'_>) -> Result<Rpc<'_>, Malformed> {
    let mut rpc = Rpc::default();
    let mut fields = Fields::new(value.bytes()?);
    while let Some((number, value)) = fields.next(&[])? {
        match number {
            1 => rpc.data = raw(value)?,
            2 => rpc.method = text(value)?,
            _ => {}
        }
    }
    Ok(rpc)
}

fn send(value: Value<'_>) -> Result<Send<'_>, Malformed> {
    let mut send = Send::default();
    let mut fields = Fields::new(value.bytes()?);
    while let Some((number, value)) = fields.next(&[])? {
        if number == 1 {
            send.data = raw(value)?;
        }
    }
    Ok(send)
}

fn sub_refresh(value: Value<'_>) -> Result<SubRefresh<'_>, Malformed> {
    let mut refresh = SubRefresh::default();
    let mut fields = Fields::new(value.bytes()?);
    while let Some((number, value)) = fields.next(&[4, 5])? {
        match number {
            1 => refresh.channel = text(value)?,
            2 => refresh.token = text(value)?,
            3 => refresh.kind = value.i32()?,
            _ => {}
        }
    }
    Ok(refresh)
}

/// An entry of a map: a message of key and value, either of which may be absent.
fn entry<'a, T: Default>(
    value: Value<'a>,
    map: &mut BTreeMap<Cow<'a, str>, T>,
    read: impl Fn(Value<'a>) -> Result<T, Malformed>,
) -> Result<(), Malformed> {
    let mut key = Cow::default();
    let mut item = T::default();
    let mut fields = Fields::new(value.bytes()?);
    while let Some((number, value)) = fields.next(&[])? {
        match number {
            1 => key = text(value)?,
            2 => item = read(value)?,
            _ => {}
        }
    }
    match map.entry(key) {
        Entry::Vacant(entry) => entry.insert(item),
        Entry::Occupied(_) => return Err(Malformed::Syntax),
    };
    Ok(())
}

fn text(value: Value<'_>) -> Result<Cow<'_, str>, Malformed> {
    value.text().map(Cow::Borrowed)
}

fn raw(value: Value<'_>) -> Result<Raw<'_>, Malformed> {
    value.bytes().map(Raw::accepted)
}
