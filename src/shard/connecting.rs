//! The connect command: who the client is, what it is subscribed to from the start, and the reply.
//!
//! Invariant: nothing reaches the client before the reply to connect, and nothing of what it has pipelined behind it is
//! served before. A connect that fails with an error leaves a connection that only waits to be closed.

use super::Shard;
use super::ask::{Answer, Ask, Connect as Presented, Credentials};
use super::call::{Call, CallId, Position, Subscribe, Target};
use super::commands::Refused;
use super::encoding::Style;
use super::joining::{Join, Stage as JoinStage, Why, Wish};
use super::mail::Mail;
use super::requests::{Asker, Kind};
use super::welcome::Welcome;
use crate::auth::{ConnectionClaims, Occasion, TokenError, Verdict};
use crate::conn::outbox::Place as Reserved;
use crate::conn::session::Stage;
use crate::ids::{ConnId, CoreId};
use crate::proto::command::Connect;
use crate::proto::reply::Failure;
use crate::proto::{Disconnect, Reject, Reply};
use std::sync::Arc;

/// A connect command that is being served.
#[derive(Debug, Default)]
pub(super) struct Connecting {
    command: u32,
    /// Where the reply goes, once the client waits for it.
    reply: Option<Reserved>,
    token: Box<str>,
    presented: Presented,
    /// Where the client left its server-side subscriptions.
    left: Vec<(Box<str>, Option<Position>)>,
    data: Option<Arc<[u8]>>,
    /// Subscriptions that are still on their way in.
    missing: u32,
    welcomes: Vec<Welcome>,
    /// Messages behind the connect command, or what is left of them behind so many commands.
    behind: Vec<(u32, Box<[u8]>)>,
    behind_bytes: usize,
}

impl Shard {
    pub(super) fn connect(&mut self, id: ConnId, command: u32, request: &Connect<'_>) -> Result<(), Refused> {
        let mut connecting = Box::new(Connecting { command, ..Connecting::default() });
        connecting.token = Box::from(&*request.token);
        connecting.left = request
            .subs
            .iter()
            .map(|(name, subs)| {
                let since = || Position { offset: subs.offset, epoch: Arc::from(&*subs.epoch) };
                (Box::from(&**name), subs.recover.then(since))
            })
            .collect();
        connecting.presented = Presented {
            data: Box::from(request.data.bytes()),
            name: Box::from(&*request.name),
            version: Box::from(&*request.version),
            channels: connecting.left.iter().map(|(name, _)| name.clone()).collect(),
        };
        self.emulate_headers(id, request);
        let outcome = self.authenticate(id, &mut connecting);
        self.connect_decided(id, connecting, outcome)
    }

    /// None: somebody else has been asked.
    fn authenticate(
        &mut self,
        id: ConnId,
        connecting: &mut Connecting,
    ) -> Result<Option<Credentials>, Refused> {
        if !connecting.token.is_empty() {
            return self.check_connection(id, &connecting.token);
        }
        if self.settings.hooks.connect {
            let Some(who) = self.who(id) else { return Ok(None) };
            let connect = Box::new(connecting.presented.clone());
            return self.ask_about(id, connecting.command, Ask::Connect { who, connect });
        }
        let access = &self.settings.access;
        if access.anonymous || access.insecure {
            return Ok(Some(Credentials::default()));
        }
        let header = access.user_id_header.as_deref();
        let profile = self.session(id).and_then(|session| session.profile.as_deref());
        let headers = profile.and_then(|profile| profile.headers.as_deref()).unwrap_or_default();
        let named = header.and_then(|header| headers.iter().find(|(name, _)| &**name == header));
        match named {
            Some((_, user)) => Ok(Some(Credentials { user: user.clone(), ..Credentials::default() })),
            None => Err(Disconnect::BadRequest.into()),
        }
    }

    fn check_connection(&mut self, id: ConnId, token: &str) -> Result<Option<Credentials>, Refused> {
        match self.settings.auth.connection(token, self.unix_s()) {
            Ok(claims) => {
                if claims.user.is_empty() && self.settings.access.disallow_anonymous_tokens {
                    return Err(Disconnect::PermissionDenied.into());
                }
                if claims.expire_at > 0 && claims.expire_at <= self.unix_s() {
                    return Err(Reject::Expired.into());
                }
                let credentials = self.adopt_claims(id, claims);
                Ok(Some(credentials))
            }
            Err(TokenError::UnknownKey { kid, address, is_current: false }) => {
                self.ask_about(id, 0, Ask::Keys { kid, address })
            }
            Err(error) => Err(self.refusal(&error, Occasion::Connect)),
        }
    }

