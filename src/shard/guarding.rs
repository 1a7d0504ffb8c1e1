//! A boundary around each piece of work, so that a bug of ours costs what the work was about and not the core.
//!
//! Invariant: after a panic the connection or channel concerned has been told (1011, or insufficient state), what it
//! owned is free, and `mend` has found everybody else in order before the next piece of work begins.
//! What was under way is read from `underway`: work that leaves something half done says so there, and takes it back.

use super::mail::{Mail, RequestId};
use super::requests::{Asker, Kind, Request};
use super::{Output, Shard};
use crate::conn::{Conn, Phase};
use crate::http::Refusal;
use crate::ids::{ChannelId, ConnId};
use crate::stats::Work;
use crate::ws::CloseCode;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What a panic would leave half done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Underway {
    /// The stream of a channel is being changed.
    Stream(ChannelId),
    /// Some subscribers have been served, and some have not.
    FanOut(ChannelId),
    /// Subscribers wait for a link that the owner has not been asked for yet.
    Link(ChannelId),
}

/// What a panic has left behind it, until it is mended.
#[derive(Debug, Default)]
pub(super) struct Wreckage {
    pub underway: Vec<Underway>,
    /// What the last panic said; it goes on if nothing can be mended.
    pub panic: Option<Box<dyn Any + Send>>,
}

impl Shard {
    /// False: it panicked.
    pub(super) fn attempt(&mut self, work: Work, act: impl FnOnce(&mut Self)) -> bool {
        match catch_unwind(AssertUnwindSafe(|| act(self))) {
            Ok(()) => true,
            Err(panic) => {
                self.survive(work, panic);
                false
            }
        }
    }

    /// Work about one connection, which it costs if it panics.
    pub(super) fn attempt_for(&mut self, work: Work, id: ConnId, act: impl FnOnce(&mut Self)) {
        if !self.attempt(work, act) {
            self.lose(id);
        }
    }

    /// The same as a piece of work by itself: whoever comes next meets a core that is in order.
    pub(super) fn serve_for(&mut self, work: Work, id: ConnId, act: impl FnOnce(&mut Self)) {
        self.attempt_for(work, id, act);
        self.mend();
    }

    /// Work about one request of this core, which costs whoever asked.
    pub(super) fn attempt_request(&mut self, work: Work, id: RequestId, request: Request) {
        let (asker, channel) = (request.asker, channel_of(&request.kind));
        if !self.attempt(work, |shard| shard.expired(id, request)) {
            self.lose_asker(asker, channel);
        }
    }

    /// What is not about anybody in particular has to be put in order at once.
    fn survive(&mut self, work: Work, panic: Box<dyn Any + Send>) {
        self.stats.count_panic(work);
        self.wreckage.panic = Some(panic);
        // Half of an answer is none; answers before it are whole.
        let whole = self.cork.whole;
        self.cork.bytes.truncate(whole);
        self.gathering.reset();
        for underway in std::mem::take(&mut self.wreckage.underway) {
            match underway {
                Underway::Stream(channel) => {
                    // Whatever it is by now: a new epoch tells everybody that it is not what they know.
                    if let Some(channel) = self.hub.channel_mut(channel) {
                        channel.drop_stream();
                    }
                    self.forfeit(channel);
                }
                Underway::FanOut(channel) => self.forfeit(channel),
                Underway::Link(channel) => self.stop_linking(channel),
            }
        }
    }

    /// Nobody will answer: who waits comes again, and whoever comes next asks.
    fn stop_linking(&mut self, channel: ChannelId) {
        if let Some(name) = self.hub.name(channel).map(Arc::clone) {
            self.quietly(|shard| shard.unlinkable(&name));
        }
    }

    /// Subscribers of the channel have missed something, here and on other cores.
    pub(super) fn forfeit(&mut self, channel: ChannelId) {
        let Some(name) = self.hub.name(channel).map(Arc::clone) else {
            return;
        };
        for core in self.hub.remotes(channel).to_vec() {
            self.letters.tell(core, Mail::Gap { channel: Arc::clone(&name) });
        }
        if !self.quietly(|shard| shard.gap(&name)) {
            self.clear_out(channel);
        }
    }

    pub(super) fn forfeit_named(&mut self, name: &str) {
        if let Some(channel) = self.hub.find(name) {
            self.forfeit(channel);
        }
    }

    /// This connection has met a bug of ours. What it was owed goes, because there may be a hole in it.
    pub(super) fn lose(&mut self, id: ConnId) {
        if !self.quietly(|shard| shard.part_with(id)) {
            self.tear_out(id);
        }
    }

    pub(super) fn lose_asker(&mut self, asker: Asker, channel: Option<Arc<str>>) {
        match asker {
            Asker::Client { conn, .. } => self.lose(conn),
            Asker::Call(call) => {
                self.answer_call(call, super::call::Outcome::Failed(super::call::Failure::Internal));
            }
            Asker::Shard => {}
        }
        if let Some(channel) = channel {
            self.forfeit_named(&channel);
        }
    }

    fn part_with(&mut self, id: ConnId) {
        if self.cork.conn == Some(id) {
            self.cork.conn = None;
            self.cork.clear();
        }
        self.forget_rest(id);
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        conn.outbox.clear(&mut self.nodes);
        match conn.phase {
            Phase::Head(_) => self.refuse(id, &Refusal::Internal),
            // What was being read is gone: what follows on it makes no sense any more, to frames or to TLS.
            Phase::Echo | Phase::Client(_) => self.fail(id, CloseCode::INTERNAL_ERROR, INTERNAL_ERROR),
            Phase::Closing | Phase::Lingering { .. } => self.let_go(id),
            Phase::Leaving => {}
        }
        // A channel may have a place for it that its session had forgotten: nothing comes behind a close frame.
        self.uproot(id);
    }

