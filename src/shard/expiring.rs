//! The end of connections and subscriptions that were granted for a time, and refreshing them before it.
//!
//! Invariant: whatever has an end is listed with it; entries of what has gone or was refreshed are recognised when they
//! come up, so that refreshing costs no search. Ends are Unix seconds, because tokens are; the wall clock is the
//! driver's word, and may be set back: an entry that comes up before its time is listed again.

use super::Shard;
use super::ask::{Answer, Ask, Refreshed};
use super::commands::Refused;
use super::requests::{Asker, Kind};
use crate::auth::Occasion;
use crate::conn::session::{Detail, Profile};
use crate::ids::{ChannelId, ConnId};
use crate::proto::command::{Refresh, SubRefresh};
use crate::proto::reply::{RefreshResult, SubRefreshResult};
use crate::proto::{Disconnect, Reject, Reply, Unsubscribed};
use crate::stats::Work;
use crate::time::Moment;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

/// Connections by the moment at which something of theirs may be over.
#[derive(Debug, Default)]
pub(super) struct Expiries {
    heap: BinaryHeap<Reverse<Entry>>,
}

/// When to look, at which connection, and what the wall clock, in Unix milliseconds, has to show by then.
type Entry = (Moment, u32, u32, i64);

impl Expiries {
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.heap.peek().map(|Reverse((due, ..))| *due)
    }

    fn add(&mut self, due: Moment, id: ConnId, end_ms: i64) {
        self.heap.push(Reverse((due, id.slot, id.generation, end_ms)));
    }

    fn take(&mut self, now: Moment, unix_ms: i64) -> Option<ConnId> {
        loop {
            if self.deadline()? > now {
                return None;
            }
            let Reverse((_, slot, generation, end_ms)) = self.heap.pop()?;
            let id = ConnId { slot, generation };
            if end_ms <= unix_ms {
                return Some(id);
            }
            self.add(now + Duration::from_millis((end_ms - unix_ms) as u64), id, end_ms);
        }
    }
}

impl Shard {
    /// Tells the wall clock, in Unix milliseconds.
    pub fn tell_time(&mut self, now: Moment, unix_ms: i64) {
        self.wall = (now, unix_ms);
    }

    pub(super) fn unix_ms(&self) -> i64 {
        let (at, unix_ms) = self.wall;
        unix_ms + self.now.since(at).as_millis() as i64
    }

    pub(super) fn unix_s(&self) -> u64 {
        (self.unix_ms() / 1000) as u64
    }

    /// Rounded up, so that a client which comes back in time is in time.
    pub(super) fn seconds_until(&self, expire_at: u64) -> u32 {
        let seconds = expire_at.saturating_sub(self.unix_s()).clamp(1, TTL_SECONDS_MAX);
        seconds as u32
    }

    /// Looks at this connection when `expire_at` has passed, and then some if the client may refresh it.
    pub(super) fn expire_later(&mut self, id: ConnId, expire_at: u64) {
        let unix_ms = self.unix_ms();
        let end_ms = (expire_at.min(u64::MAX / 4000) * 1000).cast_signed();
        // Entries of connections that have gone are found when they come up; so many are looked for before.
        if self.expiries.heap.len() > EXPIRY_COUNT_KEPT + 4 * self.conns.count() as usize {
            let conns = &self.conns;
            let lives = |slot, generation| conns.get(ConnId { slot, generation }).is_some();
            self.expiries.heap.retain(|Reverse((_, slot, generation, _))| lives(*slot, *generation));
        }
        for extra in
            [Duration::ZERO, self.settings.patience.expired, self.settings.patience.expired_subscription]
        {
            let end_ms = end_ms.saturating_add(extra.as_millis() as i64);
            let wait_ms = end_ms.saturating_sub(unix_ms).max(0) as u64;
            self.expiries.add(self.now + Duration::from_millis(wait_ms), id, end_ms);
        }
    }

    /// Ends what is over by now.
    pub(super) fn expire(&mut self) {
        while let Some(id) = self.expiries.take(self.now, self.unix_ms()) {
            if self.conns.get(id).is_some_and(crate::conn::Conn::is_open) {
                self.serve_for(Work::Deadline, id, |shard| {
                    shard.expire_connection(id);
                    shard.expire_subscriptions(id);
                });
            }
        }
    }

