//! Sessions against the client of rustls, in memory.

mod conduct;
mod greetings;
mod hostile;
mod records;

use super::tunnel::Tunnel;
use super::{Acceptor, ClientAuth, Event, Failure, Identity, Keys, Opened, Session, Terms};
use crate::ids::ConnId;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

const CONN: ConnId = ConnId { slot: 7, generation: 0 };

/// Somebody whom clients trust.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Certificate and key, in PEM.
    fn issue(&self, names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn identity(&self, names: &[&str]) -> Identity {
        let (certificate, key) = self.issue(names);
        Identity::load(&certificate, &key).unwrap()
    }

    fn acceptor(&self) -> Acceptor {
        Acceptor::new(self.terms(ClientAuth::Off, "")).unwrap()
    }

    fn terms<'a>(&self, client_auth: ClientAuth, client_roots: &'a str) -> Terms<'a> {
        Terms {
            identities: vec![self.identity(&["localhost"])],
            client_auth,
            client_roots,
            only_tls13: false,
            has_tickets: true,
            patience: Duration::from_secs(5),
            rate: None,
        }
    }

    fn client_config(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        self.client_builder(versions).with_no_client_auth()
    }

    fn client_builder(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        ClientConfig::builder_with_provider(Arc::new(super::identity::provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
    }
}

/// For a client certificate.
fn der((certificate, key): &(String, String)) -> (Vec<CertificateDer<'static>>, PrivatePkcs8KeyDer<'static>) {
    use rustls::pki_types::pem::PemObject;
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).map(Result::unwrap).collect();
    (chain, PrivatePkcs8KeyDer::from_pem_slice(key.as_bytes()).unwrap())
}

/// A client and a session, and what has happened to the latter.
struct Pair {
    client: ClientConnection,
    session: Box<Session>,
    keys: Keys,
    plain: Vec<u8>,
    opened: Option<Opened>,
    has_ended: bool,
    failure: Option<Failure>,
}

impl Pair {
    fn new(acceptor: &Acceptor, config: &Arc<ClientConfig>, name: &'static str) -> Self {
        let mut config = ClientConfig::clone(config);
        config.enable_secret_extraction = true;
        let config = Arc::new(config);
        let name = ServerName::try_from(name).unwrap();
        Self {
            client: ClientConnection::new(config, name).unwrap(),
            session: acceptor.session(),
            keys: Keys::new(4),
            plain: Vec::new(),
            opened: None,
            has_ended: false,
            failure: None,
        }
    }

    /// Shaken hands.
    fn open(versions: &[&'static SupportedProtocolVersion]) -> Self {
        let authority = Authority::new();
        let config = Arc::new(authority.client_config(versions));
        let mut pair = Self::new(&authority.acceptor(), &config, "localhost");
        pair.talk().unwrap();
        assert!(pair.session.is_open());
        pair
    }

    /// What the client wants to send.
    fn client_says(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    fn client_hears(&mut self, mut bytes: &[u8]) -> Result<(), rustls::Error> {
        while !bytes.is_empty() {
            self.client.read_tls(&mut bytes).unwrap();
            self.client.process_new_packets()?;
        }
        Ok(())
    }

    /// Feeds the session, and notes what happens.
    fn feed(&mut self, bytes: &mut [u8]) {
        let mut rest = bytes;
        while self.failure.is_none() {
            let len = rest.len();
            let mut input = &mut *rest;
            match self.session.next(&mut input, &mut self.keys, CONN) {
                Ok(Some(Event::Data(plain))) => self.plain.extend_from_slice(plain),
                Ok(Some(Event::Opened(opened))) => self.opened = Some(opened),
                Ok(Some(Event::Hello)) => assert!(self.opened.is_none()),
                Ok(Some(Event::Ended)) => self.has_ended = true,
                Ok(None) => break,
                Err(failure) => self.failure = Some(failure),
            }
            let left = input.len();
            rest = &mut rest[len - left..];
        }
    }

    /// Until both have nothing more to say.
    fn talk(&mut self) -> Result<(), rustls::Error> {
        loop {
            let mut bytes = self.client_says();
            self.feed(&mut bytes);
            let words = self.session.take_outgoing();
            if bytes.is_empty() && words.is_empty() {
                return Ok(());
            }
            self.client_hears(&words)?;
        }
    }

    fn say(&mut self, plain: &[u8]) {
        let mut at = 0;
        while at < plain.len() {
            at += self.client.writer().write(&plain[at..]).unwrap();
            let mut bytes = self.client_says();
            self.feed(&mut bytes);
        }
    }

    fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut out = self.session.take_outgoing();
        self.session.seal(plain, &mut out, &mut self.keys, CONN).unwrap();
        out
    }

    /// Takes the secrets of the client away from it.
    fn client_tunnel(&mut self) -> Tunnel {
        let config = Arc::new(Authority::new().client_config(&[&rustls::version::TLS13]));
        let other = ClientConnection::new(config, ServerName::try_from("localhost").unwrap()).unwrap();
        let client = std::mem::replace(&mut self.client, other);
        let version = self.opened.unwrap().version;
        let secrets = client.dangerous_extract_secrets().unwrap();
        Tunnel::new(version, secrets, None)
    }

    /// What the client reads of `records`.
    fn heard(&mut self, records: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        for part in records.chunks(4096) {
            self.client_hears(part).unwrap();
            let mut buffer = vec![0; 32 * 1024];
            while let Ok(count @ 1..) = self.client.reader().read(&mut buffer) {
                plain.extend_from_slice(&buffer[..count]);
            }
        }
        plain
    }
}

/// Cut after each of `lengths`, over and over.
fn cuts<'a>(bytes: &'a [u8], lengths: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let (mut rest, mut lengths) = (bytes, lengths.iter().cycle());
    std::iter::from_fn(move || {
        let count = (*lengths.next()?).min(rest.len());
        let (part, left) = rest.split_at(count);
        rest = left;
        (!part.is_empty()).then_some(part)
    })
}
