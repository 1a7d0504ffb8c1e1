//! Application data that the server carries without reading: `data`, `info` and the like.
//!
//! Invariant: in a JSON session it is empty (the field is absent) or exactly one JSON value, not nested deeper than
//! `JSON_DEPTH_MAX`. It must have been checked once, where it entered: one malformed byte breaks every subscriber.

use super::codec::Malformed;
use super::json;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Raw<'a>(&'a [u8]);

impl<'a> Raw<'a> {
    /// The field is absent.
    pub const NONE: Raw<'static> = Raw(&[]);

    /// Wraps bytes that a codec accepted before: what was decoded, stored and is now on its way out.
    pub const fn accepted(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Checks bytes that come from elsewhere than a command: the API, a backend, a broker.
    pub fn json(bytes: &'a [u8]) -> Result<Self, Malformed> {
        json::check(bytes)?;
        Ok(Self(bytes))
    }

    pub const fn bytes(self) -> &'a [u8] {
        self.0
    }

    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_data_is_one_json_value_of_bounded_depth() {
        for good in ["1", " {\"a\":\n[1]} ", "\"x\"", "null"] {
            assert_eq!(Raw::json(good.as_bytes()).map(Raw::bytes), Ok(good.as_bytes()), "{good}");
        }
        for bad in ["", " ", "{", "1 2", "nul", "\"\n\"", "\"\u{1}\"", "[1,]"] {
            assert_eq!(Raw::json(bad.as_bytes()), Err(Malformed::Syntax), "{bad}");
        }
        assert_eq!(Raw::json(b"\"\xff\""), Err(Malformed::Syntax), "strings are UTF-8");
    }
}
