//! The client's side of TLS, by rustls: one full handshake for each connection, unless coming back is what is measured.
//! Invariant: what a connection writes before its handshake is done leaves right behind it.

use crate::plan::Trust;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::io::{self, Read, Write};
use std::sync::Arc;

/// What all connections of a run share.
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Tls {
    pub fn new(trust: &Trust) -> Result<Self, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let mut config = if trust.roots.is_empty() {
            let anybody = Arc::new(Anybody(provider));
            builder.dangerous().with_custom_certificate_verifier(anybody).with_no_client_auth()
        } else {
            let mut roots = RootCertStore::empty();
            for root in CertificateDer::pem_slice_iter(trust.roots.as_bytes()) {
                roots.add(root.map_err(|error| Error::General(format!("--ca: {error}")))?)?;
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        };
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = ServerName::try_from(trust.name.clone())
            .map_err(|_| Error::General(format!("{} is no name for a server", trust.name)))?;
        Ok(Self { config: Arc::new(config), name })
    }

    /// From here on with the tickets of earlier handshakes.
    pub fn resume(&mut self) {
        let mut config = ClientConfig::clone(&self.config);
        config.resumption = Resumption::in_memory_sessions(TICKET_COUNT_MAX);
        self.config = Arc::new(config);
    }

    pub fn connect(&self) -> Result<ClientConnection, Error> {
        let mut connection = ClientConnection::new(Arc::clone(&self.config), self.name.clone())?;
        connection.set_buffer_limit(None);
        Ok(connection)
    }
}

/// Servers whose tickets are kept; there is one.
const TICKET_COUNT_MAX: usize = 64;

/// Takes `plain` into records; gives what has to be sent now.
pub fn seal(connection: &mut ClientConnection, plain: &[u8]) -> io::Result<Vec<u8>> {
    connection.writer().write_all(plain)?;
    outgoing(connection)
}

pub fn outgoing(connection: &mut ClientConnection) -> io::Result<Vec<u8>> {
    let mut records = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut records)?;
    }
    Ok(records)
}

/// Appends what is in these records to `plain`.
pub fn open(
    connection: &mut ClientConnection,
    mut records: &[u8],
    plain: &mut Vec<u8>,
) -> Result<(), String> {
    while !records.is_empty() {
        connection.read_tls(&mut records).map_err(|error| error.to_string())?;
        let state = connection.process_new_packets().map_err(|error| format!("TLS: {error}"))?;
        let at = plain.len();
        plain.resize(at + state.plaintext_bytes_to_read(), 0);
        if let Some(place) = plain.get_mut(at..).filter(|place| !place.is_empty()) {
            connection.reader().read_exact(place).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

/// Trusts every certificate: --insecure.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
