//! Names for things, so that a slot can never be passed where a core is meant.

use std::fmt;

/// Index of a shard, dense from zero: not the number of the CPU that it is pinned to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CoreId(pub u16);

impl CoreId {
    /// No core but the node itself, where an answer may go to either.
    pub const NODE: Self = Self(u16::MAX);

    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One connection of one shard. The generation makes a late completion for an earlier tenant of the slot harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnId {
    pub slot: u32,
    pub generation: u32,
}

impl ConnId {
    pub const fn index(self) -> usize {
        self.slot as usize
    }
}

/// A channel on one core. Reused once nobody is in the channel, so it may be kept only by those who are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChannelId(pub u32);

/// Client id of the client protocol: a version 4 UUID, assigned at connect.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub [u8; 16]);

impl ClientId {
    /// Sets version and variant on 16 random bytes (RFC 9562 section 5.4).
    pub const fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }

    /// Reads the canonical text form.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 36 || [8, 13, 18, 23].iter().any(|&at| bytes[at] != b'-') {
            return None;
        }
        let mut out = [0; 16];
        let digits = bytes.iter().filter(|&&byte| byte != b'-');
        let mut count = 0;
        for (at, &digit) in digits.enumerate() {
            let value = (digit as char).to_digit(16)? as u8;
            *out.get_mut(at / 2)? |= if at % 2 == 0 { value << 4 } else { value };
            count = at + 1;
        }
        (count == 32).then_some(Self(out))
    }

    /// The canonical text form, 36 ASCII bytes, without an allocation.
    pub const fn text(self) -> [u8; 36] {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut out = [b'-'; 36];
        let (mut from, mut to) = (0, 0);
        while from < 16 {
            if to == 8 || to == 13 || to == 18 || to == 23 {
                to += 1;
            }
            out[to] = HEX[(self.0[from] >> 4) as usize];
            out[to + 1] = HEX[(self.0[from] & 15) as usize];
            to += 2;
            from += 1;
        }
        out
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text();
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_is_written_as_a_version_4_uuid() {
        let id = ClientId::from_random([0xff; 16]);
        assert_eq!(id.to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        let id = ClientId::from_random([0x01; 16]);
        assert_eq!(id.to_string(), "01010101-0101-4101-8101-010101010101");
        assert_eq!(ClientId::parse(&id.to_string()), Some(id));
        for bad in [
            "",
            "01010101-0101-4101-8101-01010101010",
            "0101010100101041010810100101010101010",
            "0x010101-0101-4101-8101-010101010101",
        ] {
            assert_eq!(ClientId::parse(bad), None, "{bad}");
        }
    }
}
