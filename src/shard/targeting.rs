//! Calls of the server API on somebody's connections.
//! Invariant: a target that names nothing matches nobody: an empty request must never disconnect everyone.

use super::Shard;
use super::call::{Connection, Outcome, Refresh, Subscribe, Target};
use super::joining::Why;
use crate::conn::session::Session;
use crate::ids::{ClientId, ConnId};
use crate::proto::{Disconnect, Push};
use std::sync::Arc;

impl Shard {
    /// Connected clients of this core that are meant.
    fn meant(&self, target: &Target) -> Vec<ConnId> {
        let is_meant = |session: &Session| {
            let stream = session.profile.as_ref().and_then(|profile| profile.stream.as_deref());
            session.is_connected()
                && target.user.as_ref().is_none_or(|user| *user == session.user)
                && target.client.is_none_or(|client| client == session.client)
                && target.session.is_none_or(|wanted| stream.is_some_and(|stream| stream.session == wanted))
        };
        let candidates: Vec<ConnId> = match (&target.user, target.client) {
            (None, None) if target.session.is_none() => Vec::new(),
            (_, Some(client)) => {
                let slot = self.clients.find(&client, |slot| self.client_at(slot));
                slot.and_then(|slot| self.conns.id_of(slot)).into_iter().collect()
            }
            (Some(user), None) if !user.is_empty() => self.connections_of(user),
            (_, None) => self.conns.ids().collect(),
        };
        candidates.into_iter().filter(|&id| self.session(id).is_some_and(is_meant)).collect()
    }

    pub(super) fn call_subscribe(&mut self, target: &Target, subscribe: &Arc<Subscribe>) -> Outcome {
        if let Err(failure) = self.policy_of(&subscribe.channel) {
            return Outcome::Failed(failure);
        }
        let ids = self.meant(target);
        for &id in &ids {
            let name = &subscribe.channel;
            let channel = self.hub.find(name);
            let is_subscribed = channel.is_some_and(|channel| {
                self.session(id).is_some_and(|session| session.find(channel).is_some())
            });
            if !is_subscribed && !self.joins.contains(id, name) {
                self.join_server_side(id, subscribe, Why::Server, None);
            }
        }
        Outcome::Done { touched: ids.len() as u32 }
    }

    pub(super) fn call_unsubscribe(
        &mut self,
        target: &Target,
        channel: Option<&str>,
        code: u32,
        reason: &str,
    ) -> Outcome {
        let ids = self.meant(target);
        for &id in &ids {
            let channels: Vec<_> = match channel {
                Some(name) => self.hub.find(name).into_iter().collect(),
                None => self.session(id).map_or_else(Vec::new, |session| {
                    session.subscriptions.iter().map(|subscription| subscription.channel).collect()
                }),
            };
            for channel in channels {
                let Some(name) = self.hub.name(channel).map(Arc::clone) else { continue };
                if self.leave(id, channel) {
                    self.push(id, &Push::Unsubscribe { channel: &name, code, reason });
                }
            }
        }
        Outcome::Done { touched: ids.len() as u32 }
    }

    pub(super) fn call_disconnect(
        &mut self,
        target: &Target,
        spare: &[ClientId],
        code: u16,
        reason: &str,
    ) -> Outcome {
        let mut ids = self.meant(target);
        ids.retain(|&id| self.session(id).is_some_and(|session| !spare.contains(&session.client)));
        for &id in &ids {
            self.disconnect_with(id, code, reason);
        }
        Outcome::Done { touched: ids.len() as u32 }
    }

    pub(super) fn call_refresh(&mut self, target: &Target, refresh: &Refresh) -> Outcome {
        let ids = self.meant(target);
        for &id in &ids {
            if refresh.expired {
                self.disconnect(id, Disconnect::Expired);
                continue;
            }
            if let Some(session) = self.session_mut(id) {
                let profile = session.profile.get_or_insert_default();
                profile.expire_at = refresh.expire_at;
                if refresh.info.is_some() {
                    profile.conn_info.clone_from(&refresh.info);
                }
            }
            if refresh.expire_at > 0 {
                self.expire_later(id, refresh.expire_at);
            }
        }
        Outcome::Done { touched: ids.len() as u32 }
    }

    pub(super) fn call_connections(&self, target: &Target) -> Outcome {
        let show = |id: ConnId| {
            let session = self.session(id)?;
            let app = session.app.as_deref();
            let channels =
                session.subscriptions.iter().filter_map(|subscription| self.hub.name(subscription.channel));
            Some(Connection {
                client: session.client,
                user: session.user.clone(),
                app_name: app.map(|app| app.name.clone()).unwrap_or_default(),
                app_version: app.map(|app| app.version.clone()).unwrap_or_default(),
                transport: session.wire.transport(),
                protocol: session.wire.protocol(),
                channels: channels.map(Arc::clone).collect(),
            })
        };
        Outcome::Connections(self.meant(target).into_iter().filter_map(show).collect())
    }

    /// Connections of a user who is somebody.
    pub(super) fn connections_of(&self, user: &str) -> Vec<ConnId> {
        let ids = self.users.candidates(&user).into_iter().filter_map(|slot| self.conns.id_of(slot));
        ids.filter(|&id| self.session(id).is_some_and(|session| *session.user == *user)).collect()
    }

    /// Ends the other connections of a user on this core.
    pub(super) fn end_others(&mut self, user: &str, spare: ConnId) {
        for id in self.connections_of(user) {
            if id != spare {
                self.disconnect(id, Disconnect::ConnectionLimit);
            }
        }
    }

    /// From now on the connection is found by its user and its client id.
    pub(super) fn index(&mut self, id: ConnId) {
        let Some(session) = self.conns.get(id).and_then(|conn| conn.session()) else {
            return;
        };
        let (conns, client) = (&self.conns, session.client);
        let session_at = |slot: u32| conns.get(conns.id_of(slot)?)?.session();
        self.clients.add(id.slot, &client, |slot| session_at(slot).map(|session| session.client));
        if !session.user.is_empty() {
            self.users.add(id.slot, &&*session.user, |slot| session_at(slot).map(|session| &*session.user));
        }
    }

    pub(super) fn unindex(&mut self, id: ConnId) {
        if let Some(session) = self.conns.get(id).and_then(|conn| conn.session()) {
            if session.is_counted {
                self.options.tallies.leave(&session.user);
            }
            self.clients.remove(id.slot, &session.client);
            if !session.user.is_empty() {
                self.users.remove(id.slot, &&*session.user);
            }
        }
    }

    pub(super) fn client_at(&self, slot: u32) -> Option<ClientId> {
        Some(self.session(self.conns.id_of(slot)?)?.client)
    }
}
