//! Tokens and users that are refused before their time: revoked tokens, tokens issued before a moment, blocked users.
//!
//! Invariant: bounded, and complete within its bounds: nothing is forgotten before its time to make room. A structure is
//! the sum of its changes, which is also how it travels and is kept. Knowledge of the whole node; shards see snapshots.

use super::claims::{TokenId, TokenName};
use super::error::TokenError;
use crate::limits::REVOCATION_COUNT_MAX;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use thiserror::Error;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocations {
    /// Until when, by token.
    tokens: BTreeMap<TokenName, u64>,
    /// By user, then channel; the empty channel stands for tokens of every kind.
    issued_before: BTreeMap<Box<str>, BTreeMap<Box<str>, Cut>>,
    /// Until when, by user.
    blocked: BTreeMap<Box<str>, u64>,
    cut_count: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cut {
    before: u64,
    until: u64,
}

/// One act of an operator. Times are Unix seconds; `until` 0 is for ever, and else the moment from which the act does not
/// matter any more: when the tokens that it hits have expired by themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    RevokeToken {
        name: TokenName,
        until: u64,
    },
    /// Tokens of the user that were issued before `before`, and those that do not say when. With a channel: subscription
    /// tokens for that channel alone.
    RevokeUser {
        user: Box<str>,
        channel: Option<Box<str>>,
        before: u64,
        until: u64,
    },
    BlockUser {
        user: Box<str>,
        until: u64,
    },
    UnblockUser {
        user: Box<str>,
    },
}

impl Change {
    /// Names what the act is about: a later act on the same takes its place.
    pub fn subject(&self) -> [u8; 32] {
        let (kind, who, channel): (u8, &[u8], &str) = match self {
            Self::RevokeToken { name, .. } => (b't', name.bytes(), ""),
            Self::RevokeUser { user, channel, .. } => {
                (b'u', user.as_bytes(), channel.as_deref().unwrap_or_default())
            }
            Self::BlockUser { user, .. } | Self::UnblockUser { user } => (b'b', user.as_bytes(), ""),
        };
        let mut hash = Sha256::new();
        hash.update([kind]);
        hash.update((who.len() as u64).to_be_bytes());
        hash.update(who);
        hash.update(channel);
        hash.finalize().into()
    }

    /// Whether it does not matter any more.
    pub fn is_over(&self, now_unix_s: u64) -> bool {
        match self {
            Self::RevokeToken { until, .. }
            | Self::RevokeUser { until, .. }
            | Self::BlockUser { until, .. } => !in_force(*until, now_unix_s),
            Self::UnblockUser { .. } => true,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{REVOCATION_COUNT_MAX} revocations are in force")]
pub struct Full;

impl Revocations {
    /// A later act on the same token or user replaces an earlier one, but never shortens it: what is revoked stays so.
    pub fn apply(&mut self, change: Change, now_unix_s: u64) -> Result<(), Full> {
        if !matches!(change, Change::UnblockUser { .. }) && self.count() >= REVOCATION_COUNT_MAX {
            self.forget_expired(now_unix_s);
            if self.count() >= REVOCATION_COUNT_MAX {
                return Err(Full);
            }
        }
        match change {
            Change::RevokeToken { name, until } => {
                let kept = self.tokens.entry(name).or_insert(until);
                *kept = later(*kept, until);
            }
            Change::RevokeUser { user, channel, before, until } => {
                let cuts = self.issued_before.entry(user).or_default();
                let count = cuts.len();
                let cut = cuts.entry(channel.unwrap_or_default()).or_insert(Cut { before, until });
                *cut = Cut { before: cut.before.max(before), until: later(cut.until, until) };
                self.cut_count += cuts.len() - count;
            }
            Change::BlockUser { user, until } => {
                self.blocked.insert(user, until);
            }
            Change::UnblockUser { user } => {
                self.blocked.remove(&user);
            }
        }
        Ok(())
    }

    /// Whether a token may still be used, at connect, refresh, subscribe and sub_refresh. `channel` is that of a
    /// subscription token.
    pub fn check(
        &self,
        user: &str,
        channel: Option<&str>,
        token: &TokenId,
        now_unix_s: u64,
    ) -> Result<(), TokenError> {
        if self.is_blocked(user, now_unix_s) {
            return Err(TokenError::Blocked);
        }
        let is_cut = |cut: &Cut| {
            in_force(cut.until, now_unix_s) && token.issued_at.is_none_or(|issued_at| issued_at < cut.before)
        };
        let cuts = self.issued_before.get(user);
        let is_cut = |channel: &str| cuts.and_then(|cuts| cuts.get(channel)).is_some_and(is_cut);
        let is_revoked = self.tokens.get(&token.name).is_some_and(|until| in_force(*until, now_unix_s));
        if is_revoked || is_cut("") || channel.is_some_and(is_cut) {
            Err(TokenError::Revoked)
        } else {
            Ok(())
        }
    }

    /// For users that no token has named: of a connect hook.
    pub fn is_blocked(&self, user: &str, now_unix_s: u64) -> bool {
        self.blocked.get(user).is_some_and(|until| in_force(*until, now_unix_s))
    }

    /// Drops what does not matter any more.
    pub fn forget_expired(&mut self, now_unix_s: u64) {
        self.tokens.retain(|_, until| in_force(*until, now_unix_s));
        self.blocked.retain(|_, until| in_force(*until, now_unix_s));
        for cuts in self.issued_before.values_mut() {
            cuts.retain(|_, cut| in_force(cut.until, now_unix_s));
        }
        self.issued_before.retain(|_, cuts| !cuts.is_empty());
        self.cut_count = self.issued_before.values().map(BTreeMap::len).sum();
    }

    /// Acts that make up this structure: applied to an empty one, they give the same.
    pub fn changes(&self) -> impl Iterator<Item = Change> {
        let tokens =
            self.tokens.iter().map(|(name, until)| Change::RevokeToken { name: *name, until: *until });
        let cuts = self.issued_before.iter().flat_map(|(user, cuts)| {
            cuts.iter().map(|(channel, cut)| Change::RevokeUser {
                user: user.clone(),
                channel: (!channel.is_empty()).then(|| channel.clone()),
                before: cut.before,
                until: cut.until,
            })
        });
        let blocked =
            self.blocked.iter().map(|(user, until)| Change::BlockUser { user: user.clone(), until: *until });
        tokens.chain(cuts).chain(blocked)
    }

    /// The one act that what is in force after `change`, about its subject, comes to. None: nothing is.
    pub fn kept(&self, change: &Change) -> Option<Change> {
        match change {
            Change::RevokeToken { name, .. } => {
                let until = *self.tokens.get(name)?;
                Some(Change::RevokeToken { name: *name, until })
            }
            Change::RevokeUser { user, channel, .. } => {
                let cut = self.issued_before.get(user)?.get(channel.as_deref().unwrap_or_default())?;
                let (user, channel) = (user.clone(), channel.clone());
                Some(Change::RevokeUser { user, channel, before: cut.before, until: cut.until })
            }
            Change::BlockUser { user, .. } | Change::UnblockUser { user } => {
                let until = *self.blocked.get(user)?;
                Some(Change::BlockUser { user: user.clone(), until })
            }
        }
    }

    /// How many acts are kept.
    pub fn count(&self) -> usize {
        self.tokens.len() + self.cut_count + self.blocked.len()
    }
}

fn in_force(until: u64, now_unix_s: u64) -> bool {
    until == 0 || now_unix_s < until
}

/// Of two ends, where 0 is none.
fn later(one: u64, other: u64) -> u64 {
    if one == 0 || other == 0 { 0 } else { one.max(other) }
}