    fn adopt_claims(&mut self, id: ConnId, claims: ConnectionClaims) -> Credentials {
        if let Some(session) = self.session_mut(id) {
            let profile = session.profile.get_or_insert_default();
            profile.token = Some(claims.id);
            profile.refreshes_itself = true;
        }
        let grants = claims.subs.into_iter().map(|grant| {
            let (channel, info, data, overrides) = (grant.channel, grant.info, grant.data, grant.overrides);
            Arc::new(Subscribe { channel, info, data, overrides, ..Subscribe::default() })
        });
        Credentials {
            subs: grants.collect(),
            user: claims.user,
            expire_at: claims.expire_at,
            info: claims.info,
            meta: claims.meta,
            data: None,
        }
    }

    fn ask_about(&mut self, id: ConnId, command: u32, ask: Ask) -> Result<Option<Credentials>, Refused> {
        let request = self.open_request(Asker::Client { conn: id, command }, Kind::Connect)?;
        self.ask_control(request, ask);
        Ok(None)
    }

    /// The back end has decided, or the keys are here.
    pub(super) fn connect_answered(&mut self, id: ConnId, answer: Answer) {
        let Some(mut connecting) = self.connecting.remove(&id) else {
            return;
        };
        let reply = connecting.reply;
        let outcome = match answer {
            Answer::Connect(credentials) => Ok(Some(*credentials)),
            Answer::Keys => {
                let token = std::mem::take(&mut connecting.token);
                match self.settings.auth.connection(&token, self.unix_s()) {
                    Ok(claims) => Ok(Some(self.adopt_claims(id, claims))),
                    Err(error) => Err(self.refusal(&error, Occasion::Connect)),
                }
            }
            Answer::Error { code, message, temporary } => {
                let failure = Reply::Failure(Failure { code, message: &message, temporary });
                return self.connect_failed(id, &connecting, &failure);
            }
            Answer::Disconnect { code, reason } => {
                self.give_up_reply(id, reply);
                return self.disconnect_with(id, code, &reason);
            }
            Answer::Refresh(_)
            | Answer::SubRefresh(_)
            | Answer::Subscribe(_)
            | Answer::Publish(_)
            | Answer::Rpc { .. }
            | Answer::Refilled { .. }
            | Answer::Failed => Err(Reject::Internal.into()),
        };
        if let Err(Refused::Disconnect(why)) = self.connect_decided(id, connecting, outcome) {
            self.give_up_reply(id, reply);
            self.disconnect(id, why);
        }
    }

    fn connect_decided(
        &mut self,
        id: ConnId,
        mut connecting: Box<Connecting>,
        outcome: Result<Option<Credentials>, Refused>,
    ) -> Result<(), Refused> {
        match outcome {
            Ok(Some(credentials)) => self.let_in(id, connecting, credentials),
            Ok(None) => {
                self.reserve_reply(id, &mut connecting);
                self.connecting.insert(id, connecting);
                Ok(())
            }
            Err(Refused::Reject(reject)) => {
                self.connect_failed(id, &connecting, &Reply::Error(reject));
                Ok(())
            }
            Err(Refused::Disconnect(why)) => Err(Refused::Disconnect(why)),
        }
    }

    fn connect_failed(&mut self, id: ConnId, connecting: &Connecting, why: &Reply<'_>) {
        self.stats.rejects += 1;
        if let Some(session) = self.session_mut(id) {
            session.stage = Stage::Refused;
            if session.wire.is_bare {
                // There is no reply that could carry an error.
                let is_expired = matches!(why, Reply::Error(Reject::TokenExpired | Reject::Expired));
                let end = if is_expired { Disconnect::Expired } else { Disconnect::BadRequest };
                self.give_up_reply(id, connecting.reply);
                return self.disconnect(id, end);
            }
        }
        self.answer_connect(id, connecting, false, |style, out| {
            style.wire.codec.encode_reply(connecting.command, why, out);
        });
    }

    /// The client is who it says; now its subscriptions.
    fn let_in(
        &mut self,
        id: ConnId,
        mut connecting: Box<Connecting>,
        credentials: Credentials,
    ) -> Result<(), Refused> {
        let subs = self.subscriptions_of(&credentials, &connecting)?;
        if subs.len() > self.settings.limits.channels_per_client_max as usize {
            self.stats.limited_channels += 1;
            return Err(Disconnect::ChannelLimit.into());
        }
        self.identify(id, &credentials, &connecting.presented)?;
        connecting.data = credentials.data;
        connecting.missing = subs.len() as u32;
        if subs.is_empty() {
            self.finish_connect(id, *connecting);
            return Ok(());
        }
        self.reserve_reply(id, &mut connecting);
        let left = std::mem::take(&mut connecting.left);
        self.connecting.insert(id, connecting);
        for subscribe in subs {
            // One that cannot be had ends the connection, and the others with it.
            if !self.connecting.contains_key(&id) {
                break;
            }
            let since = left.iter().find(|(name, _)| **name == *subscribe.channel);
            let since = since.and_then(|(_, since)| since.clone());
            self.join_server_side(id, &subscribe, Why::Connect, since);
        }
        Ok(())
    }

