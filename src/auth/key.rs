//! One key that signatures are verified with, and what it can verify.
//!
//! Invariant: a key verifies the algorithms of its own kind and no others: a public key is never a shared secret, a key
//! of one curve never one of another. Parsed once; verification allocates nothing.

use super::algorithm::Algorithm;
use super::keys::KeyProblem;
use super::secret::Secret;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    VerificationAlgorithm,
};
use std::fmt;

pub(super) enum Key {
    /// Boxed: a prepared key is more than a kilobyte.
    Secret(Box<[(Algorithm, hmac::Key); 3]>),
    Public(Vec<(Algorithm, ParsedPublicKey)>),
}

impl Key {
    pub(super) fn secret(secret: &Secret) -> Self {
        let key = |algorithm| hmac::Key::new(algorithm, secret.expose().as_bytes());
        Self::Secret(Box::new([
            (Algorithm::Hs256, key(hmac::HMAC_SHA256)),
            (Algorithm::Hs384, key(hmac::HMAC_SHA384)),
            (Algorithm::Hs512, key(hmac::HMAC_SHA512)),
        ]))
    }

    /// From DER: a SubjectPublicKeyInfo or an RSAPublicKey.
    pub(super) fn rsa(der: &[u8]) -> Result<Self, KeyProblem> {
        let key = Self::public(&RSA, der).ok_or(KeyProblem::NotRsa)?;
        let Self::Public(keys) = &key else { return Err(KeyProblem::NotRsa) };
        let (_, parsed) = keys.first().ok_or(KeyProblem::NotRsa)?;
        let info: PublicKeyX509Der<'_> = parsed.as_der().map_err(|_| KeyProblem::NotRsa)?;
        // Verification refuses other sizes as well; here it is said before the first token comes.
        let sized = PublicEncryptingKey::from_der(info.as_ref()).map_err(|_| KeyProblem::NotRsa)?;
        if (RSA_BITS_MIN..=RSA_BITS_MAX).contains(&sized.key_size_bits()) {
            Ok(key)
        } else {
            Err(KeyProblem::NotRsa)
        }
    }

    /// From a SubjectPublicKeyInfo, which names its curve, or from the uncompressed point of the one curve that `only` has.
    pub(super) fn ec(bytes: &[u8], only: Option<Algorithm>) -> Result<Self, KeyProblem> {
        let fitting = EC.into_iter().filter(|(algorithm, _)| only.is_none_or(|only| only == *algorithm));
        fitting.into_iter().find_map(|curve| Self::public(&[curve], bytes)).ok_or(KeyProblem::NotEc)
    }

    /// From the 32 bytes of the key.
    pub(super) fn ed25519(bytes: &[u8]) -> Result<Self, KeyProblem> {
        Self::public(&[(Algorithm::EdDsa, &ED25519)], bytes).ok_or(KeyProblem::NotEd)
    }

    pub(super) fn can(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Secret(_) => self.hmac(algorithm).is_some(),
            Self::Public(keys) => keys.iter().any(|(own, _)| *own == algorithm),
        }
    }

    /// False as well for an algorithm that is not this key's.
    pub(super) fn verifies(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Secret(_) => {
                self.hmac(algorithm).is_some_and(|key| hmac::verify(key, signed, signature).is_ok())
            }
            Self::Public(keys) => {
                keys.iter().any(|(own, key)| *own == algorithm && key.verify_sig(signed, signature).is_ok())
            }
        }
    }

    /// Only a secret can sign; the private half of a public key is not ours.
    pub(super) fn sign(&self, algorithm: Algorithm, signed: &[u8]) -> Option<Vec<u8>> {
        Some(hmac::sign(self.hmac(algorithm)?, signed).as_ref().to_vec())
    }

    fn hmac(&self, algorithm: Algorithm) -> Option<&hmac::Key> {
        let Self::Secret(keys) = self else { return None };
        keys.iter().find(|(own, _)| *own == algorithm).map(|(_, key)| key)
    }

    fn public(algorithms: &[Verification], bytes: &[u8]) -> Option<Self> {
        let parse = |(algorithm, verification): &Verification| {
            Some((*algorithm, ParsedPublicKey::new(*verification, bytes).ok()?))
        };
        algorithms.iter().map(parse).collect::<Option<Vec<_>>>().map(Self::Public)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Algorithm::ALL.into_iter().filter(|algorithm| self.can(*algorithm)).collect();
        write!(f, "Key{names:?}")
    }
}

type Verification = (Algorithm, &'static dyn VerificationAlgorithm);

static RSA: [Verification; 3] = [
    (Algorithm::Rs256, &RSA_PKCS1_2048_8192_SHA256),
    (Algorithm::Rs384, &RSA_PKCS1_2048_8192_SHA384),
    (Algorithm::Rs512, &RSA_PKCS1_2048_8192_SHA512),
];
static EC: [Verification; 3] = [
    (Algorithm::Es256, &ECDSA_P256_SHA256_FIXED),
    (Algorithm::Es384, &ECDSA_P384_SHA384_FIXED),
    (Algorithm::Es512, &ECDSA_P521_SHA512_FIXED),
];

/// RFC 7518 section 3.3.
const RSA_BITS_MIN: usize = 2048;
/// Larger ones only cost the verifier time.
const RSA_BITS_MAX: usize = 8192;
