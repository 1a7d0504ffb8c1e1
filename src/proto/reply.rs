//! What the server answers to one command, borrowed from wherever its parts live.
//! Invariant: there is one reply for each command with an id, and a result is named even when it is empty.

use std::num::NonZeroU32;

use super::codes::Reject;
use super::raw::Raw;

#[derive(Clone, Debug, PartialEq)]
pub enum Reply<'a> {
    Error(Reject),
    /// An error that a backend worded; its codes are 400 to 1999.
    Failure(Failure<'a>),
    Connect(ConnectResult<'a>),
    Subscribe(SubscribeResult<'a>),
    Unsubscribe,
    Publish,
    Presence(PresenceResult<'a>),
    PresenceStats(PresenceStatsResult),
    History(HistoryResult<'a>),
    Rpc(RpcResult<'a>),
    Refresh(RefreshResult<'a>),
    SubRefresh(SubRefreshResult),
}

/// A refused command, as the client reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failure<'a> {
    pub code: u32,
    pub message: &'a str,
    pub temporary: bool,
}

impl From<Reject> for Failure<'static> {
    fn from(reject: Reject) -> Self {
        Self { code: reject.code(), message: reject.message(), temporary: reject.temporary() }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConnectResult<'a> {
    pub client: &'a str,
    pub version: &'a str,
    pub expires: bool,
    pub ttl_seconds: u32,
    pub data: Raw<'a>,
    /// Server-side subscriptions by channel.
    pub subs: &'a [(&'a str, SubscribeResult<'a>)],
    pub ping_seconds: u32,
    pub pong: bool,
    /// Only transports that cannot carry commands back return `session` and `node`.
    pub session: &'a str,
    pub node: &'a str,
    pub time_ms: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubscribeResult<'a> {
    pub expires: bool,
    pub ttl_seconds: u32,
    pub recoverable: bool,
    pub epoch: &'a str,
    pub publications: &'a [Publication<'a>],
    pub recovered: bool,
    pub offset: u64,
    pub positioned: bool,
    pub data: Raw<'a>,
    pub was_recovering: bool,
    pub delta: bool,
    /// The number that stands for the channel in later pushes.
    pub id: Option<NonZeroU32>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct PresenceResult<'a> {
    /// Keyed by client id on the wire.
    pub clients: &'a [ClientInfo<'a>],
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PresenceStatsResult {
    pub client_count: u32,
    pub user_count: u32,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistoryResult<'a> {
    pub publications: &'a [Publication<'a>],
    pub epoch: &'a str,
    pub offset: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct RpcResult<'a> {
    pub data: Raw<'a>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct RefreshResult<'a> {
    /// Always set when the connection expires: centrifuge-js overwrites its id with it.
    pub client: &'a str,
    pub version: &'a str,
    pub expires: bool,
    pub ttl_seconds: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SubRefreshResult {
    pub expires: bool,
    pub ttl_seconds: u32,
}

/// Who published, joined or is present.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientInfo<'a> {
    pub user: &'a str,
    pub client: &'a str,
    pub conn_info: Raw<'a>,
    pub chan_info: Raw<'a>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Publication<'a> {
    pub data: Data<'a>,
    /// Only publications of clients have one.
    pub info: Option<ClientInfo<'a>>,
    /// Zero in a channel without history.
    pub offset: u64,
    pub tags: &'a [(&'a str, &'a str)],
    /// `data` is a patch on the previous publication.
    pub delta: bool,
    pub time_ms: u64,
    /// Set only where it differs from that of the push: subscriptions to a pattern.
    pub channel: &'a str,
    /// Travels with the first offset, so that a client which subscribed to an empty stream learns it.
    pub epoch: &'a str,
}

/// How the payload of a publication travels. Protobuf carries the bytes of either as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data<'a> {
    /// In JSON a value in its place.
    Embedded(Raw<'a>),
    /// In JSON a string: the whole document or a patch, once a subscription has negotiated deltas.
    Text(&'a str),
}

impl Default for Data<'_> {
    fn default() -> Self {
        Self::Embedded(Raw::NONE)
    }
}

impl<'a> From<Raw<'a>> for Data<'a> {
    fn from(raw: Raw<'a>) -> Self {
        Self::Embedded(raw)
    }
}
