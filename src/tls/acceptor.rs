//! What new connections are accepted with. A snapshot: connections keep what they began with.
//! Invariant: early data is never taken, because it can be replayed (RFC 8446 section 8); the only protocol is HTTP/1.1,
//! so that one who wants another hears so in the handshake (RFC 7301 section 3.2). Where clients show certificates nobody
//! gets a ticket: one would let a client in again and again whose certificate has ended or is no longer trusted.

use super::identity::{Choice, Identity, parse_certificates, provider};
use super::session::Session;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Acceptor {
    config: Arc<ServerConfig>,
    /// Clients that come back are believed what an earlier handshake has settled.
    has_tickets: bool,
    /// From the connection to the end of the handshake.
    pub patience: Duration,
    /// Handshakes a second on one core; beyond: closed.
    pub rate: Option<u32>,
}

/// Whether clients show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    #[default]
    Off,
    /// One that is shown must be valid.
    Optional,
    Required,
}

#[derive(Debug)]
pub struct Terms<'a> {
    /// The first is shown to clients that name none of the others.
    pub identities: Vec<Identity>,
    pub client_auth: ClientAuth,
    /// Who vouches for clients, in PEM.
    pub client_roots: &'a str,
    pub only_tls13: bool,
    /// Only for clients that show no certificates.
    pub has_tickets: bool,
    pub patience: Duration,
    pub rate: Option<u32>,
}

/// Each completes the sentence "it must be".
#[derive(Debug, thiserror::Error)]
pub enum TermsProblem {
    #[error("certificates in PEM that can vouch for clients ({0})")]
    Roots(String),
    #[error("something that rustls takes ({0})")]
    Rustls(#[from] rustls::Error),
}

impl Acceptor {
    pub fn new(terms: Terms<'_>) -> Result<Self, TermsProblem> {
        let provider = Arc::new(provider());
        let versions: &[&SupportedProtocolVersion] =
            if terms.only_tls13 { &[&TLS13] } else { &[&TLS13, &TLS12] };
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions)?;
        let builder = match terms.client_auth {
            ClientAuth::Off => builder.with_no_client_auth(),
            ClientAuth::Optional | ClientAuth::Required => {
                let roots = Arc::new(roots(terms.client_roots)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                let verifier = match terms.client_auth {
                    ClientAuth::Required => verifier,
                    ClientAuth::Off | ClientAuth::Optional => verifier.allow_unauthenticated(),
                };
                let refused = |error: VerifierBuilderError| TermsProblem::Roots(error.to_string());
                builder.with_client_cert_verifier(verifier.build().map_err(refused)?)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(Choice(terms.identities)));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.max_early_data_size = 0;
        config.enable_secret_extraction = true;
        // Tickets are kept by clients; a table of ours would be a lock between cores.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let has_tickets = terms.has_tickets && terms.client_auth == ClientAuth::Off;
        if has_tickets {
            config.ticketer = Ticketer::new()?;
        } else {
            config.send_tls13_tickets = 0;
        }
        Ok(Self { config: Arc::new(config), has_tickets, patience: terms.patience, rate: terms.rate })
    }

    /// The same, honouring the tickets of `previous`.
    #[must_use]
    pub fn succeeding(self, previous: Option<&Self>) -> Self {
        match previous {
            Some(previous) if previous.has_tickets && self.has_tickets => {
                let mut config = ServerConfig::clone(&self.config);
                config.ticketer = Arc::clone(&previous.config.ticketer);
                Self { config: Arc::new(config), ..self }
            }
            Some(_) | None => self,
        }
    }

    pub fn session(&self) -> Box<Session> {
        Box::new(Session::new(Arc::clone(&self.config)))
    }
}

fn roots(pem: &str) -> Result<RootCertStore, TermsProblem> {
    let mut roots = RootCertStore::empty();
    for certificate in parse_certificates(pem).map_err(TermsProblem::Roots)? {
        roots.add(certificate).map_err(|error| TermsProblem::Roots(error.to_string()))?;
    }
    Ok(roots)
}
