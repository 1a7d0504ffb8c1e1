//! What the application does: publishes, reads, subscribes and unsubscribes others, throws out, takes tokens back.
//! Invariant: every call is answered once, by each core that got it.

use super::Trial;
use super::rules::name;
use super::truth::Place;
use crate::auth::{Auth, Change, TokenName};
use crate::shard::call::{Call, CallId, HistoryQuery, Outcome, Publish, Subscribe, Target};
use crate::shard::mail::Mail;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// What a call will be measured by.
#[derive(Debug)]
pub(super) enum Asked {
    Publish { number: usize },
    History { channel: usize },
    Presence { channel: usize, cores: usize, clients: BTreeSet<String> },
    Nothing,
}

/// Results of publications with a key are remembered for longer.
const KEY_LIFE: Duration = Duration::from_mins(4);

impl Trial {
    pub(super) fn call(&mut self, asked: Asked) -> CallId {
        self.next_call += 1;
        let call = CallId(self.next_call);
        self.calls.insert(call, asked);
        call
    }

    pub(super) fn call_publish(&mut self) {
        let channel = self.target();
        let tag = ["a", "b"][self.dice.below(2)];
        let pad = self.dice.below(self.pad_max);
        let number = self.truth.write(channel, None, Some(tag), pad, (self.tick, self.world.now));
        if self.dice.percent(50) {
            self.repeatable.push((number, self.world.now));
        }
        self.send_publish(number);
    }

    pub(super) fn call_again(&mut self) {
        // Keys are forgotten after a while: repeating one would be a publication of its own.
        let now = self.world.now;
        self.repeatable.retain(|(_, written)| now.since(*written) < KEY_LIFE);
        if let Some(&(number, _)) = self.dice.pick(&self.repeatable) {
            self.send_publish(number);
        }
    }

    pub(super) fn send_publish(&mut self, number: usize) {
        let written = self.truth.written(number);
        let tag = written.tag.unwrap_or_default();
        let publish = Publish {
            data: written.data.to_string().into_bytes().into(),
            is_json: true,
            tags: Box::new([(Box::from("t"), Box::from(tag))]),
            delta: self.dice.percent(50),
            idempotency_key: (self.repeatable.iter().any(|(repeatable, _)| *repeatable == number))
                .then(|| format!("key-{number}").into()),
            ..Publish::default()
        };
        let channel = name(written.channel);
        let call = self.call(Asked::Publish { number });
        let what = Call::Publish { channel: Arc::from(&*channel), publish: Box::new(publish) };
        self.world.call_owner(&channel, call, what);
    }

    pub(super) fn call_history(&mut self, channel: usize) {
        let call = self.call(Asked::History { channel });
        let query = HistoryQuery { limit: -1, ..HistoryQuery::default() };
        let channel = name(channel);
        self.world.call_owner(&channel, call, Call::History { channel: Arc::from(&*channel), query });
    }

    pub(super) fn call_disconnect(&mut self, at: usize) {
        self.members[at].allowed.insert(3503);
        let target = target(at);
        self.call_everywhere(&|| Call::Disconnect {
            target: target.clone(),
            spare: Vec::new(),
            code: 3503,
            reason: Box::from("force disconnect"),
        });
    }

    pub(super) fn call_subscribe(&mut self, at: usize, channel: usize) {
        let seconds = self.dice.between(1, 60) as u64;
        let expire_at = if self.dice.percent(30) { self.world.unix_ms() / 1000 + seconds } else { 0 };
        self.members[at].standings.entry(channel).or_default().offer(expire_at);
        let channel = Arc::from(&*name(channel));
        let subscribe = Arc::new(Subscribe { channel, expire_at, ..Subscribe::default() });
        let target = target(at);
        self.call_everywhere(&|| Call::Subscribe {
            target: target.clone(),
            subscribe: Arc::clone(&subscribe),
        });
    }

    pub(super) fn call_unsubscribe(&mut self, at: usize, channel: usize) {
        let target = target(at);
        self.call_everywhere(&|| Call::Unsubscribe {
            target: target.clone(),
            channel: Some(Arc::from(&*name(channel))),
            code: 2000,
            reason: Box::from("server unsubscribe"),
        });
    }

