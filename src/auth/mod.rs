//! Who may do what, as far as tokens say it: keys, signatures, claims, revocation.
//!
//! Invariant: an algorithm belongs to a key, never to a token: what a header names is only looked up among what the key
//! can do. Whatever a token's bytes are, reading it costs time and memory linear in `TOKEN_BYTES_MAX`. Secrets appear in
//! no text that leaves this module. RFC 7515 (JWS), 7517 (JWK), 7519 (JWT), 8725 (practices).
//! Knows no clock, no socket and no session: the time comes in, and fetching a key set is somebody else's work.

mod algorithm;
mod anatomy;
mod claims;
mod endpoint;
mod error;
mod jws;
mod key;
mod key_set;
mod keys;
mod members;
mod parties;
mod pem;
mod revocation;
mod secret;
#[cfg(test)]
mod tests;

pub use algorithm::Algorithm;
pub use anatomy::Anatomy;
pub use claims::{ConnectionClaims, Grant, Overrides, SubscriptionClaims, TokenId, TokenName};
pub use endpoint::Endpoint;
pub use error::{Flaw, Occasion, TokenError, Verdict};
pub use key_set::{KeySet, KeySetError, KeySets};
pub use keys::{KeyOptions, KeyProblem, Keys};
pub use revocation::{Change, Full, Revocations};
pub use secret::Secret;

use std::sync::Arc;

/// Everything that a shard asks about tokens. Shared, immutable, replaced as a whole.
#[derive(Clone, Debug, Default)]
pub struct Auth {
    pub connection: Keys,
    /// Keys of subscription tokens, where they are not those of connection tokens.
    pub subscription: Option<Keys>,
    pub revocations: Arc<Revocations>,
}

impl Auth {
    /// The claims of a connection token that is valid now and not revoked.
    pub fn connection(&self, token: &str, now_unix_s: u64) -> Result<ConnectionClaims, TokenError> {
        let claims = self.connection.connection(token, now_unix_s)?;
        self.revocations.check(&claims.user, None, &claims.id, now_unix_s)?;
        Ok(claims)
    }

    /// The claims of a subscription token that is valid now and not revoked. Whom it is for is still to be compared:
    /// `SubscriptionClaims::check`.
    pub fn subscription(&self, token: &str, now_unix_s: u64) -> Result<SubscriptionClaims, TokenError> {
        let claims = self.subscription_keys().subscription(token, now_unix_s)?;
        self.revocations.check(&claims.user, Some(&claims.channel), &claims.id, now_unix_s)?;
        Ok(claims)
    }

    /// The same with key sets that have been fetched.
    #[must_use]
    pub fn with_sets(&self, sets: &KeySets) -> Self {
        Self {
            connection: self.connection.with_sets(sets.clone()),
            subscription: self.subscription.as_ref().map(|keys| keys.with_sets(sets.clone())),
            revocations: Arc::clone(&self.revocations),
        }
    }

    /// These keys, with what `before` has learned while it was in force: key sets, and who is locked out.
    #[must_use]
    pub fn succeeding(&self, before: &Self) -> Self {
        Self { revocations: Arc::clone(&before.revocations), ..self.with_sets(before.connection.sets()) }
    }

    /// Addresses of key sets that are known before any token comes.
    pub fn fixed_addresses(&self) -> Vec<&str> {
        let keys = [Some(&self.connection), self.subscription.as_ref()].into_iter().flatten();
        let mut addresses: Vec<_> = keys.filter_map(|keys| keys.endpoint()?.fixed()).collect();
        addresses.dedup();
        addresses
    }

    /// Whether key sets have to be fetched at all.
    pub fn fetches(&self) -> bool {
        let keys = [Some(&self.connection), self.subscription.as_ref()];
        keys.into_iter().flatten().any(|keys| keys.endpoint().is_some())
    }

    pub fn subscription_keys(&self) -> &Keys {
        self.subscription.as_ref().unwrap_or(&self.connection)
    }
}
