//! What a member makes of replies and endings.
//! Invariant: every reply answers a command that waits for one, and says what the rules and the token say.

use super::{Ask, Hearing, Member};
use crate::sim::client::Heard;
use crate::sim::link::Incoming;
use crate::sim::message::{Fields, Message};
use crate::sim::trial::issuer::{Form, Token};
use crate::sim::trial::lease::{End, Lease};
use crate::sim::trial::rules::{Mode, Rules, index};
use crate::sim::trial::truth::Place;
use std::collections::{BTreeMap, BTreeSet};

impl Member {
    pub fn receive(&mut self, incoming: Incoming, hearing: &mut Hearing<'_>) {
        match incoming {
            Incoming::Silence => {}
            Incoming::Bytes(bytes) => {
                if let Err(wrong) = self.client.receive(bytes) {
                    assert!(wrong.is_empty(), "member {}: {wrong}", self.number);
                }
                while let Some(heard) = self.client.heard.pop_front() {
                    self.hear(heard, hearing);
                }
            }
            Incoming::Ended | Incoming::Reset => {
                assert!(!self.allowed.is_empty() || self.link.is_none(), "ended without a reason");
                self.disconnected();
            }
        }
    }

    fn hear(&mut self, heard: Heard, hearing: &mut Hearing<'_>) {
        match heard {
            Heard::Status(101) | Heard::Ping | Heard::FramePing(_) => {}
            Heard::Message(Message::Reply { id, kind, body }) => {
                let ask = self.asked.remove(&id);
                assert!(ask.is_some(), "a reply to no command: {id} {kind} {body:?}");
                if let Some(ask) = ask {
                    self.answered(id, ask, kind, &body, hearing);
                }
            }
            Heard::Message(Message::Push { channel, kind, body, .. }) => {
                self.pushed(&channel, kind, &body, hearing);
            }
            Heard::Close(code, reason) => {
                let code = code.unwrap_or_default();
                let is_allowed = self.allowed.contains(&code) || self.explains(code, hearing);
                let (number, allowed, lease) = (self.number, &self.allowed, &self.lease);
                assert!(
                    is_allowed,
                    "member {number} closed with {code} {reason:?} at {}: {allowed:?}, {lease:?}, {:?}, {:?}",
                    hearing.unix_ms, self.pass, self.asked
                );
                hearing.codes.insert(code.into());
                self.allowed.insert(0);
                self.end_subscriptions();
            }
            Heard::Status(_)
            | Heard::Reply(..)
            | Heard::Push(_)
            | Heard::Message(_)
            | Heard::FramePong(_)
            | Heard::Text(_)
            | Heard::Binary(_) => assert!(self.link.is_none(), "nothing that a member provokes"),
        }
    }

    /// Whether tokens, time or lost mail are reason enough.
    fn explains(&self, code: u16, hearing: &Hearing<'_>) -> bool {
        let now_s = hearing.unix_ms / 1000;
        let is_late = |token: &Token| token.expire_at > 0 && token.expire_at <= now_s;
        let is_dead = |token: &Token| hearing.revoked.is_dead(token);
        let refreshes = |is_bad: &dyn Fn(&Token) -> bool| {
            let brings = |ask: &Ask| if let Ask::Refresh { token } = ask { is_bad(token) } else { false };
            self.asked.values().any(brings)
        };
        let sub_refreshes = |is_bad: &dyn Fn(&Token) -> bool| {
            let brings =
                |ask: &Ask| if let Ask::SubRefresh { token, .. } = ask { is_bad(token) } else { false };
            self.asked.values().any(brings)
        };
        let has_server = || self.standings.values().any(|standing| standing.is_server);
        match code {
            3004 => (hearing.is_lossy || hearing.is_failing) && self.client_id.is_none() && has_server(),
            3005 => self.lease.may_be_over(hearing.unix_ms) || refreshes(&is_late),
            3006 => {
                let ended = |standing: &super::Standing| {
                    standing.is_server && standing.lease.may_be_over(hearing.unix_ms)
                };
                self.standings.values().any(ended) || sub_refreshes(&is_late)
            }
            3010 => (hearing.is_lossy || hearing.is_failing) && has_server(),
            3500 => self.pass.as_ref().is_some_and(is_dead) || refreshes(&is_dead) || sub_refreshes(&is_dead),
            _ => false,
        }
    }