    fn call_everywhere(&mut self, what: &dyn Fn() -> Call) {
        for core in 0..self.world.core_count() {
            let call = self.call(Asked::Nothing);
            self.world.call(core, call, what());
        }
    }

    /// Takes back a token of the member, all that it has, or the member itself.
    pub(super) fn revoke(&mut self, at: usize) {
        let now_s = self.world.unix_ms() / 1000;
        let user: Box<str> = format!("user-{at}").into();
        let member = &self.members[at];
        let change = match self.dice.below(4) {
            0 => {
                self.revoked.blocked.insert(at);
                Change::BlockUser { user, until: 0 }
            }
            1 => {
                let before = self.revoked.before.entry(at).or_default();
                *before = (*before).max(now_s + 1);
                Change::RevokeUser { user, channel: None, before: now_s + 1, until: 0 }
            }
            kind => {
                let of_subscriptions =
                    member.standings.values().filter(|standing| standing.is_live && kind == 2);
                let tokens = of_subscriptions.filter_map(|standing| standing.token.as_ref());
                let token = tokens.chain(member.pass.as_ref()).next();
                let Some(token_name) = token.map(|token| token.name.clone()) else { return };
                let change = Change::RevokeToken { name: TokenName::of_jti(&token_name), until: 0 };
                self.revoked.names.insert(token_name);
                change
            }
        };
        self.change(change);
        if self.revoked.blocked.contains(&at) {
            self.members[at].allowed.insert(3507);
        }
    }

    pub(super) fn unblock_everybody(&mut self) {
        for member in std::mem::take(&mut self.revoked.blocked) {
            self.change(Change::UnblockUser { user: format!("user-{member}").into() });
        }
    }

    /// Every core hears of it with new settings.
    fn change(&mut self, change: Change) {
        let auth = &self.settings.auth;
        let mut revocations = (*auth.revocations).clone();
        let kept = revocations.apply(change, self.world.unix_ms() / 1000);
        assert!(kept.is_ok(), "so few revocations are too many");
        self.settings.auth = Arc::new(Auth { revocations: Arc::new(revocations), ..Auth::clone(auth) });
        let settings = Arc::new(self.settings.clone());
        self.world.broadcast(|| Mail::Settings(Arc::clone(&settings)));
    }

    pub(super) fn hear_answers(&mut self) {
        while let Some((call, outcome)) = self.world.answers.pop_front() {
            let asked = self.calls.remove(&call);
            assert!(asked.is_some(), "an answer to no call, or a second one: {outcome:?}");
            match (asked, outcome) {
                (Some(Asked::Publish { number }), Outcome::Published { position: Some(position) }) => {
                    let channel = self.truth.written(number).channel;
                    let (epoch, offset) = (position.epoch.to_string(), position.offset);
                    self.truth.stands(number, &Place { channel, epoch, offset });
                }
                (Some(Asked::History { channel }), Outcome::History { publications, position }) => {
                    for publication in &publications {
                        let data = serde_json::from_slice(&publication.data).unwrap_or_default();
                        let epoch = position.epoch.to_string();
                        let place = Place { channel, epoch, offset: publication.offset };
                        let tag = publication.tags.first().map(|(_, tag)| &**tag);
                        self.truth.heard(&place, &data, tag);
                    }
                    self.judge_tops(channel, &position.epoch, position.offset);
                }
                (Some(Asked::Presence { channel, cores, mut clients }), Outcome::People(people)) => {
                    let texts = people.iter().map(|person| person.client.text());
                    clients.extend(texts.map(|text| String::from_utf8_lossy(&text).into_owned()));
                    self.counted(channel, cores - 1, clients);
                }
                (Some(Asked::History { .. }), Outcome::Failed(_)) => {
                    assert!(self.is_failing && !self.is_at_rest, "no history");
                }
                (Some(Asked::Nothing), Outcome::Done { .. })
                | (Some(Asked::Publish { .. }), Outcome::Failed(_)) => {}
                (asked, outcome) => assert!(asked.is_none(), "{outcome:?} for {asked:?}"),
            }
        }
    }
}

fn target(member: usize) -> Target {
    Target { user: Some(format!("user-{member}").into()), ..Target::default() }
}
