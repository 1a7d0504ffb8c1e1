//! Clients as others may see them: others' clients, and back ends.

use super::Shard;
use super::ask::Who;
use crate::conn::session::{Session, Subscription};
use crate::ids::ConnId;
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
}
