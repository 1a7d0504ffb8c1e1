//! Certificates with their keys, and which of them a client is shown.
//! Invariant: key and certificate belong together. A client that names nobody, or somebody whom we do not know, is shown
//! the first: whether that will do is the client's to say.

use super::validity::{Outline, Validity};
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Identity {
    key: Arc<CertifiedKey>,
    pub validity: Option<Validity>,
}

/// Each completes the sentence "it must be".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityProblem {
    #[error("a certificate and its chain in PEM, with BEGIN CERTIFICATE in it")]
    NoCertificate,
    #[error("certificates that can be read ({0})")]
    Certificate(String),
    #[error("a private key in PEM without a password, with BEGIN PRIVATE KEY in it (openssl pkey -in KEY)")]
    NoKey,
    #[error("a private key of RSA, ECDSA or Ed25519 ({0})")]
    Key(String),
    #[error("the key of the certificate: these two do not belong together")]
    Mismatch,
}

impl IdentityProblem {
    /// Whether it is the certificate that has to change, and not the key.
    pub fn is_of_certificate(&self) -> bool {
        match self {
            Self::NoCertificate | Self::Certificate(_) => true,
            Self::NoKey | Self::Key(_) | Self::Mismatch => false,
        }
    }
}

impl Identity {
    pub fn load(certificates: &str, key: &str) -> Result<Self, IdentityProblem> {
        let chain = parse_certificates(certificates).map_err(IdentityProblem::Certificate)?;
        let first = chain.first().ok_or(IdentityProblem::NoCertificate)?;
        let validity = Validity::of(first);
        ParsedCertificate::try_from(first)
            .map_err(|error| IdentityProblem::Certificate(error.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| IdentityProblem::NoKey)?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| {
            let is_mismatch = matches!(error, Error::InconsistentKeys(InconsistentKeys::KeyMismatch));
            if is_mismatch { IdentityProblem::Mismatch } else { IdentityProblem::Key(error.to_string()) }
        })?;
        Ok(Self { key: Arc::new(key), validity })
    }

    /// The certificate and its chain, as they are sent.
    pub fn outlines(&self) -> Vec<Outline> {
        self.key.cert.iter().filter_map(|certificate| Outline::of(certificate)).collect()
    }

    /// Whether a client that comes by this name is content.
    pub fn covers(&self, name: &str) -> bool {
        ServerName::try_from(name).is_ok_and(|name| self.is_of(&name))
    }

    fn is_of(&self, name: &ServerName<'_>) -> bool {
        let parsed = self.key.cert.first().and_then(|first| ParsedCertificate::try_from(first).ok());
        parsed.is_some_and(|parsed| verify_server_name(&parsed, name).is_ok())
    }
}

/// Those who vouch for clients.
pub fn outlines(pem: &str) -> Vec<Outline> {
    let certificates = parse_certificates(pem).unwrap_or_default();
    certificates.iter().filter_map(|certificate| Outline::of(certificate)).collect()
}

pub(super) fn parse_certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    parsed.map_err(|error| error.to_string())
}

pub(super) fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

/// By the name that the client wants (RFC 6066 section 3). There are few: a look at each costs less than a signature.
#[derive(Debug)]
pub(super) struct Choice(pub(super) Vec<Identity>);

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let named = match name {
            Some(name) if self.0.len() > 1 => self.0.iter().find(|identity| identity.is_of(&name)),
            Some(_) | None => None,
        };
        named.or(self.0.first()).map(|identity| Arc::clone(&identity.key))
    }
}
