//! A JSON object by its members, each still the text that was sent.
//!
//! Invariant: each name stands once, so that no two readers of the same token can see different things; `null` is
//! absent; what is of the wrong type is a flaw and never "absent". Nesting costs no stack.

use super::error::Flaw;
use crate::proto::raw::Raw;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{DeserializeOwned, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Members<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'a> Members<'a> {
    pub(super) fn parse(text: &'a [u8]) -> Result<Self, Flaw> {
        serde_json::from_slice(text).map_err(|_| Flaw::Object)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(AsRef::as_ref)
    }

    /// The text of a member that is not `null`.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(|value| value.get()).filter(|text| *text != "null")
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Flaw> {
        self.of_type(name)
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Flaw> {
        self.of_type(name)
    }

    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, Flaw> {
        Ok(self.of_type(name)?.unwrap_or_default())
    }

    /// One text, or a list of them: `aud` (RFC 7519 section 4.1.3).
    pub(super) fn one_or_more(&self, name: &str) -> Result<Vec<String>, Flaw> {
        match self.get(name) {
            Some(text) if text.starts_with('"') => Ok(self.text(name)?.into_iter().collect()),
            Some(_) | None => self.texts(name),
        }
    }

    /// A NumericDate: seconds since 1970, of which a fraction is dropped (RFC 7519 section 2).
    pub(super) fn time(&self, name: &str) -> Result<Option<u64>, Flaw> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let whole = text.parse::<u64>().ok();
        let fraction = || text.parse::<f64>().ok().filter(|time| *time >= 0.0).map(|time| time as u64);
        let time =
            if text.starts_with(|c: char| c.is_ascii_digit()) { whole.or_else(fraction) } else { None };
        time.filter(|time| *time <= TIME_MAX_S).map(Some).ok_or_else(|| Flaw::Claim(name.into()))
    }

    /// Any JSON value of bounded depth, without the whitespace between its tokens.
    pub(super) fn json(&self, name: &str) -> Result<Option<Arc<[u8]>>, Flaw> {
        let Some(text) = self.get(name) else { return Ok(None) };
        Raw::json(text.as_bytes()).map_err(|_| Flaw::Claim(name.into()))?;
        Ok(Some(compact(text.as_bytes()).into()))
    }

    /// Bytes in base64 with or without padding; empty is absent.
    pub(super) fn bytes(&self, name: &str) -> Result<Option<Arc<[u8]>>, Flaw> {
        let text = self.text(name)?.unwrap_or_default();
        let bytes = BASE64.decode(text).map_err(|_| Flaw::Claim(name.into()))?;
        Ok(if bytes.is_empty() { None } else { Some(bytes.into()) })
    }

    pub(super) fn object(&self, name: &str) -> Result<Option<Members<'a>>, Flaw> {
        let Some(text) = self.get(name) else { return Ok(None) };
        Members::parse(text.as_bytes()).map(Some).map_err(|_| Flaw::Claim(name.into()))
    }

    fn of_type<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Flaw> {
        let Some(text) = self.get(name) else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|_| Flaw::Claim(name.into()))
    }
}

/// Drops the whitespace between tokens: what is left has no line breaks, since inside strings they are escaped.
fn compact(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for &byte in text {
        if in_string {
            in_string = byte != b'"' || escaped;
            escaped = byte == b'\\' && !escaped;
        } else if byte.is_ascii_whitespace() {
            continue;
        } else {
            in_string = byte == b'"';
        }
        out.push(byte);
    }
    out
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Each).map(Members)
    }
}

struct Each;

/// A string that stays borrowed unless it holds an escape.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for Each {
    type Value = BTreeMap<Cow<'de, str>, &'de RawValue>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((name, value)) = members.next_entry::<Name<'de>, &'de RawValue>()? {
            match map.entry(name.0) {
                Entry::Vacant(entry) => entry.insert(value),
                Entry::Occupied(_) => return Err(A::Error::custom("a name that stands twice")),
            };
        }
        Ok(map)
    }
}

/// The last second of the year 9999: beyond, a number is no date.
const TIME_MAX_S: u64 = 253_402_300_799;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    fn members(text: &str) -> Members<'_> {
        Members::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_name_that_stands_twice_spoils_the_object_however_it_is_spelt() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, "[]", "7", "", "{} {}", "{\"a\":}"] {
            assert_eq!(Members::parse(text.as_bytes()).unwrap_err(), Flaw::Object, "{text}");
        }
    }

    #[test]
    fn times_are_numbers_from_1970_to_9999_and_nothing_else() {
        for (text, time) in [("0", 0), ("1700000000", 1_700_000_000), ("17.9", 17), ("1.7e9", 1_700_000_000)]
        {
            assert_eq!(members(&format!("{{\"t\":{text}}}")).time("t"), Ok(Some(time)), "{text}");
        }
        for text in [
            "\"1700000000\"",
            "-1",
            "-0.5",
            "1e308",
            "1e400",
            "9223372036854775808",
            "253402300800",
            "true",
            "[1]",
            "{}",
        ] {
            let claims = format!("{{\"t\":{text}}}");
            assert_eq!(members(&claims).time("t"), Err(Flaw::Claim("t".into())), "{text}");
        }
        assert_eq!(members("{\"t\":null}").time("t"), Ok(None));
    }

    #[test]
    fn data_loses_the_whitespace_between_its_tokens_and_no_other() {
        let text = "{\"d\": { \"a b\" :\n[ 1 ,\r\n\t\"\\\" \\\\\" , \"x\\ny\" ] } }";
        let json = members(text).json("d").unwrap().unwrap();
        assert_eq!(&*json, br#"{"a b":[1,"\" \\","x\ny"]}"#);
        assert!(!json.contains(&b'\n'));
        let deep = format!("{{\"d\":{}1{}}}", "[".repeat(40), "]".repeat(40));
        assert_eq!(members(&deep).json("d"), Err(Flaw::Claim("d".into())));
    }

    #[test]
    fn a_wrong_type_is_a_flaw_and_null_is_absent() {
        let claims = members(r#"{"n":1,"s":"x","z":null,"l":["a","b"],"m":["a",1]}"#);
        assert_eq!(claims.text("n"), Err(Flaw::Claim("n".into())));
        assert_eq!(claims.text("z"), Ok(None));
        assert_eq!(claims.one_or_more("s"), Ok(vec!["x".to_owned()]));
        assert_eq!(claims.one_or_more("l"), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(claims.one_or_more("m"), Err(Flaw::Claim("m".into())));
        assert_eq!(claims.one_or_more("n"), Err(Flaw::Claim("n".into())));
    }
}
