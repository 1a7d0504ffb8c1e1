//! Numbers and the checksum of the fossil format.
//! Invariant: numbers are 32 bits wide, because decoders in JavaScript shift theirs in 32 bits.

/// Six bits a digit, most significant first, without leading zeros.
pub(super) fn push_number(out: &mut Vec<u8>, value: u32) {
    for place in (0..digit_count(value)).rev() {
        out.push(DIGITS[(value >> (BITS * place)) as usize & 63]);
    }
}

pub(super) const fn digit_count(value: u32) -> u32 {
    if value == 0 { 1 } else { (u32::BITS - value.leading_zeros()).div_ceil(BITS) }
}

pub(super) const fn digit(byte: u8) -> Option<u32> {
    let value = match byte {
        b'0'..=b'9' => byte - b'0',
        b'A'..=b'Z' => byte - b'A' + 10,
        b'_' => 36,
        b'a'..=b'z' => byte - b'a' + 37,
        b'~' => 63,
        _ => return None,
    };
    Some(value as u32)
}

/// The sum of all words of four bytes, the last filled up with zeros.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<4>();
    let sum = words.iter().fold(0_u32, |sum, word| sum.wrapping_add(u32::from_be_bytes(*word)));
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    sum.wrapping_add(u32::from_be_bytes(last))
}

const DIGITS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";
const BITS: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_without_leading_zeros_and_read_again() {
        for (value, text) in
            [(0, "0"), (9, "9"), (10, "A"), (36, "_"), (63, "~"), (64, "10"), (u32::MAX, "3~~~~~")]
        {
            let mut out = Vec::new();
            push_number(&mut out, value);
            assert_eq!(out, text.as_bytes());
            assert_eq!(out.len() as u32, digit_count(value));
            let read = out.iter().fold(0_u64, |sum, byte| (sum << 6) + u64::from(digit(*byte).unwrap()));
            assert_eq!(read, u64::from(value));
        }
        for (value, &byte) in DIGITS.iter().enumerate() {
            assert_eq!(digit(byte), Some(value as u32));
        }
        assert_eq!((0..=255_u8).filter(|byte| digit(*byte).is_some()).count(), 64);
    }

    #[test]
    fn the_checksum_adds_big_endian_words_and_wraps() {
        assert_eq!(checksum(b""), 0);
        assert_eq!(checksum(&[0, 0, 0, 1, 0, 0, 1, 0]), 257);
        assert_eq!(checksum(&[1]), 1 << 24);
        assert_eq!(checksum(&[0, 0, 0, 0, 1, 2, 3]), 0x0102_0300);
        assert_eq!(checksum(&[0xff; 8]), 0xffff_fffe);
    }
}
