//! Subscribe, unsubscribe, and leaving everything at once.
//!
//! Invariant: the reply to subscribe precedes the first push of the channel, the reply to unsubscribe follows the
//! last. A session and the hub always agree on where a member stands, because every move is written to both here.

use super::Shard;
use super::commands::Refused;
use crate::conn::session::{Deferred, Subscription, SubscriptionState, Want};
use crate::hub::{Joined, Member};
use crate::ids::{ChannelId, ConnId};
use crate::proto::command::{Subscribe, Unsubscribe};
use crate::proto::reply::SubscribeResult;
use crate::proto::{Disconnect, Reject, Reply};
use std::sync::Arc;

impl Shard {
    pub(super) fn subscribe(
        &mut self,
        id: ConnId,
        command: u32,
        request: &Subscribe<'_>,
    ) -> Result<(), Refused> {
        self.may_subscribe(id, request)?;
        if self.is_joining(id, &request.channel) {
            return self.defer(id, command, &request.channel, Want::Subscribe);
        }
        self.join(id, command, &request.channel);
        Ok(())
    }

    fn join(&mut self, id: ConnId, command: u32, name: &str) {
        let (channel, joined) = self.hub.join(name, Member(id.slot));
        let state = match joined {
            Joined::Live { index } => SubscriptionState::Live { index },
            Joined::Ask | Joined::Wait => SubscriptionState::Joining { subscribe: command },
        };
        if let Some(session) = self.session_mut(id) {
            session.add(Subscription { channel, state });
            self.stats.subscriptions += 1;
        }
        match joined {
            Joined::Live { .. } => self.reply(id, command, &subscribed()),
            Joined::Wait => {}
            Joined::Ask => self.ask_for_link(id, command, channel),
        }
    }

    fn may_subscribe(&self, id: ConnId, request: &Subscribe<'_>) -> Result<(), Refused> {
        let Some(session) = self.session(id) else {
            return Err(Disconnect::BadRequest.into());
        };
        let name = &*request.channel;
        if name.is_empty() {
            return Err(Disconnect::BadRequest.into());
        }
        let resolved = self.settings.namespaces.resolve(name)?;
        let is_subscribed = self.hub.find(name).is_some_and(|channel| session.find(channel).is_some());
        if session.last_want(name).map_or(is_subscribed, |want| want == Want::Subscribe) {
            return Err(Reject::AlreadySubscribed.into());
        }
        if session.subscriptions.len() >= self.settings.limits.channels_per_client_max as usize {
            return Err(Reject::LimitExceeded.into());
        }
        if request.kind != 0 {
            return Err(Reject::PermissionDenied.into());
        }
        if !request.delta.is_empty() && request.delta != "fossil" {
            return Err(Disconnect::BadRequest.into());
        }
        if request.tags_filter.is_some() {
            return Err(Reject::BadRequest.into());
        }
        let is_allowed = resolved.allows_user(&session.user)
            || (!resolved.is_reserved() && resolved.policy.subscribe.allows(session.user.is_empty(), false));
        // A token cannot be checked without a key, so it opens nothing.
        if resolved.is_private || !is_allowed || !request.token.is_empty() {
            return Err(Reject::PermissionDenied.into());
        }
        Ok(())
    }

    pub(super) fn unsubscribe(
        &mut self,
        id: ConnId,
        command: u32,
        request: &Unsubscribe<'_>,
    ) -> Result<(), Refused> {
        if request.channel.is_empty() {
            return Err(Disconnect::BadRequest.into());
        }
        if self.is_joining(id, &request.channel) {
            return self.defer(id, command, &request.channel, Want::Unsubscribe);
        }
        // Not being subscribed is fine: an error reply would make the SDK reconnect.
        if let Some(channel) = self.hub.find(&request.channel) {
            self.leave(id, channel);
        }
        self.reply(id, command, &Reply::Unsubscribe);
        Ok(())
    }

    fn is_joining(&self, id: ConnId, name: &str) -> bool {
        let subscription = self.hub.find(name).and_then(|channel| self.session(id)?.find(channel));
        subscription.is_some_and(|found| matches!(found.state, SubscriptionState::Joining { .. }))
    }

    /// Commands on a channel whose owner has not answered take their turn behind its answer.
    fn defer(&mut self, id: ConnId, command: u32, name: &str, want: Want) -> Result<(), Refused> {
        let Some(session) = self.session_mut(id) else {
            return Ok(());
        };
        if session.deferred.len() >= DEFERRED_COUNT_MAX {
            return Err(Disconnect::TooManyRequests.into());
        }
        session.deferred.push(Deferred { channel: Box::from(name), command, want });
        Ok(())
    }

    /// Serves what was deferred, in order, until the owner has to be asked once more.
    pub(super) fn resume(&mut self, id: ConnId, name: &str) {
        while !self.is_joining(id, name) {
            let Some(next) = self.session_mut(id).and_then(|session| session.take_deferred(name)) else {
                return;
            };
            match next.want {
                Want::Subscribe => self.join(id, next.command, name),
                Want::Unsubscribe => {
                    if let Some(channel) = self.hub.find(name) {
                        self.leave(id, channel);
                    }
                    self.reply(id, next.command, &Reply::Unsubscribe);
                }
            }
        }
    }

    pub(super) fn leave_all(&mut self, id: ConnId) {
        while let Some(last) = self.session_mut(id).and_then(|session| session.subscriptions.pop()) {
            self.depart(id, last);
        }
    }

    fn leave(&mut self, id: ConnId, channel: ChannelId) {
        if let Some(subscription) = self.session_mut(id).and_then(|session| session.remove(channel)) {
            self.depart(id, subscription);
        }
    }

    /// The session has forgotten the subscription; now the hub does.
    fn depart(&mut self, id: ConnId, subscription: Subscription) {
        let channel = subscription.channel;
        self.stats.subscriptions -= 1;
        let Some(name) = self.hub.name(channel).map(Arc::clone) else {
            return;
        };
        let member = Member(id.slot);
        let left = match subscription.state {
            SubscriptionState::Live { index } => {
                let left = self.hub.leave(channel, member, index);
                if let Some(moved) = left.moved {
                    self.moved(moved, channel, index);
                }
                left
            }
            SubscriptionState::Joining { .. } => {
                self.hub.stop_waiting(channel, member);
                return;
            }
        };
        if left.unlink {
            self.unlink(name);
        }
    }

    /// The last member of the array took the place of one that left.
    fn moved(&mut self, member: Member, channel: ChannelId, index: u32) {
        let session = self.conns.at_slot(member.0).and_then(|conn| conn.session_mut());
        if let Some(subscription) = session.and_then(|session| session.find_mut(channel)) {
            subscription.state = SubscriptionState::Live { index };
        }
    }

    pub(super) fn check_subscription(&self, id: ConnId, subscription: Subscription) {
        let member = Member(id.slot);
        match subscription.state {
            SubscriptionState::Live { index } => {
                let found = self.hub.members(subscription.channel).get(index as usize);
                assert_eq!(found, Some(&member), "a live subscription stands where it says");
            }
            SubscriptionState::Joining { .. } => {
                assert!(self.hub.waiters(subscription.channel).contains(&member), "a joining one waits");
            }
        }
    }
}

pub(super) fn subscribed() -> Reply<'static> {
    Reply::Subscribe(SubscribeResult::default())
}

/// Changes of mind about channels that are being joined; no client has that many in good faith.
const DEFERRED_COUNT_MAX: usize = 64;