    fn answered(&mut self, id: u32, ask: Ask, kind: &'static str, body: &Fields, hearing: &mut Hearing<'_>) {
        let code = if kind == "error" { body.number("code") as u32 } else { 0 };
        hearing.codes.extend((code > 0).then_some(code));
        match (ask, kind) {
            (Ask::Connect { since, expected }, "connect") => {
                self.welcomed(id, &since, &expected, body, hearing);
            }
            (Ask::Connect { .. }, "error") => self.turned_away(code, hearing),
            (Ask::Subscribe { channel, since, wants_delta, filter, token }, "subscribe") => {
                let standing = self.standings.entry(channel).or_default();
                // Whatever the server did with the channel meanwhile is over.
                standing.denials = 0;
                standing.filter = filter;
                standing.is_wanted |= !standing.is_leaving;
                self.granted(id, channel, token, body);
                self.subscribed(channel, since.as_ref(), wants_delta, body, hearing);
                self.waited(channel);
            }
            (Ask::Subscribe { channel, token, .. }, "error") => {
                self.refused(channel, code, token.as_ref(), hearing);
                self.waited(channel);
            }
            (Ask::Unsubscribe { channel }, "unsubscribe") => {
                let standing = self.standings.entry(channel).or_default();
                (standing.is_live, standing.is_leaving, standing.is_server) = (false, false, false);
                // An SDK that was told to leave forgets where it was.
                standing.position = None;
                self.waited(channel);
            }
            (Ask::Publish { number }, "publish") => hearing.truth.acknowledge(number),
            (Ask::Presence, "presence") => {
                let clients = body.map("presence").into_iter().flatten();
                for (client, info) in clients {
                    assert_eq!(client, info.text("client"), "{body:?}");
                    assert!(info.text("user").starts_with("user-"), "{body:?}");
                }
            }
            (Ask::Stats, "presence_stats") => {
                assert!(body.number("num_users") <= body.number("num_clients"), "{body:?}");
            }
            (Ask::History { channel }, "history") => told_history(channel, body, hearing),
            (Ask::History { .. }, "error") if !self.desk.rules.mode.recovers() => assert_eq!(code, 103),
            (Ask::Publish { .. } | Ask::Presence | Ask::Stats | Ask::History { .. }, "error") => {
                assert!(matches!(code, 100 | 111), "{body:?}");
            }
            (Ask::Refresh { token }, "refresh") => self.refreshed(id, token, body, hearing),
            (Ask::SubRefresh { channel, token }, "sub_refresh") => {
                self.sub_refreshed(id, channel, token, body, hearing);
            }
            (Ask::SubRefresh { channel, .. }, "error") => {
                // It was over before the command came.
                let is_live = self.standings.get(&channel).is_some_and(|standing| standing.is_live);
                assert!(code == 103 && !is_live, "member {} in {channel}: {body:?}", self.number);
            }
            (ask, kind) => assert_eq!(kind, "", "for {ask:?}: {body:?}"),
        }
    }

    pub(super) fn waited(&mut self, channel: usize) {
        let standing = self.standings.entry(channel).or_default();
        standing.waiting -= 1;
        if standing.is_wanted && !standing.is_live {
            self.subscribe(channel);
        }
    }

    fn welcomed(
        &mut self,
        command: u32,
        since: &BTreeMap<usize, (String, u64)>,
        expected: &BTreeSet<usize>,
        body: &Fields,
        hearing: &mut Hearing<'_>,
    ) {
        self.client_id = Some(body.text("client").to_owned());
        assert!(!body.text("client").is_empty() && body.number("ping") > 0, "{body:?}");
        if let Some(pass) = &self.pass {
            assert!(pass.is_usable(), "let in with {pass:?}");
            expect_ttl(pass, slack_s(&self.desk.rules), body);
            self.lease = Lease::of([End { command, expire_at: pass.expire_at, has_grace: true }]);
        }
        let subs: BTreeSet<usize> =
            body.map("subs").into_iter().flatten().filter_map(|(name, _)| index(name)).collect();
        assert_eq!(&subs, expected, "server-side subscriptions of member {}", self.number);
        hearing.codes.extend((!subs.is_empty()).then_some(SERVED));
        for (name, result) in body.map("subs").into_iter().flatten() {
            let Some(channel) = index(name) else { continue };
            assert!(!result.flag("expires") && result.number("ttl") == 0, "{result:?}");
            self.subscribed(channel, since.get(&channel), false, result, hearing);
        }
    }

