//! A token taken apart: header, claims, signature and what was signed. RFC 7515 section 7.1 (compact form).
//! Invariant: nothing here is believed; a token that brings its own key or asks for extensions ends here.

use super::algorithm::Algorithm;
use super::error::Flaw;
use super::members::Members;
use crate::limits::{KEY_ID_BYTES_MAX, TOKEN_BYTES_MAX};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

#[derive(Debug)]
pub(super) struct Jws<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<Box<str>>,
    /// JSON text.
    pub(super) claims: Vec<u8>,
    /// Header and claims as they were sent, with the dot between them.
    pub(super) signed: &'a [u8],
    pub(super) signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    pub(super) fn parse(token: &'a str) -> Result<Self, Flaw> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Flaw::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Flaw::Parts)?;
        let (header, claims) = signed.split_once('.').ok_or(Flaw::Parts)?;
        if claims.contains('.') || signature.is_empty() {
            return Err(Flaw::Parts);
        }
        let (algorithm, kid) = head(&decode(header)?)?;
        Ok(Self {
            algorithm,
            kid,
            claims: decode(claims)?,
            signed: signed.as_bytes(),
            signature: decode(signature)?,
        })
    }
}

pub(super) fn decode(part: &str) -> Result<Vec<u8>, Flaw> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Flaw::Encoding)
}

pub(super) fn encode(part: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(part)
}

fn head(text: &[u8]) -> Result<(Algorithm, Option<Box<str>>), Flaw> {
    let header = Members::parse(text)?;
    if EMBEDDED_KEYS.iter().any(|name| header.has(name)) {
        return Err(Flaw::EmbeddedKey);
    }
    if EXTENSIONS.iter().any(|name| header.has(name)) {
        return Err(Flaw::Extension);
    }
    let name = header.text("alg").ok().flatten().ok_or(Flaw::Algorithm)?;
    let algorithm = Algorithm::named(&name).ok_or(Flaw::Algorithm)?;
    let kid = header.text("kid").map_err(|_| Flaw::KeyId)?;
    if kid.as_ref().is_some_and(|kid| kid.is_empty() || kid.len() > KEY_ID_BYTES_MAX) {
        return Err(Flaw::KeyId);
    }
    Ok((algorithm, kid.map(String::into_boxed_str)))
}

/// A key that comes with the token proves nothing (RFC 8725 section 3.10); an honest issuer has no use for them.
const EMBEDDED_KEYS: [&str; 4] = ["jwk", "jku", "x5u", "x5c"];
/// `crit` names extensions that must be understood, and none is; the others change what the parts mean.
const EXTENSIONS: [&str; 4] = ["crit", "b64", "enc", "zip"];
