//! Bare messages: the payload is the message, and what comes back is what somebody sent.

use super::{Item, pad};
use crate::frame::Fields;
use crate::plan::Shape;
use crate::stamp::{STAMP_BYTES, Stamp};

pub const SIZE_MIN: u32 = STAMP_BYTES as u32;

pub fn message(shape: &Shape) -> (Vec<u8>, Fields) {
    let mut payload = vec![b'.'; STAMP_BYTES];
    pad(&mut payload, shape.size as usize - STAMP_BYTES);
    (payload, Fields::default())
}

pub fn scan(message: &[u8], mut sink: impl FnMut(Item)) {
    sink(Stamp::decode(message).map_or(Item::Garbage, Item::Delivery));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_its_stamp_and_anything_else_is_garbage() {
        let stamp = Stamp { intended_ns: 1, sequence: 2, publisher: 3 };
        let mut seen = Vec::new();
        scan(&[&stamp.encode()[..], b"abc"].concat(), |item| seen.push(item));
        scan(b"hello", |item| seen.push(item));
        assert_eq!(seen, [Item::Delivery(stamp), Item::Garbage]);
    }
}
