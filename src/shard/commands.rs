//! One command of the client protocol: who may send it now, and who serves it.
//!
//! Invariant: a command with an id gets exactly one reply, at once or when the engine has answered, unless it costs
//! the connection. The first command is connect and there is no second one.

use super::Shard;
use crate::channels::NameError;
use crate::conn::session::Session;
use crate::ids::ConnId;
use crate::proto::command::Connect;
use crate::proto::reply::ConnectResult;
use crate::proto::{Command, Disconnect, Reject, Reply, Request};
use crate::ws::Opcode;

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
            NameError::Empty => Self::Disconnect(Disconnect::BadRequest),
            NameError::TooLong | NameError::Malformed => Self::Reject(Reject::BadRequest),
            NameError::Unknown => Self::Reject(Reject::UnknownChannel),
        }
    }
}

impl Shard {
    pub(super) fn command(&mut self, id: ConnId, command: Command<'_>) -> Result<(), Disconnect> {
        let is_connected = self.session(id).is_some_and(|session| session.is_connected);
        let is_connect = matches!(command.request, Request::Connect(_));
        if is_connected == is_connect {
            return Err(Disconnect::BadRequest);
        }
        let served = match command.request {
            Request::Pong => return if self.pong(id) { Ok(()) } else { Err(Disconnect::BadRequest) },
            Request::Connect(request) => self.connect(id, command.id, &request),
            Request::Subscribe(request) => self.subscribe(id, command.id, &request),
            Request::Unsubscribe(request) => self.unsubscribe(id, command.id, &request),
            Request::Publish(request) => self.publish(id, command.id, &request),
            Request::Presence(request) => self.presence(id, command.id, &request.channel),
            Request::PresenceStats(request) => self.presence_stats(id, command.id, &request.channel),
            // Nobody registered a handler; no channel has history.
            Request::Ping | Request::Rpc(_) | Request::History(_) => Err(Reject::NotAvailable.into()),
            Request::Send(_) => Err(Disconnect::NotAvailable.into()),
            // No key is configured that a token could be checked with.
            Request::Refresh(request) if request.token.is_empty() => Err(Disconnect::BadRequest.into()),
            Request::SubRefresh(request) if request.token.is_empty() => Err(Reject::BadRequest.into()),
            Request::Refresh(_) | Request::SubRefresh(_) => Err(Disconnect::InvalidToken.into()),
        };
        match served {
            Ok(()) => Ok(()),
            Err(Refused::Reject(reject)) => {
                self.reject(id, command.id, reject);
                Ok(())
            }
            Err(Refused::Disconnect(disconnect)) => Err(disconnect),
        }
    }

    fn connect(&mut self, id: ConnId, command: u32, request: &Connect<'_>) -> Result<(), Refused> {
        if !request.token.is_empty() {
            return Err(Disconnect::InvalidToken.into());
        }
        if !self.settings.access.anonymous {
            return Err(Disconnect::BadRequest.into());
        }
        let Some(session) = self.session_mut(id) else {
            return Ok(());
        };
        session.is_connected = true;
        let (client, native) = (session.client.text(), session.native_pings);
        self.stats.sessions += 1;
        let ping = self.options.ping_interval;
        let result = ConnectResult {
            client: std::str::from_utf8(&client).unwrap_or_default(),
            version: self.options.version,
            ping_seconds: if native { 0 } else { ping.as_secs_f64().ceil() as u32 },
            pong: !native && !ping.is_zero(),
            ..ConnectResult::default()
        };
        self.reply(id, command, &Reply::Connect(result));
        self.start_beats(id);
        Ok(())
    }

    pub(super) fn reject(&mut self, id: ConnId, command: u32, reject: Reject) {
        self.stats.rejects += 1;
        self.reply(id, command, &Reply::Error(reject));
    }

    pub(super) fn reply(&mut self, id: ConnId, command: u32, reply: &Reply<'_>) {
        let Some(codec) = self.session(id).map(|session| session.codec) else {
            return;
        };
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        codec.encode_reply(command, reply, &mut text);
        self.answer(id, Opcode::Text, &text);
        self.text = text;
    }

    pub(super) fn session(&self, id: ConnId) -> Option<&Session> {
        self.conns.get(id)?.session()
    }

    pub(super) fn session_mut(&mut self, id: ConnId) -> Option<&mut Session> {
        self.conns.get_mut(id)?.session_mut()
    }
}
