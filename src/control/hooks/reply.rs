//! What a back end answers: exactly one of a result, an error and a disconnect.
//!
//! Invariant: anything else is garbage, an answer to no question: an empty object allows nothing. Documents that clients
//! will get have no raw line breaks, whatever the back end's formatting.

use super::backend::Judged;
use super::figures::Ending;
use super::options::BackendOptions;
use super::question::{Topic, raw};
use crate::limits::{CLOSE_REASON_BYTES_MAX, USER_ID_BYTES_MAX};
use crate::publication::Tags;
use crate::shard::ask::{Answer, Credentials, Published, Refreshed, Subscribed};
use crate::shard::call::{Overrides, Subscribe};
use axum::body::Bytes;
use axum::http::{Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Reads an answer, or what its status stands for.
pub(super) fn judge(topic: Topic, options: &BackendOptions, response: &Response<Bytes>) -> Judged<Answer> {
    if response.status() != StatusCode::OK {
        let status = response.status().as_u16();
        let transform = options.transforms.iter().find(|transform| transform.status == status);
        return transform
            .map_or(Judged { ending: Ending::Status, value: None }, |transform| said(transform.to.answer()));
    }
    read(topic, response.body()).map_or(Judged { ending: Ending::Garbage, value: None }, said)
}

fn said(answer: Answer) -> Judged<Answer> {
    let ending = match &answer {
        Answer::Error { .. } => Ending::Error,
        Answer::Disconnect { .. } => Ending::Disconnect,
        Answer::Connect(_)
        | Answer::Refresh(_)
        | Answer::SubRefresh(_)
        | Answer::Subscribe(_)
        | Answer::Publish(_)
        | Answer::Rpc { .. }
        | Answer::Refilled { .. }
        | Answer::Keys
        | Answer::Failed => Ending::Ok,
    };
    Judged { ending, value: Some(answer) }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<ErrorReply>,
    disconnect: Option<DisconnectReply>,
}

#[derive(Deserialize)]
struct ErrorReply {
    code: u32,
    #[serde(default)]
    message: Box<str>,
    #[serde(default)]
    temporary: bool,
}

#[derive(Deserialize)]
struct DisconnectReply {
    code: u16,
    #[serde(default)]
    reason: Box<str>,
}

fn read(topic: Topic, body: &[u8]) -> Option<Answer> {
    let envelope: Envelope<'_> = serde_json::from_slice(body).ok()?;
    match envelope {
        Envelope { disconnect: Some(disconnect), .. } => {
            let DisconnectReply { code, reason } = disconnect;
            DISCONNECT_CODES.contains(&code).then(|| Answer::Disconnect { code, reason: shortened(&reason) })
        }
        Envelope { error: Some(ErrorReply { code, message, temporary }), .. } => {
            (code > 0).then_some(Answer::Error { code, message, temporary })
        }
        Envelope { result: Some(result), .. } => of_topic(topic, result.get()),
        Envelope { result: None, error: None, disconnect: None } => None,
    }
}

fn of_topic(topic: Topic, text: &str) -> Option<Answer> {
    Some(match topic {
        Topic::Connect => Answer::Connect(Box::new(connect(parse(text)?)?)),
        Topic::Refresh => Answer::Refresh(refresh(&parse(text)?)?),
        Topic::SubRefresh => Answer::SubRefresh(refresh(&parse(text)?)?),
        Topic::Subscribe => {
            let result: Subscription<'_> = parse(text)?;
            Answer::Subscribe(Box::new(Subscribed {
                expire_at: result.expire_at,
                info: shared(result.info, result.b64info)?,
                data: shared(result.data, result.b64data)?,
                overrides: result.overrides.unwrap_or_default().into(),
            }))
        }
        Topic::Publish => Answer::Publish(Box::new(publish(parse(text)?)?)),
        Topic::Rpc => {
            let result: Data<'_> = parse(text)?;
            Answer::Rpc { data: bytes(result.data, result.b64data)?.unwrap_or_default().into() }
        }
        Topic::CacheEmpty => {
            let Refilling { populated } = parse(text)?;
            Answer::Refilled { populated }
        }
    })
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    serde_json::from_str(text).ok()
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    b64data: Option<Box<str>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Connection<'a> {
    user: Box<str>,
    expire_at: u64,
    #[serde(borrow)]
    info: Option<&'a RawValue>,
    b64info: Option<Box<str>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    b64data: Option<Box<str>>,
    #[serde(borrow)]
    meta: Option<&'a RawValue>,
    channels: Option<Vec<Box<str>>>,
    #[serde(borrow)]
    subs: Option<BTreeMap<Box<str>, Subscription<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Subscription<'a> {
    expire_at: u64,
    #[serde(borrow)]
    info: Option<&'a RawValue>,
    b64info: Option<Box<str>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    b64data: Option<Box<str>>,
    #[serde(rename = "override")]
    overrides: Option<Override>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Override {
    presence: Option<Flag>,
    join_leave: Option<Flag>,
    force_push_join_leave: Option<Flag>,
    force_recovery: Option<Flag>,
    force_positioning: Option<Flag>,
}

#[derive(Clone, Copy, Deserialize)]
struct Flag {
    #[serde(default)]
    value: bool,
}

impl From<Override> for Overrides {
    fn from(from: Override) -> Self {
        let value = |flag: Option<Flag>| flag.map(|flag| flag.value);
        Self {
            presence: value(from.presence),
            join_leave: value(from.join_leave),
            force_push_join_leave: value(from.force_push_join_leave),
            force_recovery: value(from.force_recovery),
            force_positioning: value(from.force_positioning),
        }
    }
}

fn connect(result: Connection<'_>) -> Option<Credentials> {
    let plain =
        result.channels.unwrap_or_default().into_iter().map(|channel| (channel, Subscription::default()));
    let subs = plain.chain(result.subs.unwrap_or_default()).map(|(channel, sub)| {
        Some(Arc::new(Subscribe {
            channel: (!channel.is_empty()).then(|| Arc::from(channel))?,
            expire_at: sub.expire_at,
            info: shared(sub.info, sub.b64info)?,
            data: shared(sub.data, sub.b64data)?,
            recover_since: None,
            overrides: sub.overrides.unwrap_or_default().into(),
        }))
    });
    Some(Credentials {
        expire_at: result.expire_at,
        info: shared(result.info, result.b64info)?,
        data: shared(result.data, result.b64data)?,
        meta: shared(result.meta, None)?,
        subs: subs.collect::<Option<_>>()?,
        user: (result.user.len() <= USER_ID_BYTES_MAX).then_some(result.user)?,
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refreshing<'a> {
    expired: bool,
    expire_at: u64,
    #[serde(borrow)]
    info: Option<&'a RawValue>,
    b64info: Option<Box<str>>,
    #[serde(borrow)]
    meta: Option<&'a RawValue>,
}

fn refresh(result: &Refreshing<'_>) -> Option<Refreshed> {
    Some(Refreshed {
        expired: result.expired,
        expire_at: result.expire_at,
        info: shared(result.info, result.b64info.clone())?,
        meta: shared(result.meta, None)?,
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refilling {
    populated: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Publishing<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    b64data: Option<Box<str>>,
    skip_history: bool,
    tags: Option<BTreeMap<Box<str>, Box<str>>>,
    idempotency_key: Option<Box<str>>,
    delta: bool,
    version: u64,
    version_epoch: Box<str>,
}

fn publish(result: Publishing<'_>) -> Option<Published> {
    let data = bytes(result.data, result.b64data)?;
    Some(Published {
        is_json: data.as_deref().is_some_and(is_one_line),
        data: data.map(Vec::into_boxed_slice),
        tags: Tags::from_iter(result.tags.unwrap_or_default()),
        skip_history: result.skip_history,
        delta: result.delta,
        idempotency_key: result.idempotency_key.filter(|key| !key.is_empty()),
        version: result.version,
        version_epoch: result.version_epoch,
    })
}

/// One JSON document without a raw line break: what JSON clients can be given.
fn is_one_line(data: &[u8]) -> bool {
    raw(data).is_some() && !data.iter().any(|byte| matches!(byte, b'\n' | b'\r'))
}

/// The document without line breaks, or the decoded base64; the outer None is garbage.
#[expect(clippy::option_option, reason = "nothing given and nothing readable are two answers")]
fn bytes(document: Option<&RawValue>, base64: Option<Box<str>>) -> Option<Option<Vec<u8>>> {
    match (document, base64.filter(|text| !text.is_empty())) {
        // Within strings they are escaped, so each that is left stands between tokens.
        (Some(document), None) => Some(Some(document.get().replace(['\n', '\r'], " ").into_bytes())),
        (_, Some(text)) => STANDARD.decode(text.as_bytes()).ok().map(Some),
        (None, None) => Some(None),
    }
}

#[expect(clippy::option_option, reason = "as `bytes`")]
fn shared(document: Option<&RawValue>, base64: Option<Box<str>>) -> Option<Option<Arc<[u8]>>> {
    Some(bytes(document, base64)?.map(Arc::from))
}

fn shortened(reason: &str) -> Box<str> {
    let end = (0..=CLOSE_REASON_BYTES_MAX.min(reason.len())).rev().find(|&end| reason.is_char_boundary(end));
    Box::from(&reason[..end.unwrap_or_default()])
}

/// Those that an application may close with.
const DISCONNECT_CODES: std::ops::RangeInclusive<u16> = 3000..=4999;

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(topic: Topic, text: &str) -> Option<Answer> {
        read(topic, text.as_bytes())
    }

    #[test]
    fn a_connect_result_says_who_the_client_is_and_what_it_gets() {
        let text = r#"{"result":{"user":"42","expire_at":1700,"info":{"name":
            "Ann"},"b64data":"AAE=","meta":{"plan":1},"channels":["news"],
            "subs":{"chat":{"info":"x","data":[1],"override":{"presence":{"value":true},"force_recovery":{"value":false}}}}}}"#;
        let Some(Answer::Connect(credentials)) = answer(Topic::Connect, text) else { panic!() };
        assert_eq!((&*credentials.user, credentials.expire_at), ("42", 1700));
        assert!(!credentials.info.as_ref().unwrap().contains(&b'\n'), "JSON clients read lines");
        assert_eq!(credentials.data.as_deref(), Some(&[0, 1][..]));
        assert_eq!(credentials.meta.as_deref(), Some(&b"{\"plan\":1}"[..]));
        let [news, chat] = &credentials.subs[..] else { panic!("{:?}", credentials.subs) };
        assert_eq!((&*news.channel, news.overrides), ("news", Overrides::default()));
        assert_eq!((&*chat.channel, chat.data.as_deref()), ("chat", Some(&b"[1]"[..])));
        assert_eq!((chat.overrides.presence, chat.overrides.force_recovery), (Some(true), Some(false)));
        assert_eq!(chat.overrides.join_leave, None);
    }

    #[test]
    fn a_publish_result_may_replace_what_was_sent() {
        let text = r#"{"result":{"data":{"clean":true},"tags":{"a":"b"},"skip_history":true,"version":3}}"#;
        let Some(Answer::Publish(published)) = answer(Topic::Publish, text) else { panic!() };
        assert_eq!(published.data.as_deref(), Some(&b"{\"clean\":true}"[..]));
        assert!(published.is_json && published.skip_history && published.version == 3);
        assert_eq!(*published.tags, [(Box::from("a"), Box::from("b"))]);
        let Some(Answer::Publish(published)) = answer(Topic::Publish, r#"{"result":{"b64data":"AP8="}}"#)
        else {
            panic!()
        };
        assert_eq!((published.data.as_deref(), published.is_json), (Some(&[0, 255][..]), false));
        let empty = answer(Topic::Publish, "{\"result\":{}}");
        assert!(matches!(empty, Some(Answer::Publish(published)) if published.data.is_none()));
    }

    #[test]
    fn refusals_are_read_for_every_topic() {
        for topic in [
            Topic::Connect,
            Topic::Refresh,
            Topic::Subscribe,
            Topic::SubRefresh,
            Topic::Publish,
            Topic::Rpc,
            Topic::CacheEmpty,
        ] {
            let error = answer(topic, r#"{"error":{"code":1000,"message":"no","temporary":true}}"#);
            assert!(matches!(error, Some(Answer::Error { code: 1000, temporary: true, .. })), "{error:?}");
            let end = answer(topic, r#"{"result":{},"disconnect":{"code":4500,"reason":"bye"}}"#);
            assert!(matches!(end, Some(Answer::Disconnect { code: 4500, .. })), "{end:?}");
        }
    }

    #[test]
    fn whatever_else_a_back_end_says_allows_nothing() {
        for text in [
            "",
            "null",
            "[]",
            "{}",
            "<html>",
            "{\"result\":null}",
            "{\"result\":1}",
            "{\"result\":{\"expire_at\":-1}}",
            "{\"result\":{\"info\":{\"a\":}}}",
            "{\"result\":{\"b64info\":\"?\"}}",
            "{\"error\":{\"code\":0}}",
            "{\"error\":{\"message\":\"no code\"}}",
            "{\"disconnect\":{\"code\":1000}}",
            "{\"disconnect\":{\"code\":5000}}",
            "{\"result\":{}} {}",
        ] {
            assert!(answer(Topic::Subscribe, text).is_none(), "{text}");
        }
        assert!(answer(Topic::Connect, "{\"result\":{\"channels\":[\"\"]}}").is_none());
        let long = format!("{{\"result\":{{\"user\":\"{}\"}}}}", "x".repeat(256));
        assert!(answer(Topic::Connect, &long).is_none());
    }

    #[test]
    fn a_reason_fits_a_close_frame() {
        let text = format!("{{\"disconnect\":{{\"code\":4000,\"reason\":\"{}\"}}}}", "é".repeat(100));
        let Some(Answer::Disconnect { reason, .. }) = answer(Topic::Rpc, &text) else { panic!() };
        assert_eq!(&*reason, "é".repeat(61));
    }
}
