//! Records of a connection whose handshake is done. RFC 8446 sections 5 and 4.6.3, RFC 5246 section 6.2, RFC 5288, RFC 7905.
//!
//! The cipher is aws-lc's, nonces are made by rustls; here are the sequence numbers, the inside of a record, and key
//! updates.
//! Invariant: a sequence number is used once per secret. A key seals no more records than its cipher allows: then TLS 1.3
//! goes on with the next key, TLS 1.2 ends. Secrets stay where they were made until they are wiped.

use super::failure::{Alert, Failure};
use super::greeting::Version;
use super::keys::Keys;
use super::record::{
    ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, HEADER_LEN, PLAIN_LEN_MAX, header,
};
use super::updates::Updates;
use crate::ids::ConnId;
use aws_lc_rs::aead;
use rustls::crypto::cipher::{Iv, Nonce, make_tls12_aad, make_tls13_aad};
use rustls::{
    AlertDescription, ConnectionTrafficSecrets as Secrets, ContentType, Error, ExtractedSecrets,
    ProtocolVersion,
};
use std::ops::Range;

pub(super) struct Tunnel {
    sealing: Direction,
    opening: Direction,
    /// Of TLS 1.3; TLS 1.2 has no other keys.
    updates: Option<Updates>,
    version: Version,
    /// Records in a row that brought nothing.
    fruitless: u8,
    /// Bytes that have come of a key update that was cut between records: there is only one way how it can begin.
    fragment_len: u8,
    /// Our key update is among the bytes that wait: one answers any number of requests.
    has_updated: bool,
}

struct Direction {
    secrets: Secrets,
    sequence: u64,
}

/// What was in a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Inside {
    /// Here in the record.
    Data(Range<usize>),
    Nothing,
    /// The peer has finished.
    End,
}

impl Tunnel {
    pub(super) fn new(version: Version, secrets: ExtractedSecrets, updates: Option<Updates>) -> Self {
        let ExtractedSecrets { tx: (sent, tx), rx: (received, rx) } = secrets;
        Self {
            sealing: Direction { secrets: tx, sequence: sent },
            opening: Direction { secrets: rx, sequence: received },
            updates,
            version,
            fruitless: 0,
            fragment_len: 0,
            has_updated: false,
        }
    }

    /// Appends `plain` as records.
    pub(super) fn seal(
        &mut self,
        plain: &[u8],
        out: &mut Vec<u8>,
        keys: &mut Keys,
        conn: ConnId,
    ) -> Result<(), Failure> {
        out.reserve_exact(plain.len() + plain.len().div_ceil(PLAIN_LEN_MAX) * OVERHEAD_LEN_MAX);
        for part in plain.chunks(PLAIN_LEN_MAX) {
            if self.sealing.sequence >= seal_count_max(self.version, &self.sealing.secrets) {
                self.change_sealing(out, keys, conn)?;
            }
            self.seal_record(APPLICATION_DATA, part, out, keys, conn)?;
        }
        Ok(())
    }

    pub(super) fn alert(&mut self, alert: Alert, out: &mut Vec<u8>, keys: &mut Keys, conn: ConnId) {
        // Without a key there is nothing left to say it with.
        let _ = self.seal_record(ALERT, &alert.message(), out, keys, conn);
    }

    /// Everything that waited has left.
    pub(super) fn landed(&mut self) {
        self.has_updated = false;
    }

