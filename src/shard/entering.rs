//! From a granted wish to a place among the members, and out again.
//!
//! Invariant: a session and the hub always agree on where a member stands, because every move is written to both here.
//! Whoever enters has been told where the stream stands at that moment, and hears everything from there on.

use super::Shard;
use super::ask::Answer;
use super::encoding::Style;
use super::guarding::Underway;
use super::joining::{Join, Stage, Why};
use super::mail::{Query, Recover, Reply as Word, Source};
use super::people::person;
use super::requests::{Asker, Kind};
use super::welcome::Welcome;
use crate::channels::{Policy, RecoveryMode};
use crate::conn::session::{Detail, Subscription};
use crate::failpoint::Point;
use crate::hub::{FilterId, Joined, Member, Place, Seat};
use crate::ids::{ChannelId, ConnId};
use crate::proto::{Codec, Reject, Unsubscribed};
use crate::publication::Publication;
use std::sync::Arc;

/// What a join has learnt of the stream.
#[derive(Debug, Default)]
struct Found {
    place: Option<Place>,
    /// None: nothing was asked for, or the position is lost.
    publications: Option<Vec<Arc<Publication>>>,
}

impl Shard {
    pub(super) fn join(&mut self, id: ConnId, mut join: Box<Join>) {
        let Ok(policy) = self.policy_of(&join.name) else {
            return self.join_failed(id, *join, Reject::UnknownChannel);
        };
        join.wish.settle(&policy);
        let (channel, joined) = self.hub.join(&join.name, &policy, id.slot);
        match joined {
            Joined::Up => self.join_linked(id, channel, join),
            Joined::Wait | Joined::Ask => {
                let asks = joined == Joined::Ask;
                if asks {
                    self.wreckage.underway.push(Underway::Link(channel));
                }
                join.stage = Stage::Link(channel);
                let name = Arc::clone(&join.name);
                self.joins.add(id, join);
                if asks {
                    self.ask_for_link(&name);
                    self.wreckage.underway.pop();
                }
            }
        }
    }

    /// Publications flow to this core; whoever wants to recover asks for the ones before.
    pub(super) fn join_linked(&mut self, id: ConnId, channel: ChannelId, mut join: Box<Join>) {
        let policy = self.hub.channel(channel).map(|channel| Arc::clone(&channel.policy)).unwrap_or_default();
        self.options.fail.hit(Point::Join, &join.name);
        let from = join.wish.source(&policy);
        let needs_stream = policy.has_history() && join.wish.positioned;
        let waits = from != Source::Nothing || (needs_stream && self.is_loading(&join.name));
        if !waits {
            let place = if needs_stream { self.place_here(channel, &join.name) } else { None };
            return self.admit_member(id, channel, join, Found { place, publications: None });
        }
        join.stage = Stage::Recovery(channel);
        let name = Arc::clone(&join.name);
        let recover = Recover { since: join.wish.since.clone(), from };
        self.hub.hold(channel);
        self.joins.add(id, join);
        let asker = Asker::Client { conn: id, command: 0 };
        if let Ok(request) = self.open_request(asker, Kind::Recover { channel: Arc::clone(&name) }) {
            self.query(request, &name, Query::Recover(recover));
        }
    }

    /// The owner has said what was missed. Every publication up to its word has been heard here, every later one comes.
    pub(super) fn recovered(&mut self, asker: Asker, name: &Arc<str>, reply: Word) {
        self.follow(name, &reply);
        let Asker::Client { conn, .. } = asker else {
            return;
        };
        let Some(join) = self.joins.take(conn, name) else {
            return;
        };
        let Stage::Recovery(channel) = join.stage else {
            return self.joins.add(conn, join);
        };
        match reply {
            Word::Recovered { publications: None, .. } if self.may_refill(conn, channel, &join) => {
                self.ask_refill(conn, channel, join);
            }
            Word::Recovered { place, publications } => {
                self.admit_member(conn, channel, join, Found { place: Some(place), publications });
            }
            Word::Failed(_)
            | Word::Published(_)
            | Word::History { .. }
            | Word::Position(_)
            | Word::Cursor { .. }
            | Word::Done => self.join_failed(conn, *join, Reject::Internal),
        }
        self.let_channel_go(channel, name);
    }

    /// The owner has not answered: the client is told to try again.
    pub(super) fn recovery_expired(&mut self, id: ConnId, name: &Arc<str>) {
        let Some(join) = self.joins.take(id, name) else {
            return;
        };
        let Stage::Recovery(channel) = join.stage else {
            return self.joins.add(id, join);
        };
        self.join_failed(id, *join, Reject::Internal);
        self.let_channel_go(channel, name);
    }

    /// What the owner says of its stream is true of this core, too, or something was missed.
    fn follow(&mut self, name: &Arc<str>, reply: &Word) {
        let Word::Recovered { place, .. } = reply else {
            return;
        };
        let heard = self.hub.find(name).and_then(|id| self.hub.channel(id)?.place.as_deref());
        if heard.is_some_and(|heard| heard != place) {
            self.gap(name);
        }
        if !self.hub.owns(name)
            && let Some(channel) = self.hub.find(name).and_then(|id| self.hub.channel_mut(id))
        {
            channel.place = Some(Box::new(place.clone()));
        }
    }

