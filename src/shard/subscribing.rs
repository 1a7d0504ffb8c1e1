//! Subscribe, unsubscribe, and leaving everything at once.
//!
//! Invariant: the reply to subscribe precedes the first push of the channel, the reply to unsubscribe follows the
//! last. A session and the hub always agree on where a member stands, because every move is written to both here.

use super::Shard;
use super::commands::Refused;
use super::mail::Mail;
use super::requests::Kind;
use crate::conn::session::{Subscription, SubscriptionState};
use crate::hub::{Joined, Member, Seat};
use crate::ids::{ChannelId, ConnId};
use crate::proto::command::{Subscribe, Unsubscribe};
use crate::proto::reply::SubscribeResult;
use crate::proto::{Disconnect, Push, Reject, Reply, Unsubscribed};
use crate::ws::Opcode;
use std::sync::Arc;

impl Shard {
    pub(super) fn subscribe(
        &mut self,
        id: ConnId,
        command: u32,
        request: &Subscribe<'_>,
    ) -> Result<(), Refused> {
        self.may_subscribe(id, request)?;
        let (channel, joined) = self.hub.join(&request.channel, Member(id.slot));
        let state = match joined {
            Joined::Live { index } => SubscriptionState::Live { index },
            Joined::Ask | Joined::Wait => {
                SubscriptionState::Joining { subscribe: command, unsubscribe: None }
            }
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
        Ok(())
    }

    fn may_subscribe(&self, id: ConnId, request: &Subscribe<'_>) -> Result<(), Refused> {
        let Some(session) = self.session(id) else {
            return Err(Disconnect::BadRequest.into());
        };
        let name = &*request.channel;
        if name.is_empty() {
            return Err(Disconnect::BadRequest.into());
        }
        if name.len() > self.options.channel_name_bytes_max {
            return Err(Reject::BadRequest.into());
        }
        if self.hub.find(name).is_some_and(|channel| session.find(channel).is_some()) {
            return Err(Reject::AlreadySubscribed.into());
        }
        if session.subscriptions.len() >= self.options.channels_per_client_max as usize {
            return Err(Reject::LimitExceeded.into());
        }
        check_name(name)?;
        if request.kind != 0 {
            return Err(Reject::PermissionDenied.into());
        }
        if !request.delta.is_empty() && request.delta != "fossil" {
            return Err(Disconnect::BadRequest.into());
        }
        if request.tags_filter.is_some() {
            return Err(Reject::BadRequest.into());
        }
        let is_reserved = name.starts_with('$') || name.contains('#');
        let is_allowed = self.options.channels.subscribe.allows(session.user.is_empty(), false);
        // A token cannot be checked without a key, so it opens nothing.
        if is_reserved || !is_allowed || !request.token.is_empty() {
            return Err(Reject::PermissionDenied.into());
        }
        Ok(())
    }

    /// The owner must know of this core before the first subscriber here can be promised anything.
    fn ask_for_link(&mut self, id: ConnId, command: u32, channel: ChannelId) {
        let Some(name) = self.hub.name(channel).map(Arc::clone) else {
            return;
        };
        let Seat::Core(owner) = self.hub.seat(&name) else {
            return;
        };
        let request = self.open_request(id, command, Kind::Link { channel: Arc::clone(&name) });
        let letter = Mail::Link { from: self.options.core, request, channel: Arc::clone(&name) };
        if self.letters.ask(owner, letter).is_err() {
            self.stats.mail_full += 1;
            self.requests.close(request);
            for member in self.hub.link_failed(&name) {
                self.join_failed(member, channel);
            }
        }
    }

    /// The owner has not answered in time. Who waited is told to try again; a late answer finds nobody.
    pub(super) fn link_expired(&mut self, name: &str) {
        let Some((channel, waiters)) = self.hub.give_up(name) else {
            return;
        };
        for member in waiters {
            self.join_failed(member, channel);
        }
    }

    fn join_failed(&mut self, member: Member, channel: ChannelId) {
        let Some(id) = self.conns.id_of(member.0) else {
            return;
        };
        let Some(subscription) = self.session_mut(id).and_then(|session| session.remove(channel)) else {
            return;
        };
        self.stats.subscriptions -= 1;
        if let SubscriptionState::Joining { subscribe, unsubscribe } = subscription.state {
            self.reject(id, subscribe, Reject::Internal);
            if let Some(command) = unsubscribe {
                self.reply(id, command, &Reply::Unsubscribe);
            }
        }
    }

    /// The owner has linked us: publications follow, so everyone who waited is in from here on.
    pub(super) fn linked(&mut self, name: &str) {
        let Some((channel, waiters)) = self.hub.link_up(name) else {
            return;
        };
        // All come in before anyone leaves again, because a channel vanishes with its last member.
        let joined: Vec<(ConnId, SubscriptionState)> =
            waiters.into_iter().filter_map(|member| self.admit_waiter(channel, member)).collect();
        let deserted = joined.is_empty();
        for (id, state) in joined {
            if let SubscriptionState::Joining { subscribe, unsubscribe } = state {
                self.reply(id, subscribe, &subscribed());
                if let Some(command) = unsubscribe {
                    self.leave(id, channel);
                    self.reply(id, command, &Reply::Unsubscribe);
                }
            }
        }
        // Everyone who waited may have gone before the answer came.
        if deserted && self.hub.unlink_if_deserted(channel) {
            self.unlink(Arc::from(name));
        }
    }

    fn admit_waiter(&mut self, channel: ChannelId, member: Member) -> Option<(ConnId, SubscriptionState)> {
        let id = self.conns.id_of(member.0)?;
        let index = self.hub.admit(channel, member);
        let subscription = self.session_mut(id)?.find_mut(channel)?;
        let before = std::mem::replace(&mut subscription.state, SubscriptionState::Live { index });
        Some((id, before))
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
        // Not being subscribed is fine: an error reply would make the SDK reconnect.
        let channel = self.hub.find(&request.channel);
        let subscription =
            channel.and_then(|channel| self.session_mut(id).and_then(|session| session.find_mut(channel)));
        if let (Some(channel), Some(subscription)) = (channel, subscription) {
            match &mut subscription.state {
                SubscriptionState::Joining { unsubscribe, .. } if unsubscribe.is_none() => {
                    *unsubscribe = Some(command);
                    return Ok(());
                }
                SubscriptionState::Joining { .. } => {}
                SubscriptionState::Live { .. } => self.leave(id, channel),
            }
        }
        self.reply(id, command, &Reply::Unsubscribe);
        Ok(())
    }

    pub(super) fn leave_all(&mut self, id: ConnId) {
        while let Some(last) = self.session(id).and_then(|session| session.subscriptions.last().copied()) {
            self.leave(id, last.channel);
        }
    }

    fn leave(&mut self, id: ConnId, channel: ChannelId) {
        let Some(subscription) = self.session_mut(id).and_then(|session| session.remove(channel)) else {
            return;
        };
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

    fn unlink(&mut self, channel: Arc<str>) {
        if let Seat::Core(owner) = self.hub.seat(&channel) {
            self.letters.tell(owner, Mail::Unlink { from: self.options.core, channel });
        }
    }

    /// This core has missed publications of the channel: its subscribers must hear that they have a gap.
    pub(super) fn gap(&mut self, name: &Arc<str>) {
        let Some(channel) = self.hub.find(name) else {
            return;
        };
        let (members, unlink) = self.hub.expel(channel);
        for member in members {
            let Some(id) = self.conns.id_of(member.0) else { continue };
            let Some(session) = self.session_mut(id) else { continue };
            session.remove(channel);
            let codec = session.codec;
            self.stats.subscriptions -= 1;
            self.stats.drops += 1;
            self.text.clear();
            codec.encode_push(&Push::unsubscribed(name, Unsubscribed::InsufficientState), &mut self.text);
            let text = std::mem::take(&mut self.text);
            self.answer(id, Opcode::Text, &text);
            self.text = text;
        }
        if unlink {
            self.unlink(Arc::clone(name));
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

fn subscribed() -> Reply<'static> {
    Reply::Subscribe(SubscribeResult::default())
}

/// Namespaces are what comes before the first colon, and none is configured.
pub(super) fn check_name(name: &str) -> Result<(), Refused> {
    if name.contains(':') {
        return Err(Reject::UnknownChannel.into());
    }
    if !name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        return Err(Reject::BadRequest.into());
    }
    Ok(())
}
