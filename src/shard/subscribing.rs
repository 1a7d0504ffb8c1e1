//! Subscribe and unsubscribe commands: who may, and what the subscription shall be like.
//!
//! Invariant: the reply to subscribe precedes the first push of the channel, the reply to unsubscribe follows the
//! last. Commands on a channel that is being joined take their turn behind it.

use super::Shard;
use super::ask::{Answer, Ask, Subscribed};
use super::call::Position;
use super::commands::Refused;
use super::fetching::Missing;
use super::joining::{Deferred, Join, Stage, Want, Why, Wish};
use super::requests::{Asker, Kind};
use crate::auth::{Occasion, SubscriptionClaims, TokenError};
use crate::channels::{Policy, Resolved};
use crate::filter::Filter;
use crate::ids::ConnId;
use crate::proto::command::{Subscribe, Unsubscribe};
use crate::proto::{Disconnect, Reject, Reply};
use std::sync::Arc;

/// What decides about a subscribe command.
enum Verdict {
    /// It is decided; the claims if it was by token.
    Allowed(Option<Box<SubscriptionClaims>>),
    /// A back end decides.
    Ask(Box<str>),
    /// The key of the token has to be fetched.
    Fetch(Missing),
}

impl Shard {
    pub(super) fn subscribe(
        &mut self,
        id: ConnId,
        command: u32,
        request: &Subscribe<'_>,
    ) -> Result<(), Refused> {
        let name = &*request.channel;
        self.may_have_one_more(id, name)?;
        self.may_grow()?;
        let settings = Arc::clone(&self.settings);
        let resolved = settings.namespaces.resolve(name)?;
        let wish = self.wish(id, request, resolved.policy)?;
        let verdict = self.may_subscribe(id, request, &resolved)?;
        let mut join = Box::new(Join {
            name: self.name_of(name),
            why: Why::Command(command),
            stage: Stage::Hook,
            wish,
            token: Box::default(),
            was_refilled: false,
            deferred: Vec::new(),
        });
        match verdict {
            Verdict::Fetch(missing) => {
                join.token = Box::from(&*request.token);
                self.fetch_for_join(id, command, missing, join)
            }
            Verdict::Ask(hook) => self.ask_subscribe(id, command, hook, request, join),
            Verdict::Allowed(claims) => {
                if let Some(claims) = claims {
                    join.wish.grant_token(*claims);
                }
                self.enter(id, join);
                Ok(())
            }
        }
    }

    /// Joins now, or after what is under way on the same channel.
    fn enter(&mut self, id: ConnId, join: Box<Join>) {
        let Why::Command(command) = join.why else {
            return self.join(id, join);
        };
        if let Some(before) = self.joins.find(id, &join.name) {
            before.deferred.push(Deferred { command, want: Want::Subscribe(join) });
        } else {
            self.join(id, join);
        }
    }

    fn may_have_one_more(&mut self, id: ConnId, name: &str) -> Result<(), Refused> {
        let Some(session) = self.session(id).filter(|_| !name.is_empty()) else {
            return Err(Disconnect::BadRequest.into());
        };
        let count = session.subscriptions.len() + self.joins.count(id);
        let is_subscribed = self.hub.find(name).is_some_and(|channel| session.find(channel).is_some());
        let channels_max = self.settings.limits.channels_per_client_max as usize;
        if let Some(join) = self.joins.find(id, name) {
            let leaves = matches!(join.deferred.last(), Some(Deferred { want: Want::Unsubscribe, .. }));
            if !leaves {
                return Err(Reject::AlreadySubscribed.into());
            }
            if join.deferred.len() >= DEFERRED_COUNT_MAX {
                return Err(Disconnect::TooManyRequests.into());
            }
        } else if is_subscribed {
            return Err(Reject::AlreadySubscribed.into());
        }
        if count >= channels_max {
            self.stats.limited_channels += 1;
            return Err(Reject::LimitExceeded.into());
        }
        Ok(())
    }