    /// The connection is of no use any more: the client leaves, and tries with another token.
    fn turned_away(&mut self, code: u32, hearing: &Hearing<'_>) {
        let now_s = hearing.unix_ms / 1000;
        let is_late = |pass: &Token| pass.expire_at > 0 && pass.expire_at <= now_s;
        let is_due = self.pass.as_ref().is_some_and(is_late);
        assert!(code == 109 && is_due, "member {} not let in: {code} with {:?}", self.number, self.pass);
        self.asked.clear();
        self.allowed.extend([1000, 3502]);
        self.client.close(Some(1000), "");
    }

    /// What the reply to subscribe says of the token.
    fn granted(&mut self, command: u32, channel: usize, token: Option<Token>, body: &Fields) {
        let is_open = !self.desk.rules.is_guarded;
        assert!(token.as_ref().map_or(is_open, Token::is_usable), "let in with {token:?}");
        let standing = self.standings.entry(channel).or_default();
        standing.lease = Lease::default();
        match &token {
            Some(token) => {
                expect_ttl(token, slack_s(&self.desk.rules), body);
                let end = End { command, expire_at: token.expire_at, has_grace: true };
                standing.lease = Lease::of([end]);
            }
            None => assert!(!body.flag("expires") && body.number("ttl") == 0, "{body:?}"),
        }
        standing.token = token;
    }

    fn refused(&mut self, channel: usize, code: u32, token: Option<&Token>, hearing: &Hearing<'_>) {
        let now_s = hearing.unix_ms / 1000;
        let is_guarded = self.desk.rules.is_guarded;
        let standing = self.standings.entry(channel).or_default();
        let is_due = match code {
            100 => true,
            103 => {
                let is_bad = |token: &Token| token.form == Form::Forged || hearing.revoked.is_dead(token);
                // A clock that was set back makes tokens that are invalid already, and will for as long.
                standing.denials += 1;
                standing.is_wanted &= standing.denials < DENIALS_MAX;
                token.map_or(is_guarded, is_bad)
            }
            105 => {
                standing.is_wanted = false;
                standing.may_be_server
            }
            109 => token.is_some_and(|token| token.expire_at > 0 && token.expire_at <= now_s),
            _ => false,
        };
        assert!(is_due, "member {} not subscribed to {channel}: {code} with {token:?}", self.number);
    }

    fn refreshed(&mut self, command: u32, token: Token, body: &Fields, hearing: &mut Hearing<'_>) {
        assert!(token.is_usable(), "refreshed with {token:?}");
        assert_eq!(Some(body.text("client")), self.client_id.as_deref(), "{body:?}");
        expect_ttl(&token, slack_s(&self.desk.rules), body);
        hearing.codes.insert(REFRESHED);
        self.lease.confirm(End { command, expire_at: token.expire_at, has_grace: true });
        self.pass = Some(token);
    }

    fn sub_refreshed(
        &mut self,
        command: u32,
        channel: usize,
        token: Token,
        body: &Fields,
        hearing: &mut Hearing<'_>,
    ) {
        assert!(token.is_usable(), "refreshed with {token:?}");
        expect_ttl(&token, slack_s(&self.desk.rules), body);
        hearing.codes.insert(SUB_REFRESHED);
        let standing = self.standings.entry(channel).or_default();
        assert!(standing.is_live, "member {} refreshed what is over: {channel}", self.number);
        standing.lease.confirm(End { command, expire_at: token.expire_at, has_grace: true });
        standing.token = Some(token);
    }

    /// A new subscription, and what it was told of the stream.
    pub(super) fn subscribed(
        &mut self,
        channel: usize,
        since: Option<&(String, u64)>,
        wants_delta: bool,
        body: &Fields,
        hearing: &mut Hearing<'_>,
    ) {
        let mode = self.desk.rules.mode;
        let standing = self.standings.entry(channel).or_default();
        assert!(!standing.is_live, "member {} subscribed twice to {channel}", self.number);
        assert!(body.flag("positioned") && body.flag("recoverable") == mode.recovers(), "{body:?}");
        assert_eq!(body.flag("was_recovering"), since.is_some(), "{body:?}");
        assert_eq!(body.flag("delta"), wants_delta && standing.filter.is_none(), "{body:?}");
        let (epoch, offset) = (body.text("epoch").to_owned(), body.number("offset"));
        assert!(!epoch.is_empty(), "{body:?}");
        hearing.truth.judge_epoch(channel, &epoch);
        standing.begin(hearing.tick, (epoch.clone(), offset), body.flag("delta"));
        standing.may_repeat_top = mode.is_cached();
        let place = Place { channel, epoch, offset };
        let publications = body.many("publications");
        let is_recovered = body.flag("recovered");
        if mode.is_cached() {
            self.cached(&place, since, is_recovered, publications, hearing);
        } else if is_recovered {
            let since = since.map(|(epoch, offset)| (&**epoch, *offset));
            assert_eq!(since, Some((&*place.epoch, offset)), "recovered from somewhere else: {body:?}");
            hearing.codes.insert(if publications.is_empty() { COMPLETE } else { RECOVERED });
        } else {
            assert!(publications.is_empty(), "publications though nothing was recovered: {body:?}");
            if let Some((epoch, offset)) = since {
                let since = Place { channel, epoch: epoch.clone(), offset: *offset };
                hearing.truth.lost(&since, &place, hearing.now);
                hearing.codes.insert(LOST);
            }
            hearing.codes.extend((mode == Mode::Positioned).then_some(POSITIONED));
        }
        for publication in publications {
            self.published(channel, publication, hearing);
        }
    }