    pub(super) fn join_server_side(
        &mut self,
        id: ConnId,
        subscribe: &Subscribe,
        why: Why,
        since: Option<Position>,
    ) {
        let since = since.or_else(|| subscribe.recover_since.clone());
        let policy = self.policy_of(&subscribe.channel).unwrap_or_default();
        let wish = Wish {
            positioned: policy.is_positioned(true, since.is_some(), false),
            recoverable: policy.is_recoverable(true, false),
            join_leave: policy.pushes_join_leave(true, true),
            recovers: since.is_some(),
            since,
            overrides: subscribe.overrides,
            info: subscribe.info.clone(),
            data: subscribe.data.clone(),
            expire_at: subscribe.expire_at,
            ..Wish::default()
        };
        let name = Arc::clone(&subscribe.channel);
        let join = Box::new(Join {
            name,
            why,
            stage: JoinStage::Hook,
            wish,
            token: Box::default(),
            was_refilled: false,
            deferred: Vec::new(),
        });
        self.join(id, join);
    }

    /// From the token or the hook, the personal channel, and those that the client names and may have.
    fn subscriptions_of(
        &self,
        credentials: &Credentials,
        connecting: &Connecting,
    ) -> Result<Vec<Arc<Subscribe>>, Refused> {
        let settings = &self.settings;
        let mut subs = credentials.subs.clone();
        let mut add = |name: &str| {
            if !subs.iter().any(|known| &*known.channel == name) {
                let channel = self.name_of(name);
                subs.push(Arc::new(Subscribe { channel, ..Subscribe::default() }));
            }
        };
        if settings.personal.enabled
            && let Some(name) = settings.personal.name(&settings.namespaces, &credentials.user)
        {
            add(&name);
        }
        for (name, _) in &connecting.left {
            let Ok(resolved) = settings.namespaces.resolve(name) else {
                return Err(Disconnect::BadRequest.into());
            };
            let is_anonymous = credentials.user.is_empty();
            let is_open = !resolved.is_reserved() && resolved.policy.subscribe.allows(is_anonymous, false);
            if is_open || resolved.allows_user(&credentials.user) && !is_anonymous {
                add(name);
            }
        }
        Ok(subs)
    }

    fn identify(&mut self, id: ConnId, credentials: &Credentials, app: &Presented) -> Result<(), Refused> {
        let user = &credentials.user;
        if self.settings.auth.revocations.is_blocked(user, self.unix_s()) {
            return Err(Disconnect::PermissionDenied.into());
        }
        let limit = self.settings.limits.connections_per_user_max;
        let is_counted = limit > 0 && !user.is_empty();
        if is_counted && !self.options.tallies.enter(user, limit) {
            self.stats.limited_users += 1;
            return Err(Disconnect::ConnectionLimit.into());
        }
        let app = self.apps.share(&app.name, &app.version);
        let Some(session) = self.session_mut(id) else {
            return Ok(());
        };
        session.app = app;
        session.user.clone_from(user);
        session.is_counted = is_counted;
        let is_known = session.profile.is_some()
            || credentials.info.is_some()
            || credentials.meta.is_some()
            || credentials.expire_at > 0;
        if is_known {
            let profile = session.profile.get_or_insert_default();
            profile.conn_info.clone_from(&credentials.info);
            profile.meta.clone_from(&credentials.meta);
            profile.expire_at = credentials.expire_at;
        }
        self.index(id);
        if credentials.expire_at > 0 {
            self.expire_later(id, credentials.expire_at);
        }
        Ok(())
    }

    /// One of the subscriptions that come with the connection is in, or could not be had.
    pub(super) fn connect_joined(&mut self, id: ConnId, welcome: Option<Welcome>) {
        let Some(connecting) = self.connecting.get_mut(&id) else {
            return;
        };
        connecting.missing = connecting.missing.saturating_sub(1);
        let Some(welcome) = welcome else {
            // A client that relies on a subscription it does not have would wait for ever.
            return self.disconnect(id, Disconnect::InternalError);
        };
        connecting.welcomes.push(welcome);
        if connecting.missing == 0
            && let Some(connecting) = self.connecting.remove(&id)
        {
            self.finish_connect(id, *connecting);
        }
    }

