//! The stamp inside every payload: when the message should have left, its number, its publisher.
//!
//! Eighteen characters of base64url, so that it survives inside JSON strings and text frames unescaped:
//! ```text
//!   ~ tttttttt sssss pppp      48 bits of nanoseconds, 30 bits of sequence, 24 bits of publisher
//! ```
//! Invariant: what was written is read back; anything else reads as `None`.

/// First character of a stamp.
pub const MARK: u8 = b'~';
/// Length of a stamp.
pub const STAMP_BYTES: usize = 1 + TIME_CHARS + SEQUENCE_CHARS + PUBLISHER_CHARS;
/// Publishers that a stamp can tell apart.
pub const PUBLISHER_COUNT_MAX: u32 = 1 << (6 * PUBLISHER_CHARS);

const TIME_CHARS: usize = 8;
const SEQUENCE_CHARS: usize = 5;
const PUBLISHER_CHARS: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Nanoseconds from the epoch of the run to the intended send time.
    pub intended_ns: u64,
    /// Number of the message among those of its publisher, from 0.
    pub sequence: u32,
    pub publisher: u32,
}

impl Stamp {
    pub fn encode(self) -> [u8; STAMP_BYTES] {
        let mut bytes = [MARK; STAMP_BYTES];
        let (time, rest) = bytes[1..].split_at_mut(TIME_CHARS);
        let (sequence, publisher) = rest.split_at_mut(SEQUENCE_CHARS);
        put(time, self.intended_ns);
        put(sequence, u64::from(self.sequence));
        put(publisher, u64::from(self.publisher));
        bytes
    }

    /// Reads a stamp from the start of `bytes`.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (bytes, _) = bytes.split_first_chunk::<STAMP_BYTES>()?;
        let (time, rest) = bytes[1..].split_at(TIME_CHARS);
        let (sequence, publisher) = rest.split_at(SEQUENCE_CHARS);
        if bytes[0] != MARK {
            return None;
        }
        Some(Self {
            intended_ns: get(time)?,
            sequence: u32::try_from(get(sequence)?).ok()?,
            publisher: u32::try_from(get(publisher)?).ok()?,
        })
    }
}

fn put(chars: &mut [u8], mut value: u64) {
    for char in chars.iter_mut().rev() {
        *char = ALPHABET[(value & 63) as usize];
        value >>= 6;
    }
}

fn get(chars: &[u8]) -> Option<u64> {
    let mut value = 0;
    let mut seen = 0;
    for &char in chars {
        let digit = DIGITS[char as usize];
        seen |= digit;
        value = value << 6 | u64::from(digit & 63);
    }
    (seen < 64).then_some(value)
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Value of each character; 64 and above: not in the alphabet.
const DIGITS: [u8; 256] = {
    let mut digits = [64; 256];
    let mut value = 0;
    while value < 64 {
        digits[ALPHABET[value] as usize] = value as u8;
        value += 1;
    }
    digits
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_survives_the_round_trip() {
        for stamp in [
            Stamp { intended_ns: 0, sequence: 0, publisher: 0 },
            Stamp { intended_ns: (1 << 48) - 1, sequence: (1 << 30) - 1, publisher: PUBLISHER_COUNT_MAX - 1 },
            Stamp { intended_ns: 123_456_789, sequence: 42, publisher: 9_999 },
        ] {
            assert_eq!(Stamp::decode(&stamp.encode()), Some(stamp));
        }
    }

    #[test]
    fn other_bytes_are_no_stamp() {
        let good = Stamp { intended_ns: 7, sequence: 8, publisher: 9 }.encode();
        assert_eq!(Stamp::decode(&good[..STAMP_BYTES - 1]), None);
        for index in 0..STAMP_BYTES {
            let mut bad = good;
            bad[index] = b'"';
            assert_eq!(Stamp::decode(&bad), None, "character {index}");
        }
    }
}
