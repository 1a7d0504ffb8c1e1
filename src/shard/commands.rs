//! One command of the client protocol: who may send it now, and who serves it.
//!
//! Invariant: a command with an id gets exactly one reply, at once or when the engine has answered, unless it costs
//! the connection. The first command is connect and there is no second one.

use super::Shard;
use super::ask::{Answer, Ask};
use super::call::{HistoryQuery, Position};
use super::encoding::ENVELOPE_BYTES_MAX;
use super::mail::{Query, Reply as Word};
use super::publishing::reject;
use super::requests::{Asker, Kind};
use super::welcome::shown_page;
use crate::channels::NameError;
use crate::conn::session::{Session, Stage};
use crate::conn::wire::Wire;
use crate::failpoint::Point;
use crate::ids::ConnId;
use crate::payload::Payload;
use crate::proto::command::{History, Rpc};
use crate::proto::reply::{Failure, HistoryResult, RpcResult};
use crate::proto::{Command, Disconnect, Reject, Reply, Request};
use std::sync::Arc;

/// Why a command is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Reject(Reject),
    Disconnect(Disconnect),
}

impl From<Reject> for Refused {
    fn from(reject: Reject) -> Self {
        Self::Reject(reject)
    }
}

impl From<Disconnect> for Refused {
    fn from(disconnect: Disconnect) -> Self {
        Self::Disconnect(disconnect)
    }
}

impl From<NameError> for Refused {
    fn from(error: NameError) -> Self {
        match error {
            NameError::Empty => Disconnect::BadRequest.into(),
            NameError::Unknown => Reject::UnknownChannel.into(),
            NameError::TooLong | NameError::Malformed => Reject::BadRequest.into(),
        }
    }
}

impl Shard {
    pub(super) fn command(&mut self, id: ConnId, command: &Command<'_>) -> Result<(), Disconnect> {
        let Some(stage) = self.session(id).map(|session| session.stage) else {
            return Ok(());
        };
        let is_connect = matches!(command.request, Request::Connect(_));
        match stage {
            Stage::Unknown if !is_connect => return Err(Disconnect::BadRequest),
            Stage::Connected if is_connect => return Err(Disconnect::BadRequest),
            Stage::Refused => return Ok(()),
            Stage::Unknown | Stage::Connecting | Stage::Connected => {}
        }
        // A pong is owed, and refusing it would make the refusal an argument.
        let is_paced =
            !matches!(command.request, Request::Pong | Request::Connect(_)) && !self.pace_command(id);
        if is_paced && command.id > 0 {
            self.reject(id, command.id, Reject::TooManyRequests);
            return Ok(());
        }
        let subject = subject(&command.request);
        self.options.fail.hit(Point::Command, subject);
        let _tripwire = self.options.fail.tripwire(subject);
        match self.serve(id, command) {
            Ok(()) => Ok(()),
            Err(Refused::Reject(reject)) => {
                self.reject(id, command.id, reject);
                Ok(())
            }
            Err(Refused::Disconnect(disconnect)) => Err(disconnect),
        }
    }

    fn serve(&mut self, id: ConnId, command: &Command<'_>) -> Result<(), Refused> {
        match &command.request {
            Request::Pong if self.pong(id) => Ok(()),
            Request::Pong => Err(Disconnect::BadRequest.into()),
            Request::Connect(request) => self.connect(id, command.id, request),
            Request::Subscribe(request) => self.subscribe(id, command.id, request),
            Request::Unsubscribe(request) => self.unsubscribe(id, command.id, request),
            Request::Publish(request) => self.publish(id, command.id, request),
            Request::Presence(request) => self.presence(id, command.id, &request.channel),
            Request::PresenceStats(request) => self.presence_stats(id, command.id, &request.channel),
            Request::History(request) => self.history(id, command.id, request),
            Request::Rpc(request) => self.rpc(id, command.id, request),
            Request::Ping => Err(Reject::NotAvailable.into()),
            // Nobody registered a handler.
            Request::Send(_) => Err(Disconnect::NotAvailable.into()),
            Request::Refresh(request) => self.refresh(id, command.id, request),
            Request::SubRefresh(request) => self.sub_refresh(id, command.id, request),
        }
    }

