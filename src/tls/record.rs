//! The outside of a record: kind, version, length. RFC 8446 section 5.1.
//! Invariant: what cannot become a record is refused at its first wrong byte, not when it is complete.

use super::failure::{Alert, Failure};

pub(super) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const APPLICATION_DATA: u8 = 23;

pub(super) const HEADER_LEN: usize = 5;
/// Plaintext of one record.
pub(super) const PLAIN_LEN_MAX: usize = 1 << 14;
/// What protection may add in TLS 1.2; TLS 1.3 allows 256 bytes, and says so itself.
const EXPANSION_LEN_MAX: usize = 2048;

/// Whether this record may be any, or has to begin a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    First,
    Later,
}

/// Length of the record that begins here, with its header; none while the header is not whole.
pub(super) fn length(bytes: &[u8], place: Place) -> Result<Option<usize>, Failure> {
    if let Some(&kind) = bytes.first() {
        check_kind(kind, place)?;
    }
    if let Some(&major) = bytes.get(1)
        && major != MAJOR_VERSION
    {
        return Err(match place {
            Place::First => Failure::NotTls,
            Place::Later => Failure::Record(Alert::DecodeError),
        });
    }
    let Some(&[_, _, _, high, low]) = bytes.first_chunk::<HEADER_LEN>() else {
        return Ok(None);
    };
    let len = usize::from(u16::from_be_bytes([high, low]));
    if len > PLAIN_LEN_MAX + EXPANSION_LEN_MAX {
        return Err(Failure::Record(Alert::RecordOverflow));
    }
    Ok(Some(HEADER_LEN + len))
}

fn check_kind(kind: u8, place: Place) -> Result<(), Failure> {
    match (place, kind) {
        (_, HANDSHAKE) | (Place::Later, CHANGE_CIPHER_SPEC | ALERT | APPLICATION_DATA) => Ok(()),
        // A method: GET, POST, OPTIONS ..
        (Place::First, b'A'..=b'Z') => Err(Failure::PlainHttp),
        (Place::First, _) => Err(Failure::NotTls),
        (Place::Later, _) => Err(Failure::Record(Alert::UnexpectedMessage)),
    }
}

/// The header of a record of ours. TLS 1.3 calls itself 1.2 there (section 5.1).
pub(super) fn header(kind: u8, len: usize) -> [u8; HEADER_LEN] {
    let [high, low] = (len as u16).to_be_bytes();
    [kind, MAJOR_VERSION, MINOR_VERSION, high, low]
}

const MAJOR_VERSION: u8 = 3;
const MINOR_VERSION: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_tells_the_length_once_it_is_whole() {
        let header = header(HANDSHAKE, 300);
        for end in 0..HEADER_LEN {
            assert_eq!(length(&header[..end], Place::First), Ok(None));
        }
        assert_eq!(length(&header, Place::First), Ok(Some(305)));
    }

    #[test]
    fn what_is_no_record_is_refused_at_its_first_byte() {
        assert_eq!(length(b"G", Place::First), Err(Failure::PlainHttp));
        assert_eq!(length(b"\x80", Place::First), Err(Failure::NotTls));
        assert_eq!(length(&[HANDSHAKE, 2], Place::First), Err(Failure::NotTls));
        assert_eq!(length(&[APPLICATION_DATA], Place::First), Err(Failure::NotTls));
        assert_eq!(length(b"G", Place::Later), Err(Failure::Record(Alert::UnexpectedMessage)));
        let long = [APPLICATION_DATA, 3, 3, 0xff, 0xff];
        assert_eq!(length(&long, Place::Later), Err(Failure::Record(Alert::RecordOverflow)));
    }
}
