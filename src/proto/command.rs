//! What a client can ask for, borrowed from the bytes of its message.
//!
//! Invariant: decoding proves shape and ranges only; an empty channel or a foreign token is still in here.
//! Zero, empty and absent are one and the same, in every codec. Fields bear the protocol's names, so that the JSON
//! codec is derived; keys of map and shared-poll subscriptions are skipped until those exist.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use super::json::field;
use super::raw::Raw;

#[derive(Clone, Debug, PartialEq)]
pub struct Command<'a> {
    /// Zero exactly when no reply is expected: a pong or a send.
    pub id: u32,
    pub request: Request<'a>,
}

/// A command that carries several requests is served the first of them in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Request<'a> {
    /// The answer to a ping: any command without an id, unless it sends.
    Pong,
    Connect(Connect<'a>),
    /// Exists in the schema only; error 108.
    Ping,
    Subscribe(Subscribe<'a>),
    Unsubscribe(Unsubscribe<'a>),
    Publish(Publish<'a>),
    Presence(Presence<'a>),
    PresenceStats(PresenceStats<'a>),
    History(History<'a>),
    Rpc(Rpc<'a>),
    Send(Send<'a>),
    Refresh(Refresh<'a>),
    SubRefresh(SubRefresh<'a>),
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Connect<'a> {
    #[serde(borrow, deserialize_with = "field::text")]
    pub token: Cow<'a, str>,
    #[serde(borrow)]
    pub data: Raw<'a>,
    /// Where server-side subscriptions were left, by channel.
    #[serde(borrow, deserialize_with = "field::map")]
    pub subs: BTreeMap<Cow<'a, str>, Subscribe<'a>>,
    #[serde(borrow, deserialize_with = "field::text")]
    pub name: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "field::text")]
    pub version: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "field::texts")]
    pub headers: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    #[serde(deserialize_with = "field::or_default")]
    pub flag: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Subscribe<'a> {
    #[serde(borrow, deserialize_with = "field::text")]
    pub channel: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "field::text")]
    pub token: Cow<'a, str>,
    #[serde(deserialize_with = "field::or_default")]
    pub recover: bool,
    #[serde(borrow, deserialize_with = "field::text")]
    pub epoch: Cow<'a, str>,
    #[serde(deserialize_with = "field::or_default")]
    pub offset: u64,
    #[serde(borrow)]
    pub data: Raw<'a>,
    #[serde(deserialize_with = "field::or_default")]
    pub positioned: bool,
    #[serde(deserialize_with = "field::or_default")]
    pub recoverable: bool,
    #[serde(deserialize_with = "field::or_default")]
    pub join_leave: bool,
    #[serde(borrow, deserialize_with = "field::text")]
    pub delta: Cow<'a, str>,
    #[serde(borrow, rename = "tf", deserialize_with = "field::object")]
    pub tags_filter: Option<Box<FilterNode<'a>>>,
    #[serde(deserialize_with = "field::or_default")]
    pub flag: i64,
    /// 0 is a stream subscription.
    #[serde(rename = "type", deserialize_with = "field::or_default")]
    pub kind: i32,
}

impl Subscribe<'_> {
    /// The client understands numeric channel ids in pushes.
    pub const FLAG_COMPACTION: i64 = 1;
    /// A position that cannot be recovered is to be answered with error 112.
    pub const FLAG_REJECT_UNRECOVERED: i64 = 2;

    pub const fn rejects_unrecovered(&self) -> bool {
        self.flag & Self::FLAG_REJECT_UNRECOVERED != 0
    }
}

/// A tree of conditions on the tags of a publication.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct FilterNode<'a> {
    #[serde(borrow, deserialize_with = "field::text")]
    pub op: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "field::text")]
    pub key: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "field::text")]
    pub cmp: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "field::text")]
    pub val: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "field::or_default")]
    pub vals: Vec<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "field::objects")]
    pub nodes: Vec<FilterNode<'a>>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Unsubscribe<'a> {
    #[serde(borrow, deserialize_with = "field::text")]
    pub channel: Cow<'a, str>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Publish<'a> {
    #[serde(borrow, deserialize_with = "field::text")]
    pub channel: Cow<'a, str>,
    #[serde(borrow)]
    pub data: Raw<'a>,
    /// 0 is an ordinary publication.
    #[serde(rename = "type", deserialize_with = "field::or_default")]
    pub kind: i32,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Presence<'a> {
    #[serde(borrow, deserialize_with = "field::text")]
    pub channel: Cow<'a, str>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct PresenceStats<'a> {
    #[serde(borrow, deserialize_with = "field::text")]
    pub channel: Cow<'a, str>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct History<'a> {
    #[serde(borrow, deserialize_with = "field::text")]
    pub channel: Cow<'a, str>,
    /// 0 asks for the position alone, -1 for all that the server gives.
    #[serde(deserialize_with = "field::or_default")]
    pub limit: i32,
    #[serde(borrow, deserialize_with = "field::object")]
    pub since: Option<Position<'a>>,
    #[serde(deserialize_with = "field::or_default")]
    pub reverse: bool,
}

/// A place in the stream of a channel.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Position<'a> {
    #[serde(deserialize_with = "field::or_default")]
    pub offset: u64,
    #[serde(borrow, deserialize_with = "field::text")]
    pub epoch: Cow<'a, str>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Rpc<'a> {
    #[serde(borrow)]
    pub data: Raw<'a>,
    #[serde(borrow, deserialize_with = "field::text")]
    pub method: Cow<'a, str>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Send<'a> {
    #[serde(borrow)]
    pub data: Raw<'a>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Refresh<'a> {
    #[serde(borrow, deserialize_with = "field::text")]
    pub token: Cow<'a, str>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct SubRefresh<'a> {
    #[serde(borrow, deserialize_with = "field::text")]
    pub channel: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "field::text")]
    pub token: Cow<'a, str>,
    /// 0 refreshes a token.
    #[serde(rename = "type", deserialize_with = "field::or_default")]
    pub kind: i32,
}

/// Commands for a session whose transport cannot carry them, in the body of a request of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Emulation<'a> {
    pub session: Cow<'a, str>,
    pub node: Cow<'a, str>,
    /// A message in the codec of the session.
    pub data: Cow<'a, [u8]>,
}
