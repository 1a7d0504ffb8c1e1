//! The mask that clients put on payloads. RFC 6455 section 5.3.
//! Invariant: masking and unmasking are the same operation; doing it in parts equals doing it at once.

/// Unmasks (or masks) in place. `offset` is how many payload bytes came before `bytes` in the frame.
pub fn unmask(bytes: &mut [u8], mut key: [u8; 4], offset: usize) {
    key.rotate_left(offset % 4);
    let narrow = u32::from_ne_bytes(key);
    // Both halves are equal, so the byte order of the machine does not matter.
    let wide = u64::from(narrow) << 32 | u64::from(narrow);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(wide.to_ne_bytes()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(bytes: &mut [u8], key: [u8; 4], offset: usize) {
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte ^= key[(offset + at) % 4];
        }
    }

    /// Every alignment of a cache line, every length around the width of a vector register, every phase of the key.
    #[test]
    fn the_fast_mask_equals_the_naive_one() {
        let original: Vec<u8> = (0..1024 + 64_u32).map(|at| (at * 31 % 251) as u8).collect();
        let lengths = (0..=130).chain([255, 256, 257, 511, 512, 513, 1000, 1023, 1024]);
        for length in lengths {
            for start in 0..64 {
                for (key, offset) in [
                    ([0x37, 0xfa, 0x21, 0x3d], start),
                    ([0; 4], 1),
                    ([0xff; 4], 2),
                    ([1, 2, 3, 4], usize::MAX - 1),
                ] {
                    let (mut fast, mut slow) = (original.clone(), original.clone());
                    unmask(&mut fast[start..start + length], key, offset);
                    naive(&mut slow[start..start + length], key, offset % 4);
                    assert_eq!(fast, slow, "length {length}, start {start}, offset {offset}");
                }
            }
        }
    }

    #[test]
    fn masking_in_parts_equals_masking_at_once() {
        for cut in 0..=64 {
            let (mut parts, mut whole) = ([7; 64], [7; 64]);
            unmask(&mut parts[..cut], [1, 2, 3, 4], 0);
            unmask(&mut parts[cut..], [1, 2, 3, 4], cut);
            unmask(&mut whole, [1, 2, 3, 4], 0);
            assert_eq!(parts, whole);
        }
    }
}
