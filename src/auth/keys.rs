//! The keys of one kind of token, with the rules that go with them.
//!
//! Invariant: immutable; new keys are a new `Keys`. Static keys and a key set exclude each other. A token is read only as
//! far as it is needed to find its key before the signature is verified, and believed only after.

use super::algorithm::Algorithm;
use super::claims::{ConnectionClaims, Reading, SubscriptionClaims};
use super::endpoint::Endpoint;
use super::error::{Flaw, TokenError};
use super::jws::{self, Jws};
use super::key::Key;
use super::key_set::KeySets;
use super::members::Members;
use super::parties::{Groups, Parties};
use super::pem;
use super::secret::Secret;
use crate::limits::KEY_SET_REFETCH_MS_MIN;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// Cheap to clone.
#[derive(Clone, Default)]
pub struct Keys {
    rules: Arc<Rules>,
    sets: Arc<KeySets>,
}

/// Empty texts are options that nobody has set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyOptions {
    pub hmac_secret: Secret,
    pub hmac_previous_secret: Secret,
    /// Unix seconds until which the previous secret is accepted; 0: no end.
    pub hmac_previous_valid_until: u64,
    pub rsa_public_key: String,
    pub ecdsa_public_key: String,
    pub jwks_endpoint: String,
    pub issuer: String,
    pub issuer_regex: String,
    pub audience: String,
    pub audience_regex: String,
    /// Which claim names the user; empty: `sub`.
    pub user_id_claim: String,
    /// How far clocks may differ, when times are compared.
    pub leeway_s: u64,
    /// `client.insecure`: of connection tokens the signature counts, and the time does not.
    pub ignores_connection_expiry: bool,
}

/// What is wrong with the options. Names are those of the configuration; no text of a key is among them.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyProblem {
    #[error("it is no public key in PEM form (-----BEGIN PUBLIC KEY-----)")]
    NotPem,
    #[error("it is a private key: give the public half of it, and keep this one away from servers")]
    Private,
    #[error("it is no RSA key of 2048 to 8192 bits")]
    NotRsa,
    #[error("it is no EC key on P-256, P-384 or P-521")]
    NotEc,
    #[error("it is no Ed25519 key")]
    NotEd,
    #[error("{0} cannot be read: {1}")]
    Pattern(&'static str, String),
    #[error("{0} and {1} exclude each other")]
    Both(&'static str, &'static str),
    #[error("jwks_public_endpoint must be http:// or https://, with {{{{groups}}}} in its path only")]
    Endpoint,
    #[error("jwks_public_endpoint names {{{{{0}}}}}, which is no group of issuer_regex or audience_regex")]
    Group(Box<str>),
    #[error("rsa_public_key: {0}")]
    Rsa(Box<KeyProblem>),
    #[error("ecdsa_public_key: {0}")]
    Ec(Box<KeyProblem>),
}

impl KeyProblem {
    /// The option that has to change.
    pub fn option(&self) -> &'static str {
        match self {
            Self::Rsa(_) | Self::NotRsa => "rsa_public_key",
            Self::Ec(_) | Self::NotEc | Self::NotEd | Self::NotPem | Self::Private => "ecdsa_public_key",
            Self::Pattern(option, _) | Self::Both(option, _) => option,
            Self::Endpoint | Self::Group(_) => "jwks_public_endpoint",
        }
    }
}

#[derive(Debug, Default)]
struct Rules {
    keys: Vec<Static>,
    endpoint: Option<Endpoint>,
    parties: Parties,
    user_claim: Option<Box<str>>,
    leeway_s: u64,
    ignores_connection_expiry: bool,
}

#[derive(Debug)]
struct Static {
    key: Key,
    /// Unix seconds.
    valid_until: Option<u64>,
}

impl Keys {
    pub fn new(options: &KeyOptions) -> Result<Self, KeyProblem> {
        let parties = Parties::new(
            [&options.issuer, &options.issuer_regex],
            [&options.audience, &options.audience_regex],
        )?;
        let keys = static_keys(options)?;
        let endpoint = match options.jwks_endpoint.as_str() {
            "" => None,
            _ if !keys.is_empty() => {
                return Err(KeyProblem::Both("jwks_public_endpoint", "keys of the configuration"));
            }
            template => Some(Endpoint::new(template, &parties)?),
        };
        let user_claim = (!options.user_id_claim.is_empty()).then(|| options.user_id_claim.as_str().into());
        let rules = Rules {
            keys,
            endpoint,
            parties,
            user_claim,
            leeway_s: options.leeway_s,
            ignores_connection_expiry: options.ignores_connection_expiry,
        };
        Ok(Self { rules: Arc::new(rules), sets: Arc::default() })
    }