    /// Of a stream that is not to be recovered, the latest publication alone is given: to whoever does not have it.
    fn cached(
        &self,
        place: &Place,
        since: Option<&(String, u64)>,
        is_recovered: bool,
        publications: &[Fields],
        hearing: &mut Hearing<'_>,
    ) {
        let is_asked = since.is_some() || self.desk.rules.mode == Mode::AutoCache;
        let filter = self.standings.get(&place.channel).and_then(|standing| standing.filter);
        let number = self.number;
        assert!(publications.len() <= 1 && (is_asked || publications.is_empty()), "{publications:?}");
        assert!(since.is_some() || !is_recovered, "member {number} recovered from nowhere");
        for publication in publications {
            assert_eq!(publication.number("offset"), place.offset, "not the latest of {place:?}");
            hearing.codes.insert(CACHED);
        }
        let has_it = since
            .is_some_and(|(epoch, offset)| *offset > 0 && *offset == place.offset && *epoch == place.epoch);
        assert!(!has_it || (is_recovered && publications.is_empty()), "given once more: {place:?}");
        if is_recovered && publications.is_empty() && filter.is_none() {
            assert!(has_it, "member {number} recovered nothing, from {since:?} to {place:?}");
        }
        if is_asked && !has_it && publications.is_empty() && filter.is_none() {
            hearing.truth.judge_empty_cache(place, hearing.now);
        }
    }
}

fn told_history(channel: usize, body: &Fields, hearing: &mut Hearing<'_>) {
    let mut last = None;
    for publication in body.many("publications") {
        let offset = publication.number("offset");
        assert!(last.is_none_or(|last| offset == last + 1), "a hole in the history: {body:?}");
        assert!(offset <= body.number("offset") && !publication.flag("delta"), "{body:?}");
        last = Some(offset);
        let data = serde_json::from_slice(publication.raw("data")).unwrap_or_default();
        let tag = publication.texts("tags").and_then(|tags| tags.get("t")).map(String::as_str);
        let place = Place { channel, epoch: body.text("epoch").to_owned(), offset };
        hearing.truth.heard(&place, &data, tag);
    }
}

/// Whoever has to bring a new token is told when, and nobody else.
fn expect_ttl(token: &Token, slack_s: u64, body: &Fields) {
    let ttl = body.number("ttl");
    match token.form {
        Form::Expiring(seconds) => {
            assert!(body.flag("expires") && (1..=seconds + slack_s).contains(&ttl), "{token:?}: {body:?}");
        }
        Form::Good | Form::Stale | Form::Forged | Form::Foreign => {
            assert!(!body.flag("expires") && ttl == 0, "{token:?}: {body:?}");
        }
    }
}

/// A clock that is set back makes lives longer.
fn slack_s(rules: &Rules) -> u64 {
    if rules.moves_clock { u64::MAX / 4 } else { 0 }
}

impl Token {
    pub(super) fn is_usable(&self) -> bool {
        matches!(self.form, Form::Good | Form::Expiring(_))
    }
}

// What happened without a code of its own, to see that trials are not too kind.
pub(super) const COMPLETE: u32 = 1;
pub(super) const RECOVERED: u32 = 2;
pub(super) const LOST: u32 = 3;
pub(super) const CACHED: u32 = 4;
pub(super) const POSITIONED: u32 = 5;
pub(super) const SERVED: u32 = 6;
pub(super) const SERVED_LATER: u32 = 7;
pub(super) const REFRESHED: u32 = 8;
pub(super) const SUB_REFRESHED: u32 = 9;

/// Denials in a row after which a member gives a channel up, as an SDK does after the first.
const DENIALS_MAX: u32 = 20;
