//! Clients as others may see them: others' clients, and back ends.

use super::Shard;
use super::ask::Who;
use crate::conn::session::{Profile, Session, Subscription};
use crate::ids::ConnId;
use crate::proto::command::Connect;
use crate::publication::Person;
use std::sync::Arc;

pub(super) fn person(session: &Session, subscription: Option<&Subscription>) -> Person {
    Person {
        client: session.client,
        user: session.user.clone(),
        conn_info: session.conn_info().map(Arc::clone),
        chan_info: subscription.and_then(Subscription::chan_info).map(Arc::clone),
    }
}

impl Shard {
    /// What a hook is told of a client.
    pub(super) fn who(&self, id: ConnId) -> Option<Box<Who>> {
        let session = self.session(id)?;
        let profile = session.profile.as_deref();
        Some(Box::new(Who {
            client: session.client,
            transport: session.wire.transport(),
            protocol: session.wire.protocol(),
            user: session.user.clone(),
            meta: profile.and_then(|profile| profile.meta.clone()),
            headers: profile.and_then(|profile| profile.headers.clone()).unwrap_or_default(),
        }))
    }

    /// Headers that the client brings in its connect command, as far as back ends may have them.
    pub(super) fn emulate_headers(&mut self, id: ConnId, request: &Connect<'_>) {
        let wanted = &self.settings.hooks.emulated_headers;
        let emulated: Vec<(Box<str>, Box<str>)> = (request.headers.iter())
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .filter(|(name, _)| wanted.iter().any(|wanted| **wanted == **name))
            .map(|(name, value)| (Box::from(name), Box::from(&**value)))
            .collect();
        if emulated.is_empty() {
            return;
        }
        if let Some(session) = self.session_mut(id) {
            let profile: &mut Profile = session.profile.get_or_insert_default();
            let mut headers = profile.headers.take().map(|headers| headers.to_vec()).unwrap_or_default();
            headers.extend(emulated);
            profile.headers = Some(headers.into());
        }
    }
}
