//! Questions of a shard to the control plane, and the answers: hooks of a back end, keys that have to be fetched.
//!
//! Invariant: a shard never waits. The question names a pending request of the shard; the answer comes as mail, or the
//! request's own deadline answers in its place.

use super::call::{Overrides, Subscribe};
use super::mail::RequestId;
use crate::ids::{ClientId, CoreId};
use crate::publication::Tags;
use std::sync::Arc;

/// Where the answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AskId {
    pub core: CoreId,
    pub request: RequestId,
}

#[derive(Debug)]
pub enum Ask {
    Connect {
        who: Box<Who>,
        connect: Box<Connect>,
    },
    Refresh {
        who: Box<Who>,
    },
    Subscribe {
        who: Box<Who>,
        hook: Box<str>,
        channel: Arc<str>,
        token: Box<str>,
        data: Box<[u8]>,
    },
    SubRefresh {
        who: Box<Who>,
        hook: Box<str>,
        channel: Arc<str>,
    },
    Publish {
        who: Box<Who>,
        hook: Box<str>,
        channel: Arc<str>,
        data: Box<[u8]>,
        is_json: bool,
    },
    Rpc {
        who: Box<Who>,
        hook: Box<str>,
        method: Box<str>,
        data: Box<[u8]>,
    },
    /// The cache of a channel is empty, and somebody wants what is in it. Asked for all who wait at once.
    CacheEmpty {
        hook: Box<str>,
        channel: Arc<str>,
    },
    /// A token names a key that is not in the set: fetch the set again, if that was not done just now. Answered with
    /// `Keys` after new settings have been mailed, or when there is nothing new.
    Keys {
        kid: Box<str>,
        /// Of the set.
        address: Box<str>,
    },
}

/// Who a hook is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    pub client: ClientId,
    /// "websocket", "http_stream", "sse", "uni_websocket", "uni_sse", "uni_http_stream".
    pub transport: &'static str,
    /// "json" or "protobuf".
    pub protocol: &'static str,
    pub user: Box<str>,
    /// Of the token or the connect hook; only back ends see it.
    pub meta: Option<Arc<[u8]>>,
    /// Those of the upgrade request that the configuration forwards, then those of the connect command's `headers`
    /// that it forwards. Names in lower case.
    pub headers: Arc<[(Box<str>, Box<str>)]>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connect {
    pub data: Box<[u8]>,
    pub name: Box<str>,
    pub version: Box<str>,
    /// Server-side subscriptions that the client says it had.
    pub channels: Vec<Box<str>>,
}

#[derive(Clone, Debug)]
pub enum Answer {
    Connect(Box<Credentials>),
    Refresh(Refreshed),
    SubRefresh(Refreshed),
    Subscribe(Box<Subscribed>),
    Publish(Box<Published>),
    Rpc {
        data: Box<[u8]>,
    },
    /// Whether the back end has published to the channel whose cache was empty.
    Refilled {
        populated: bool,
    },
    Keys,
    /// The back end refuses with an error of its own.
    Error {
        code: u32,
        message: Box<str>,
        temporary: bool,
    },
    /// The back end ends the connection.
    Disconnect {
        code: u16,
        reason: Box<str>,
    },
    /// The back end cannot be reached, answered nonsense, or its breaker is open: error 100, temporary.
    Failed,
}

/// What a connect hook says of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    pub user: Box<str>,
    /// Unix seconds; 0: never.
    pub expire_at: u64,
    pub info: Option<Arc<[u8]>>,
    pub data: Option<Arc<[u8]>>,
    pub meta: Option<Arc<[u8]>>,
    pub subs: Vec<Arc<Subscribe>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refreshed {
    pub expired: bool,
    pub expire_at: u64,
    pub info: Option<Arc<[u8]>>,
    pub meta: Option<Arc<[u8]>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscribed {
    pub expire_at: u64,
    pub info: Option<Arc<[u8]>>,
    pub data: Option<Arc<[u8]>>,
    pub overrides: Overrides,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Replaces what the client sent.
    pub data: Option<Box<[u8]>>,
    pub is_json: bool,
    pub tags: Tags,
    pub skip_history: bool,
    pub delta: bool,
    pub idempotency_key: Option<Box<str>>,
    pub version: u64,
    pub version_epoch: Box<str>,
}

/// Something that back ends may want to know; nobody waits for them.
#[derive(Debug)]
pub enum Event {
    Disconnected {
        who: Box<Who>,
        code: u16,
        reason: Box<str>,
    },
    /// The first subscriber of the node has come.
    Occupied {
        channel: Arc<str>,
    },
    /// The last one has gone.
    Vacated {
        channel: Arc<str>,
    },
}
