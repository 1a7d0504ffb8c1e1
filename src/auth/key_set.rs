//! A published set of public keys: JWKS. RFC 7517, curves of RFC 7518 section 6.2 and RFC 8037.
//!
//! Invariant: keys that we cannot use (another type, another use, no name, a shared secret) are left out and harm
//! nobody; a set without a usable key is no set. Of two keys with one name, the first that fits the algorithm counts.

use super::algorithm::Algorithm;
use super::error::Flaw;
use super::jws::decode;
use super::key::Key;
use super::members::Members;
use crate::limits::{KEY_ID_BYTES_MAX, KEY_SET_COUNT_MAX};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::PublicKeyComponents;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;
use thiserror::Error;

/// What has been fetched, by address.
pub type KeySets = BTreeMap<Box<str>, Arc<KeySet>>;

#[derive(Debug, Default)]
pub struct KeySet {
    keys: BTreeMap<Box<str>, Vec<Published>>,
    /// Unix seconds.
    pub fetched_at: u64,
}

#[derive(Debug)]
struct Published {
    key: Key,
    /// The one algorithm that its publisher allows.
    only: Option<Algorithm>,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeySetError {
    #[error("it is no JSON object with a list of `keys`")]
    Shape,
    #[error("it has more than {KEY_SET_COUNT_MAX} keys")]
    TooMany,
    #[error(
        "none of its keys can be used: RSA of 2048 bits and more, EC or Ed25519, with a `kid`, for signatures"
    )]
    Empty,
}

impl KeySet {
    pub fn parse(text: &[u8], fetched_at: u64) -> Result<Self, KeySetError> {
        let document: Document<'_> = serde_json::from_slice(text).map_err(|_| KeySetError::Shape)?;
        if document.keys.len() > KEY_SET_COUNT_MAX {
            return Err(KeySetError::TooMany);
        }
        let mut keys = BTreeMap::<Box<str>, Vec<Published>>::new();
        for raw in document.keys {
            if let Ok(Some((kid, key))) = published(raw.get()) {
                keys.entry(kid).or_default().push(key);
            }
        }
        if keys.is_empty() { Err(KeySetError::Empty) } else { Ok(Self { keys, fetched_at }) }
    }

    pub fn has(&self, kid: &str) -> bool {
        self.keys.contains_key(kid)
    }

    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(AsRef::as_ref)
    }

    /// None: no key of that name. An error: its key is not for this algorithm.
    pub(super) fn find(&self, kid: &str, algorithm: Algorithm) -> Option<Result<&Key, Flaw>> {
        let named = self.keys.get(kid)?;
        let fits = |published: &&Published| {
            published.key.can(algorithm) && published.only.is_none_or(|only| only == algorithm)
        };
        Some(named.iter().find(fits).map(|published| &published.key).ok_or(Flaw::NoKey(algorithm)))
    }
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

/// None: not for us.
fn published(text: &str) -> Result<Option<(Box<str>, Published)>, Flaw> {
    let jwk = Members::parse(text.as_bytes())?;
    let Some(kid) = jwk.text("kid")?.filter(|kid| (1..=KEY_ID_BYTES_MAX).contains(&kid.len())) else {
        return Ok(None);
    };
    let is_for_signatures = jwk.text("use")?.is_none_or(|purpose| purpose == "sig");
    let operations = jwk.texts("key_ops")?;
    if !is_for_signatures
        || !(operations.is_empty() || operations.iter().any(|operation| operation == "verify"))
    {
        return Ok(None);
    }
    let only = match jwk.text("alg")? {
        None => None,
        Some(name) => match Algorithm::named(&name) {
            None => return Ok(None),
            known => known,
        },
    };
    let key = key(&jwk)?;
    Ok(key.map(|key| (kid.into(), Published { key, only })))
}

fn key(jwk: &Members<'_>) -> Result<Option<Key>, Flaw> {
    let part = |name: &str| jwk.text(name)?.map(|text| decode(&text)).transpose();
    let kind = jwk.text("kty")?.unwrap_or_default();
    let curve = jwk.text("crv")?.unwrap_or_default();
    match (kind.as_str(), curve.as_str()) {
        ("RSA", _) => {
            let (Some(modulus), Some(exponent)) = (part("n")?, part("e")?) else { return Ok(None) };
            let components = PublicKeyComponents { n: trim(&modulus), e: trim(&exponent) };
            let der: Result<PublicKeyX509Der<'_>, _> = components.as_der();
            Ok(der.ok().and_then(|der| Key::rsa(der.as_ref()).ok()))
        }
        ("EC", curve) => {
            let Some((_, only, bytes)) = CURVES.iter().find(|(name, ..)| *name == curve) else {
                return Ok(None);
            };
            let (Some(x), Some(y)) = (part("x")?, part("y")?) else { return Ok(None) };
            // RFC 7518 section 6.2.1.2: coordinates have the full length of the field.
            if x.len() != *bytes || y.len() != *bytes {
                return Ok(None);
            }
            Ok(Key::ec(&[&[UNCOMPRESSED], x.as_slice(), &y].concat(), Some(*only)).ok())
        }
        ("OKP", "Ed25519") => {
            Ok(part("x")?.filter(|x| x.len() == ED25519_BYTES).and_then(|x| Key::ed25519(&x).ok()))
        }
        (_, _) => Ok(None),
    }
}

/// Some publishers put a zero in front, as signed integers need it.
fn trim(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

const CURVES: [(&str, Algorithm, usize); 3] =
    [("P-256", Algorithm::Es256, 32), ("P-384", Algorithm::Es384, 48), ("P-521", Algorithm::Es512, 66)];
/// SEC 1 section 2.3.3: x and y follow.
const UNCOMPRESSED: u8 = 4;
const ED25519_BYTES: usize = 32;
