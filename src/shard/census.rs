//! Presence: who listens, asked of every core at the moment of the question.
//!
//! Nothing is stored: the sessions are the truth, so join and leave cost no mail and presence cannot drift. A member
//! that waits for its channel's owner counts as present, because its subscribe command came first.

use super::Shard;
use super::commands::Refused;
use super::encoding::info;
use super::mail::{Mail, RequestId};
use super::people::person;
use super::requests::{Asker, Census, Kind};
use crate::ids::{ConnId, CoreId};
use crate::proto::reply::{ClientInfo, PresenceResult, PresenceStatsResult};
use crate::proto::{Disconnect, Reject, Reply};
use crate::publication::Person;
use std::collections::HashSet;
use std::sync::Arc;

impl Shard {
    pub(super) fn presence(&mut self, id: ConnId, command: u32, name: &str) -> Result<(), Refused> {
        self.may_see(id, name)?;
        self.take_census(id, command, name, Kind::Presence)
    }

    pub(super) fn presence_stats(&mut self, id: ConnId, command: u32, name: &str) -> Result<(), Refused> {
        self.may_see(id, name)?;
        self.take_census(id, command, name, Kind::PresenceStats)
    }

    fn may_see(&self, id: ConnId, name: &str) -> Result<(), Refused> {
        let Some(session) = self.session(id).filter(|_| !name.is_empty()) else {
            return Err(Disconnect::BadRequest.into());
        };
        let policy = self.settings.namespaces.resolve(name)?.policy;
        if !policy.presence {
            return Err(Reject::NotAvailable.into());
        }
        let is_subscriber = self.hub.find(name).is_some_and(|channel| session.find(channel).is_some());
        let is_allowed = policy.see_presence.allows(session.user.is_empty(), is_subscriber);
        if !is_allowed && !self.settings.access.insecure {
            return Err(Reject::PermissionDenied.into());
        }
        Ok(())
    }

    fn take_census(
        &mut self,
        id: ConnId,
        command: u32,
        name: &str,
        kind: impl FnOnce(Census) -> Kind,
    ) -> Result<(), Refused> {
        let people = self.people(name);
        let core_count = self.options.core_count;
        if core_count <= 1 {
            self.answer_census(id, command, kind(Census { missing: 0, people }));
            return Ok(());
        }
        let asker = Asker::Client { conn: id, command };
        let request = self.open_request(asker, kind(Census { missing: core_count - 1, people }))?;
        let channel: Arc<str> = Arc::from(name);
        let from = self.options.core;
        for core in (0..core_count).map(CoreId).filter(|&core| core != from) {
            let letter = Mail::Census { from, request, channel: Arc::clone(&channel) };
            if self.letters.ask(core, letter).is_err() {
                self.stats.mail_full += 1;
                self.close_request(request);
                return Err(Reject::Internal.into());
            }
        }
        Ok(())
    }

    /// Subscribers of this core. Who is on the way in came first with its command, and counts.
    pub(super) fn people(&self, name: &str) -> Vec<Person> {
        let Some(id) = self.hub.find(name) else {
            return Vec::new();
        };
        let members = self.hub.members(id).iter().filter_map(|member| {
            let session = self.session(self.conns.id_of(member.slot)?)?;
            let subscription = session.find(id);
            let detail = subscription.and_then(|subscription| subscription.detail.as_ref());
            (!detail.is_some_and(|detail| detail.is_absent)).then(|| person(session, subscription))
        });
        let waiters =
            self.hub.waiters(id).iter().filter_map(|&slot| {
                self.session(self.conns.id_of(slot)?).map(|session| person(session, None))
            });
        members.chain(waiters).collect()
    }

    pub(super) fn counted(&mut self, id: RequestId, mut more: Vec<Person>) {
        let Some(request) = self.requests.get_mut(id) else {
            return;
        };
        let census = match &mut request.kind {
            Kind::Presence(census) | Kind::PresenceStats(census) => census,
            Kind::Link { .. }
            | Kind::Recover { .. }
            | Kind::Publish
            | Kind::History
            | Kind::Cursor
            | Kind::Position { .. }
            | Kind::Connect
            | Kind::Keys
            | Kind::Refresh
            | Kind::SubRefresh { .. }
            | Kind::Subscribe { .. }
            | Kind::CacheEmpty { .. }
            | Kind::PublishHook { .. }
            | Kind::Rpc => return,
        };
        census.people.append(&mut more);
        census.missing = census.missing.saturating_sub(1);
        if census.missing == 0
            && let Some(request) = self.close_request(id)
            && let Asker::Client { conn, command } = request.asker
        {
            self.answer_census(conn, command, request.kind);
        }
    }

    fn answer_census(&mut self, id: ConnId, command: u32, kind: Kind) {
        let Some(codec) = self.session(id).map(|session| session.wire.codec) else {
            return;
        };
        match kind {
            Kind::Presence(census) => {
                let texts: Vec<[u8; 36]> = census.people.iter().map(|person| person.client.text()).collect();
                let clients: Vec<ClientInfo<'_>> = (census.people.iter().zip(&texts))
                    .map(|(person, text)| info(person, text, codec))
                    .collect();
                self.reply(id, command, &Reply::Presence(PresenceResult { clients: &clients }));
            }
            Kind::PresenceStats(census) => {
                let users: HashSet<&str> = census.people.iter().map(|person| &*person.user).collect();
                let result = PresenceStatsResult {
                    client_count: census.people.len() as u32,
                    user_count: users.len() as u32,
                };
                self.reply(id, command, &Reply::PresenceStats(result));
            }
            Kind::Link { .. }
            | Kind::Recover { .. }
            | Kind::Publish
            | Kind::History
            | Kind::Cursor
            | Kind::Position { .. }
            | Kind::Connect
            | Kind::Keys
            | Kind::Refresh
            | Kind::SubRefresh { .. }
            | Kind::Subscribe { .. }
            | Kind::CacheEmpty { .. }
            | Kind::PublishHook { .. }
            | Kind::Rpc => {}
        }
    }
}