    fn history(&mut self, id: ConnId, command: u32, request: &History<'_>) -> Result<(), Refused> {
        let name = &*request.channel;
        let Some(session) = self.session(id).filter(|_| !name.is_empty()) else {
            return Err(Disconnect::BadRequest.into());
        };
        let policy = self.settings.namespaces.resolve(name)?.policy;
        if !policy.has_history() {
            return Err(Reject::NotAvailable.into());
        }
        let is_subscriber = self.hub.find(name).is_some_and(|channel| session.find(channel).is_some());
        let is_allowed = policy.see_history.allows(session.user.is_empty(), is_subscriber);
        if !is_allowed && !self.settings.access.insecure {
            return Err(Reject::PermissionDenied.into());
        }
        let page_max = i32::try_from(self.settings.limits.history_page_max).unwrap_or(i32::MAX);
        let limit = if request.limit < 0 { page_max } else { request.limit.min(page_max) };
        let since = (request.since.as_ref())
            .map(|since| Position { offset: since.offset, epoch: Arc::from(&*since.epoch) });
        let query = HistoryQuery { limit, since, reverse: request.reverse };
        let channel = self.name_of(name);
        let request = self.open_request(Asker::Client { conn: id, command }, Kind::History)?;
        self.query(request, &channel, Query::History(query));
        Ok(())
    }

    fn rpc(&mut self, id: ConnId, command: u32, request: &Rpc<'_>) -> Result<(), Refused> {
        let method = &*request.method;
        if method == "ping" && self.settings.rpc_ping {
            self.reply(id, command, &Reply::Rpc(RpcResult::default()));
            return Ok(());
        }
        if let Some(rest) = method.strip_prefix(CURSOR_METHODS) {
            return self.cursor_method(id, command, rest, request);
        }
        let hooks = &self.settings.hooks;
        let hook = match method.split_once(':') {
            Some((namespace, _)) => {
                let known = hooks.rpc_namespaces.iter().find(|(name, _)| **name == *namespace);
                // A namespace that nobody configured has no methods, unless there are no hooks at all.
                match known {
                    Some((_, hook)) => hook.clone(),
                    None if hooks.rpc.is_none() && hooks.rpc_namespaces.is_empty() => None,
                    None => return Err(Reject::MethodNotFound.into()),
                }
            }
            None => hooks.rpc.clone(),
        };
        let Some(hook) = hook else {
            return Err(Reject::NotAvailable.into());
        };
        let Some(who) = self.who(id) else { return Ok(()) };
        let (method, data) = (Box::from(method), Box::from(request.data.bytes()));
        let request = self.open_request(Asker::Client { conn: id, command }, Kind::Rpc)?;
        self.ask_control(request, Ask::Rpc { who, hook, method, data });
        Ok(())
    }

    /// The engine has answered something that is neither a publication nor a recovery.
    pub(super) fn answered(&mut self, asker: Asker, word: Word) {
        match asker {
            Asker::Client { conn, command } => self.answer_client(conn, command, word),
            Asker::Call(call) => self.answer_call_with(call, word),
            Asker::Shard => {}
        }
    }

    fn answer_client(&mut self, id: ConnId, command: u32, word: Word) {
        match word {
            Word::History { publications, place } => {
                let Some(codec) = self.session(id).map(|session| session.wire.codec) else { return };
                // Which channel it was has been forgotten by now: where one is bare, all of these are.
                let is_bare = self.settings.namespaces.iter().any(|(_, policy)| policy.is_uncompressed);
                shown_page(&publications, codec, |publications| {
                    let (epoch, offset) = (&*place.epoch, place.offset);
                    let reply = Reply::History(HistoryResult { publications, epoch, offset });
                    self.reply_with(id, command, &reply, is_bare);
                });
            }
            Word::Cursor { place, acknowledged } => self.reply_cursor(id, command, &place, acknowledged),
            Word::Failed(failure) => self.reject(id, command, reject(failure)),
            Word::Published(_) | Word::Recovered { .. } | Word::Position(_) | Word::Done => {}
        }
    }

