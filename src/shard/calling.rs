//! Calls of the server API on this core.
//! Invariant: every call is answered exactly once, at once or when the engine has answered.

use super::call::{Call, CallId, Failure, Outcome, Position, Publish};
use super::mail::{Query, Reply as Word};
use super::memo::Memo;
use super::requests::{Asker, Kind};
use super::{Output, Shard};
use crate::hub::Place;
use std::collections::HashSet;
use std::sync::Arc;

impl Shard {
    pub(super) fn called(&mut self, call: CallId, what: Call) {
        let outcome = match what {
            Call::Publish { channel, publish } => return self.call_publish(call, &channel, *publish),
            Call::History { channel, query } => {
                return self.call_owner(call, &channel, Query::History(query));
            }
            Call::HistoryRemove { channel } => return self.call_owner(call, &channel, Query::HistoryRemove),
            Call::Cursor { channel, user } => {
                return self.call_owner(call, &channel, Query::Cursor { user, set: None });
            }
            Call::SetCursor { channel, user, offset } => {
                return self.call_owner(call, &channel, Query::Cursor { user, set: Some(offset) });
            }
            Call::Presence { channel } => self.call_presence(&channel),
            Call::PresenceStats { channel } => self.call_tally(&channel),
            Call::Channels { pattern } => self.call_channels(pattern.as_deref()),
            Call::Info => self.call_info(),
            Call::Subscribe { target, subscribe } => self.call_subscribe(&target, &subscribe),
            Call::Unsubscribe { target, channel, code, reason } => {
                self.call_unsubscribe(&target, channel.as_deref(), code, &reason)
            }
            Call::Disconnect { target, spare, code, reason } => {
                self.call_disconnect(&target, &spare, code, &reason)
            }
            Call::Refresh { target, refresh } => self.call_refresh(&target, &refresh),
            Call::Connections { target } => self.call_connections(&target),
        };
        self.answer_call(call, outcome);
    }

    fn call_publish(&mut self, call: CallId, channel: &Arc<str>, publish: Publish) {
        if self.submit(Asker::Call(call), channel, publish).is_err() {
            self.answer_call(call, Outcome::Failed(Failure::Internal));
        }
    }

    fn call_owner(&mut self, call: CallId, channel: &Arc<str>, query: Query) {
        match self.open_request(Asker::Call(call), Kind::History) {
            Ok(request) => self.query(request, channel, query),
            Err(_) => self.answer_call(call, Outcome::Failed(Failure::Internal)),
        }
    }

    pub(super) fn answer_published(&mut self, call: CallId, result: Result<Option<Place>, Failure>) {
        let outcome = match result {
            Ok(place) => Outcome::Published { position: place.map(Position::from) },
            Err(failure) => Outcome::Failed(failure),
        };
        self.answer_call(call, outcome);
    }

    pub(super) fn answer_call_with(&mut self, call: CallId, word: Word) {
        let outcome = match word {
            Word::History { publications, place } => {
                Outcome::History { publications, position: place.into() }
            }
            Word::Cursor { place, acknowledged } => Outcome::Cursor { position: place.into(), acknowledged },
            Word::Done => Outcome::Done { touched: 0 },
            Word::Failed(failure) => Outcome::Failed(failure),
            Word::Published(place) => Outcome::Published { position: place.map(Position::from) },
            Word::Recovered { .. } | Word::Position(_) => Outcome::Failed(Failure::Internal),
        };
        self.answer_call(call, outcome);
    }

    pub(super) fn answer_call(&mut self, call: CallId, outcome: Outcome) {
        if call == CallId::NOBODY {
            return;
        }
        let core = self.options.core;
        self.outputs.push(Output::Memo(Memo::Answered { core, call, outcome }));
    }

    fn call_presence(&self, channel: &str) -> Outcome {
        match self.policy_of(channel) {
            Ok(policy) if !policy.presence => Outcome::Failed(Failure::NotAvailable),
            Ok(_) => Outcome::People(self.people(channel)),
            Err(failure) => Outcome::Failed(failure),
        }
    }

    fn call_tally(&self, channel: &str) -> Outcome {
        match self.policy_of(channel) {
            Ok(policy) if !policy.presence => Outcome::Failed(Failure::NotAvailable),
            Ok(_) => {
                let people = self.people(channel);
                let users: HashSet<u64> = people.iter().map(|person| self.hash_of(&person.user)).collect();
                Outcome::Tally { clients: people.len() as u32, users: users.into_iter().collect() }
            }
            Err(failure) => Outcome::Failed(failure),
        }
    }

    fn call_channels(&self, pattern: Option<&str>) -> Outcome {
        let channels = self.hub.iter().filter_map(|id| self.hub.channel(id));
        let wanted = channels.filter(|channel| {
            !channel.members().is_empty() && pattern.is_none_or(|pattern| glob(pattern, &channel.name))
        });
        Outcome::Channels(
            wanted.map(|channel| (Arc::clone(&channel.name), channel.members().len() as u32)).collect(),
        )
    }

    fn call_info(&self) -> Outcome {
        let (mut clients, mut users) = (0, HashSet::new());
        for id in self.conns.ids() {
            if let Some(session) = self.session(id).filter(|session| session.is_connected()) {
                clients += 1;
                users.insert(self.hash_of(&session.user));
            }
        }
        let occupied = |id| self.hub.members(id).len();
        Outcome::Info {
            clients,
            users: users.into_iter().collect(),
            subscriptions: self.hub.iter().map(occupied).sum::<usize>() as u32,
            channels: self.hub.iter().filter(|&id| occupied(id) > 0).count() as u32,
        }
    }

    /// For sets of users that are put together from several cores.
    fn hash_of(&self, user: &str) -> u64 {
        self.hub.hash(user)
    }
}

impl From<Place> for Position {
    fn from(place: Place) -> Self {
        Self { offset: place.offset, epoch: place.epoch }
    }
}

/// `*` is any run of characters, `?` any one of them. Time is linear in the product of both lengths at worst.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut of, mut star) = (0, 0, None);
    while of < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, of));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[of] => {
                at += 1;
                of += 1;
            }
            Some(_) | None => {
                let Some((star_at, star_of)) = star else {
                    return false;
                };
                star = Some((star_at, star_of + 1));
                at = star_at + 1;
                of = star_of + 1;
            }
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_names_as_a_shell_would() {
        for (pattern, name) in
            [("*", ""), ("*", "x"), ("chat:*", "chat:1"), ("*:1", "chat:1"), ("a*b*c", "aXbYbc"), ("?", "x")]
        {
            assert!(glob(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("", "x"), ("chat:*", "chats:1"), ("a*b", "abc"), ("?", ""), ("?", "xy")] {
            assert!(!glob(pattern, name), "{pattern} {name}");
        }
    }
}