    pub(super) fn seal_record(
        &mut self,
        kind: u8,
        plain: &[u8],
        out: &mut Vec<u8>,
        keys: &mut Keys,
        conn: ConnId,
    ) -> Result<(), Failure> {
        let Direction { secrets, sequence } = &mut self.sealing;
        let key = keys.sealing(conn, secrets).ok_or(Failure::KeyUsedUp)?;
        let nonce = Nonce::new(iv(secrets).ok_or(Failure::KeyUsedUp)?, *sequence).0;
        let unique = aead::Nonce::assume_unique_for_key(nonce);
        let start = out.len();
        let tag = match self.version {
            Version::Tls13 => {
                let len = plain.len() + 1 + TAG_LEN;
                out.extend_from_slice(&header(APPLICATION_DATA, len));
                out.extend_from_slice(plain);
                out.push(kind);
                let inside = out.get_mut(start + HEADER_LEN..).unwrap_or_default();
                key.seal_in_place_separate_tag(unique, aead::Aad::from(make_tls13_aad(len)), inside)
            }
            Version::Tls12 => {
                let explicit = nonce.get(NONCE_LEN - explicit_len(secrets)..).unwrap_or_default();
                out.extend_from_slice(&header(kind, explicit.len() + plain.len() + TAG_LEN));
                out.extend_from_slice(explicit);
                out.extend_from_slice(plain);
                let aad = tls12_aad(*sequence, kind, ProtocolVersion::TLSv1_2, plain.len());
                let inside = out.get_mut(start + HEADER_LEN + explicit.len()..).unwrap_or_default();
                key.seal_in_place_separate_tag(unique, aad, inside)
            }
        };
        let Ok(tag) = tag else {
            // Nothing that was not sealed may leave.
            out.truncate(start);
            return Err(Failure::KeyUsedUp);
        };
        out.extend_from_slice(tag.as_ref());
        *sequence += 1;
        Ok(())
    }

    /// Opens a whole record where it lies. What it has to be answered with is appended to `out`.
    pub(super) fn open(
        &mut self,
        record: &mut [u8],
        out: &mut Vec<u8>,
        keys: &mut Keys,
        conn: ConnId,
    ) -> Result<Inside, Failure> {
        let (kind, plain) = self.decipher(record, keys, conn)?;
        let inside = record.get(plain.clone()).unwrap_or_default();
        let is_data = kind == APPLICATION_DATA && !inside.is_empty();
        self.fruitless = if is_data { 0 } else { self.fruitless + 1 };
        if self.fruitless > FRUITLESS_COUNT_MAX {
            return Err(Failure::Record(Alert::UnexpectedMessage));
        }
        match (kind, inside) {
            // RFC 8446 section 5.1: nothing comes between the parts of a message.
            (APPLICATION_DATA, _) if self.fragment_len > 0 => Err(UNEXPECTED),
            (APPLICATION_DATA, []) => Ok(Inside::Nothing),
            (APPLICATION_DATA, _) => Ok(Inside::Data(plain)),
            (ALERT, &[level, code]) => alerted(self.version, level, code),
            (ALERT, _) => Err(Failure::Record(Alert::DecodeError)),
            (HANDSHAKE, _) if self.version == Version::Tls12 => Err(Failure::Renegotiation),
            (HANDSHAKE, _) => {
                if let Some(wish) = self.key_update(record, plain)? {
                    self.follow(wish, out, keys, conn)?;
                }
                Ok(Inside::Nothing)
            }
            _ => Err(UNEXPECTED),
        }
    }

    /// Whether the peer wants to hear a key update, once its own has come whole: the one message that it may send, and the
    /// last in its record, because what follows has another key.
    fn key_update(&mut self, record: &[u8], plain: Range<usize>) -> Result<Option<u8>, Failure> {
        let inside = record.get(plain).unwrap_or_default();
        let is_too_long = usize::from(self.fragment_len) + inside.len() > KEY_UPDATE_LEN;
        if inside.is_empty() || is_too_long {
            return Err(UNEXPECTED);
        }
        for &byte in inside {
            let at = usize::from(self.fragment_len);
            match KEY_UPDATE_HEAD.get(at) {
                Some(&expected) if expected == byte => {}
                Some(_) if at == 0 => return Err(UNEXPECTED),
                Some(_) => return Err(Failure::Record(Alert::DecodeError)),
                None => {
                    self.fragment_len = 0;
                    return Ok(Some(byte));
                }
            }
            self.fragment_len += 1;
        }
        Ok(None)
    }

    fn follow(&mut self, wish: u8, out: &mut Vec<u8>, keys: &mut Keys, conn: ConnId) -> Result<(), Failure> {
        if wish > UPDATE_REQUESTED {
            return Err(Failure::Record(Alert::IllegalParameter));
        }
        self.change_opening(keys, conn)?;
        if wish == UPDATE_REQUESTED && !self.has_updated {
            self.change_sealing(out, keys, conn)?;
            self.has_updated = true;
        }
        Ok(())
    }

