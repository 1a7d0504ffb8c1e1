//! A publication from a client's command, a hook or the API to the owner of its channel, and the answer back.
//!
//! Invariant: only the owner core of a channel orders its publications; a request is answered once it did.

use super::Shard;
use super::ask::{Ask, AskId};
use super::call::{Failure, Publish};
use super::commands::Refused;
use super::mail::{Mail, Query, Reply as Word, RequestId};
use super::memo::Memo;
use super::people::person;
use super::port::Output;
use super::requests::{Asker, Kind, Request};
use crate::channels::{DataFormat, Policy};
use crate::hub::{Place, Seat};
use crate::ids::ConnId;
use crate::limits::ENGINE_MS_MAX;
use crate::proto::command::Publish as Command;
use crate::proto::{Codec, Disconnect, Raw, Reject, Reply};
use std::sync::Arc;
use std::time::Duration;

impl Shard {
    pub(super) fn publish(&mut self, id: ConnId, command: u32, request: &Command<'_>) -> Result<(), Refused> {
        let name = &*request.channel;
        let policy = self.may_publish(id, request)?;
        let publish = self.publication_of(id, name, request, &policy)?;
        let channel = self.name_of(name);
        match &policy.publish_proxy {
            Some(hook) => self.ask_publish(id, command, hook, channel, publish),
            None => {
                self.submit(Asker::Client { conn: id, command }, &channel, publish).map_err(Refused::from)
            }
        }
    }

    fn may_publish(&self, id: ConnId, request: &Command<'_>) -> Result<Arc<Policy>, Refused> {
        let name = &*request.channel;
        let Some(session) = self.session(id).filter(|_| !name.is_empty()) else {
            return Err(Disconnect::BadRequest.into());
        };
        let policy = self.settings.namespaces.resolve(name)?.policy;
        // A subscription that waits for its channel's owner counts: commands behind it were sent in good faith.
        let is_subscriber = self.hub.find(name).is_some_and(|channel| session.find(channel).is_some())
            || self.joins.contains(id, name);
        let is_allowed = policy.publish_proxy.is_some()
            || policy.publish.allows(session.user.is_empty(), is_subscriber)
            || self.settings.access.insecure;
        if !is_allowed {
            return Err(Reject::PermissionDenied.into());
        }
        if request.kind != 0 || !policy.publication_data_format.accepts(request.data.bytes()) {
            return Err(Reject::BadRequest.into());
        }
        Ok(Arc::clone(policy))
    }

    fn publication_of(
        &self,
        id: ConnId,
        name: &str,
        request: &Command<'_>,
        policy: &Policy,
    ) -> Result<Publish, Refused> {
        let Some(session) = self.session(id) else {
            return Err(Disconnect::BadRequest.into());
        };
        let (data, is_json) = match session.wire.codec {
            // The codec has seen to it.
            Codec::Json => (Box::from(request.data.bytes()), true),
            Codec::Protobuf => normalised(request.data.bytes(), policy.publication_data_format),
        };
        let channel = self.hub.find(name).and_then(|channel| session.find(channel));
        let publisher = Some(Box::new(person(session, channel)));
        let exclude = policy.publish_exclude_sender.then_some(session.client);
        Ok(Publish { data, is_json, publisher, exclude, ..Publish::default() })
    }

    fn ask_publish(
        &mut self,
        id: ConnId,
        command: u32,
        hook: &str,
        channel: Arc<str>,
        publish: Publish,
    ) -> Result<(), Refused> {
        let Some(who) = self.who(id) else { return Ok(()) };
        let (data, is_json) = (publish.data.clone(), publish.is_json);
        let kind = Kind::PublishHook { channel: Arc::clone(&channel), publish: Box::new(publish) };
        let request = self.open_request(Asker::Client { conn: id, command }, kind)?;
        self.turns.join(id, Arc::clone(&channel), request);
        self.ask_control(request, Ask::Publish { who, hook: Box::from(hook), channel, data, is_json });
        Ok(())
    }

    /// Brings a publication to the owner of its channel.
    pub(super) fn submit(
        &mut self,
        asker: Asker,
        channel: &Arc<str>,
        publish: Publish,
    ) -> Result<(), Reject> {
        if self.hub.seat(channel) == Seat::Here && !self.is_durable(channel) {
            let result = self.put_in_order(channel, publish);
            self.published(asker, result);
            return Ok(());
        }
        let request = self.open_request(asker, Kind::Publish)?;
        self.query(request, channel, Query::Publish(Box::new(publish)));
        Ok(())
    }