    fn let_channel_go(&mut self, channel: ChannelId, name: &Arc<str>) {
        if self.hub.release(channel) {
            self.unlink(Arc::clone(name));
        }
    }

    /// Where the stream stands as this core has heard it.
    fn place_here(&mut self, channel: ChannelId, name: &Arc<str>) -> Option<Place> {
        match self.hub.seat(name) {
            Seat::Here => self.stream_place(name).ok(),
            Seat::Core(_) => self.hub.channel(channel)?.place.as_deref().cloned(),
        }
    }

    fn admit_member(&mut self, id: ConnId, channel: ChannelId, mut join: Box<Join>, found: Found) {
        let wish = &mut join.wish;
        let is_recovered = wish.recovers && found.publications.is_some();
        if wish.rejects_unrecovered && wish.recovers && !is_recovered {
            return self.join_failed(id, *join, Reject::UnrecoverablePosition);
        }
        let Some(wire) = self.session(id).map(|session| session.wire) else {
            return;
        };
        // The Protobuf build of centrifuge-js compares its 64-bit ids by identity and would find no subscription.
        let style = Style { wire, numeric: wish.numeric && wire.codec == Codec::Json };
        let publications = found.publications.unwrap_or_default();
        let filter = match wish.filter.take() {
            None => FilterId::NONE,
            Some(filter) => {
                match self.hub.channel_mut(channel).and_then(|channel| channel.share_filter(filter)) {
                    Some(filter) => filter,
                    None => return self.join_failed(id, *join, Reject::LimitExceeded),
                }
            }
        };
        let publications = self.filtered(channel, filter, publications);
        // The next patch is made on what this core delivered last, which after a gap is older than what was recovered.
        let delivered = self.hub.channel(channel).and_then(|channel| channel.last.as_ref());
        let is_based = publications
            .last()
            .is_some_and(|recovered| delivered.is_some_and(|delivered| Arc::ptr_eq(recovered, delivered)));
        let member = Member::new(id.slot, style.form())
            .with_filter(filter)
            .hearing_joins(wish.join_leave)
            .taking_patches(wish.delta, is_based);
        let is_from_cache =
            self.hub.channel(channel).is_some_and(|channel| wish.source(&channel.policy) == Source::Cache);
        let index = self.hub.admit(channel, member);
        self.options.fail.hit(Point::Join, &join.name);
        let detail = wish.detail();
        let (expire_at, is_server_side) = (wish.expire_at, join.why.is_server_side());
        if let Some(session) = self.session_mut(id) {
            session.add(Subscription { channel, index, is_server_side, detail });
            self.stats.subscriptions += 1;
        }
        if expire_at > 0 {
            self.expire_later(id, expire_at);
        }
        let wish = &join.wish;
        let welcome = Welcome {
            channel,
            name: Arc::clone(&join.name),
            style,
            place: found.place,
            since: wish.since.as_ref().map_or(0, |position| position.offset),
            positioned: wish.positioned,
            recoverable: wish.recoverable,
            recovers: wish.recovers,
            is_recovered,
            is_from_cache,
            publications,
            delta: wish.delta,
            data: wish.data.clone(),
            ttl_seconds: (wish.refreshes_itself && expire_at > 0).then(|| self.seconds_until(expire_at)),
        };
        self.welcome(id, join.why, welcome);
        self.came(id, channel, &join.name);
        self.resume(id, &join.name, join.deferred);
    }

    fn filtered(
        &self,
        channel: ChannelId,
        filter: FilterId,
        mut publications: Vec<Arc<Publication>>,
    ) -> Vec<Arc<Publication>> {
        if filter != FilterId::NONE
            && let Some(channel) = self.hub.channel(channel)
        {
            publications.retain(|publication| channel.passes(filter, &publication.tags));
        }
        publications
    }

    /// Whoever asked hears of the new subscription.
    fn welcome(&mut self, id: ConnId, why: Why, welcome: Welcome) {
        match why {
            Why::Command(command) => self.reply_welcome(id, command, &welcome),
            Why::Connect => self.connect_joined(id, Some(welcome)),
            Why::Server => self.push_welcome(id, &welcome),
        }
    }

    pub(super) fn join_failed(&mut self, id: ConnId, join: Join, reject: Reject) {
        self.options.fail.hit(Point::Join, &join.name);
        match join.why {
            Why::Command(command) => self.reject(id, command, reject),
            Why::Connect => self.connect_joined(id, None),
            Why::Server => {}
        }
        self.resume(id, &join.name, join.deferred);
        if let Some(channel) = self.hub.find(&join.name) {
            self.hub.remove_if_deserted(channel);
        }
    }