    /// A back end has said no, or nothing.
    pub(super) fn answer_refused(&mut self, id: ConnId, command: u32, answer: Answer) {
        match answer {
            Answer::Error { code, message, temporary } => {
                self.stats.rejects += 1;
                self.reply(id, command, &Reply::Failure(Failure { code, message: &message, temporary }));
            }
            Answer::Disconnect { code, reason } => self.disconnect_with(id, code, &reason),
            Answer::Connect(_)
            | Answer::Refresh(_)
            | Answer::SubRefresh(_)
            | Answer::Subscribe(_)
            | Answer::Publish(_)
            | Answer::Rpc { .. }
            | Answer::Refilled { .. }
            | Answer::Keys
            | Answer::Failed => self.reject(id, command, Reject::Internal),
        }
    }

    pub(super) fn reject(&mut self, id: ConnId, command: u32, reject: Reject) {
        self.stats.rejects += 1;
        self.reply(id, command, &Reply::Error(reject));
    }

    pub(super) fn reply(&mut self, id: ConnId, command: u32, reply: &Reply<'_>) {
        let Some(wire) = self.session(id).map(|session| session.wire) else {
            return;
        };
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        wire.codec.encode_reply(command, reply, &mut text);
        self.answer_message(id, wire, &text);
        self.text = text;
    }

    /// The same; `is_bare`: it carries publications that are not to be compressed.
    pub(super) fn reply_with(&mut self, id: ConnId, command: u32, reply: &Reply<'_>, is_bare: bool) {
        if !is_bare {
            return self.reply(id, command, reply);
        }
        let Some(wire) = self.session(id).map(|session| session.wire) else {
            return;
        };
        let mut text = Vec::new();
        wire.codec.encode_reply(command, reply, &mut text);
        self.answer_bare(id, wire, &text);
    }

    /// A message of its own, behind what the current input has answered.
    pub(super) fn answer_bare(&mut self, id: ConnId, wire: Wire, message: &[u8]) {
        self.uncork();
        let payload = self.wrapped(wire, message, true);
        self.stats.messages_out += 1;
        self.queue(id, payload);
    }

    pub(super) fn wrapped(&mut self, wire: Wire, message: &[u8], is_bare: bool) -> Payload {
        let mut framed = Vec::with_capacity(message.len() + ENVELOPE_BYTES_MAX);
        let deflate = wire.deflate.filter(|_| !is_bare);
        Wire { deflate, ..wire }.append(&mut framed, message, &mut self.deflater);
        if is_bare { Payload::bare(framed) } else { Payload::new(framed) }
    }

    /// Whether publications of this channel are not to be compressed.
    pub(super) fn is_bare(&self, channel: &str) -> bool {
        self.policy_of(channel).is_ok_and(|policy| policy.is_uncompressed)
    }

    /// Appends a message to what the current input answers to `id`.
    pub(super) fn answer_message(&mut self, id: ConnId, wire: Wire, message: &[u8]) {
        self.cork_for(id, message.len());
        wire.append(&mut self.cork.bytes, message, &mut self.deflater);
        self.corked();
    }

    pub(super) fn session(&self, id: ConnId) -> Option<&Session> {
        self.conns.get(id)?.session()
    }

    pub(super) fn session_mut(&mut self, id: ConnId) -> Option<&mut Session> {
        self.conns.get_mut(id)?.session_mut()
    }
}

/// What a fail point about this command is called by.
fn subject<'a>(request: &'a Request<'_>) -> &'a str {
    match request {
        Request::Rpc(request) => &request.method,
        Request::Subscribe(request) => &request.channel,
        Request::Unsubscribe(request) => &request.channel,
        Request::Publish(request) => &request.channel,
        Request::Presence(request) => &request.channel,
        Request::PresenceStats(request) => &request.channel,
        Request::History(request) => &request.channel,
        Request::SubRefresh(request) => &request.channel,
        Request::Pong | Request::Connect(_) | Request::Ping | Request::Send(_) | Request::Refresh(_) => "",
    }
}

/// Built-in methods for acknowledgement cursors begin with this.
pub(super) const CURSOR_METHODS: &str = "ringway.cursor.";