    /// Asks the owner of a channel, wherever it is.
    pub(super) fn query(&mut self, request: RequestId, channel: &Arc<str>, query: Query) {
        let from = self.options.core;
        match self.hub.seat(channel) {
            Seat::Here => self.take_query(from, request, channel, query),
            Seat::Core(owner) => {
                let letter = Mail::Query { from, request, channel: Arc::clone(channel), query };
                if self.letters.ask(owner, letter).is_err() {
                    self.stats.mail_full += 1;
                    self.replied(request, Word::Failed(Failure::Internal));
                }
            }
        }
    }

    pub(super) fn ask_control(&mut self, request: RequestId, ask: Ask) {
        let id = AskId { core: self.options.core, request };
        self.outputs.push(Output::Memo(Memo::Ask { id, ask }));
    }

    /// The owner, or the engine behind it, has answered.
    pub(super) fn replied(&mut self, id: RequestId, reply: Word) {
        let Some(request) = self.close_request(id) else {
            return;
        };
        match (request.kind, reply) {
            (Kind::Recover { channel }, reply) => self.recovered(request.asker, &channel, reply),
            (Kind::Position { channel }, reply) => self.position_checked(&channel, reply),
            (_, Word::Published(place)) => self.published(request.asker, Ok(place)),
            (Kind::Publish, Word::Failed(failure)) => self.published(request.asker, Err(failure)),
            (_, reply) => self.answered(request.asker, reply),
        }
    }

    fn published(&mut self, asker: Asker, result: Result<Option<Place>, Failure>) {
        match (asker, result) {
            (Asker::Client { conn, command }, Ok(_)) => self.reply(conn, command, &Reply::Publish),
            (Asker::Client { conn, command }, Err(failure)) => self.reject(conn, command, reject(failure)),
            (Asker::Call(call), result) => self.answer_published(call, result),
            (Asker::Shard, _) => {}
        }
    }

    /// Refused when this client waits for too much already.
    pub(super) fn open_request(&mut self, asker: Asker, kind: Kind) -> Result<RequestId, Reject> {
        let weight = kind.weight();
        if let Asker::Client { conn, .. } = asker
            && let Some(session) = self.session_mut(conn)
        {
            if session.open_requests + weight > REQUEST_WEIGHT_MAX {
                return Err(Reject::TooManyRequests);
            }
            session.open_requests += weight;
        }
        let due = self.now + Duration::from_millis(ENGINE_MS_MAX);
        Ok(self.requests.open(due, Request { asker, kind }))
    }

    pub(super) fn close_request(&mut self, id: RequestId) -> Option<Request> {
        let request = self.requests.close(id)?;
        self.settle_request(&request);
        Some(request)
    }

    pub(super) fn settle_request(&mut self, request: &Request) {
        if let Asker::Client { conn, .. } = request.asker
            && let Some(session) = self.session_mut(conn)
        {
            session.open_requests = session.open_requests.saturating_sub(request.kind.weight());
        }
    }

    /// The shared name of a channel that is known here, or a new one.
    pub(super) fn name_of(&self, name: &str) -> Arc<str> {
        let known = self.hub.find(name).and_then(|channel| self.hub.name(channel));
        known.map_or_else(|| Arc::from(name), Arc::clone)
    }
}

/// What a Protobuf client sent: clients of the JSON codec get it only if it is JSON, and then without line breaks.
fn normalised(data: &[u8], format: DataFormat) -> (Box<[u8]>, bool) {
    if format == DataFormat::Binary {
        return (Box::from(data), false);
    }
    match Raw::accepted(data).line() {
        Ok(line) => (Box::from(&*line), !data.is_empty()),
        Err(_) => (Box::from(data), false),
    }
}

pub(super) fn reject(failure: Failure) -> Reject {
    match failure {
        Failure::Internal => Reject::Internal,
        Failure::UnknownChannel => Reject::UnknownChannel,
        Failure::BadRequest => Reject::BadRequest,
        Failure::NotAvailable => Reject::NotAvailable,
        Failure::Unrecoverable => Reject::UnrecoverablePosition,
        Failure::TooManyRequests => Reject::TooManyRequests,
    }
}

/// What one client may have waiting: a thousand publications, or sixteen looks at who is there.
const REQUEST_WEIGHT_MAX: u16 = 1024;