    fn finish_connect(&mut self, id: ConnId, mut connecting: Connecting) {
        let Some(session) = self.session_mut(id) else {
            return;
        };
        session.stage = Stage::Connected;
        self.stats.sessions += 1;
        let welcomes = std::mem::take(&mut connecting.welcomes);
        let is_bare = welcomes.iter().any(|one| !one.publications.is_empty() && self.is_bare(&one.name));
        let result = self.connected(id, welcomes, connecting.data.take());
        self.answer_connect(id, &connecting, is_bare, |style, out| {
            result.encode(style, connecting.command, out);
        });
        self.start_beats(id);
        self.end_older_connections(id);
        self.serve_behind(id, connecting.behind);
    }

    fn answer_connect(
        &mut self,
        id: ConnId,
        connecting: &Connecting,
        is_bare: bool,
        encode: impl FnOnce(Style, &mut Vec<u8>),
    ) {
        let Some(wire) = self.session(id).map(|session| session.wire) else {
            return;
        };
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        encode(Style { wire, numeric: false }, &mut text);
        match connecting.reply {
            None if is_bare => self.answer_bare(id, wire, &text),
            None => self.answer_message(id, wire, &text),
            Some(place) => {
                let payload = self.wrapped(wire, &text, is_bare);
                self.stats.messages_out += 1;
                if let Some(conn) = self.conns.get_mut(id) {
                    conn.outbox.fill(&mut self.nodes, place, payload);
                }
                self.mark_dirty(id);
            }
        }
        self.text = text;
    }

    /// From here on the client gets nothing until the reply is known.
    fn reserve_reply(&mut self, id: ConnId, connecting: &mut Connecting) {
        if connecting.reply.is_some() {
            return;
        }
        self.uncork();
        if let Some(conn) = self.conns.get_mut(id) {
            connecting.reply = Some(conn.outbox.reserve(&mut self.nodes));
            if let Some(session) = conn.session_mut() {
                session.stage = Stage::Connecting;
            }
        }
    }

    /// Keeps a message of a client whose connect command is still being served.
    pub(super) fn keep_behind(&mut self, id: ConnId, message: &[u8], served: u32) -> Result<(), Disconnect> {
        let bytes_max = self.settings.limits.message_bytes_max as usize;
        let Some(connecting) = self.connecting.get_mut(&id) else {
            return Err(Disconnect::BadRequest);
        };
        connecting.behind_bytes += message.len();
        if connecting.behind_bytes > bytes_max.saturating_mul(2)
            || connecting.behind.len() >= BEHIND_COUNT_MAX
        {
            return Err(Disconnect::TooManyRequests);
        }
        connecting.behind.push((served, Box::from(message)));
        Ok(())
    }

    /// The client goes before it was let in: what was to come behind the reply is not for it any more.
    pub(super) fn abandon_connect(&mut self, id: ConnId) {
        let reply = self.connecting.remove(&id).and_then(|connecting| connecting.reply);
        self.give_up_reply(id, reply);
    }

    fn give_up_reply(&mut self, id: ConnId, reply: Option<Reserved>) {
        if let (Some(place), Some(conn)) = (reply, self.conns.get_mut(id)) {
            conn.outbox.truncate(&mut self.nodes, place);
        }
    }

    pub(super) fn refusal(&mut self, error: &TokenError, occasion: Occasion) -> Refused {
        self.stats.tokens_refused += 1;
        match error.verdict(occasion) {
            Verdict::Reject(reject) => Refused::Reject(reject),
            Verdict::Disconnect(disconnect) => Refused::Disconnect(disconnect),
        }
    }

    /// One connection a user: the newest stays.
    fn end_older_connections(&mut self, id: ConnId) {
        if !self.settings.personal.enabled || !self.settings.personal.single_connection {
            return;
        }
        let Some(user) = self.session(id).map(|session| session.user.clone()).filter(|user| !user.is_empty())
        else {
            return;
        };
        self.end_others(&user, id);
        let Some(client) = self.session(id).map(|session| session.client) else {
            return;
        };
        for core in (0..self.options.core_count).map(CoreId).filter(|&core| core != self.options.core) {
            let target = Target { user: Some(user.clone()), ..Target::default() };
            let (code, reason) = (Disconnect::ConnectionLimit.code(), Disconnect::ConnectionLimit.reason());
            let what = Call::Disconnect { target, spare: vec![client], code, reason: Box::from(reason) };
            self.letters.tell(core, Mail::Call { call: CallId::NOBODY, what: Box::new(what) });
        }
    }
}

/// Messages that a client may send before it is let in.
const BEHIND_COUNT_MAX: usize = 64;
