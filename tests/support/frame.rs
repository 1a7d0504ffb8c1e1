//! Frames byte by byte, legal and illegal, and a strict reader of what a server sends. RFC 6455 section 5.2.

/// Not zero, so that a server which forgets to unmask is found out.
pub const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub const TEXT: u8 = 0x81;
pub const BINARY: u8 = 0x82;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8a;
/// RSV1, on the first frame of a compressed message (RFC 7692 section 6).
pub const PACKED: u8 = 0x40;
/// The first and the further fragments of a message.
pub const TEXT_START: u8 = 0x01;
pub const BINARY_START: u8 = 0x02;
pub const MORE: u8 = 0x00;
pub const LAST: u8 = 0x80;

/// A masked frame with any first byte.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = header(first, payload.len() as u64);
    out.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

/// Its header alone, key included: the payload may follow or not.
pub fn header(first: u8, len: u64) -> Vec<u8> {
    let mut out = vec![first];
    match len {
        0..=125 => out.push(0x80 | len as u8),
        126..=0xffff => {
            out.push(0xfe);
            out.extend((len as u16).to_be_bytes());
        }
        _ => {
            out.push(0xff);
            out.extend(len.to_be_bytes());
        }
    }
    out.extend(KEY);
    out
}

const PACKED_TEXT: u8 = TEXT | PACKED;
const PACKED_BINARY: u8 = BINARY | PACKED;

pub fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    masked(CLOSE, &[&code.to_be_bytes(), reason].concat())
}

/// A frame of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub first: u8,
    pub payload: Vec<u8>,
}

impl Frame {
    /// Takes a frame off the front of `bytes`; none while it is not whole. Panics where it breaks a rule that holds for
    /// every server: no mask, no reserved bit, known opcodes, whole and short control frames, shortest lengths.
    pub fn take(bytes: &mut Vec<u8>) -> Option<Self> {
        let (&[first, second], rest) = bytes.split_first_chunk::<2>()?;
        assert_eq!(second & 0x80, 0, "a server never masks (section 5.1)");
        assert_eq!(first & 0x30, 0, "reserved bits that nothing gives a meaning (section 5.2)");
        let (len, least, extended) = match second {
            126 => (u64::from(u16::from_be_bytes(*rest.first_chunk()?)), 126, 2),
            127 => (u64::from_be_bytes(*rest.first_chunk()?), 0x1_0000, 8),
            short => (u64::from(short), 0, 0),
        };
        assert!(len >= least, "the shortest form of the length (section 5.2)");
        match first {
            CLOSE | PING | PONG => assert!(len <= 125, "control frames are short (section 5.5)"),
            TEXT | BINARY | TEXT_START | BINARY_START | MORE | LAST | PACKED_TEXT | PACKED_BINARY => {}
            _ => panic!("first byte {first:#04x} of a server's frame"),
        }
        let start = 2 + extended;
        let end = start + usize::try_from(len).unwrap();
        let payload = bytes.get(start..end)?.to_vec();
        bytes.drain(..end);
        assert!(first != TEXT || std::str::from_utf8(&payload).is_ok(), "text is UTF-8 (section 5.6)");
        let frame = Self { first, payload };
        if first == CLOSE {
            frame.close_code();
        }
        Some(frame)
    }

    /// The code of a close frame; checks that it may be on the wire at all.
    pub fn close_code(&self) -> Option<u16> {
        assert_eq!(self.first, CLOSE, "not a close frame: {self:?}");
        let (code, reason) = self.payload.split_first_chunk::<2>()?;
        assert!(std::str::from_utf8(reason).is_ok(), "a reason is UTF-8 (section 5.5.1)");
        let code = u16::from_be_bytes(*code);
        let legal = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        assert!(legal, "{code} must not be on the wire (section 7.4.1)");
        Some(code)
    }

    pub fn reason(&self) -> String {
        String::from_utf8(self.payload.get(2..).unwrap_or_default().to_vec()).unwrap()
    }
}