    /// The kind of a record, and where in it the plaintext lies.
    fn decipher(
        &mut self,
        record: &mut [u8],
        keys: &mut Keys,
        conn: ConnId,
    ) -> Result<(u8, Range<usize>), Failure> {
        let Direction { secrets, sequence } = &mut self.opening;
        let bad_mac = Failure::Record(Alert::BadRecordMac);
        let Some(&[kind, major, minor, high, low]) = record.first_chunk::<HEADER_LEN>() else {
            return Err(bad_mac);
        };
        let key = keys.opening(conn, secrets).ok_or(Failure::KeyUsedUp)?;
        let mut nonce = Nonce::new(iv(secrets).ok_or(Failure::KeyUsedUp)?, *sequence).0;
        let (from, len) = match self.version {
            Version::Tls13 => {
                if kind != APPLICATION_DATA {
                    return Err(UNEXPECTED);
                }
                let sealed = record.get_mut(HEADER_LEN..).unwrap_or_default();
                if sealed.len() > PLAIN_LEN_MAX + TLS13_EXPANSION_LEN_MAX {
                    return Err(Failure::Record(Alert::RecordOverflow));
                }
                // As it came (section 5.2), and not as it should have been.
                let aad = aead::Aad::from([kind, major, minor, high, low]);
                let nonce = aead::Nonce::assume_unique_for_key(nonce);
                (HEADER_LEN, key.open_in_place(nonce, aad, sealed).map(|plain| plain.len()))
            }
            Version::Tls12 => {
                if kind == CHANGE_CIPHER_SPEC {
                    return Err(UNEXPECTED);
                }
                let explicit = explicit_len(secrets);
                let from = HEADER_LEN + explicit;
                if record.len() < from + TAG_LEN {
                    return Err(bad_mac);
                }
                // The peer chooses its part of the nonce, and sends it (RFC 5288 section 3).
                nonce[NONCE_LEN - explicit..].copy_from_slice(&record[HEADER_LEN..from]);
                let sealed = record.get_mut(from..).unwrap_or_default();
                let version = ProtocolVersion::from(u16::from_be_bytes([major, minor]));
                let aad = tls12_aad(*sequence, kind, version, sealed.len() - TAG_LEN);
                let nonce = aead::Nonce::assume_unique_for_key(nonce);
                (from, key.open_in_place(nonce, aad, sealed).map(|plain| plain.len()))
            }
        };
        let len = len.map_err(|_| bad_mac)?;
        *sequence += 1;
        let plain = from..from + len;
        match self.version {
            Version::Tls12 if len > PLAIN_LEN_MAX => Err(Failure::Record(Alert::RecordOverflow)),
            Version::Tls12 => Ok((kind, plain)),
            Version::Tls13 => unpad(record, plain),
        }
    }

    /// The peer goes on with its next key.
    fn change_opening(&mut self, keys: &mut Keys, conn: ConnId) -> Result<(), Failure> {
        let updates = self.updates.as_mut();
        let secrets = updates.and_then(Updates::next_opening).ok_or(Failure::KeyUsedUp)?;
        self.opening = Direction { secrets, sequence: 0 };
        keys.forget(conn);
        Ok(())
    }

    /// We go on with ours.
    fn change_sealing(&mut self, out: &mut Vec<u8>, keys: &mut Keys, conn: ConnId) -> Result<(), Failure> {
        if self.updates.is_none() {
            return Err(Failure::KeyUsedUp);
        }
        let [kind, high, middle, low] = KEY_UPDATE_HEAD;
        self.seal_record(HANDSHAKE, &[kind, high, middle, low, UPDATE_NOT_REQUESTED], out, keys, conn)?;
        let updates = self.updates.as_mut();
        let secrets = updates.and_then(Updates::next_sealing).ok_or(Failure::KeyUsedUp)?;
        self.sealing = Direction { secrets, sequence: 0 };
        keys.forget(conn);
        Ok(())
    }
}

