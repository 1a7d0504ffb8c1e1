//! The end of a connection as the client reads it: one of the protocol's own, or one that a backend worded.
//! Invariant: code and reason fit a close frame, the code is one that may be sent, and the reason is never empty.

use super::codes::Disconnect;
use crate::limits::CLOSE_REASON_BYTES_MAX;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    Own(Disconnect),
    Custom(Custom),
}

/// Made by `Ending::custom` only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Custom {
    code: u16,
    reason: Box<str>,
}

impl Ending {
    /// What a backend asks for. `None` when clients would not understand the code: they know 3001 to 4999. A reason that is
    /// too long is cut, and one that is missing is made up, because a terminal code without any reads as "reconnect".
    pub fn custom(code: u32, reason: &str) -> Option<Self> {
        let code = u16::try_from(code).ok().filter(|code| (3001..=4999).contains(code))?;
        let reason = &reason[..reason.floor_char_boundary(CLOSE_REASON_BYTES_MAX)];
        let reason = if reason.is_empty() { "disconnected by the application" } else { reason };
        Some(Self::Custom(Custom { code, reason: reason.into() }))
    }

    pub const fn code(&self) -> u16 {
        match self {
            Self::Own(own) => own.code(),
            Self::Custom(custom) => custom.code,
        }
    }

    pub fn reason(&self) -> &str {
        match self {
            Self::Own(own) => own.reason(),
            Self::Custom(custom) => &custom.reason,
        }
    }

    /// Whether the client comes back by itself; `false` is terminal.
    pub const fn wants_reconnect(&self) -> bool {
        matches!(self.code(), 3000..=3499 | 4000..=4499)
    }
}

impl From<Disconnect> for Ending {
    fn from(own: Disconnect) -> Self {
        Self::Own(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_may_use_the_codes_that_clients_understand() {
        for (code, wants_reconnect) in [(3001, true), (3500, false), (4000, true), (4999, false)] {
            let ending = Ending::custom(code, "why").unwrap();
            assert_eq!((u32::from(ending.code()), ending.wants_reconnect()), (code, wants_reconnect));
        }
        for code in [0, 1000, 2999, 3000, 5000, 65_536 + 3001] {
            assert_eq!(Ending::custom(code, "why"), None, "{code}");
        }
        for own in Disconnect::ALL {
            assert_eq!(Ending::from(*own).wants_reconnect(), own.wants_reconnect());
        }
    }

    #[test]
    fn a_reason_fits_its_frame_and_is_never_empty() {
        let ending = Ending::custom(4500, &"ü".repeat(100)).unwrap();
        assert_eq!(ending.reason(), "ü".repeat(CLOSE_REASON_BYTES_MAX / 2));
        assert!(!Ending::custom(4500, "").unwrap().reason().is_empty());
    }
}