    /// What the client asks for, as far as the namespace grants it.
    fn wish(&self, id: ConnId, request: &Subscribe<'_>, policy: &Policy) -> Result<Wish, Refused> {
        let is_anonymous = self.session(id).is_none_or(|session| session.user.is_empty());
        let insecure = self.settings.access.insecure;
        if request.kind != 0 {
            return Err(Reject::PermissionDenied.into());
        }
        let delta = match &*request.delta {
            "" => false,
            "fossil" => policy.allow_delta_fossil,
            _ => return Err(Disconnect::BadRequest.into()),
        };
        let filter = match &request.tags_filter {
            None => None,
            Some(_) if !policy.allow_tags_filter => return Err(Reject::BadRequest.into()),
            Some(node) => Some(Filter::compile(node).map_err(|_| Reject::BadRequest)?),
        };
        // Who subscribes counts as a subscriber of what it subscribes to.
        let sees_history = insecure || policy.see_history.allows(is_anonymous, true);
        let sees_presence = insecure || policy.see_presence.allows(is_anonymous, true);
        Ok(Wish {
            positioned: policy.is_positioned(
                request.positioned,
                request.recoverable || request.recover,
                sees_history,
            ),
            recoverable: policy.is_recoverable(request.recoverable || request.recover, sees_history),
            join_leave: policy.pushes_join_leave(request.join_leave, sees_presence),
            // A publication that the filter holds back would leave the next patch without its base.
            delta: delta && filter.is_none(),
            numeric: request.flag & Subscribe::FLAG_COMPACTION != 0,
            filter,
            since: (request.recover)
                .then(|| Position { offset: request.offset, epoch: Arc::from(&*request.epoch) }),
            recovers: request.recover,
            rejects_unrecovered: request.rejects_unrecovered(),
            ..Wish::default()
        })
    }

    fn may_subscribe(
        &mut self,
        id: ConnId,
        request: &Subscribe<'_>,
        resolved: &Resolved<'_>,
    ) -> Result<Verdict, Refused> {
        if !request.token.is_empty() {
            return match self.verify_subscription(id, &request.channel, &request.token) {
                Ok(claims) => Ok(Verdict::Allowed(Some(Box::new(claims)))),
                Err(TokenError::UnknownKey { kid, address, is_current: false }) => {
                    Ok(Verdict::Fetch(Missing { kid, address }))
                }
                Err(error) => Err(self.refusal(&error, Occasion::Subscribe)),
            };
        }
        let Some(session) = self.session(id) else {
            return Err(Disconnect::BadRequest.into());
        };
        let is_anonymous = session.user.is_empty();
        if resolved.is_private {
            return Err(Reject::PermissionDenied.into());
        }
        if resolved.allows_user(&session.user) && !is_anonymous {
            return Ok(Verdict::Allowed(None));
        }
        if let Some(hook) = &resolved.policy.subscribe_proxy {
            return Ok(Verdict::Ask(hook.clone()));
        }
        let is_open = !resolved.is_reserved() && resolved.policy.subscribe.allows(is_anonymous, false);
        if is_open || self.settings.access.insecure {
            return Ok(Verdict::Allowed(None));
        }
        Err(Reject::PermissionDenied.into())
    }

    pub(super) fn check_subscription(
        &mut self,
        id: ConnId,
        channel: &str,
        token: &str,
        occasion: Occasion,
    ) -> Result<SubscriptionClaims, Refused> {
        let checked = self.verify_subscription(id, channel, token);
        checked.map_err(|error| {
            if occasion == Occasion::SubRefresh {
                self.fetch_for_refresh(id, &error);
            }
            self.refusal(&error, occasion)
        })
    }