    /// Where key sets are fetched, if they are.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        self.rules.endpoint.as_ref()
    }

    /// Whether any token could be accepted.
    pub fn is_empty(&self) -> bool {
        self.rules.keys.is_empty() && self.rules.endpoint.is_none()
    }

    /// What was fetched so far, by address.
    pub fn sets(&self) -> &KeySets {
        &self.sets
    }

    /// The same keys with what was fetched from each address.
    #[must_use]
    pub fn with_sets(&self, sets: KeySets) -> Self {
        Self { rules: Arc::clone(&self.rules), sets: Arc::new(sets) }
    }

    /// The claims of a connection token. Revocation is not considered: `Auth` does.
    pub fn connection(&self, token: &str, now_unix_s: u64) -> Result<ConnectionClaims, TokenError> {
        let jws = Jws::parse(token)?;
        let claims = Members::parse(&jws.claims)?;
        let reading = self.reading(self.rules.ignores_connection_expiry);
        self.verify(&jws, &claims, now_unix_s)?;
        reading.check_times(&claims, now_unix_s)?;
        Ok(ConnectionClaims::read(token, &claims, reading)?)
    }

    /// The claims of a subscription token, as `connection`.
    pub fn subscription(&self, token: &str, now_unix_s: u64) -> Result<SubscriptionClaims, TokenError> {
        let jws = Jws::parse(token)?;
        let claims = Members::parse(&jws.claims)?;
        let reading = self.reading(false);
        self.verify(&jws, &claims, now_unix_s)?;
        reading.check_times(&claims, now_unix_s)?;
        Ok(SubscriptionClaims::read(token, &claims, reading)?)
    }

    /// A token with these claims (JSON), if there is a secret to sign with.
    pub fn sign(&self, algorithm: Algorithm, claims: &[u8]) -> Option<String> {
        let header = format!("{{\"alg\":\"{algorithm}\",\"typ\":\"JWT\"}}");
        let signed = format!("{}.{}", jws::encode(header.as_bytes()), jws::encode(claims));
        let current = self.rules.keys.iter().find(|key| key.key.can(algorithm))?;
        let signature = current.key.sign(algorithm, signed.as_bytes())?;
        Some(format!("{signed}.{}", jws::encode(&signature)))
    }

    fn verify(&self, jws: &Jws<'_>, claims: &Members<'_>, now_unix_s: u64) -> Result<(), TokenError> {
        let groups = self.rules.parties.check(claims)?;
        match &self.rules.endpoint {
            Some(endpoint) => self.verify_published(jws, endpoint, &groups, now_unix_s),
            None => Ok(self.verify_static(jws, now_unix_s)?),
        }
    }

    fn verify_static(&self, jws: &Jws<'_>, now_unix_s: u64) -> Result<(), Flaw> {
        let is_valid = |key: &&Static| key.valid_until.is_none_or(|until| now_unix_s < until);
        let mut fitting =
            self.rules.keys.iter().filter(is_valid).filter(|key| key.key.can(jws.algorithm)).peekable();
        fitting.peek().ok_or(Flaw::NoKey(jws.algorithm))?;
        let verified = fitting.any(|key| key.key.verifies(jws.algorithm, jws.signed, &jws.signature));
        if verified { Ok(()) } else { Err(Flaw::Signature) }
    }

    /// The set is that of the issuer which the token itself names, so a key of one issuer never vouches for another.
    fn verify_published(
        &self,
        jws: &Jws<'_>,
        endpoint: &Endpoint,
        groups: &Groups,
        now_unix_s: u64,
    ) -> Result<(), TokenError> {
        let kid = jws.kid.as_deref().ok_or(Flaw::KeyId)?;
        let address = endpoint.resolve(groups).ok_or(Flaw::Issuer)?;
        let set = self.sets.get(&address);
        let Some(key) = set.and_then(|set| set.find(kid, jws.algorithm)) else {
            let fresh_until = set.map_or(0, |set| set.fetched_at + KEY_SET_REFETCH_MS_MIN / 1000);
            return Err(TokenError::UnknownKey {
                kid: kid.into(),
                address,
                is_current: now_unix_s < fresh_until,
            });
        };
        if key?.verifies(jws.algorithm, jws.signed, &jws.signature) {
            Ok(())
        } else {
            Err(Flaw::Signature.into())
        }
    }

    fn reading(&self, ignores_expiry: bool) -> Reading<'_> {
        Reading {
            user_claim: self.rules.user_claim.as_deref(),
            leeway_s: self.rules.leeway_s,
            ignores_expiry,
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kids: Vec<_> =
            self.sets.iter().map(|(address, set)| (address, set.kids().collect::<Vec<_>>())).collect();
        f.debug_struct("Keys").field("rules", &self.rules).field("sets", &kids).finish()
    }
}

/// The current secret comes first: it is the one that signs.
fn static_keys(options: &KeyOptions) -> Result<Vec<Static>, KeyProblem> {
    let mut keys = Vec::new();
    let current = [
        (&options.hmac_secret, None),
        (&options.hmac_previous_secret, Some(options.hmac_previous_valid_until)),
    ];
    for (secret, until) in current {
        if !secret.is_empty() {
            keys.push(Static { key: Key::secret(secret), valid_until: until.filter(|until| *until > 0) });
        }
    }
    if !options.rsa_public_key.is_empty() {
        let key = pem::public_key(&options.rsa_public_key).and_then(|der| Key::rsa(&der));
        keys.push(Static { key: key.map_err(|problem| KeyProblem::Rsa(problem.into()))?, valid_until: None });
    }
    if !options.ecdsa_public_key.is_empty() {
        let key = pem::public_key(&options.ecdsa_public_key).and_then(|der| Key::ec(&der, None));
        keys.push(Static { key: key.map_err(|problem| KeyProblem::Ec(problem.into()))?, valid_until: None });
    }
    Ok(keys)
}
