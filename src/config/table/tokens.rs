//! The keys that tokens are verified with, and what else a token has to be.
//!
//! Public keys are no secrets, but like secrets they are kept in files (`rsa_public_key_file`) rather than typed.

use crate::auth::{KeyOptions, Secret};
use crate::config::option::{Entry, MINUTE_MS, OFF, anything, count, duration, secret, switch, text};
use std::time::Duration;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Token {
    pub hmac_secret_key: Secret,
    pub hmac_previous_secret_key: Secret,
    /// Unix seconds.
    pub hmac_previous_secret_key_valid_until: u32,
    pub rsa_public_key: Secret,
    pub ecdsa_public_key: Secret,
    pub jwks_public_endpoint: String,
    pub issuer: String,
    pub issuer_regex: String,
    pub audience: String,
    pub audience_regex: String,
    pub user_id_claim: String,
    pub leeway: Duration,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionToken {
    pub enabled: bool,
    pub token: Token,
}

impl Token {
    pub(in crate::config) fn key_options(&self, is_insecure: bool) -> KeyOptions {
        KeyOptions {
            hmac_secret: self.hmac_secret_key.clone(),
            hmac_previous_secret: self.hmac_previous_secret_key.clone(),
            hmac_previous_valid_until: u64::from(self.hmac_previous_secret_key_valid_until),
            rsa_public_key: self.rsa_public_key.expose().to_owned(),
            ecdsa_public_key: self.ecdsa_public_key.expose().to_owned(),
            jwks_endpoint: self.jwks_public_endpoint.clone(),
            issuer: self.issuer.clone(),
            issuer_regex: self.issuer_regex.clone(),
            audience: self.audience.clone(),
            audience_regex: self.audience_regex.clone(),
            user_id_claim: self.user_id_claim.clone(),
            leeway_s: self.leeway.as_secs(),
            ignores_connection_expiry: is_insecure,
        }
    }
}

/// The same options for each kind of token: section, place and kind.
macro_rules! options {
    ($section:literal, $kind:literal, $($place:ident).+) => {
        [
            secret(
                concat!($section, ".hmac_secret_key"),
                |c| &mut c.$($place).+.hmac_secret_key,
                concat!("Secret of ", $kind, " tokens signed with HS256, HS384 or HS512; 32 random bytes and more are safe."),
            ),
            secret(
                concat!($section, ".hmac_previous_secret_key"),
                |c| &mut c.$($place).+.hmac_previous_secret_key,
                "The secret before it, accepted beside it while applications change over.",
            ),
            count(
                concat!($section, ".hmac_previous_secret_key_valid_until"),
                "Unix seconds",
                0,
                [0, u32::MAX],
                |c| &mut c.$($place).+.hmac_previous_secret_key_valid_until,
                "When the previous secret ends; 0: when it is taken out.",
            ),
            secret(
                concat!($section, ".rsa_public_key"),
                |c| &mut c.$($place).+.rsa_public_key,
                concat!("Public key (PEM) of ", $kind, " tokens signed with RS256, RS384 or RS512; 2048 bits and more."),
            ),
            secret(
                concat!($section, ".ecdsa_public_key"),
                |c| &mut c.$($place).+.ecdsa_public_key,
                concat!("Public key (PEM) of ", $kind, " tokens signed with ES256, ES384 or ES512; its curve decides which."),
            ),
            text(
                concat!($section, ".jwks_public_endpoint"),
                "",
                anything,
                |c| &mut c.$($place).+.jwks_public_endpoint,
                "Address of the issuer's key set, in the place of the keys above; {{name}} in its path is that group \
                 of issuer_regex or audience_regex.",
            ),
            text(
                concat!($section, ".issuer"),
                "",
                anything,
                |c| &mut c.$($place).+.issuer,
                "What the claim iss has to be; beyond: disconnect 3500.",
            ),
            text(
                concat!($section, ".issuer_regex"),
                "",
                anything,
                |c| &mut c.$($place).+.issuer_regex,
                "Pattern that the whole of iss has to match, in the place of issuer.",
            ),
            text(
                concat!($section, ".audience"),
                "",
                anything,
                |c| &mut c.$($place).+.audience,
                "What the claim aud has to be or to have among others; beyond: disconnect 3500.",
            ),
            text(
                concat!($section, ".audience_regex"),
                "",
                anything,
                |c| &mut c.$($place).+.audience_regex,
                "Pattern that the whole of one audience has to match, in the place of audience.",
            ),
            text(
                concat!($section, ".user_id_claim"),
                "",
                anything,
                |c| &mut c.$($place).+.user_id_claim,
                "Claim that names the user, in the place of sub; a token without it is refused.",
            ),
            duration(
                concat!($section, ".leeway"),
                0,
                [0, 10 * MINUTE_MS],
                |c| &mut c.$($place).+.leeway,
                "How far the clocks of issuer and server may differ when exp and nbf are compared; whole seconds.",
            ),
        ]
    };
}

const OF_CONNECTIONS: [Entry; 12] = options!("client.token", "connection", client.token);
const OF_SUBSCRIPTIONS: [Entry; 12] =
    options!("client.subscription_token", "subscription", client.subscription_token.token);

pub const CONNECTION: &[Entry] = &OF_CONNECTIONS;

pub const SUBSCRIPTION_SWITCH: &[Entry] = &[switch(
    "client.subscription_token.enabled",
    OFF,
    |c| &mut c.client.subscription_token.enabled,
    "Verifies subscription tokens with the options below, in the place of those of client.token.",
)];

pub const SUBSCRIPTION: &[Entry] = &OF_SUBSCRIPTIONS;
