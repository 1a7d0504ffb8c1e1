//! What a connection is to the client protocol: who it is and what it listens to.
//!
//! Invariant: a subscription names a channel at most once; a live one knows its index in the channel's member array,
//! so that leaving costs no search there.

use crate::ids::{ChannelId, ClientId};
use crate::proto::Codec;

#[derive(Debug)]
pub struct Session {
    pub client: ClientId,
    /// Empty for anonymous users, and then without an allocation.
    pub user: Box<str>,
    pub codec: Codec,
    /// The connect command was answered.
    pub is_connected: bool,
    /// Pings are WebSocket frames instead of protocol messages.
    pub native_pings: bool,
    pub subscriptions: Vec<Subscription>,
    /// Commands on channels that are being joined; their replies may not overtake.
    pub deferred: Vec<Deferred>,
    /// Requests of this client that other cores have not answered.
    pub open_requests: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub channel: ChannelId,
    pub state: SubscriptionState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionState {
    /// In the channel's member array at this index.
    Live { index: u32 },
    /// The owner of the channel has not answered the subscribe command with this id.
    Joining { subscribe: u32 },
}

/// A command that waits for the owner of its channel.
#[derive(Debug)]
pub struct Deferred {
    pub channel: Box<str>,
    pub command: u32,
    pub want: Want,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    Subscribe,
    Unsubscribe,
}

impl Session {
    pub fn new(client: ClientId, codec: Codec) -> Self {
        Self {
            client,
            user: Box::default(),
            codec,
            is_connected: false,
            native_pings: false,
            subscriptions: Vec::new(),
            deferred: Vec::new(),
            open_requests: 0,
        }
    }

    /// Most sessions have one or a few subscriptions: the first one reserves no room for more.
    pub fn add(&mut self, subscription: Subscription) {
        if self.subscriptions.is_empty() {
            self.subscriptions.reserve_exact(1);
        }
        self.subscriptions.push(subscription);
    }

    pub fn find(&self, channel: ChannelId) -> Option<Subscription> {
        self.subscriptions.iter().find(|subscription| subscription.channel == channel).copied()
    }

    pub fn find_mut(&mut self, channel: ChannelId) -> Option<&mut Subscription> {
        self.subscriptions.iter_mut().find(|subscription| subscription.channel == channel)
    }

    pub fn remove(&mut self, channel: ChannelId) -> Option<Subscription> {
        let at = self.subscriptions.iter().position(|subscription| subscription.channel == channel)?;
        Some(self.subscriptions.swap_remove(at))
    }

    /// What the client wants of a channel in the end, if anything about it is deferred.
    pub fn last_want(&self, channel: &str) -> Option<Want> {
        self.deferred
            .iter()
            .rev()
            .find(|deferred| &*deferred.channel == channel)
            .map(|deferred| deferred.want)
    }

    pub fn take_deferred(&mut self, channel: &str) -> Option<Deferred> {
        let at = self.deferred.iter().position(|deferred| &*deferred.channel == channel)?;
        let deferred = self.deferred.remove(at);
        if self.deferred.is_empty() {
            self.deferred = Vec::new();
        }
        Some(deferred)
    }
}
