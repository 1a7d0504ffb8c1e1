//! Between a core and the owner of a channel: asking for publications, getting them, missing some, giving them up.
//!
//! Invariant: the owner's answer is behind every earlier letter of its, so whoever is let in by it misses nothing and
//! gets nothing twice. A core that has missed publications says so to every subscriber.

use super::Shard;
use super::mail::Mail;
use super::requests::Kind;
use super::subscribing::subscribed;
use crate::conn::session::SubscriptionState;
use crate::hub::{Member, Seat};
use crate::ids::{ChannelId, ConnId};
use crate::proto::{Push, Reject, Unsubscribed};
use std::sync::Arc;

impl Shard {
    /// The owner must know of this core before the first subscriber here can be promised anything.
    pub(super) fn ask_for_link(&mut self, id: ConnId, command: u32, channel: ChannelId) {
        let Some(name) = self.hub.name(channel).map(Arc::clone) else {
            return;
        };
        let Seat::Core(owner) = self.hub.seat(&name) else {
            return;
        };
        let kind = Kind::Link { channel: Arc::clone(&name) };
        let Ok(request) = self.open_request(id, command, kind) else {
            return;
        };
        let letter = Mail::Link { from: self.options.core, request, channel: Arc::clone(&name) };
        if self.letters.ask(owner, letter).is_err() {
            self.stats.mail_full += 1;
            self.close_request(request);
            for member in self.hub.link_failed(&name) {
                self.join_failed(member, channel, &name);
            }
        }
    }

    /// The owner has not answered in time. Who waited is told to try again; a late answer finds nobody.
    pub(super) fn link_expired(&mut self, name: &Arc<str>) {
        let Some((channel, waiters)) = self.hub.give_up(name) else {
            return;
        };
        for member in waiters {
            self.join_failed(member, channel, name);
        }
    }

    fn join_failed(&mut self, member: Member, channel: ChannelId, name: &Arc<str>) {
        let Some(id) = self.conns.id_of(member.0) else {
            return;
        };
        let Some(subscription) = self.session_mut(id).and_then(|session| session.remove(channel)) else {
            return;
        };
        self.stats.subscriptions -= 1;
        if let SubscriptionState::Joining { subscribe } = subscription.state {
            self.reject(id, subscribe, Reject::Internal);
            self.resume(id, name);
        }
    }

    /// The owner has linked us: publications follow, so everyone who waited is in from here on.
    pub(super) fn linked(&mut self, name: &Arc<str>) {
        let Some((channel, waiters)) = self.hub.link_up(name) else {
            return;
        };
        // All come in before anyone leaves again, because a channel vanishes with its last member.
        let joined: Vec<(ConnId, SubscriptionState)> =
            waiters.into_iter().filter_map(|member| self.admit_waiter(channel, member)).collect();
        let deserted = joined.is_empty();
        for (id, state) in joined {
            if let SubscriptionState::Joining { subscribe } = state {
                self.reply(id, subscribe, &subscribed());
                self.resume(id, name);
            }
        }
        // Everyone who waited may have gone before the answer came.
        if deserted && self.hub.unlink_if_deserted(channel) {
            self.unlink(Arc::clone(name));
        }
    }

    fn admit_waiter(&mut self, channel: ChannelId, member: Member) -> Option<(ConnId, SubscriptionState)> {
        let id = self.conns.id_of(member.0)?;
        let index = self.hub.admit(channel, member);
        let subscription = self.session_mut(id)?.find_mut(channel)?;
        let before = std::mem::replace(&mut subscription.state, SubscriptionState::Live { index });
        Some((id, before))
    }

    pub(super) fn unlink(&mut self, channel: Arc<str>) {
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
        let farewell = self.frame_push(&Push::unsubscribed(name, Unsubscribed::InsufficientState));
        for member in members {
            let Some(id) = self.conns.id_of(member.0) else { continue };
            let Some(session) = self.session_mut(id) else { continue };
            session.remove(channel);
            self.stats.subscriptions -= 1;
            self.stats.drops += 1;
            self.queue(id, farewell.clone());
        }
        if unlink {
            self.unlink(Arc::clone(name));
        }
    }
}