/// RFC 8446 section 5.4: behind the content its kind, and behind that any number of zeros.
fn unpad(record: &[u8], plain: Range<usize>) -> Result<(u8, Range<usize>), Failure> {
    let inside = record.get(plain.clone()).unwrap_or_default();
    if inside.len() > PLAIN_LEN_MAX + 1 {
        return Err(Failure::Record(Alert::RecordOverflow));
    }
    match inside.iter().rposition(|&byte| byte != 0) {
        Some(last) => Ok((inside[last], plain.start..plain.start + last)),
        None => Err(UNEXPECTED),
    }
}

/// RFC 8446 section 6, RFC 5246 section 7.2: only the last word of an orderly end leaves anything to say for us. A warning
/// means nothing in TLS 1.2; TLS 1.3 has no levels any more, and one such word.
fn alerted(version: Version, level: u8, code: u8) -> Result<Inside, Failure> {
    let is_harmless = match version {
        Version::Tls13 => code == Alert::UserCanceled as u8,
        Version::Tls12 => level == WARNING,
    };
    if code == Alert::CloseNotify as u8 {
        Ok(Inside::End)
    } else if is_harmless {
        Ok(Inside::Nothing)
    } else {
        Err(Failure::GivenUp(Error::AlertReceived(AlertDescription::from(code))))
    }
}

/// Records that a key seals, as rustls has it. TLS 1.3 changes keys well before that; TLS 1.2 cannot, so that it gets all
/// that its cipher has.
fn seal_count_max(version: Version, secrets: &Secrets) -> u64 {
    match (version, secrets) {
        _ if cfg!(test) => 100,
        (Version::Tls13, _) => TLS13_SEAL_COUNT_MAX,
        (Version::Tls12, Secrets::Chacha20Poly1305 { .. }) => TLS12_SEAL_COUNT_MAX_OF_CHACHA,
        (Version::Tls12, _) => TLS12_SEAL_COUNT_MAX,
    }
}

fn iv(secrets: &Secrets) -> Option<&Iv> {
    match secrets {
        Secrets::Aes128Gcm { iv, .. }
        | Secrets::Aes256Gcm { iv, .. }
        | Secrets::Chacha20Poly1305 { iv, .. } => Some(iv),
        _ => None,
    }
}

/// How much of the nonce a record of TLS 1.2 carries.
fn explicit_len(secrets: &Secrets) -> usize {
    if matches!(secrets, Secrets::Chacha20Poly1305 { .. }) { 0 } else { 8 }
}

fn tls12_aad(sequence: u64, kind: u8, version: ProtocolVersion, len: usize) -> aead::Aad<[u8; 13]> {
    aead::Aad::from(make_tls12_aad(sequence, ContentType::from(kind), version, len))
}

const TAG_LEN: usize = 16;
const NONCE_LEN: usize = 12;
/// Header, explicit part of a nonce or kind, tag.
const OVERHEAD_LEN_MAX: usize = HEADER_LEN + 8 + TAG_LEN;
/// What protection may add in TLS 1.3.
const TLS13_EXPANSION_LEN_MAX: usize = 256;
/// `key_update`, and the length of what follows: one byte.
const KEY_UPDATE_HEAD: [u8; 4] = [24, 0, 0, 1];
const KEY_UPDATE_LEN: usize = KEY_UPDATE_HEAD.len() + 1;
const UPDATE_NOT_REQUESTED: u8 = 0;
const UPDATE_REQUESTED: u8 = 1;
/// Of an alert.
const WARNING: u8 = 1;
const UNEXPECTED: Failure = Failure::Record(Alert::UnexpectedMessage);
/// RFC 8446 section 5.5 would allow AES-GCM 2^24.5; rustls stops at 2^23.
const TLS13_SEAL_COUNT_MAX: u64 = 1 << 22;
/// RFC 9325 section 4.4 carries the same bound over to TLS 1.2.
const TLS12_SEAL_COUNT_MAX: u64 = 1 << 24;
/// There is no bound that a connection could reach; sequence numbers must not wrap (RFC 5246 section 6.1).
const TLS12_SEAL_COUNT_MAX_OF_CHACHA: u64 = 1 << 60;
/// Records without data in a row: padding against traffic analysis is legal, a flood of it is not.
const FRUITLESS_COUNT_MAX: u8 = 32;
