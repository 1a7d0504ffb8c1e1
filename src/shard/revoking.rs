//! Ending what a revocation hits: connections of blocked users and revoked tokens, subscriptions of revoked tokens.
//!
//! Invariant: after a change every slot is looked at once, a bounded number a turn. Whoever comes in behind that is
//! checked at the door, by the same settings. Changes in the meantime share one more round.

use super::Shard;
use crate::auth::{Occasion, TokenError, Verdict};
use crate::conn::Conn;
use crate::ids::{ChannelId, ConnId};
use crate::proto::{Disconnect, Unsubscribed};
use crate::stats::Work;
use crate::time::Moment;
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Revoking {
    /// The slot to look at next; none: nothing is under way.
    next: Option<u32>,
    /// Something has changed behind us.
    again: bool,
}

impl Revoking {
    pub(super) fn begin(&mut self) {
        self.again = self.next.is_some();
        self.next.get_or_insert(0);
    }

    /// At once, while there is something left to look at.
    pub(super) fn deadline(&self, now: Moment) -> Option<Moment> {
        self.next.map(|_| now)
    }
}

impl Shard {
    /// Looks at some more slots.
    pub(super) fn end_revoked(&mut self) {
        let Some(first) = self.revoking.next else {
            return;
        };
        let count = self.conns.slot_count();
        let end = count.min(first.saturating_add(SLOTS_A_TURN));
        for slot in first..end {
            if let Some(id) =
                self.conns.id_of(slot).filter(|&id| self.conns.get(id).is_some_and(Conn::is_open))
            {
                self.serve_for(Work::Deadline, id, |shard| shard.end_if_revoked(id));
            }
        }
        let is_over = end >= count && !std::mem::take(&mut self.revoking.again);
        self.revoking.next = (!is_over).then_some(if end >= count { 0 } else { end });
    }

    fn end_if_revoked(&mut self, id: ConnId) {
        if let Err(error) = self.connection_stands(id) {
            let why = match error.verdict(Occasion::Refresh) {
                Verdict::Disconnect(why) => why,
                Verdict::Reject(_) => Disconnect::InvalidToken,
            };
            return self.disconnect(id, why);
        }
        for channel in self.revoked_subscriptions(id) {
            self.expel(id, channel, Unsubscribed::Server);
        }
    }

    fn connection_stands(&self, id: ConnId) -> Result<(), TokenError> {
        let Some(session) = self.session(id) else {
            return Ok(());
        };
        let (revocations, now) = (&self.settings.auth.revocations, self.unix_s());
        match session.profile.as_ref().and_then(|profile| profile.token.as_ref()) {
            Some(token) => revocations.check(&session.user, None, token, now),
            None if revocations.is_blocked(&session.user, now) => Err(TokenError::Blocked),
            None => Ok(()),
        }
    }

    fn revoked_subscriptions(&self, id: ConnId) -> Vec<ChannelId> {
        let Some(session) = self.session(id) else {
            return Vec::new();
        };
        let (revocations, now) = (&self.settings.auth.revocations, self.unix_s());
        let made_by_token = session.subscriptions.iter().filter_map(|subscription| {
            let token = subscription.detail.as_ref()?.token.as_deref()?;
            Some((subscription.channel, token))
        });
        let is_revoked = |channel: ChannelId, token| {
            let name = self.hub.name(channel).map(Arc::as_ref);
            revocations.check(&session.user, name, token, now).is_err()
        };
        made_by_token
            .filter(|(channel, token)| is_revoked(*channel, *token))
            .map(|(channel, _)| channel)
            .collect()
    }
}

/// Some hundred microseconds of looking: less than a slice of deliveries.
const SLOTS_A_TURN: u32 = 2_048;
