//! What a connection is to the client protocol: who it is and what it listens to.
//!
//! Invariant: a subscription names a channel at most once; it knows its index in the channel's member array, so that
//! leaving costs no search there. What only some sessions have lies behind one pointer each.

use super::wire::Wire;
use crate::auth::TokenId;
use crate::ids::{ChannelId, ClientId};
use std::rc::Rc;
use std::sync::Arc;

#[derive(Debug)]
pub struct Session {
    pub client: ClientId,
    /// Empty for anonymous users, and then without an allocation.
    pub user: Box<str>,
    pub wire: Wire,
    pub stage: Stage,
    /// Pings are WebSocket frames instead of protocol messages.
    pub native_pings: bool,
    /// Among the connections of its user on the node.
    pub is_counted: bool,
    /// Requests of this client that others have not answered, by weight.
    pub open_requests: u16,
    pub subscriptions: Vec<Subscription>,
    pub profile: Option<Box<Profile>>,
    /// What it says it is.
    pub app: Option<Rc<App>>,
    pub pace: Pace,
}

/// How far the client has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Connect is the only command that it may send.
    #[default]
    Unknown,
    /// Its connect command waits for a back end, or for subscriptions that come with it.
    Connecting,
    Connected,
    /// Its connect command was answered with an error: nothing that it says matters any more.
    Refused,
}

/// What is known of a client beyond its name.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    pub conn_info: Option<Arc<[u8]>>,
    /// For back ends only.
    pub meta: Option<Arc<[u8]>>,
    /// Unix seconds; 0: never.
    pub expire_at: u64,
    /// The client itself brings a new token in time; otherwise a back end is asked.
    pub refreshes_itself: bool,
    /// Headers that back ends may see, names in lower case.
    pub headers: Option<Headers>,
    /// Of its token, for revocation.
    pub token: Option<TokenId>,
    pub stream: Option<Box<Stream>>,
}

/// An application, as its clients name it. Shared among them.
#[derive(Debug, PartialEq, Eq)]
pub struct App {
    pub name: Box<str>,
    pub version: Box<str>,
}

/// Names and values, shared with what back ends are told.
pub type Headers = Arc<[(Box<str>, Box<str>)]>;

/// Of a connection whose HTTP the control plane speaks.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// Of the control plane.
    pub number: u64,
    /// Names the connection to the emulation endpoint.
    pub session: ClientId,
    pub node: ClientId,
}

/// Token buckets as the moments, in nanoseconds, at which they would be full again (generic cell rate algorithm).
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    pub commands: u64,
    pub bytes: u64,
}

#[derive(Debug)]
pub struct Subscription {
    pub channel: ChannelId,
    /// In the channel's member array.
    pub index: u32,
    /// Made by a token, a back end or the API, not by the client.
    pub is_server_side: bool,
    pub detail: Option<Box<Detail>>,
}

/// What only some subscriptions have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    pub chan_info: Option<Arc<[u8]>>,
    /// Unix seconds; 0: never.
    pub expire_at: u64,
    pub refreshes_itself: bool,
    /// Comes and goes without a word to the others, whatever the namespace says.
    pub is_silent: bool,
    pub is_absent: bool,
    /// Of its token, for revocation.
    pub token: Option<Box<TokenId>>,
}

impl Session {
    pub fn new(client: ClientId, wire: Wire) -> Self {
        Self {
            client,
            user: Box::default(),
            wire,
            stage: Stage::Unknown,
            native_pings: false,
            is_counted: false,
            open_requests: 0,
            subscriptions: Vec::new(),
            profile: None,
            app: None,
            pace: Pace::default(),
        }
    }

    pub fn is_connected(&self) -> bool {
        self.stage == Stage::Connected
    }

    pub fn conn_info(&self) -> Option<&Arc<[u8]>> {
        self.profile.as_ref()?.conn_info.as_ref()
    }

    /// Most sessions have one or a few subscriptions: the first one reserves no room for more.
    pub fn add(&mut self, subscription: Subscription) {
        if self.subscriptions.is_empty() {
            self.subscriptions.reserve_exact(1);
        }
        self.subscriptions.push(subscription);
    }

    pub fn find(&self, channel: ChannelId) -> Option<&Subscription> {
        self.subscriptions.iter().find(|subscription| subscription.channel == channel)
    }

    pub fn find_mut(&mut self, channel: ChannelId) -> Option<&mut Subscription> {
        self.subscriptions.iter_mut().find(|subscription| subscription.channel == channel)
    }

    pub fn remove(&mut self, channel: ChannelId) -> Option<Subscription> {
        let at = self.subscriptions.iter().position(|subscription| subscription.channel == channel)?;
        Some(self.subscriptions.swap_remove(at))
    }
}

impl Subscription {
    pub fn chan_info(&self) -> Option<&Arc<[u8]>> {
        self.detail.as_ref()?.chan_info.as_ref()
    }
}