    fn verify_subscription(
        &self,
        id: ConnId,
        channel: &str,
        token: &str,
    ) -> Result<SubscriptionClaims, TokenError> {
        let claims = self.settings.auth.subscription(token, self.unix_s())?;
        let session = self.session(id).ok_or(TokenError::Mismatch("client"))?;
        let client = session.client.text();
        claims.check(&session.user, channel, std::str::from_utf8(&client).unwrap_or_default())?;
        Ok(claims)
    }

    fn ask_subscribe(
        &mut self,
        id: ConnId,
        command: u32,
        hook: Box<str>,
        request: &Subscribe<'_>,
        join: Box<Join>,
    ) -> Result<(), Refused> {
        let Some(who) = self.who(id) else { return Ok(()) };
        if self.joins.contains(id, &join.name) {
            // Behind an unsubscribe that waits: asked when its turn comes would be better, but so nothing overtakes.
            return Err(Reject::TooManyRequests.into());
        }
        let channel = Arc::clone(&join.name);
        let kind = Kind::Subscribe { channel: Arc::clone(&channel) };
        let asked = self.open_request(Asker::Client { conn: id, command }, kind)?;
        self.joins.add(id, join);
        let (token, data) = (Box::from(&*request.token), Box::from(request.data.bytes()));
        self.ask_control(asked, Ask::Subscribe { who, hook, channel, token, data });
        Ok(())
    }

    /// The back end has decided about a subscribe command.
    pub(super) fn subscribe_answered(&mut self, id: ConnId, name: &str, answer: Answer) {
        let Some(mut join) = self.joins.take(id, name) else {
            return;
        };
        if let Answer::Subscribe(granted) = answer {
            join.wish.grant(*granted);
            self.join(id, join);
        } else if let Answer::Keys = answer {
            self.keys_for_join(id, join);
        } else {
            self.join_refused(id, *join, answer);
        }
    }

    pub(super) fn unsubscribe(
        &mut self,
        id: ConnId,
        command: u32,
        request: &Unsubscribe<'_>,
    ) -> Result<(), Refused> {
        if request.channel.is_empty() {
            return Err(Disconnect::BadRequest.into());
        }
        if let Some(join) = self.joins.find(id, &request.channel) {
            if join.deferred.len() >= DEFERRED_COUNT_MAX {
                return Err(Disconnect::TooManyRequests.into());
            }
            join.deferred.push(Deferred { command, want: Want::Unsubscribe });
            return Ok(());
        }
        // Not being subscribed is fine: an error reply would make the SDK reconnect.
        if let Some(channel) = self.hub.find(&request.channel) {
            self.leave(id, channel);
        }
        self.reply(id, command, &Reply::Unsubscribe);
        Ok(())
    }

    /// Serves what was deferred, in order, until something has to wait once more.
    pub(super) fn resume(&mut self, id: ConnId, name: &Arc<str>, deferred: Vec<Deferred>) {
        for next in deferred {
            // Behind a new join everything waits again.
            if let Some(before) = self.joins.find(id, name) {
                before.deferred.push(next);
                continue;
            }
            match next.want {
                Want::Subscribe(join) => self.join(id, join),
                Want::Unsubscribe => {
                    if let Some(channel) = self.hub.find(name) {
                        self.leave(id, channel);
                    }
                    self.reply(id, next.command, &Reply::Unsubscribe);
                }
            }
        }
    }
}

impl Wish {
    fn grant(&mut self, granted: Subscribed) {
        self.info = granted.info;
        self.data = granted.data;
        self.expire_at = granted.expire_at;
        self.overrides = granted.overrides;
    }

    pub(super) fn grant_token(&mut self, claims: SubscriptionClaims) {
        self.expire_at = claims.expire_at;
        self.refreshes_itself = true;
        self.info = claims.info;
        self.data = claims.data;
        self.overrides = claims.overrides;
        self.made_by = Some(Box::new(claims.id));
    }
}

/// Changes of mind about channels that are being joined; no client has that many in good faith.
const DEFERRED_COUNT_MAX: usize = 64;
