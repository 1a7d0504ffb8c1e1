//! Data that a back end publishes, on its way in: JSON, or anything at all in base64.
//!
//! Invariant: what counts as JSON is one value on one line, without blanks between its tokens and not nested deeper than
//! clients may nest: a raw line break would end the message of every subscriber in its middle.

use super::error::ApiError;
use crate::limits::JSON_DEPTH_MAX;
use crate::proto::{Object, Raw};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memchr2;
use serde_json::value::RawValue;
use std::sync::Arc;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Data {
    pub(super) bytes: Box<[u8]>,
    pub(super) is_json: bool,
}

impl Data {
    /// None when both are absent; base64 wins.
    pub(super) fn read(json: Option<&RawValue>, base64: &str) -> Result<Option<Self>, ApiError> {
        if base64.is_empty() {
            let Some(json) = json else { return Ok(None) };
            let bytes = compact(json.get().as_bytes()).ok_or(TOO_DEEP)?;
            return Ok(Some(Self { bytes, is_json: true }));
        }
        let bytes = STANDARD.decode(base64).map_err(|_| NOT_BASE64)?;
        let json = serde_json::from_slice::<&RawValue>(&bytes).ok();
        let compact = json.and_then(|json| compact(json.get().as_bytes()));
        Ok(Some(match compact {
            Some(bytes) => Self { bytes, is_json: true },
            None => Self { bytes: bytes.into(), is_json: false },
        }))
    }

    /// For what is kept with a connection.
    pub(super) fn shared(json: Option<&RawValue>, base64: &str) -> Result<Option<Arc<[u8]>>, ApiError> {
        Ok(Self::read(json, base64)?.map(|data| Arc::from(data.bytes)))
    }
}

/// Data on its way out: as JSON under the first name, or in base64 under the second when it is none.
pub(super) fn write_opaque([name, base64_name]: [&'static str; 2], bytes: &[u8], to: &mut Object<'_>) {
    match Raw::json(bytes) {
        Ok(raw) => to.raw(name, raw),
        Err(_) => to.text(base64_name, &STANDARD.encode(bytes)),
    }
}

/// Valid JSON without the blanks between its tokens; none when it nests too deeply.
fn compact(json: &[u8]) -> Option<Box<[u8]>> {
    let mut out = Vec::with_capacity(json.len());
    let mut depth = 0_u32;
    let mut rest = json;
    while let Some((&byte, behind)) = rest.split_first() {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {
                rest = behind;
                continue;
            }
            b'"' => {
                let (text, behind) = rest.split_at(1 + string_end(behind));
                out.extend_from_slice(text);
                rest = behind;
                continue;
            }
            b'[' | b'{' => {
                depth += 1;
                if depth > JSON_DEPTH_MAX {
                    return None;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        out.push(byte);
        rest = behind;
    }
    Some(out.into())
}

/// Bytes up to and with the closing quote.
fn string_end(text: &[u8]) -> usize {
    let mut end = 0;
    while let Some(at) = text.get(end..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        if text.get(end + at) == Some(&b'"') {
            return end + at + 1;
        }
        // A backslash takes the byte behind it along, which may be a quote.
        end += at + 2;
    }
    text.len()
}

const TOO_DEEP: ApiError = ApiError::BadRequest("data nests too deeply");
const NOT_BASE64: ApiError = ApiError::BadRequest("base64 that does not decode");

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Result<Option<Data>, ApiError> {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        Data::read(Some(raw), "")
    }

    #[test]
    fn json_is_kept_on_one_line_without_blanks() {
        let data = json("{ \"a\" :\r\n\t[ 1, \"x \\\" \\\\\" , { } ] }").unwrap().unwrap();
        assert_eq!(std::str::from_utf8(&data.bytes), Ok(r#"{"a":[1,"x \" \\",{}]}"#));
        assert!(data.is_json);
        assert_eq!(&*json("\"\\\\\"").unwrap().unwrap().bytes, b"\"\\\\\"");
    }

    #[test]
    fn base64_wins_and_is_json_when_it_can_be() {
        let raw: &RawValue = serde_json::from_str("1").unwrap();
        let data = Data::read(Some(raw), &STANDARD.encode(b"{\"a\":\n1}")).unwrap().unwrap();
        assert_eq!((&*data.bytes, data.is_json), (b"{\"a\":1}".as_slice(), true));
        for binary in [b"\x00\xff".as_slice(), b"1 2", b"{\"a\":"] {
            let data = Data::read(None, &STANDARD.encode(binary)).unwrap().unwrap();
            assert_eq!((&*data.bytes, data.is_json), (binary, false));
        }
        assert_eq!(Data::read(None, "%%%"), Err(NOT_BASE64));
        assert_eq!(Data::read(None, ""), Ok(None));
    }

    #[test]
    fn depth_is_bounded_and_costs_no_stack() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(json(&deep(JSON_DEPTH_MAX as usize)).is_ok());
        assert_eq!(json(&deep(JSON_DEPTH_MAX as usize + 1)), Err(TOO_DEEP));
        assert_eq!(json(&deep(100_000)), Err(TOO_DEEP));
    }

    #[test]
    fn whatever_is_compacted_means_the_same() {
        for text in ["null", "[]", " [ 1 , 2.5e-3 , \"\\u005b \" , {\"k y\": \"v\\\\\"} ] ", "\"\""] {
            let data = json(text.trim()).unwrap().unwrap();
            let read = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
            assert_eq!(read(&data.bytes), read(text.as_bytes()), "{text}");
        }
    }
}
