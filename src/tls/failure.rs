//! Why a TLS connection ends before its time, by blame.
//! Invariant: every failure of the peer has the alert that RFC 8446 section 6.2 asks for.

use rustls::{Error, PeerIncompatible};

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Failure {
    #[error("the peer speaks plain HTTP")]
    PlainHttp,
    #[error("the peer does not speak TLS")]
    NotTls,
    #[error("the handshake is too long")]
    TooLong,
    /// Version, cipher suite, protocol: nothing that both know.
    #[error("nothing in common: {0}")]
    Incompatible(Error),
    /// In mutual TLS.
    #[error("the certificate of the client: {0}")]
    Certificate(Error),
    /// An alert of the peer: in a handshake mostly of a client that does not trust our certificate.
    #[error("the peer gave up: {0}")]
    GivenUp(Error),
    #[error("the peer broke the rules: {0}")]
    Handshake(Error),
    /// After the handshake, with the alert for it.
    #[error("the peer broke the rules of records")]
    Record(Alert),
    #[error("the peer asked for another handshake")]
    Renegotiation,
    /// A key has sealed as many records as it may, and the version knows no way to another.
    #[error("the key is used up")]
    KeyUsedUp,
    #[error("the handshake cannot be carried on: {0}")]
    Internal(Error),
}

/// RFC 8446 section 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Alert {
    CloseNotify = 0,
    UnexpectedMessage = 10,
    BadRecordMac = 20,
    RecordOverflow = 22,
    IllegalParameter = 47,
    DecodeError = 50,
    InternalError = 80,
    UserCanceled = 90,
    NoRenegotiation = 100,
}

impl Failure {
    pub(super) fn of_handshake(error: Error) -> Self {
        use PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon as NoSchemes;
        let is_ours = matches!(
            error,
            Error::General(_)
                | Error::Other(_)
                | Error::FailedToGetCurrentTime
                | Error::FailedToGetRandomBytes
                | Error::EncryptError
        );
        // One that is no good, or none although it was asked for.
        let is_of_certificate = matches!(
            error,
            Error::NoCertificatesPresented
                | Error::InvalidCertificate(_)
                | Error::PeerIncompatible(NoSchemes)
        );
        if is_ours {
            Self::Internal(error)
        } else if is_of_certificate {
            Self::Certificate(error)
        } else if matches!(error, Error::AlertReceived(_)) {
            Self::GivenUp(error)
        } else if matches!(error, Error::PeerIncompatible(_) | Error::NoApplicationProtocol) {
            Self::Incompatible(error)
        } else {
            Self::Handshake(error)
        }
    }

    /// What the peer is told, unless rustls has told it or it has gone.
    pub(super) fn alert(&self) -> Option<Alert> {
        match self {
            Self::NotTls => Some(Alert::DecodeError),
            Self::TooLong => Some(Alert::RecordOverflow),
            Self::Record(alert) => Some(*alert),
            Self::Renegotiation => Some(Alert::NoRenegotiation),
            Self::KeyUsedUp => Some(Alert::CloseNotify),
            Self::Internal(_) => Some(Alert::InternalError),
            Self::PlainHttp
            | Self::Incompatible(_)
            | Self::Certificate(_)
            | Self::GivenUp(_)
            | Self::Handshake(_) => None,
        }
    }
}

impl Alert {
    /// As the two bytes of the message: two are warnings, everything else is fatal.
    pub(super) fn message(self) -> [u8; 2] {
        let level = match self {
            Self::CloseNotify | Self::UserCanceled | Self::NoRenegotiation => WARNING,
            Self::UnexpectedMessage
            | Self::BadRecordMac
            | Self::RecordOverflow
            | Self::IllegalParameter
            | Self::DecodeError
            | Self::InternalError => FATAL,
        };
        [level, self as u8]
    }
}

const WARNING: u8 = 1;
const FATAL: u8 = 2;
