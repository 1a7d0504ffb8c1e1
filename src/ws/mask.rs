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
