//! Subscriptions on their way: from the command, the token or the hook to a place among the members.
//!
//! Invariant: a channel that a session is joining is either here or among its subscriptions, never both; commands of
//! that client on that channel wait here, in order, until it is decided.

use super::call::{Overrides, Position};
use crate::auth::TokenId;
use crate::filter::Filter;
use crate::ids::{ChannelId, ConnId};
use std::collections::HashMap;
use std::sync::Arc;

/// All joins of a core, by connection.
#[derive(Debug, Default)]
pub(super) struct Joins {
    #[expect(clippy::vec_box, reason = "joins move between here and their handlers, and they are large")]
    by_conn: HashMap<ConnId, Vec<Box<Join>>>,
}

#[derive(Debug)]
pub(super) struct Join {
    pub name: Arc<str>,
    pub why: Why,
    pub stage: Stage,
    pub wish: Wish,
    /// Waits for its key.
    pub token: Box<str>,
    /// A back end was asked for what the empty cache of the channel should have; nobody asks twice.
    pub was_refilled: bool,
    /// Commands on this channel that wait for the outcome.
    pub deferred: Vec<Deferred>,
}

/// What caused it, and so who hears of the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The client's subscribe command with this id.
    Command(u32),
    /// Comes with the connect command that is being served.
    Connect,
    /// The server API, on a client that has been connected for long.
    Server,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// A back end is asked whether it may, or for something to find in the channel.
    Hook,
    /// The channel's owner is asked for the link.
    Link(ChannelId),
    /// The owner is asked for what was missed; the channel is held meanwhile.
    Recovery(ChannelId),
}

/// What the subscription shall be like.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish {
    pub positioned: bool,
    pub recoverable: bool,
    pub join_leave: bool,
    pub delta: bool,
    pub numeric: bool,
    pub filter: Option<Filter>,
    /// Where the client was when it left.
    pub since: Option<Position>,
    /// The client said `recover`.
    pub recovers: bool,
    /// An unrecoverable position is to be answered with an error.
    pub rejects_unrecovered: bool,
    pub overrides: Overrides,
    pub info: Option<Arc<[u8]>>,
    /// For the subscribe result.
    pub data: Option<Arc<[u8]>>,
    /// Unix seconds; 0: never.
    pub expire_at: u64,
    /// The client brings a new token itself.
    pub refreshes_itself: bool,
    /// Of the subscription token, for revocation.
    pub made_by: Option<Box<TokenId>>,
}

#[derive(Debug)]
pub(super) struct Deferred {
    pub command: u32,
    pub want: Want,
}

#[derive(Debug)]
pub(super) enum Want {
    Unsubscribe,
    Subscribe(Box<Join>),
}

impl Why {
    pub(super) fn is_server_side(self) -> bool {
        match self {
            Self::Command(_) => false,
            Self::Connect | Self::Server => true,
        }
    }
}

impl Joins {
    pub(super) fn add(&mut self, id: ConnId, join: Box<Join>) {
        self.by_conn.entry(id).or_default().push(join);
    }

    pub(super) fn find(&mut self, id: ConnId, name: &str) -> Option<&mut Join> {
        self.by_conn.get_mut(&id)?.iter_mut().find(|join| &*join.name == name).map(|join| &mut **join)
    }

    pub(super) fn take(&mut self, id: ConnId, name: &str) -> Option<Box<Join>> {
        let joins = self.by_conn.get_mut(&id)?;
        let at = joins.iter().position(|join| &*join.name == name)?;
        let join = joins.remove(at);
        if joins.is_empty() {
            self.by_conn.remove(&id);
        }
        Some(join)
    }

    #[expect(clippy::vec_box, reason = "they come as they were kept")]
    pub(super) fn take_all(&mut self, id: ConnId) -> Vec<Box<Join>> {
        self.by_conn.remove(&id).unwrap_or_default()
    }

    pub(super) fn contains(&self, id: ConnId, name: &str) -> bool {
        self.of(id).iter().any(|join| &*join.name == name)
    }

    pub(super) fn of(&self, id: ConnId) -> &[Box<Join>] {
        self.by_conn.get(&id).map_or(&[], Vec::as_slice)
    }

    pub(super) fn all_count(&self) -> usize {
        self.by_conn.values().map(Vec::len).sum()
    }

    pub(super) fn count(&self, id: ConnId) -> usize {
        self.of(id).len()
    }
}