    /// A part of putting things in order, which may meet the same bug once more.
    fn quietly(&mut self, act: impl FnOnce(&mut Self)) -> bool {
        let is_done = catch_unwind(AssertUnwindSafe(|| act(self))).is_ok();
        if !is_done {
            self.stats.count_panic(Work::Repair);
            self.wreckage.underway.clear();
        }
        is_done
    }

    /// The connection cannot even be closed: it goes without a word, and with plain moves alone.
    pub(super) fn tear_out(&mut self, id: ConnId) {
        if self.cork.conn == Some(id) {
            self.cork.conn = None;
            self.cork.clear();
        }
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let was_open = conn.is_open();
        let is_leaving = matches!(conn.phase, Phase::Leaving);
        let is_stream = conn.is_stream;
        let session = std::mem::replace(&mut conn.phase, Phase::Leaving);
        conn.message_due = None;
        let reader = std::mem::take(&mut conn.reader);
        self.partial_bytes = self.partial_bytes.saturating_sub(reader.held_bytes() as u64);
        let is_counted = matches!(&session, Phase::Client(session) if session.is_counted);
        if let Phase::Client(session) = &session
            && is_counted
        {
            self.options.tallies.leave(&session.user);
        }
        self.clients.forget(id.slot);
        self.users.forget(id.slot);
        self.wheel.disarm(id.slot);
        self.forget_rest(id);
        let joins = self.joins.take_all(id);
        let connecting = self.connecting.remove(&id);
        self.uproot(id);
        if was_open {
            self.stats.broken += 1;
            self.stats.count_close(INTERNAL);
        }
        if !is_leaving {
            if is_stream {
                let _ = self.quietly(|shard| shard.close_stream(id));
            } else {
                self.outputs.push(Output::Close { conn: id });
            }
        }
        // Dropping them may be what fails.
        let _ = self.quietly(move |_| drop((session, reader)));
        let _ = self.quietly(move |_| drop((joins, connecting)));
        let _ = self.quietly(|shard| {
            if let Some(conn) = shard.conns.get_mut(id) {
                conn.outbox.clear(&mut shard.nodes);
            }
        });
    }

    /// Takes a slot out of every channel. Nobody can say any more who has left: those who would hear it begin anew.
    fn uproot(&mut self, id: ConnId) {
        let channels: Vec<ChannelId> = self.hub.iter().collect();
        for channel in channels {
            let Some(name) = self.hub.name(channel).map(Arc::clone) else { continue };
            let stands = |member: &crate::hub::Member| member.slot == id.slot;
            let mut stood = false;
            while let Some(index) = self.hub.members(channel).iter().position(stands) {
                stood = true;
                let left = self.hub.leave(channel, id.slot, index as u32);
                if let Some(moved) = left.moved {
                    self.moved(moved, channel, index as u32);
                }
                if left.unlink {
                    self.unlink(Arc::clone(&name));
                }
            }
            self.hub.stop_waiting(channel, id.slot);
            if stood && self.hub.channel(channel).is_some_and(|channel| channel.policy.join_leave) {
                self.forfeit(channel);
            }
        }
    }

    /// Nobody stays in this channel, and who was in it has to go: telling them has failed.
    fn clear_out(&mut self, channel: ChannelId) {
        let Some(name) = self.hub.name(channel).map(Arc::clone) else {
            return;
        };
        let (_, unlink) = self.hub.expel(channel);
        if unlink {
            self.unlink(name);
        }
        let holders: Vec<ConnId> = (self.conns.ids())
            .filter(|&id| self.session(id).is_some_and(|session| session.find(channel).is_some()))
            .collect();
        for id in holders {
            if let Some(session) = self.session_mut(id) {
                session.remove(channel);
            }
            self.lose(id);
        }
    }

    /// The slot of a connection whose socket is closed is free, whatever else fails.
    pub(super) fn free(&mut self, id: ConnId) {
        if !self.attempt(Work::Input, |shard| shard.closed(id)) {
            let _ = self.quietly(|shard| drop(shard.conns.remove(id)));
            let _ = self.quietly(Self::finish_drain);
        }
    }

    /// Fails on purpose at a point that is about all channels of a connection.
    pub(super) fn hit_for(&self, point: crate::failpoint::Point, id: ConnId) {
        if !self.options.fail.is_planned() {
            return;
        }
        let subscriptions = self.conns.get(id).and_then(Conn::session).map(|session| &session.subscriptions);
        for subscription in subscriptions.into_iter().flatten() {
            if let Some(name) = self.hub.name(subscription.channel) {
                self.options.fail.hit(point, name);
            }
        }
    }
}

/// The channel that an unanswered request leaves in doubt.
pub(super) fn channel_of(kind: &Kind) -> Option<Arc<str>> {
    match kind {
        Kind::Link { channel } | Kind::Recover { channel } | Kind::Position { channel } => {
            Some(Arc::clone(channel))
        }
        Kind::Publish
        | Kind::History
        | Kind::Cursor
        | Kind::Presence(_)
        | Kind::PresenceStats(_)
        | Kind::Connect
        | Kind::Keys
        | Kind::Refresh
        | Kind::SubRefresh { .. }
        | Kind::Subscribe { .. }
        | Kind::CacheEmpty { .. }
        | Kind::PublishHook { .. }
        | Kind::Rpc => None,
    }
}

/// None of our details.
const INTERNAL_ERROR: &str = "internal error";
const INTERNAL: u16 = 1011;
