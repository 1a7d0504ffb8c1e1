//! Between a core and the owner of a channel: asking for publications, getting them, missing some, giving them up.
//!
//! Invariant: the owner's answer is behind every earlier letter of its, so whoever is let in by it misses nothing and
//! gets nothing twice. A core that has missed publications says so to every subscriber.

use super::Shard;
use super::joining::Stage;
use super::mail::{Mail, Query, Reply, RequestId};
use super::requests::{Asker, Kind};
use crate::failpoint::Point;
use crate::hub::{Place, Seat};
use crate::ids::CoreId;
use crate::proto::{Disconnect, Reject, Unsubscribed};
use crate::stats::Work;
use std::sync::Arc;

impl Shard {
    /// The owner must know of this core before the first subscriber here can be promised anything.
    pub(super) fn ask_for_link(&mut self, name: &Arc<str>) {
        let Seat::Core(owner) = self.hub.seat(name) else {
            return;
        };
        self.options.fail.hit(Point::Join, name);
        let kind = Kind::Link { channel: Arc::clone(name) };
        let Ok(request) = self.open_request(Asker::Shard, kind) else {
            return;
        };
        let letter = Mail::Link { from: self.options.core, request, channel: Arc::clone(name) };
        if self.letters.ask(owner, letter).is_err() {
            self.stats.mail_full += 1;
            self.close_request(request);
            let waiters = self.hub.link_failed(name);
            self.fail_waiters(name, waiters);
        }
    }

    /// On the owner: `from` has its first subscriber.
    pub(super) fn link(&mut self, from: CoreId, request: RequestId, name: &Arc<str>) {
        // A namespace that has gone meanwhile keeps nothing; the link is as good without.
        let policy = self.policy_of(name).unwrap_or_default();
        let channel = self.hub.open(name, &policy);
        self.hub.add_remote(channel, from);
        let place = if policy.has_history() { self.stream_place(name).ok() } else { None };
        self.letters.tell(from, Mail::Linked { request, channel: Arc::clone(name), place });
        self.note_occupation(channel);
    }

    pub(super) fn unlinked(&mut self, from: CoreId, name: &Arc<str>) {
        self.hub.remove_remote(name, from);
        self.note_vacation(name);
    }

    /// The owner has not answered in time. Who waited is told to try again; a late answer finds nobody.
    pub(super) fn link_expired(&mut self, name: &Arc<str>) {
        let waiters = self.hub.give_up(name).map(|(_, waiters)| waiters);
        self.fail_waiters(name, waiters.unwrap_or_default());
    }

    /// The owner has said no: nobody waits for it any more, and the next subscriber asks again.
    pub(super) fn unlinkable(&mut self, name: &Arc<str>) {
        let waiters = self.hub.link_failed(name);
        self.fail_waiters(name, waiters);
    }

    /// Whoever waits for a link that cannot be trusted any more comes again.
    pub(super) fn fail_link(&mut self, name: &Arc<str>) {
        let waiting: Vec<u32> = (self.conns.ids())
            .filter(|&id| {
                let mut joins = self.joins.of(id).iter();
                joins.any(|join| join.name == *name && matches!(join.stage, Stage::Link(_)))
            })
            .map(|id| id.slot)
            .collect();
        for &slot in &waiting {
            if let Some(channel) = self.hub.find(name) {
                self.hub.stop_waiting(channel, slot);
            }
        }
        self.fail_waiters(name, waiting);
    }

    fn fail_waiters(&mut self, name: &Arc<str>, waiters: Vec<u32>) {
        for slot in waiters {
            let Some(id) = self.conns.id_of(slot) else { continue };
            if let Some(join) = self.joins.take(id, name) {
                self.attempt_for(Work::Letter, id, |shard| shard.join_failed(id, *join, Reject::Internal));
            }
        }
    }

    /// The owner has linked us: publications follow, so everyone who waited goes on from here.
    pub(super) fn linked(&mut self, name: &Arc<str>, place: Option<Place>) {
        let Some((id, waiters)) = self.hub.link_up(name) else {
            return;
        };
        if let Some(channel) = self.hub.channel_mut(id) {
            channel.place = place.map(Box::new);
        }
        // Held meanwhile, because a channel vanishes with its last member and some may leave again at once.
        self.hub.hold(id);
        for slot in waiters {
            let Some(conn) = self.conns.id_of(slot) else { continue };
            if let Some(join) = self.joins.take(conn, name) {
                self.attempt_for(Work::Letter, conn, |shard| shard.join_linked(conn, id, join));
            }
        }
        if self.hub.release(id) {
            self.unlink(Arc::clone(name));
        }
    }

    pub(super) fn unlink(&mut self, channel: Arc<str>) {
        if let Seat::Core(owner) = self.hub.seat(&channel) {
            self.letters.tell(owner, Mail::Unlink { from: self.options.core, channel });
        }
    }

    /// This core has missed publications of the channel: its subscribers must hear that they have a gap.
    pub(super) fn gap(&mut self, name: &Arc<str>) {
        let Some(id) = self.hub.find(name) else {
            return;
        };
        self.stats.gaps += 1;
        // Who is only recovering begins anew with the members, because its answer may lie behind the gap.
        let (members, unlink) = self.hub.expel(id);
        for member in members {
            let Some(conn) = self.conns.id_of(member.slot) else { continue };
            let Some(subscription) = self.session_mut(conn).and_then(|session| session.remove(id)) else {
                continue;
            };
            self.stats.subscriptions = self.stats.subscriptions.saturating_sub(1);
            self.stats.drops += 1;
            self.attempt_for(Work::Letter, conn, |shard| {
                shard.left(conn, name, id, &subscription);
                if subscription.is_server_side {
                    shard.disconnect(conn, Disconnect::InsufficientState);
                } else {
                    shard.push_unsubscribed(conn, name, Unsubscribed::InsufficientState);
                }
            });
        }
        if unlink {
            self.unlink(Arc::clone(name));
        }
    }

    /// Now and then every core compares what it has heard with what the owner has said.
    pub(super) fn check_positions(&mut self) {
        let places: Vec<Arc<str>> = (self.hub.iter())
            .filter_map(|id| self.hub.channel(id))
            .filter(|channel| channel.place.is_some() && !channel.members().is_empty())
            .map(|channel| Arc::clone(&channel.name))
            .collect();
        for name in places {
            let kind = Kind::Position { channel: Arc::clone(&name) };
            if let Ok(request) = self.open_request(Asker::Shard, kind) {
                self.query(request, &name, Query::Position);
            }
        }
    }

    pub(super) fn position_checked(&mut self, name: &Arc<str>, reply: Reply) {
        let heard = self.hub.find(name).and_then(|id| self.hub.channel(id)?.place.as_deref());
        // The answer came behind every publication that the owner had sent before it.
        if let (Some(heard), Reply::Position(place)) = (heard, reply)
            && *heard != place
        {
            self.gap(name);
        }
    }
}
