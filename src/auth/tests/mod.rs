//! Tokens signed by another library, and by nobody.

mod attacks;
mod claims;
mod published;
mod revoking;
mod signatures;

use super::*;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use std::sync::LazyLock;

/// A moment in 2025.
const NOW: u64 = 1_750_000_000;

struct Rsa {
    private: EncodingKey,
    private_der: Vec<u8>,
    pem: String,
    jwk: Value,
}

/// Made once: a key of 2048 bits takes a moment.
static RSA: LazyLock<Rsa> = LazyLock::new(rsa);
static OTHER_RSA: LazyLock<Rsa> = LazyLock::new(rsa);

fn rsa() -> Rsa {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let public = aws_lc_rs::signature::KeyPair::public_key(&pair);
    let info: PublicKeyX509Der<'_> = public.as_der().unwrap();
    let components = aws_lc_rs::rsa::PublicKeyComponents::<Vec<u8>>::from(public);
    let jwk = json!({"kty": "RSA", "n": base64url(&components.n), "e": base64url(&components.e)});
    Rsa {
        private: EncodingKey::from_rsa_pem(pem("PRIVATE KEY", der.as_ref()).as_bytes()).unwrap(),
        private_der: der.as_ref().to_vec(),
        pem: pem("PUBLIC KEY", info.as_ref()),
        jwk,
    }
}

struct Ec {
    pair: EcdsaKeyPair,
    der: Vec<u8>,
    pem: String,
    jwk: Value,
}

fn ec(algorithm: &'static EcdsaSigningAlgorithm, curve: &str) -> Ec {
    let pair = EcdsaKeyPair::generate(algorithm).unwrap();
    let der = pair.to_pkcs8v1().unwrap().as_ref().to_vec();
    let info: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let point = &pair.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    let jwk = json!({"kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y)});
    let pem = pem("PUBLIC KEY", info.as_ref());
    Ec { pair, der, pem, jwk }
}

fn p256() -> Ec {
    ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256")
}

fn p384() -> Ec {
    ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384")
}

fn p521() -> Ec {
    ec(&ECDSA_P521_SHA512_FIXED_SIGNING, "P-521")
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn keys(options: &KeyOptions) -> Keys {
    Keys::new(options).unwrap()
}

fn hmac_options() -> KeyOptions {
    KeyOptions { hmac_secret: Secret::new("secret"), ..KeyOptions::default() }
}

fn hmac_keys() -> Keys {
    keys(&hmac_options())
}

/// HS256 with the secret "secret", by the other library.
fn token(claims: &Value) -> String {
    token_of(&Header::default(), claims, &EncodingKey::from_secret(b"secret"))
}

fn token_of(header: &Header, claims: &Value, key: &EncodingKey) -> String {
    jsonwebtoken::encode(header, claims, key).unwrap()
}

/// Any header, any claims, correctly signed with HS256 and `secret`.
fn forged(header: &str, claims: &str, secret: &[u8]) -> String {
    let signed = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
    format!("{signed}.{}", base64url(aws_lc_rs::hmac::sign(&key, signed.as_bytes()).as_ref()))
}

fn refusal(keys: &Keys, token: &str) -> TokenError {
    keys.connection(token, NOW).unwrap_err()
}

/// Nothing else may be wrong with it.
fn assert_flaw(keys: &Keys, token: &str, flaw: Flaw) {
    assert_eq!(refusal(keys, token), TokenError::Invalid(flaw), "{token}");
}

#[test]
fn new_keys_take_over_what_the_old_ones_have_learned() {
    let mut revocations = crate::auth::Revocations::default();
    revocations.apply(crate::auth::Change::BlockUser { user: "eve".into(), until: 0 }, 0).unwrap();
    let set = crate::auth::KeySet::parse(br#"{"keys":[]}"#, 1);
    let sets: crate::auth::KeySets =
        set.into_iter().map(|set| (Box::from("https://keys.example"), std::sync::Arc::new(set))).collect();
    let before = crate::auth::Auth { revocations: std::sync::Arc::new(revocations), ..Default::default() };
    let after = crate::auth::Auth::default().succeeding(&before.with_sets(&sets));
    assert!(after.revocations.is_blocked("eve", 1));
    assert!(after.connection.sets().keys().eq(sets.keys()));
}
