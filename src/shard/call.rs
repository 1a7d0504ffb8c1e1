//! Calls of the server API on the shards, and what they answer.
//!
//! A call about one channel goes to the channel's owner; a call about a user, a client or all channels goes to every
//! core, and the caller puts the outcomes together. Invariant: each core that got a call answers it exactly once.

pub use crate::auth::Overrides;
use crate::ids::ClientId;
use crate::publication::{Person, Publication, Tags};
use std::sync::Arc;

/// Names a call of the control plane until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

impl CallId {
    /// Of a core that does not wait for an answer; the control plane counts from 1.
    pub const NOBODY: Self = Self(0);
}

#[derive(Debug)]
pub enum Call {
    // To the owner of the channel (`hub::Seating::owner`).
    Publish {
        channel: Arc<str>,
        publish: Box<Publish>,
    },
    History {
        channel: Arc<str>,
        query: HistoryQuery,
    },
    HistoryRemove {
        channel: Arc<str>,
    },
    /// Where a user has acknowledged a channel up to.
    Cursor {
        channel: Arc<str>,
        user: Box<str>,
    },
    SetCursor {
        channel: Arc<str>,
        user: Box<str>,
        offset: u64,
    },

    // To every core.
    Presence {
        channel: Arc<str>,
    },
    PresenceStats {
        channel: Arc<str>,
    },
    /// `pattern` is a glob over names; none: all channels with subscribers on this core.
    Channels {
        pattern: Option<Box<str>>,
    },
    Info,
    Subscribe {
        target: Target,
        subscribe: Arc<Subscribe>,
    },
    /// Without a channel: all of them.
    Unsubscribe {
        target: Target,
        channel: Option<Arc<str>>,
        code: u32,
        reason: Box<str>,
    },
    Disconnect {
        target: Target,
        spare: Vec<ClientId>,
        code: u16,
        reason: Box<str>,
    },
    Refresh {
        target: Target,
        refresh: Refresh,
    },
    /// Connections of a user, as people see them.
    Connections {
        target: Target,
    },
}

/// A publication on its way to the owner, who puts it in order.
#[derive(Clone, Debug, Default)]
pub struct Publish {
    pub data: Box<[u8]>,
    pub is_json: bool,
    /// None: published by a back end.
    pub publisher: Option<Box<Person>>,
    pub tags: Tags,
    pub skip_history: bool,
    /// Subscribers that negotiated it may get this one as a patch.
    pub delta: bool,
    /// A second publication with the same key within five minutes is answered with the position of the first.
    pub idempotency_key: Option<Box<str>>,
    /// Not zero: dropped unless it is newer than what the channel has seen.
    pub version: u64,
    pub version_epoch: Box<str>,
    /// This client does not get it.
    pub exclude: Option<ClientId>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryQuery {
    /// 0: the position alone, below 0: as many as the server gives.
    pub limit: i32,
    pub since: Option<Position>,
    pub reverse: bool,
}

/// A place in the stream of a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    pub offset: u64,
    pub epoch: Arc<str>,
}

/// Whose connections are meant: those that match every part that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The empty user is the anonymous one.
    pub user: Option<Box<str>>,
    pub client: Option<ClientId>,
    /// Of an emulated or unidirectional connection.
    pub session: Option<ClientId>,
}

/// A server-side subscription, from a token, a hook or the API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscribe {
    pub channel: Arc<str>,
    /// Unix seconds; 0: never.
    pub expire_at: u64,
    pub info: Option<Arc<[u8]>>,
    /// Goes into the subscribe result.
    pub data: Option<Arc<[u8]>>,
    pub recover_since: Option<Position>,
    pub overrides: Overrides,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refresh {
    /// The connection ends now.
    pub expired: bool,
    /// Unix seconds; 0: never expires.
    pub expire_at: u64,
    pub info: Option<Arc<[u8]>>,
}

#[derive(Debug)]
pub enum Outcome {
    /// Of `Publish`: none in a channel without history.
    Published {
        position: Option<Position>,
    },
    History {
        publications: Vec<Arc<Publication>>,
        position: Position,
    },
    Cursor {
        position: Position,
        acknowledged: u64,
    },
    /// This core's part.
    People(Vec<Person>),
    /// This core's part: connections, and a keyed hash of each distinct user.
    Tally {
        clients: u32,
        users: Vec<u64>,
    },
    /// This core's part: subscribers by channel.
    Channels(Vec<(Arc<str>, u32)>),
    /// This core's part; users as in `Tally`.
    Info {
        clients: u32,
        users: Vec<u64>,
        subscriptions: u32,
        channels: u32,
    },
    Connections(Vec<Connection>),
    /// Done; how many connections of this core it touched.
    Done {
        touched: u32,
    },
    Failed(Failure),
}

/// Why a call failed; each has its own error code in the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// 100, worth trying again: an engine did not answer in time, a queue is full, the disk is.
    Internal,
    /// 102
    UnknownChannel,
    /// 107
    BadRequest,
    /// 108: the namespace does not have it.
    NotAvailable,
    /// 112
    Unrecoverable,
    /// 111: publications of this channel come too fast.
    TooManyRequests,
}

/// A live connection as the API shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    pub client: ClientId,
    pub user: Box<str>,
    pub app_name: Box<str>,
    pub app_version: Box<str>,
    pub transport: &'static str,
    pub protocol: &'static str,
    pub channels: Vec<Arc<str>>,
}
