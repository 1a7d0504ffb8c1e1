//! Client frames made ready before the run: only the few bytes that change are written per message.
//!
//! A client must mask (RFC 6455 5.3). Each connection keeps one of `KEY_COUNT` random keys, and for each key the whole
//! frame is stored masked; sending copies it and writes the stamp (and number and channel) through the same mask.
//! Invariant: unmasking what `append` wrote gives the payload with the new fields.

use crate::stamp::{STAMP_BYTES, Stamp};
use ringway::ws::{Opcode, append_masked_frame};

/// Keys that the connections share: enough to differ, few enough for the cache.
pub const KEY_COUNT: usize = 32;

/// The keys of an engine, none of them zero: a server could take a short cut there.
#[derive(Clone, Debug)]
pub struct Keys([[u8; 4]; KEY_COUNT]);

impl Keys {
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        Self(std::array::from_fn(|_| {
            let key = (split_mix(&mut state) >> 32) as u32;
            (key | 1).to_be_bytes()
        }))
    }

    /// The key of a connection slot.
    pub fn of(&self, slot: u32) -> [u8; 4] {
        self.0[slot as usize % KEY_COUNT]
    }
}

/// Where the changing fields of a payload lie, counted from its start.
#[expect(clippy::struct_field_names, reason = "positions, not values")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields {
    pub stamp_at: usize,
    /// Ten digits.
    pub number_at: Option<usize>,
    /// Eight digits.
    pub channel_at: Option<usize>,
}

/// One message in all its masks.
#[derive(Debug)]
pub struct Template {
    keys: Keys,
    frames: Vec<Vec<u8>>,
    header_len: usize,
    fields: Fields,
}

pub const NUMBER_DIGITS: usize = 10;
pub const CHANNEL_DIGITS: usize = 8;

impl Template {
    pub fn new(keys: &Keys, opcode: Opcode, payload: &[u8], fields: Fields) -> Self {
        let frame = |key| {
            let mut bytes = Vec::new();
            append_masked_frame(&mut bytes, opcode, payload, key);
            bytes
        };
        let frames: Vec<_> = keys.0.iter().map(|key| frame(*key)).collect();
        let header_len = frames.first().map_or(0, |frame| frame.len() - payload.len());
        Self { keys: keys.clone(), frames, header_len, fields }
    }

    /// Bytes of one frame.
    pub fn frame_len(&self) -> usize {
        self.frames.first().map_or(0, Vec::len)
    }

    /// Appends the frame of `slot` with these values.
    pub fn append(&self, out: &mut Vec<u8>, slot: u32, stamp: Stamp, number: u32, channel: u32) {
        let index = slot as usize % KEY_COUNT;
        let key = self.keys.0[index];
        let start = out.len() + self.header_len;
        out.extend_from_slice(&self.frames[index]);
        let payload = &mut out[start..];
        write_masked(payload, self.fields.stamp_at, &stamp.encode(), key);
        if let Some(at) = self.fields.number_at {
            write_masked(payload, at, &digits::<NUMBER_DIGITS>(number), key);
        }
        if let Some(at) = self.fields.channel_at {
            write_masked(payload, at, &digits::<CHANNEL_DIGITS>(channel), key);
        }
    }
}

fn write_masked(payload: &mut [u8], at: usize, field: &[u8], key: [u8; 4]) {
    let key = [key[at & 3], key[(at + 1) & 3], key[(at + 2) & 3], key[(at + 3) & 3]];
    for (index, (to, from)) in payload[at..].iter_mut().zip(field).enumerate() {
        *to = from ^ key[index & 3];
    }
}

/// `value` in decimal, with leading zeros.
pub fn digits<const N: usize>(mut value: u32) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
    digits
}

/// SplitMix64: small, seedable and good enough for masks and jitter.
pub fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

const _: () = assert!(STAMP_BYTES < 125, "a stamp fits the smallest frame");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unmasking_gives_the_payload_with_its_new_fields() {
        let payload =
            format!("{}..{}.{}", "0".repeat(NUMBER_DIGITS), "c".repeat(CHANNEL_DIGITS), "s".repeat(30));
        let fields = Fields { stamp_at: 21, number_at: Some(0), channel_at: Some(12) };
        let keys = Keys::new(1);
        let template = Template::new(&keys, Opcode::Text, payload.as_bytes(), fields);
        let stamp = Stamp { intended_ns: 99, sequence: 3, publisher: 5 };
        for slot in 0..KEY_COUNT as u32 {
            let mut out = vec![1, 2, 3];
            template.append(&mut out, slot, stamp, 1_000_000_007, 42);
            let frame = &out[3..];
            assert_eq!(frame[0], 0x81);
            assert_eq!(usize::from(frame[1]), 0x80 | payload.len());
            let key: [u8; 4] = frame[2..6].try_into().unwrap();
            assert_eq!(key, keys.of(slot));
            assert_ne!(key, [0; 4]);
            let plain: Vec<u8> = frame[6..].iter().zip(0..).map(|(byte, at)| byte ^ key[at & 3]).collect();
            assert_eq!(&plain[..21], b"1000000007..00000042.");
            assert_eq!(Stamp::decode(&plain[21..]), Some(stamp));
            assert_eq!(&plain[21 + STAMP_BYTES..], &payload.as_bytes()[21 + STAMP_BYTES..]);
        }
    }
}
