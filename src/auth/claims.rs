//! What a token says, once it is believed.
//!
//! Invariant: JSON that the claims carry is valid, of bounded depth and compact, so that it can go on the wire as it is;
//! `b64info` and `b64data` are opaque bytes, for clients of binary sessions. Times are Unix seconds, and 0 is never.

use super::error::{Flaw, TokenError};
use super::members::Members;
use crate::limits::USER_ID_BYTES_MAX;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionClaims {
    /// Empty: an anonymous user.
    pub user: Box<str>,
    /// When the connection has to be refreshed: `expire_at`, else `exp`. It may lie in the past.
    pub expire_at: u64,
    /// Shown to others in presence, join and publications.
    pub info: Option<Arc<[u8]>>,
    /// For back ends alone; always JSON.
    pub meta: Option<Arc<[u8]>>,
    /// Server-side subscriptions, each channel once.
    pub subs: Vec<Grant>,
    pub id: TokenId,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionClaims {
    pub user: Box<str>,
    pub channel: Box<str>,
    /// The one client that may use it; none: any of the user's.
    pub client: Option<Box<str>>,
    pub expire_at: u64,
    pub info: Option<Arc<[u8]>>,
    /// Goes into the subscribe result.
    pub data: Option<Arc<[u8]>>,
    pub overrides: Overrides,
    pub id: TokenId,
}

/// A server-side subscription that a connection token brings along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    pub channel: Arc<str>,
    pub info: Option<Arc<[u8]>>,
    pub data: Option<Arc<[u8]>>,
    pub overrides: Overrides,
}

/// What a token or hook changes of the namespace's options for one subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    pub presence: Option<bool>,
    pub join_leave: Option<bool>,
    pub force_push_join_leave: Option<bool>,
    pub force_recovery: Option<bool>,
    pub force_positioning: Option<bool>,
}

/// What revocation knows a token by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenId {
    pub name: TokenName,
    /// `iat`
    pub issued_at: Option<u64>,
}

/// A hash of the `jti`, or of the whole token when it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TokenName([u8; 32]);

impl ConnectionClaims {
    pub(super) fn read(token: &str, claims: &Members<'_>, reading: Reading<'_>) -> Result<Self, Flaw> {
        if claims.get("channel").is_some() {
            return Err(Flaw::Channel);
        }
        Ok(Self {
            user: reading.user(claims)?,
            expire_at: reading.expire_at(claims)?,
            info: either(claims, "b64info", "info")?,
            meta: claims.json("meta")?,
            subs: grants(claims)?,
            id: TokenId::read(token, claims)?,
        })
    }
}

impl SubscriptionClaims {
    pub(super) fn read(token: &str, claims: &Members<'_>, reading: Reading<'_>) -> Result<Self, Flaw> {
        let channel = claims.text("channel")?.filter(|channel| !channel.is_empty()).ok_or(Flaw::NoChannel)?;
        Ok(Self {
            user: reading.user(claims)?,
            channel: channel.into(),
            client: claims.text("client")?.filter(|client| !client.is_empty()).map(String::into_boxed_str),
            expire_at: reading.expire_at(claims)?,
            info: either(claims, "b64info", "info")?,
            data: either(claims, "b64data", "data")?,
            overrides: Overrides::read(claims)?,
            id: TokenId::read(token, claims)?,
        })
    }

    /// Whether it is for this user, channel and client, each compared byte by byte.
    pub fn check(&self, user: &str, channel: &str, client: &str) -> Result<(), TokenError> {
        if *self.channel != *channel {
            return Err(TokenError::Mismatch("channel"));
        }
        if *self.user != *user {
            return Err(TokenError::Mismatch("user"));
        }
        if self.client.as_ref().is_some_and(|own| **own != *client) {
            return Err(TokenError::Mismatch("client"));
        }
        Ok(())
    }
}

/// What the configuration says about reading claims.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'a> {
    /// None: `sub`.
    pub(super) user_claim: Option<&'a str>,
    pub(super) leeway_s: u64,
    pub(super) ignores_expiry: bool,
}

