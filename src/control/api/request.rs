//! Reads the parameters of a method: borrowed from the body, without a tree.
//!
//! Invariant: unknown fields are skipped, `null` is absent, a repeated field is an error; a string is copied only when it
//! holds an escape, and data only when it is kept.

use super::error::ApiError;
use crate::ids::ClientId;
use crate::shard::call::{Position, Target};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Parameters of one call. None at all is as good as `{}`.
pub(super) fn read<'a, T: Deserialize<'a>>(params: &'a [u8]) -> Result<T, ApiError> {
    let params = match params.trim_ascii_start() {
        [] => b"{}",
        [b'{', ..] => params,
        // A struct reads from an array as well, field by field, which nobody means.
        [..] => return Err(ApiError::Unreadable(String::from("expected an object"))),
    };
    serde_json::from_slice(params).map_err(|error| ApiError::Unreadable(error.to_string()))
}

/// A string that borrows where it can.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextVisitor).map(Text)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(""))
    }
}

/// A field whose absence is its zero, as `null` is.
pub(super) fn or_zero<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// `{"offset":..,"epoch":".."}`
#[derive(Debug, Deserialize)]
pub(super) struct PositionRequest<'a> {
    #[serde(default, deserialize_with = "or_zero")]
    offset: u64,
    #[serde(default, borrow)]
    epoch: Text<'a>,
}

impl PositionRequest<'_> {
    pub(super) fn position(&self) -> Position {
        Position { offset: self.offset, epoch: Arc::from(&*self.epoch) }
    }
}

/// A channel that a call cannot do without.
pub(super) fn required<'a>(channel: &'a Text<'_>) -> Result<&'a str, ApiError> {
    if channel.is_empty() { Err(ApiError::BadRequest("channel is missing")) } else { Ok(channel) }
}

/// Whose connections are meant; none when an id is not one that any connection can have.
pub(super) fn target(user: &str, client: &str, session: &str) -> Option<Target> {
    let id = |text: &str| if text.is_empty() { Some(None) } else { ClientId::parse(text).map(Some) };
    let (client, session) = (id(client)?, id(session)?);
    // One connection is named without its user; without any name the anonymous user is meant.
    let is_named = client.is_some() || session.is_some();
    let user = (!is_named || !user.is_empty()).then(|| Box::from(user));
    Some(Target { user, client, session })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Sample<'a> {
        #[serde(default, borrow)]
        text: Text<'a>,
        #[serde(default, deserialize_with = "or_zero")]
        number: u64,
    }

    #[test]
    fn null_is_absent_and_nothing_is_an_empty_object() {
        for params in ["", " \n", "{}", r#"{"text":null,"number":null,"other":[{}]}"#] {
            let sample: Sample = read(params.as_bytes()).unwrap();
            assert_eq!((&*sample.text, sample.number), ("", 0), "{params}");
        }
    }

    #[test]
    fn strings_borrow_unless_they_hold_an_escape() {
        let sample: Sample = read(br#"{"text":"plain"}"#).unwrap();
        assert!(matches!(sample.text.0, Cow::Borrowed("plain")));
        let sample: Sample = read(br#"{"text":"a\nb"}"#).unwrap();
        assert_eq!(&*sample.text, "a\nb");
    }

    #[test]
    fn what_is_not_an_object_of_the_form_is_unreadable() {
        let huge = br#"{"number":184467440737095516160}"#.as_slice();
        for params in [b"[\"a\",1]".as_slice(), b"{", b"{} {}", b"{\"text\":1}", b"{\"text\":\"\xff\"}", huge]
        {
            assert!(matches!(read::<Sample>(params), Err(ApiError::Unreadable(_))), "{params:?}");
        }
        assert!(read::<Sample>(br#"{"text":"a","text":"b"}"#).is_err());
    }

    #[test]
    fn a_connection_is_meant_by_any_of_its_names() {
        let id = "01010101-0101-4101-8101-010101010101";
        assert_eq!(target("u", "", "").unwrap().user.as_deref(), Some("u"));
        assert_eq!(target("", "", "").unwrap().user.as_deref(), Some(""), "the anonymous user");
        assert_eq!(target("", id, "").unwrap().user, None);
        assert_eq!(target("u", "", id).unwrap().user.as_deref(), Some("u"));
        assert_eq!(target("u", "nobody", ""), None);
    }
}
