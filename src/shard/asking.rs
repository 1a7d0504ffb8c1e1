//! Answers of the control plane: what back ends have decided, keys that were fetched, and nothing at all.
//! Invariant: an answer that comes too late finds no request and changes nothing.

use super::Shard;
use super::ask::Answer;
use super::call::Publish;
use super::mail::RequestId;
use super::memo::Memo;
use super::port::Output;
use super::requests::{Asker, Kind, Request};
use crate::conn::session::Session;
use crate::ids::{ChannelId, ConnId};
use crate::proto::reply::RpcResult;
use crate::proto::{Codec, Raw, Reject, Reply};
use crate::shard::ask::Event;
use std::sync::Arc;

impl Shard {
    pub(super) fn asked(&mut self, id: RequestId, answer: Answer) {
        let Some(request) = self.requests.close(id) else {
            return;
        };
        if let Kind::PublishHook { .. } = request.kind {
            return self.publication_decided(id, request, answer);
        }
        self.settle_request(&request);
        let Asker::Client { conn, command } = request.asker else {
            return;
        };
        if !self.conns.get(conn).is_some_and(crate::conn::Conn::is_open) {
            return;
        }
        match request.kind {
            Kind::Connect => self.connect_answered(conn, answer),
            Kind::Refresh => self.refresh_answered(conn, answer),
            Kind::SubRefresh { channel } => self.sub_refresh_answered(conn, &channel, answer),
            Kind::Subscribe { channel } => self.subscribe_answered(conn, &channel, answer),
            Kind::CacheEmpty { channel } => self.refilled(conn, &channel, answer),
            Kind::Rpc => self.rpc_answered(conn, command, answer),
            Kind::Keys
            | Kind::PublishHook { .. }
            | Kind::Link { .. }
            | Kind::Recover { .. }
            | Kind::Publish
            | Kind::History
            | Kind::Cursor
            | Kind::Position { .. }
            | Kind::Presence(_)
            | Kind::PresenceStats(_) => {}
        }
    }

    pub(super) fn publish_answered(
        &mut self,
        id: ConnId,
        command: u32,
        channel: &Arc<str>,
        mut publish: Publish,
        answer: Answer,
    ) {
        let granted = if let Answer::Publish(granted) = answer {
            *granted
        } else {
            return self.answer_refused(id, command, answer);
        };
        if let Some(data) = granted.data {
            publish.data = data;
            publish.is_json = granted.is_json;
        }
        publish.tags = granted.tags;
        publish.skip_history = granted.skip_history;
        publish.delta = granted.delta;
        publish.idempotency_key = granted.idempotency_key;
        publish.version = granted.version;
        publish.version_epoch = granted.version_epoch;
        if let Err(reject) = self.submit(Asker::Client { conn: id, command }, channel, publish) {
            self.reject(id, command, reject);
        }
    }

    fn rpc_answered(&mut self, id: ConnId, command: u32, answer: Answer) {
        let Answer::Rpc { data } = answer else {
            return self.answer_refused(id, command, answer);
        };
        let codec = self.session(id).map(|session| session.wire.codec);
        let data = match codec {
            Some(Codec::Protobuf) => Raw::accepted(&data),
            // A back end that sends a JSON client something else has made a mistake of its own.
            Some(Codec::Json) => match Raw::json(&data) {
                Ok(data) => data,
                Err(_) if data.is_empty() => Raw::NONE,
                Err(_) => return self.reject(id, command, Reject::Internal),
            },
            None => return,
        };
        self.reply(id, command, &Reply::Rpc(RpcResult { data }));
    }

    /// No answer in time: whether it was done is not known, and the error says that trying again is right.
    pub(super) fn expired(&mut self, id: RequestId, request: Request) {
        self.stats.requests_expired += 1;
        if let Kind::PublishHook { .. } = request.kind {
            return self.publication_decided(id, request, Answer::Failed);
        }
        self.settle_request(&request);
        match (request.kind, request.asker) {
            (Kind::Link { channel }, _) => self.link_expired(&channel),
            (Kind::Recover { channel }, Asker::Client { conn, .. }) => {
                self.recovery_expired(conn, &channel);
            }
            (Kind::Connect, Asker::Client { conn, .. }) => self.connect_answered(conn, Answer::Failed),
            (Kind::Subscribe { channel }, Asker::Client { conn, .. }) => {
                self.subscribe_answered(conn, &channel, Answer::Failed);
            }
            (Kind::CacheEmpty { channel }, Asker::Client { conn, .. }) => {
                self.refilled(conn, &channel, Answer::Failed);
            }
            (
                Kind::Keys
                | Kind::Refresh
                | Kind::SubRefresh { .. }
                | Kind::Position { .. }
                | Kind::Recover { .. },
                _,
            )
            | (_, Asker::Shard) => {}
            (_, Asker::Client { conn, command }) => self.reject(conn, command, Reject::Internal),
            (_, Asker::Call(call)) => {
                self.answer_call(call, super::call::Outcome::Failed(super::call::Failure::Internal));
            }
        }
    }

    /// The first subscriber of the node may have come. Called on any core; the owner knows.
    pub(super) fn note_occupation(&mut self, channel: ChannelId) {
        let Some(found) = self.hub.channel_mut(channel) else { return };
        if !found.policy.channel_state_events.occupied && !found.policy.channel_state_events.vacated {
            return;
        }
        if found.set_occupied(true) && found.policy.channel_state_events.occupied {
            let channel = Arc::clone(&found.name);
            if self.hub.owns(&channel) {
                self.outputs.push(Output::Memo(Memo::Event(Event::Occupied { channel })));
            }
        }
    }

    /// The last one may have gone.
    pub(super) fn note_vacation(&mut self, name: &Arc<str>) {
        let Ok(policy) = self.policy_of(name) else { return };
        let events = policy.channel_state_events;
        if !(events.occupied || events.vacated) || !self.hub.owns(name) {
            return;
        }
        let is_occupied = self
            .hub
            .find(name)
            .is_some_and(|id| self.hub.channel(id).is_some_and(crate::hub::Channel::is_occupied));
        if is_occupied {
            return;
        }
        if let Some(channel) = self.hub.find(name).and_then(|id| self.hub.channel_mut(id)) {
            channel.set_occupied(false);
        }
        if events.vacated {
            self.outputs.push(Output::Memo(Memo::Event(Event::Vacated { channel: Arc::clone(name) })));
        }
    }

    /// Tells the back end that wants to know.
    pub(super) fn note_disconnect(&mut self, id: ConnId, code: u16, reason: &str) {
        if !self.settings.hooks.disconnect || !self.session(id).is_some_and(Session::is_connected) {
            return;
        }
        if let Some(who) = self.who(id) {
            let event = Event::Disconnected { who, code, reason: Box::from(reason) };
            self.outputs.push(Output::Memo(Memo::Event(event)));
        }
    }
}
