//! Events of back ends: one form for all of them, so that every subscriber finds the same five fields.
//!
//! `{"id","time","type","source","data"}`: a UUID, Unix milliseconds, lower-case words with dots between them, the name of
//! who says it, and any JSON. Invariant: an envelope is whole and well-formed; the id is its name for an hour, within which
//! a channel takes it once.

use super::data::Data;
use super::error::ApiError;
use super::request::Text;
use crate::ids::ClientId;
use crate::limits::{EVENT_SOURCE_BYTES_MAX, EVENT_TYPE_BYTES_MAX};
use crate::proto::{Object, Raw};
use crate::sys::entropy;
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
pub(super) struct EnvelopeRequest<'a> {
    #[serde(default, borrow)]
    pub(super) channel: Text<'a>,
    #[serde(default, borrow)]
    id: Text<'a>,
    #[serde(default)]
    time: Option<u64>,
    #[serde(default, borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(default, borrow)]
    source: Text<'a>,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Debug)]
pub(super) struct Envelope<'a> {
    id: Id,
    time_ms: u64,
    kind: &'a str,
    source: &'a str,
    data: Box<[u8]>,
}

/// A UUID of any version: in lower case, so that one id has one form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Id(ClientId);

impl<'a> Envelope<'a> {
    /// Fills in what may be absent.
    pub(super) fn check(request: &'a EnvelopeRequest<'_>, now_ms: u64) -> Result<Self, ApiError> {
        let id = match &*request.id {
            "" => ClientId::from_random(random()),
            text => ClientId::parse(text).ok_or(ApiError::BadRequest("id is not a UUID"))?,
        };
        if !is_kind(&request.kind) {
            return Err(ApiError::BadRequest(
                "type is not lower-case words with dots between them, such as order.paid",
            ));
        }
        if request.source.is_empty() || request.source.len() > EVENT_SOURCE_BYTES_MAX {
            return Err(ApiError::BadRequest("source is missing or too long"));
        }
        let data = Data::read(request.data, "")?.ok_or(ApiError::BadRequest("data is missing"))?;
        let time_ms = request.time.unwrap_or(now_ms);
        Ok(Self { id: Id(id), time_ms, kind: &request.kind, source: &request.source, data: data.bytes })
    }

    pub(super) fn id(&self) -> String {
        self.id.0.to_string()
    }

    /// Idempotency key, of the kind that is kept for an hour.
    pub(super) fn key(&self) -> Box<str> {
        format!("{EVENT_KEY}{}", self.id.0).into()
    }

    /// What subscribers get.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FRAME_BYTES + self.kind.len() + self.source.len() + self.data.len());
        let mut object = Object::open(&mut out);
        object.text_always("id", &self.id());
        object.number_always("time", self.time_ms);
        object.text_always("type", self.kind);
        object.text_always("source", self.source);
        object.raw("data", Raw::accepted(&self.data));
        object.close();
        out
    }
}

/// Words of lower-case letters, digits, `_` and `-`, each beginning with a letter, with dots between them.
fn is_kind(text: &str) -> bool {
    let is_word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_lowercase())
            && word.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
    };
    text.len() <= EVENT_TYPE_BYTES_MAX && text.split('.').all(is_word)
}

/// A new version 4 UUID.
pub(in crate::control) fn uuid() -> String {
    ClientId::from_random(random()).to_string()
}

fn random() -> [u8; 16] {
    let halves = [entropy::seed().to_ne_bytes(), entropy::seed().to_ne_bytes()];
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&halves[0]);
    bytes[8..].copy_from_slice(&halves[1]);
    bytes
}

/// Owners keep results of keys that begin so for an hour.
const EVENT_KEY: &str = "event:";
/// Names, quotes, id and time.
const FRAME_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    use super::super::request::read;
    use super::*;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    fn encoded(params: &str) -> Result<String, ApiError> {
        let request: EnvelopeRequest = read(params.as_bytes())?;
        Ok(String::from_utf8(Envelope::check(&request, 1_700_000_000_123)?.encode()).unwrap())
    }

    #[test]
    fn a_whole_envelope_goes_through_as_it_is() {
        let params =
            format!(r#"{{"id":"{ID}","time":5,"type":"order.paid","source":"shop","data":{{ "n": 1 }}}}"#);
        let whole =
            format!(r#"{{"id":"{ID}","time":5,"type":"order.paid","source":"shop","data":{{"n":1}}}}"#);
        assert_eq!(encoded(&params), Ok(whole));
    }

    #[test]
    fn id_and_time_are_filled_in() {
        let text = encoded(r#"{"type":"a","source":"s","data":null}"#);
        assert_eq!(text, Err(ApiError::BadRequest("data is missing")));
        let text = encoded(r#"{"type":"a","source":"s","data":0}"#).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["time"], 1_700_000_000_123_u64);
        assert!(ClientId::parse(value["id"].as_str().unwrap()).is_some());
        assert_ne!(encoded(r#"{"type":"a","source":"s","data":0}"#).unwrap(), text, "every event has its id");
    }

    #[test]
    fn one_id_has_one_key_however_it_is_written() {
        let key = |id: &str| {
            let params = format!(r#"{{"id":"{id}","type":"a","source":"s","data":0}}"#);
            let request: EnvelopeRequest = read(params.as_bytes()).unwrap();
            Envelope::check(&request, 0).unwrap().key()
        };
        assert_eq!(key(ID), key(&ID.to_uppercase()));
        assert_eq!(&*key(ID), format!("event:{ID}"));
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for kind in ["", "Order", "order.", ".paid", "order..paid", "1st", "order paid", "ordér", "a/b"] {
            assert!(!is_kind(kind), "{kind}");
        }
        for kind in ["a", "order.paid", "order.line-item.v2_1"] {
            assert!(is_kind(kind), "{kind}");
        }
        assert!(!is_kind(&"a".repeat(EVENT_TYPE_BYTES_MAX + 1)));
        for params in [
            r#"{"id":"7","type":"a","source":"s","data":0}"#,
            r#"{"type":"A","source":"s","data":0}"#,
            r#"{"type":"a","data":0}"#,
            r#"{"type":"a","source":"s"}"#,
        ] {
            assert!(matches!(encoded(params), Err(ApiError::BadRequest(_))), "{params}");
        }
    }
}
