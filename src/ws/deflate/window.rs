//! How far back a compressed message may refer. RFC 7692 section 7.1.2.
//! Invariant: a window has 9 to 15 bits. Eight are legal as well, but zlib makes no raw stream of them: such an offer is
//! declined (`http::compression`), and messages from a peer that restricts itself to eight are read with a larger window.

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Window {
    Bits9 = 9,
    Bits10,
    Bits11,
    Bits12,
    Bits13,
    Bits14,
    Bits15,
}

impl Window {
    pub const COUNT: usize = 7;

    pub const fn new(bits: u8) -> Option<Self> {
        match bits {
            9 => Some(Self::Bits9),
            10 => Some(Self::Bits10),
            11 => Some(Self::Bits11),
            12 => Some(Self::Bits12),
            13 => Some(Self::Bits13),
            14 => Some(Self::Bits14),
            15 => Some(Self::Bits15),
            _ => None,
        }
    }

    pub const fn bits(self) -> u8 {
        self as u8
    }

    pub const fn bytes(self) -> u32 {
        1 << self as u8
    }

    /// From zero, without gaps.
    pub(super) const fn index(self) -> usize {
        self as usize - Self::Bits9 as usize
    }
}
