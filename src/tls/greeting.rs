//! The handshake, by rustls. RFC 8446 section 4, RFC 5246 section 7.4.
//!
//! rustls gets one record at a time, so that nothing behind the peer's last word of the handshake is read here: from
//! there on the records are the tunnel's.
//! Invariant: keeps at most `TLS_HANDSHAKE_BYTES_MAX` of the peer and reads at most `TLS_HANDSHAKE_RECORD_COUNT_MAX`
//! records, whatever they are. Alerts are left to rustls, which knows whether they have to be sealed by now.

use super::failure::{Alert, Failure};
use super::record::{self, ALERT, APPLICATION_DATA};
use super::tunnel::Tunnel;
use super::updates::Overheard;
use crate::limits::{TLS_HANDSHAKE_BYTES_MAX, TLS_HANDSHAKE_RECORD_COUNT_MAX};
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus};
use rustls::{Error, HandshakeKind, ProtocolVersion, ServerConfig, SupportedCipherSuite};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Tls12,
    Tls13,
}

/// What was agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    pub version: Version,
    /// Without certificates, with what an earlier handshake had agreed on.
    pub is_resumed: bool,
}

pub(super) struct Greeting {
    tls: UnbufferedServerConnection,
    overheard: Arc<Overheard>,
    /// Of messages that have not come whole.
    received: Vec<u8>,
    record_count: u32,
    byte_count: u32,
    /// From our first word on, alerts may have to be sealed.
    has_spoken: bool,
}

pub(super) enum Progress {
    Waiting,
    Done(Box<Tunnel>, Opened),
}

enum Step {
    Again,
    Wait,
    Ready,
}

impl Greeting {
    pub(super) fn new(config: &ServerConfig) -> Result<Self, Failure> {
        let overheard = Arc::<Overheard>::default();
        let mut config = ServerConfig::clone(config);
        config.key_log = Arc::<Overheard>::clone(&overheard);
        let tls = UnbufferedServerConnection::new(Arc::new(config)).map_err(Failure::Internal)?;
        Ok(Self { tls, overheard, received: Vec::new(), record_count: 0, byte_count: 0, has_spoken: false })
    }

    /// Takes one record; what it is answered with is appended to `out`, also when it fails.
    pub(super) fn advance(mut self: Box<Self>, record: &[u8], out: &mut Vec<u8>) -> Advanced {
        self.record_count += 1;
        self.byte_count = self.byte_count.saturating_add(record.len() as u32);
        if self.record_count > TLS_HANDSHAKE_RECORD_COUNT_MAX || self.byte_count > TLS_HANDSHAKE_BYTES_MAX {
            self.give_up(out);
            return Err(Failure::TooLong);
        }
        self.received.extend_from_slice(record);
        match self.read(out) {
            Ok(Step::Ready) if !self.tls.is_handshaking() => self.finish(out),
            Ok(Step::Again | Step::Wait | Step::Ready) => Ok((Some(self), Progress::Waiting)),
            Err(error) => {
                let failure = Failure::of_handshake(error);
                // rustls has an alert for nearly everything.
                if !self.last_words(out) && !self.has_spoken && matches!(failure, Failure::Handshake(_)) {
                    out.extend_from_slice(&record::header(ALERT, 2));
                    out.extend_from_slice(&Alert::DecodeError.message());
                }
                Err(failure)
            }
        }
    }

    /// What was received is too much: says so, with the alert of rustls for a record that is too long.
    pub(super) fn give_up(&mut self, out: &mut Vec<u8>) {
        self.received.extend_from_slice(&record::header(APPLICATION_DATA, usize::from(u16::MAX)));
        if self.read(out).is_err() {
            self.last_words(out);
        }
    }

    /// Until rustls needs more, or is done.
    fn read(&mut self, out: &mut Vec<u8>) -> Result<Step, Error> {
        loop {
            let len = out.len();
            let UnbufferedStatus { discard, state } = self.tls.process_tls_records(&mut self.received);
            let step = state.and_then(|state| after(state, out));
            self.has_spoken |= out.len() > len;
            self.received.drain(..discard.min(self.received.len()));
            match step? {
                Step::Again => {}
                step @ (Step::Wait | Step::Ready) => return Ok(step),
            }
        }
    }

    /// The alert that rustls has made for its error, and what it wanted to say before. It is asked no more often than that:
    /// it would read on in what it is given, which panics where that does not follow from what it has seen. False: there was
    /// nothing.
    fn last_words(&mut self, out: &mut Vec<u8>) -> bool {
        let len = out.len();
        while self.tls.wants_write() {
            let UnbufferedStatus { state, .. } = self.tls.process_tls_records(&mut self.received);
            let Ok(ConnectionState::EncodeTlsData(data)) = state else { break };
            if encode(data, out).is_err() {
                break;
            }
        }
        out.len() > len
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.received.capacity()
    }

    fn finish(mut self: Box<Self>, out: &mut Vec<u8>) -> Advanced {
        let version = match self.tls.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => Version::Tls13,
            Some(_) | None => Version::Tls12,
        };
        let is_resumed = self.tls.handshake_kind() == Some(HandshakeKind::Resumed);
        if !self.received.is_empty() {
            // A message that begins behind the last one and is not whole: nobody has a reason to send that.
            self.give_up(out);
            return Err(Failure::Handshake(Error::HandshakeNotComplete));
        }
        let updates = match self.tls.negotiated_cipher_suite() {
            Some(SupportedCipherSuite::Tls13(suite)) => self.overheard.updates(suite),
            Some(SupportedCipherSuite::Tls12(_)) | None => None,
        };
        let (secrets, _) = self.tls.dangerous_into_kernel_connection().map_err(Failure::Internal)?;
        let tunnel = Box::new(Tunnel::new(version, secrets, updates));
        Ok((None, Progress::Done(tunnel, Opened { version, is_resumed })))
    }
}

fn after<Data>(state: ConnectionState<'_, '_, Data>, out: &mut Vec<u8>) -> Result<Step, Error> {
    if let ConnectionState::EncodeTlsData(data) = state {
        encode(data, out).map(|()| Step::Again)
    } else if let ConnectionState::TransmitTlsData(data) = state {
        data.done();
        Ok(Step::Again)
    } else if matches!(state, ConnectionState::BlockedHandshake) {
        Ok(Step::Wait)
    } else if matches!(state, ConnectionState::WriteTraffic(_)) {
        Ok(Step::Ready)
    } else {
        // Its last word before the end of the handshake, or early data, which is never accepted.
        Err(Error::HandshakeNotComplete)
    }
}

/// The greeting while it goes on.
type Advanced = Result<(Option<Box<Greeting>>, Progress), Failure>;

fn encode<Data>(mut data: EncodeTlsData<'_, Data>, out: &mut Vec<u8>) -> Result<(), Error> {
    let at = out.len();
    let size = match data.encode(&mut []) {
        Ok(len) => len,
        Err(EncodeError::InsufficientSize(short)) => short.required_size,
        Err(EncodeError::AlreadyEncoded) => return Ok(()),
    };
    out.resize(at + size, 0);
    match data.encode(out.get_mut(at..).unwrap_or_default()) {
        Ok(len) => out.truncate(at + len),
        Err(EncodeError::AlreadyEncoded) => {}
        Err(EncodeError::InsufficientSize(_)) => return Err(Error::EncryptError),
    }
    Ok(())
}
