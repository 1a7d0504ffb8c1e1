//! Tokens as an application gives them, good and bad, and those that were taken back since.
//! Invariant: what a token is worth is known here without asking the server.

use crate::auth::{Algorithm, KeyOptions, Keys, Secret};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub struct Issuer {
    keys: Keys,
    stranger: Keys,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For ever.
    Good,
    /// For so many seconds.
    Expiring(u64),
    /// Over since yesterday.
    Stale,
    /// Signed by somebody else.
    Forged,
    /// Of another user, or for another channel.
    Foreign,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    pub form: Form,
    /// Its `jti`.
    pub name: String,
    pub user: usize,
    pub issued_at: u64,
    /// Unix seconds; 0: never.
    pub expire_at: u64,
}

/// What a token shall say.
pub struct Wanted<'a> {
    pub form: Form,
    pub name: String,
    pub user: usize,
    pub now_s: u64,
    /// Of a subscription token.
    pub channel: Option<&'a str>,
    /// Server-side subscriptions, as a list or as an object.
    pub subs: (&'a [String], bool),
}

impl Issuer {
    pub fn new() -> Self {
        let of = |secret: &str| {
            Keys::new(&KeyOptions { hmac_secret: Secret::new(secret), ..KeyOptions::default() })
        };
        Self {
            keys: of("an application").unwrap_or_default(),
            stranger: of("a stranger").unwrap_or_default(),
        }
    }

    pub fn keys(&self) -> Keys {
        self.keys.clone()
    }

    pub fn issue(&self, wanted: Wanted<'_>) -> Token {
        let Wanted { form, name, user, now_s, channel, subs } = wanted;
        let expire_at = match form {
            Form::Expiring(seconds) => now_s + seconds,
            Form::Stale => now_s - 24 * 3600,
            Form::Good | Form::Forged | Form::Foreign => 0,
        };
        let stranger = form == Form::Foreign && (channel.is_none() || user.is_multiple_of(2));
        let sub = if stranger { "somebody-else".to_owned() } else { format!("user-{user}") };
        let mut claims = json!({"sub": sub, "jti": name, "iat": now_s});
        if expire_at > 0 {
            claims["exp"] = expire_at.into();
        }
        if let Some(channel) = channel {
            let is_elsewhere = form == Form::Foreign && !stranger;
            claims["channel"] = if is_elsewhere { "elsewhere".into() } else { channel.into() };
        }
        match subs {
            ([], _) => {}
            (names, true) => claims["channels"] = names.into(),
            (names, false) => {
                let subs: Map<String, Value> = names.iter().map(|name| (name.clone(), json!({}))).collect();
                claims["subs"] = subs.into();
            }
        }
        let keys = if form == Form::Forged { &self.stranger } else { &self.keys };
        let text = keys.sign(Algorithm::Hs256, claims.to_string().as_bytes()).unwrap_or_default();
        Token { text, form, name, user, issued_at: now_s, expire_at }
    }
}

/// What was taken back before its time.
#[derive(Debug, Default)]
pub struct Revoked {
    pub names: BTreeSet<String>,
    /// Tokens of these users that were issued earlier.
    pub before: BTreeMap<usize, u64>,
    pub blocked: BTreeSet<usize>,
}

impl Revoked {
    pub fn is_dead(&self, token: &Token) -> bool {
        self.names.contains(&token.name)
            || self.before.get(&token.user).is_some_and(|before| token.issued_at < *before)
    }
}