    fn expire_connection(&mut self, id: ConnId) {
        let now_ms = self.unix_ms();
        let Some(profile) = self.session(id).and_then(|session| session.profile.as_deref()) else {
            return;
        };
        if profile.expire_at == 0 {
            return;
        }
        let over_ms = now_ms - (profile.expire_at.cast_signed()).saturating_mul(1000);
        let asks_back_end = !profile.refreshes_itself && self.settings.hooks.refresh;
        if over_ms < 0 {
            return;
        }
        let patience = self.settings.patience.expired.as_millis() as i64;
        if asks_back_end && over_ms < patience {
            return self.ask_refresh(id);
        }
        // Who cannot refresh gets no grace.
        if over_ms >= patience || (!profile.refreshes_itself && !asks_back_end) {
            self.disconnect(id, Disconnect::Expired);
        }
    }

    fn expire_subscriptions(&mut self, id: ConnId) {
        let now_ms = self.unix_ms();
        let patience = self.settings.patience.expired_subscription.as_millis() as i64;
        let over = |detail: &Detail| {
            let grace = if detail.refreshes_itself { patience } else { 0 };
            detail.expire_at > 0 && now_ms >= (detail.expire_at.cast_signed()).saturating_mul(1000) + grace
        };
        let Some(session) = self.session(id) else {
            return;
        };
        let gone: Vec<(ChannelId, bool)> = (session.subscriptions.iter())
            .filter(|subscription| subscription.detail.as_deref().is_some_and(over))
            .map(|subscription| (subscription.channel, subscription.is_server_side))
            .collect();
        for (channel, is_server_side) in gone {
            if is_server_side {
                return self.disconnect(id, Disconnect::SubscriptionExpired);
            }
            if !self.ask_sub_refresh(id, channel) {
                self.expel(id, channel, Unsubscribed::Expired);
            }
        }
    }

    fn ask_refresh(&mut self, id: ConnId) {
        let Some(who) = self.who(id) else { return };
        if let Ok(request) = self.open_request(Asker::Client { conn: id, command: 0 }, Kind::Refresh) {
            self.ask_control(request, Ask::Refresh { who });
        }
    }

    /// False: nobody can be asked.
    fn ask_sub_refresh(&mut self, id: ConnId, channel: ChannelId) -> bool {
        let Some(channel) = self.hub.channel(channel) else {
            return false;
        };
        let (name, hook) = (Arc::clone(&channel.name), channel.policy.sub_refresh_proxy.clone());
        let (Some(hook), Some(who)) = (hook, self.who(id)) else {
            return false;
        };
        let kind = Kind::SubRefresh { channel: Arc::clone(&name) };
        let Ok(request) = self.open_request(Asker::Client { conn: id, command: 0 }, kind) else {
            return false;
        };
        self.ask_control(request, Ask::SubRefresh { who, hook, channel: name });
        true
    }

    pub(super) fn refresh_answered(&mut self, id: ConnId, answer: Answer) {
        match answer {
            Answer::Refresh(Refreshed { expired: true, .. }) => self.disconnect(id, Disconnect::Expired),
            Answer::Refresh(refreshed) => {
                if let Some(session) = self.session_mut(id) {
                    let profile = session.profile.get_or_insert_default();
                    profile.expire_at = refreshed.expire_at;
                    profile.conn_info = refreshed.info.or_else(|| profile.conn_info.take());
                    profile.meta = refreshed.meta.or_else(|| profile.meta.take());
                }
                if refreshed.expire_at > 0 {
                    self.expire_later(id, refreshed.expire_at);
                }
            }
            Answer::Disconnect { code, reason } => self.disconnect_with(id, code, &reason),
            // The grace runs on: a back end that comes back in time is asked no more, and its client reconnects.
            Answer::Connect(_)
            | Answer::SubRefresh(_)
            | Answer::Subscribe(_)
            | Answer::Publish(_)
            | Answer::Rpc { .. }
            | Answer::Refilled { .. }
            | Answer::Keys
            | Answer::Error { .. }
            | Answer::Failed => {}
        }
    }

