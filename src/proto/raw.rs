//! Application data that the server carries without reading: `data`, `info` and the like.
//!
//! Invariant: empty means that the field is absent. From a JSON session it is exactly one JSON value, not nested deeper
//! than `JSON_DEPTH_MAX`; from a Protobuf session it may be any bytes, so it must be asked for its `line` once before it
//! goes to a JSON client: one malformed byte breaks every subscriber.

use std::borrow::Cow;

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

    /// The bytes as JSON clients get them: nothing, or one JSON value without a raw newline. An error says that they
    /// are no JSON, and that a JSON client which should get them is disconnected with
    /// `Disconnect::InappropriateProtocol`. Costs a scan of the bytes: ask once for a publication, not for a subscriber.
    pub fn line(self) -> Result<Cow<'a, [u8]>, Malformed> {
        if !self.is_empty() {
            json::check(self.0)?;
        }
        if memchr::memchr(b'\n', self.0).is_none() {
            return Ok(Cow::Borrowed(self.0));
        }
        // Valid JSON has raw newlines between its tokens only.
        Ok(Cow::Owned(self.0.iter().copied().filter(|&byte| byte != b'\n').collect()))
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

    #[test]
    fn a_line_is_the_same_value_without_newlines_and_copied_only_then() {
        for plain in ["", "1", "{\"a\": \"\\n\"}"] {
            let line = Raw::accepted(plain.as_bytes()).line();
            assert!(matches!(line, Ok(Cow::Borrowed(bytes)) if bytes == plain.as_bytes()), "{plain}");
        }
        let line = Raw::accepted(b"{\n\"a\":\r\n[1,\n2]}\n").line().unwrap();
        assert_eq!(line, b"{\"a\":\r[1,2]}".as_slice());
    }

    #[test]
    fn bytes_that_are_no_json_have_no_line() {
        for foreign in [b"\x00\x01".as_slice(), b"\xff", b"hello", b"{\"a\":1", b"1\n2", b"\n"] {
            assert!(Raw::accepted(foreign).line().is_err(), "{foreign:?}");
        }
    }
}
