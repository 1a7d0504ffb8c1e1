//! The client's end of TLS in worlds that are sealed: what a client says leaves in records, what it hears is opened.
//!
//! Invariant: a server sends nothing but records, in the order of their making (rustls judges every byte), and the last
//! one before a FIN says that it is the last. A handshake goes on whether somebody reads or not, as in a client's library.
//! What is random here never changes a length, so that a world is still a function of its seed.

use super::dice::Dice;
use super::link::{Incoming, Link};
use crate::tls::{Acceptor, ClientAuth, Identity, Terms};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};
use std::io::{Read, Write};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

/// Whom all sealed worlds trust. Made once: keys take longer than a world.
#[derive(Debug)]
pub struct Authority {
    acceptor: Acceptor,
    provider: Arc<CryptoProvider>,
}

/// What a sealed world is made with.
#[derive(Clone, Debug)]
pub struct Sealing {
    /// For the cores.
    pub acceptor: Acceptor,
    /// For all clients of the world: who comes back brings a ticket.
    pub client: Means,
}

pub type Means = Arc<ClientConfig>;

impl Authority {
    /// A certificate and its key in PEM. The key is one of Ed25519, whose signatures all have the same length.
    pub fn new(certificate: &str, key: &str) -> Result<Self, String> {
        let identity = Identity::load(certificate, key).map_err(|problem| problem.to_string())?;
        let terms = Terms {
            identities: vec![identity],
            client_auth: ClientAuth::Off,
            client_roots: "",
            only_tls13: false,
            has_tickets: true,
            patience: PATIENCE,
            rate: None,
        };
        let acceptor = Acceptor::new(terms).map_err(|problem| problem.to_string())?;
        let provider =
            CryptoProvider { kx_groups: vec![aws_lc_rs::kx_group::X25519], ..aws_lc_rs::default_provider() };
        Ok(Self { acceptor, provider: Arc::new(provider) })
    }

    /// For the world of this seed, if it is one of the sealed ones.
    pub fn sealing(&self, seed: u64) -> Option<Sealing> {
        // Dice of their own: a world is otherwise the one that it would be without.
        let mut dice = Dice::new(seed ^ APART);
        if !dice.percent(SEALED_PERCENT) {
            return None;
        }
        let version = if dice.percent(25) { &TLS12 } else { &TLS13 };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider));
        let builder = builder.with_protocol_versions(&[version]).ok()?;
        let trust = Arc::new(Trust(Arc::clone(&self.provider)));
        let mut client = builder.dangerous().with_custom_certificate_verifier(trust).with_no_client_auth();
        client.resumption = Resumption::in_memory_sessions(TICKET_COUNT);
        Some(Sealing { acceptor: self.acceptor.clone(), client: Arc::new(client) })
    }
}

/// Whoever can sign for the certificate that is shown; how long that is valid is no business of a world with its own time.
#[derive(Debug)]
struct Trust(Arc<CryptoProvider>);

impl ServerCertVerifier for Trust {
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
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What a client keeps of one connection.
#[derive(Debug)]
pub struct Tunnel {
    session: ClientConnection,
    /// Opened, and not yet asked for.
    plain: Vec<u8>,
    write_count: u32,
    has_heard_goodbye: bool,
    /// It has left, or broken the rules: whatever the server makes of that.
    may_be_refused: bool,
    /// An alert has ended it.
    is_refused: bool,
}

impl Tunnel {
    /// Says hello.
    pub fn open(client: &Means, link: &mut Link) -> Option<Self> {
        let session = ClientConnection::new(Arc::clone(client), ServerName::try_from("localhost").ok()?);
        let mut session = session.ok()?;
        session.set_buffer_limit(None);
        let mut tunnel = Self {
            session,
            plain: Vec::new(),
            write_count: 0,
            has_heard_goodbye: false,
            may_be_refused: false,
            is_refused: false,
        };
        tunnel.send(link);
        Some(tunnel)
    }

    pub fn write(&mut self, link: &mut Link, bytes: &[u8]) {
        if self.is_refused {
            return;
        }
        let written = self.session.writer().write_all(bytes);
        assert!(written.is_ok(), "{written:?}");
        self.write_count += 1;
        if self.write_count.is_multiple_of(KEY_UPDATE_EVERY) && !self.session.is_handshaking() {
            // Only TLS 1.3 has that.
            let _ = self.session.refresh_traffic_keys();
        }
        self.send(link);
    }

    /// The end of what it says. Not everybody says so before the FIN.
    pub fn finish(&mut self, link: &mut Link, says_so: bool) {
        if says_so {
            self.session.send_close_notify();
            self.may_be_refused = true;
            self.send(link);
        }
        link.finish();
    }

    /// Bytes between its records that are none.
    pub fn spoil(&mut self, link: &mut Link, bytes: &[u8]) {
        self.may_be_refused = true;
        link.write(bytes);
    }

    /// What the client finds when it looks; whole records are taken out of the network until one has something in it.
    pub fn read(&mut self, link: &mut Link, mut chunk_max: impl FnMut() -> usize) -> Incoming {
        loop {
            if !self.plain.is_empty() {
                return Incoming::Bytes(mem::take(&mut self.plain));
            }
            match link.read(chunk_max()) {
                Incoming::Bytes(records) => self.hear(link, &records),
                Incoming::Ended => {
                    let must_say_so = link.has_shut() && !self.session.is_handshaking() && !self.is_refused;
                    assert!(self.has_heard_goodbye || !must_say_so, "FIN without a last record");
                    return Incoming::Ended;
                }
                nothing @ (Incoming::Reset | Incoming::Silence) => return nothing,
            }
        }
    }

    pub fn has_unread(&self) -> bool {
        !self.plain.is_empty()
    }

    /// The handshake needs what has arrived.
    pub fn is_greeting(&self, link: &Link) -> bool {
        self.session.is_handshaking() && !self.is_refused && link.has_unread_bytes()
    }

    pub fn greet(&mut self, link: &mut Link, chunk_max: usize) {
        if let Incoming::Bytes(records) = link.read(chunk_max) {
            self.hear(link, &records);
        }
    }

    fn hear(&mut self, link: &mut Link, records: &[u8]) {
        let mut rest = records;
        while !rest.is_empty() && !self.is_refused {
            let taken = self.session.read_tls(&mut rest);
            assert!(taken.is_ok(), "{taken:?}");
            match self.session.process_new_packets() {
                Ok(state) => self.has_heard_goodbye |= state.peer_has_closed(),
                Err(Error::AlertReceived(_)) if self.may_be_refused => self.is_refused = true,
                Err(wrong) => assert!(records.is_empty(), "the server broke TLS: {wrong}"),
            }
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = self.session.reader().read(&mut buffer) {
                self.plain.extend_from_slice(buffer.get(..count).unwrap_or_default());
            }
        }
        self.send(link);
    }

    fn send(&mut self, link: &mut Link) {
        let mut records = Vec::new();
        while self.session.wants_write() && self.session.write_tls(&mut records).is_ok_and(|count| count > 0)
        {
        }
        if !records.is_empty() {
            link.write(&records);
        }
    }
}

/// So that worlds are otherwise what they would be without.
const APART: u64 = 0x7_1550;
/// A handshake takes a hundred times as long as what else happens to a connection.
const SEALED_PERCENT: u32 = 12;
/// For a handshake, on the server.
const PATIENCE: Duration = Duration::from_secs(10);
const TICKET_COUNT: usize = 32;
/// Writes between two changes of the client's keys.
const KEY_UPDATE_EVERY: u32 = 7;
