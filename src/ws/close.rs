//! Close codes and the payload of a close frame. RFC 6455 sections 5.5.1 and 7.4.
//! Invariant: a `CloseCode` may be sent: 1005, 1006 and 1015 exist in no frame and therefore not here.

use super::{Violation, utf8};
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    pub const NORMAL: Self = Self(1000);
    pub const GOING_AWAY: Self = Self(1001);
    pub const PROTOCOL_ERROR: Self = Self(1002);
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    pub const INVALID_PAYLOAD: Self = Self(1007);
    pub const POLICY_VIOLATION: Self = Self(1008);
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    pub const INTERNAL_ERROR: Self = Self(1011);
    pub const SERVICE_RESTART: Self = Self(1012);
    pub const TRY_AGAIN_LATER: Self = Self(1013);

    /// None for a code that must not appear in a frame: unassigned, reserved for local use, or out of range.
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Splits the payload of a close frame into code and reason.
pub(super) fn decode(payload: &[u8]) -> Result<(Option<CloseCode>, &[u8]), Violation> {
    match payload {
        [] => Ok((None, &[])),
        // "If there is a body, the first two bytes of the body MUST be a 2-byte unsigned integer" (5.5.1).
        [_] => Err(Violation::CloseCodeTruncated),
        [high, low, reason @ ..] => {
            let code =
                CloseCode::new(u16::from_be_bytes([*high, *low])).ok_or(Violation::CloseCodeIllegal)?;
            if !utf8::is_text(reason) {
                return Err(Violation::CloseReasonNotUtf8);
            }
            Ok((Some(code), reason))
        }
    }
}