    pub(super) fn sub_refresh_answered(&mut self, id: ConnId, name: &str, answer: Answer) {
        let Some(channel) = self.hub.find(name) else { return };
        match answer {
            Answer::SubRefresh(refreshed) if !refreshed.expired => {
                let Some(subscription) = self.session_mut(id).and_then(|session| session.find_mut(channel))
                else {
                    return;
                };
                let detail = subscription.detail.get_or_insert_default();
                detail.expire_at = refreshed.expire_at;
                detail.chan_info = refreshed.info.or_else(|| detail.chan_info.take());
                if refreshed.expire_at > 0 {
                    self.expire_later(id, refreshed.expire_at);
                }
            }
            Answer::Disconnect { code, reason } => self.disconnect_with(id, code, &reason),
            Answer::Connect(_)
            | Answer::Refresh(_)
            | Answer::SubRefresh(_)
            | Answer::Subscribe(_)
            | Answer::Publish(_)
            | Answer::Rpc { .. }
            | Answer::Refilled { .. }
            | Answer::Keys
            | Answer::Error { .. }
            | Answer::Failed => {
                self.expel(id, channel, Unsubscribed::Expired);
            }
        }
    }

    /// A new token for the connection.
    pub(super) fn refresh(&mut self, id: ConnId, command: u32, request: &Refresh<'_>) -> Result<(), Refused> {
        let Some(session) = self.session(id) else { return Ok(()) };
        let is_by_hook = session.profile.as_ref().is_some_and(|profile| !profile.refreshes_itself);
        if request.token.is_empty() || (is_by_hook && self.settings.hooks.refresh) {
            return Err(Disconnect::BadRequest.into());
        }
        let client = session.client.text();
        let claims = match self.settings.auth.connection(&request.token, self.unix_s()) {
            Ok(claims) if claims.user != session.user => return Err(Disconnect::InvalidToken.into()),
            Ok(claims) => claims,
            Err(error) => {
                self.fetch_for_refresh(id, &error);
                return Err(self.refusal(&error, Occasion::Refresh));
            }
        };
        let expire_at = claims.expire_at;
        if expire_at > 0 && expire_at <= self.unix_s() {
            return Err(Disconnect::Expired.into());
        }
        if let Some(session) = self.session_mut(id) {
            let profile: &mut Profile = session.profile.get_or_insert_default();
            profile.expire_at = expire_at;
            profile.refreshes_itself = true;
            profile.token = Some(claims.id);
            profile.conn_info = claims.info;
            profile.meta = claims.meta.or_else(|| profile.meta.take());
        }
        if expire_at > 0 {
            self.expire_later(id, expire_at);
        }
        let result = RefreshResult {
            client: std::str::from_utf8(&client).unwrap_or_default(),
            version: self.options.version,
            expires: expire_at > 0,
            ttl_seconds: if expire_at > 0 { self.seconds_until(expire_at) } else { 0 },
        };
        self.reply(id, command, &Reply::Refresh(result));
        Ok(())
    }

    /// A new token for a subscription.
    pub(super) fn sub_refresh(
        &mut self,
        id: ConnId,
        command: u32,
        request: &SubRefresh<'_>,
    ) -> Result<(), Refused> {
        let name = &*request.channel;
        let channel = self.hub.find(name);
        let Some(session) = self.session(id).filter(|_| !name.is_empty()) else {
            return Err(Disconnect::BadRequest.into());
        };
        let Some(subscription) = channel.and_then(|channel| session.find(channel)) else {
            return Err(Reject::PermissionDenied.into());
        };
        if request.token.is_empty() {
            return Err(Reject::BadRequest.into());
        }
        let detail = subscription.detail.as_deref();
        if detail.is_some_and(|detail| detail.expire_at > 0 && !detail.refreshes_itself) {
            return Err(Disconnect::BadRequest.into());
        }
        let checked = self.check_subscription(id, name, &request.token, Occasion::SubRefresh)?;
        let expire_at = checked.expire_at;
        if let Some(channel) = channel
            && let Some(subscription) = self.session_mut(id).and_then(|session| session.find_mut(channel))
        {
            let detail = subscription.detail.get_or_insert_default();
            detail.expire_at = expire_at;
            detail.refreshes_itself = true;
            detail.chan_info = checked.info;
            detail.token = Some(Box::new(checked.id));
        }
        if expire_at > 0 {
            self.expire_later(id, expire_at);
        }
        let ttl_seconds = if expire_at > 0 { self.seconds_until(expire_at) } else { 0 };
        self.reply(id, command, &Reply::SubRefresh(SubRefreshResult { expires: expire_at > 0, ttl_seconds }));
        Ok(())
    }
}

/// Entries beyond four for each connection before those of the dead are thrown out.
const EXPIRY_COUNT_KEPT: usize = 4096;

/// A year; nothing is granted for longer.
const TTL_SECONDS_MAX: u64 = 365 * 24 * 60 * 60;
