//! One Protobuf message under construction: tags, lengths, and the rule that zero values stay out.
//! Invariant: a nested message is written in place. Its length gets one byte, and moves the body by the few more that a
//! length of 128 or above needs; nothing is measured beforehand and nothing is allocated but `out`.

use crate::proto::raw::Raw;

pub(super) struct Message<'o> {
    out: &'o mut Vec<u8>,
}

impl Message<'_> {
    /// A nested message, present even when it is empty.
    pub(super) fn message(&mut self, number: u32, fill: impl FnOnce(&mut Message<'_>)) {
        self.tag(number, 2);
        delimited(self.out, fill);
    }

    pub(super) fn text(&mut self, number: u32, value: &str) {
        self.bytes(number, value.as_bytes());
    }

    pub(super) fn raw(&mut self, number: u32, value: Raw<'_>) {
        self.bytes(number, value.bytes());
    }

    pub(super) fn bytes(&mut self, number: u32, value: &[u8]) {
        if !value.is_empty() {
            self.tag(number, 2);
            varint(value.len() as u64, self.out);
            self.out.extend_from_slice(value);
        }
    }

    pub(super) fn number(&mut self, number: u32, value: impl Into<u64>) {
        let value = value.into();
        if value != 0 {
            self.tag(number, 0);
            varint(value, self.out);
        }
    }

    pub(super) fn flag(&mut self, number: u32, value: bool) {
        self.number(number, u64::from(value));
    }

    fn tag(&mut self, number: u32, wire_type: u32) {
        varint(u64::from(number << 3 | wire_type), self.out);
    }
}

/// Appends a message behind its length.
pub(super) fn delimited(out: &mut Vec<u8>, fill: impl FnOnce(&mut Message<'_>)) {
    let start = out.len();
    out.push(0);
    fill(&mut Message { out });
    let body = start + 1;
    let length = (out.len() - body) as u64;
    let end = out.len();
    // The length behind the body tells how wide it is; then the two change places.
    varint(length, out);
    let width = out.len() - end;
    if width == 1 {
        out[start] = length as u8;
        out.pop();
    } else {
        let mut digits = [0; 10];
        digits[..width].copy_from_slice(&out[end..]);
        out.pop();
        out.copy_within(body..end, start + width);
        out[start..start + width].copy_from_slice(&digits[..width]);
    }
}

pub(super) fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
