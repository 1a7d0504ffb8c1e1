//! Why a token is refused, and what the client hears of it.
//! Invariant: every refusal has exactly one verdict on each occasion. A client is never told which check failed.

use super::algorithm::Algorithm;
use crate::proto::codes::{Disconnect, Reject};
use thiserror::Error;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    #[error("expired at {at}")]
    Expired { at: u64 },
    #[error("not valid before {at}")]
    NotYet { at: u64 },
    #[error("{0}")]
    Invalid(Flaw),
    /// No key of this name is in the set of this address. Fetch it, unless that was done just now, and ask again.
    #[error("the key set of {address} has no key {kid:?}")]
    UnknownKey {
        kid: Box<str>,
        address: Box<str>,
        /// The set is fresh: the key does not exist.
        is_current: bool,
    },
    /// A subscription token of another user, channel or client.
    #[error("it is for another {0}")]
    Mismatch(&'static str),
    #[error("revoked")]
    Revoked,
    #[error("the user is blocked")]
    Blocked,
}

/// What is wrong with a token that can never become valid.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Flaw {
    #[error("longer than {} bytes", crate::limits::TOKEN_BYTES_MAX)]
    TooLong,
    #[error("not three parts with a dot between them, the last of which is a signature")]
    Parts,
    #[error("a part that is not base64url without padding")]
    Encoding,
    #[error("a header or claims that are not one JSON object with each name once")]
    Object,
    #[error("a header without a known `alg`")]
    Algorithm,
    #[error("no key for {0} is configured")]
    NoKey(Algorithm),
    #[error("a header that brings a key along or says where to fetch one")]
    EmbeddedKey,
    #[error("a header that asks for an extension")]
    Extension,
    #[error("a header without a usable `kid`, which a key set needs")]
    KeyId,
    #[error("the signature does not fit")]
    Signature,
    #[error("the claim `{0}` cannot be read")]
    Claim(Box<str>),
    #[error("another issuer than the configured one")]
    Issuer,
    #[error("another audience than the configured one")]
    Audience,
    #[error("a subscription token (it has a `channel`) where a connection token is needed")]
    Channel,
    #[error("no `channel`, which a subscription token needs")]
    NoChannel,
}

/// What the token was presented for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    Connect,
    Refresh,
    Subscribe,
    SubRefresh,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Reject(Reject),
    Disconnect(Disconnect),
}

impl TokenError {
    /// The answer to the command that carried the token.
    pub fn verdict(&self, occasion: Occasion) -> Verdict {
        match self {
            Self::Expired { .. } | Self::NotYet { .. } => match occasion {
                Occasion::Connect | Occasion::Subscribe => Verdict::Reject(Reject::TokenExpired),
                Occasion::Refresh => Verdict::Disconnect(Disconnect::Expired),
                Occasion::SubRefresh => Verdict::Disconnect(Disconnect::SubscriptionExpired),
            },
            // The issuer cannot be reached, or has just changed its keys: no reason to send a client away for good.
            Self::UnknownKey { is_current: false, .. } => Verdict::Reject(Reject::Internal),
            Self::Invalid(_) | Self::Revoked | Self::UnknownKey { is_current: true, .. } => match occasion {
                Occasion::Subscribe => Verdict::Reject(Reject::PermissionDenied),
                Occasion::Connect | Occasion::Refresh | Occasion::SubRefresh => {
                    Verdict::Disconnect(Disconnect::InvalidToken)
                }
            },
            Self::Mismatch(_) => Verdict::Disconnect(Disconnect::InvalidToken),
            Self::Blocked => Verdict::Disconnect(Disconnect::PermissionDenied),
        }
    }
}

impl From<Flaw> for TokenError {
    fn from(flaw: Flaw) -> Self {
        Self::Invalid(flaw)
    }
}
