//! Records of a connection whose handshake is done. RFC 8446 sections 5 and 4.6.3, RFC 5246 section 6.2, RFC 5288, RFC 7905.
//!
//! The cipher is aws-lc's, nonces and associated data are made by rustls; here are the sequence numbers, the inside of a
//! record, and key updates.
//! Invariant: a sequence number is used once per secret. A key seals at most `SEAL_COUNT_MAX` records: then TLS 1.3 goes
//! on with the next key, TLS 1.2 ends.

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
use rustls::{ConnectionTrafficSecrets as Secrets, ContentType, ExtractedSecrets, ProtocolVersion};
use std::ops::Range;

pub(super) struct Tunnel {
    sealing: Direction,
    opening: Direction,
    /// Of TLS 1.3; TLS 1.2 has no other keys.
    updates: Option<Box<Updates>>,
    version: Version,
    /// Records in a row that brought nothing.
    fruitless: u8,
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
    pub(super) fn new(version: Version, secrets: ExtractedSecrets, updates: Option<Box<Updates>>) -> Self {
        let ExtractedSecrets { tx: (sent, tx), rx: (received, rx) } = secrets;
        Self {
            sealing: Direction { secrets: tx, sequence: sent },
            opening: Direction { secrets: rx, sequence: received },
            updates,
            version,
            fruitless: 0,
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
            if self.sealing.sequence >= SEAL_COUNT_MAX {
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
                let aad = tls12_aad(*sequence, kind, plain.len());
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
            (APPLICATION_DATA, []) => Ok(Inside::Nothing),
            (APPLICATION_DATA, _) => Ok(Inside::Data(plain)),
            (ALERT, [_, code]) if *code == Alert::UserCanceled as u8 => Ok(Inside::Nothing),
            // Whatever else it says is its last word, too.
            (ALERT, [_, _]) => Ok(Inside::End),
            (HANDSHAKE, _) if self.version == Version::Tls12 => Err(Failure::Renegotiation),
            (HANDSHAKE, [KEY_UPDATE, 0, 0, 1, wish @ (0 | 1)]) => {
                let is_requested = *wish == UPDATE_REQUESTED;
                self.change_opening(keys, conn)?;
                if is_requested && !self.has_updated {
                    self.change_sealing(out, keys, conn)?;
                    self.has_updated = true;
                }
                Ok(Inside::Nothing)
            }
            _ => Err(Failure::Record(Alert::UnexpectedMessage)),
        }
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
        let kind = record.first().copied().unwrap_or_default();
        let key = keys.opening(conn, secrets).ok_or(Failure::KeyUsedUp)?;
        let mut nonce = Nonce::new(iv(secrets).ok_or(Failure::KeyUsedUp)?, *sequence).0;
        let (from, len) = match self.version {
            Version::Tls13 => {
                if kind != APPLICATION_DATA {
                    return Err(Failure::Record(Alert::UnexpectedMessage));
                }
                let sealed = record.get_mut(HEADER_LEN..).unwrap_or_default();
                let aad = aead::Aad::from(make_tls13_aad(sealed.len()));
                let nonce = aead::Nonce::assume_unique_for_key(nonce);
                (HEADER_LEN, key.open_in_place(nonce, aad, sealed).map(|plain| plain.len()))
            }
            Version::Tls12 => {
                if kind == CHANGE_CIPHER_SPEC {
                    return Err(Failure::Record(Alert::UnexpectedMessage));
                }
                let explicit = explicit_len(secrets);
                let from = HEADER_LEN + explicit;
                if record.len() < from + TAG_LEN {
                    return Err(bad_mac);
                }
                // The peer chooses its part of the nonce, and sends it (RFC 5288 section 3).
                nonce[NONCE_LEN - explicit..].copy_from_slice(&record[HEADER_LEN..from]);
                let sealed = record.get_mut(from..).unwrap_or_default();
                let aad = tls12_aad(*sequence, kind, sealed.len() - TAG_LEN);
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
        let secrets = updates.and_then(|updates| updates.next_opening()).ok_or(Failure::KeyUsedUp)?;
        self.opening = Direction { secrets, sequence: 0 };
        keys.forget(conn);
        Ok(())
    }

    /// We go on with ours.
    fn change_sealing(&mut self, out: &mut Vec<u8>, keys: &mut Keys, conn: ConnId) -> Result<(), Failure> {
        if self.updates.is_none() {
            return Err(Failure::KeyUsedUp);
        }
        self.seal_record(HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, UPDATE_NOT_REQUESTED], out, keys, conn)?;
        let updates = self.updates.as_mut();
        let secrets = updates.and_then(|updates| updates.next_sealing()).ok_or(Failure::KeyUsedUp)?;
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
    let Some(last) = inside.iter().rposition(|&byte| byte != 0) else {
        return Err(Failure::Record(Alert::UnexpectedMessage));
    };
    Ok((inside[last], plain.start..plain.start + last))
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

fn tls12_aad(sequence: u64, kind: u8, len: usize) -> aead::Aad<[u8; 13]> {
    aead::Aad::from(make_tls12_aad(sequence, ContentType::from(kind), ProtocolVersion::TLSv1_2, len))
}

const TAG_LEN: usize = 16;
const NONCE_LEN: usize = 12;
/// Header, explicit part of a nonce or kind, tag.
const OVERHEAD_LEN_MAX: usize = HEADER_LEN + 8 + TAG_LEN;
const KEY_UPDATE: u8 = 24;
const UPDATE_NOT_REQUESTED: u8 = 0;
const UPDATE_REQUESTED: u8 = 1;
/// Records that a key seals: well below the 2^23 that rustls allows AES-GCM (RFC 8446 section 5.5).
const SEAL_COUNT_MAX: u64 = if cfg!(test) { 100 } else { 1 << 22 };
/// Records without data in a row: padding against traffic analysis is legal, a flood of it is not.
const FRUITLESS_COUNT_MAX: u8 = 32;