impl Reading<'_> {
    pub(super) fn check_times(self, claims: &Members<'_>, now_unix_s: u64) -> Result<(), TokenError> {
        let (expires_at, valid_from) = (claims.time("exp")?, claims.time("nbf")?);
        if self.ignores_expiry {
            return Ok(());
        }
        if let Some(at) = expires_at.filter(|at| at.saturating_add(self.leeway_s) <= now_unix_s) {
            return Err(TokenError::Expired { at });
        }
        if let Some(at) = valid_from.filter(|at| *at > now_unix_s.saturating_add(self.leeway_s)) {
            return Err(TokenError::NotYet { at });
        }
        Ok(())
    }

    fn user(self, claims: &Members<'_>) -> Result<Box<str>, Flaw> {
        let name = self.user_claim.unwrap_or("sub");
        let user = claims.text(name)?;
        // Somebody who chose a claim did not mean everybody without it to be anonymous.
        let missing = user.is_none() && self.user_claim.is_some();
        let user = user.unwrap_or_default();
        if missing || user.len() > USER_ID_BYTES_MAX {
            return Err(Flaw::Claim(name.into()));
        }
        Ok(user.into())
    }

    /// A connection lives as long as its token is accepted, leeway included, unless the token says otherwise.
    fn expire_at(self, claims: &Members<'_>) -> Result<u64, Flaw> {
        let own = claims.time("expire_at")?;
        let inherited = claims.time("exp")?.map(|exp| exp.saturating_add(self.leeway_s));
        Ok(if self.ignores_expiry { 0 } else { own.or(inherited).unwrap_or(0) })
    }
}

impl TokenName {
    pub fn of_jti(jti: &str) -> Self {
        Self::hash("jti", jti)
    }

    pub fn of_token(token: &str) -> Self {
        Self::hash("token", token)
    }

    pub(super) const fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn hash(kind: &str, text: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(kind);
        hash.update([0]);
        hash.update(text);
        Self(hash.finalize().into())
    }
}

impl TokenId {
    fn read(token: &str, claims: &Members<'_>) -> Result<Self, Flaw> {
        let jti = claims.text("jti")?.filter(|jti| !jti.is_empty());
        let name = jti.map_or_else(|| TokenName::of_token(token), |jti| TokenName::of_jti(&jti));
        Ok(Self { name, issued_at: claims.time("iat")? })
    }
}

impl Overrides {
    fn read(options: &Members<'_>) -> Result<Self, Flaw> {
        let Some(overrides) = options.object("override")? else { return Ok(Self::default()) };
        let value = |name: &str| {
            let Some(option) = overrides.object(name)? else { return Ok(None) };
            // The way of protobuf's JSON: a value that is left out is false.
            Ok(Some(option.flag("value")?.unwrap_or_default()))
        };
        Ok(Self {
            presence: value("presence")?,
            join_leave: value("join_leave")?,
            force_push_join_leave: value("force_push_join_leave")?,
            force_recovery: value("force_recovery")?,
            force_positioning: value("force_positioning")?,
        })
    }
}

/// `subs` if there are any, else `channels`.
fn grants(claims: &Members<'_>) -> Result<Vec<Grant>, Flaw> {
    let channels = claims.texts("channels")?;
    let subs = claims.object("subs")?;
    let mut grants = Vec::new();
    for channel in subs.iter().flat_map(Members::names) {
        let options = subs.as_ref().and_then(|subs| subs.object(channel).transpose()).transpose()?;
        grants.push(match options {
            Some(options) => Grant {
                channel: channel.into(),
                info: either(&options, "b64info", "info")?,
                data: either(&options, "b64data", "data")?,
                overrides: Overrides::read(&options)?,
            },
            None => Grant { channel: channel.into(), ..Grant::default() },
        });
    }
    if grants.is_empty() {
        let mut names: Vec<&str> = channels.iter().map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        grants.extend(names.into_iter().map(|name| Grant { channel: name.into(), ..Grant::default() }));
    }
    Ok(grants)
}

fn either(claims: &Members<'_>, bytes: &str, json: &str) -> Result<Option<Arc<[u8]>>, Flaw> {
    let json = claims.json(json)?;
    Ok(claims.bytes(bytes)?.or(json))
}