    /// A hook has refused it.
    pub(super) fn join_refused(&mut self, id: ConnId, join: Join, answer: Answer) {
        match join.why {
            Why::Command(command) => self.answer_refused(id, command, answer),
            Why::Connect => self.connect_joined(id, None),
            Why::Server => {}
        }
        self.resume(id, &join.name, join.deferred);
    }

    pub(super) fn leave_all(&mut self, id: ConnId) {
        for join in self.joins.take_all(id) {
            match join.stage {
                Stage::Hook => {}
                Stage::Link(channel) => self.hub.stop_waiting(channel, id.slot),
                Stage::Recovery(channel) => self.let_channel_go(channel, &join.name),
            }
        }
        while let Some(last) = self.session_mut(id).and_then(|session| session.subscriptions.pop()) {
            self.depart(id, &last);
        }
    }

    pub(super) fn leave(&mut self, id: ConnId, channel: ChannelId) -> bool {
        let removed = self.session_mut(id).and_then(|session| session.remove(channel));
        removed.inspect(|subscription| self.depart(id, subscription)).is_some()
    }

    /// The server ends a subscription: by push if the client made it or knows of it.
    pub(super) fn expel(&mut self, id: ConnId, channel: ChannelId, why: Unsubscribed) {
        let Some(name) = self.hub.name(channel).map(Arc::clone) else {
            return;
        };
        if self.leave(id, channel) {
            self.push_unsubscribed(id, &name, why);
        }
    }

    /// The session has forgotten the subscription; now the hub does.
    fn depart(&mut self, id: ConnId, subscription: &Subscription) {
        let channel = subscription.channel;
        self.stats.subscriptions = self.stats.subscriptions.saturating_sub(1);
        let Some(name) = self.hub.name(channel).map(Arc::clone) else {
            return;
        };
        self.left(id, &name, channel, subscription);
        let left = self.hub.leave(channel, id.slot, subscription.index);
        if let Some(moved) = left.moved {
            self.moved(moved, channel, subscription.index);
        }
        if left.unlink {
            self.unlink(Arc::clone(&name));
        }
        self.note_vacation(&name);
    }

    /// The last member of the array took the place of one that left.
    pub(super) fn moved(&mut self, slot: u32, channel: ChannelId, index: u32) {
        let session = self.conns.at_slot(slot).and_then(|conn| conn.session_mut());
        if let Some(subscription) = session.and_then(|session| session.find_mut(channel)) {
            subscription.index = index;
        }
    }

    fn came(&mut self, id: ConnId, channel: ChannelId, name: &Arc<str>) {
        self.options.fail.hit(Point::Join, name);
        self.note_occupation(channel);
        self.tell_presence(id, name, channel, true, None);
    }

    pub(super) fn left(&mut self, id: ConnId, name: &Arc<str>, channel: ChannelId, was: &Subscription) {
        self.options.fail.hit(Point::Leave, name);
        self.tell_presence(id, name, channel, false, Some(was));
    }

    fn tell_presence(
        &mut self,
        id: ConnId,
        name: &Arc<str>,
        channel: ChannelId,
        came: bool,
        was: Option<&Subscription>,
    ) {
        if !self.hub.channel(channel).is_some_and(|channel| channel.policy.join_leave) {
            return;
        }
        let Some(session) = self.session(id) else { return };
        let subscription = was.or_else(|| session.find(channel));
        if subscription
            .and_then(|subscription| subscription.detail.as_ref())
            .is_some_and(|detail| detail.is_silent)
        {
            return;
        }
        let person = person(session, subscription);
        self.announce(name, came, person);
    }
}

impl super::joining::Wish {
    /// What a token or hook overrides, and what follows from the namespace.
    fn settle(&mut self, policy: &Policy) {
        let overrides = self.overrides;
        if policy.has_history() {
            self.recoverable = overrides.force_recovery.unwrap_or(self.recoverable);
            self.positioned = overrides.force_positioning.unwrap_or(self.positioned) || self.recoverable;
        }
        self.join_leave |= overrides.force_push_join_leave == Some(true);
        if overrides.force_push_join_leave == Some(false) {
            self.join_leave = false;
        }
    }

    pub(super) fn source(&self, policy: &Policy) -> Source {
        let cached = policy.recovery_mode() == RecoveryMode::Cache;
        if !self.recoverable {
            return Source::Nothing;
        }
        match (self.recovers, cached) {
            (true, true) => Source::Cache,
            (true, false) => Source::Stream,
            (false, _) if policy.auto_cache_recover => Source::Cache,
            (false, _) => Source::Nothing,
        }
    }

    fn detail(&self) -> Option<Box<Detail>> {
        let detail = Detail {
            chan_info: self.info.clone(),
            expire_at: self.expire_at,
            refreshes_itself: self.refreshes_itself,
            is_silent: self.overrides.join_leave == Some(false),
            is_absent: self.overrides.presence == Some(false),
            token: self.made_by.clone(),
        };
        (detail != Detail::default()).then(|| Box::new(detail))
    }
}
