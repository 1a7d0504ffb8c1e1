//! A question as a back end reads it: JSON with Centrifugo's names.
//! Invariant: what a client sent as JSON is passed on as it is, after it was found to be one document; anything else
//! travels as base64, so that no client can put members of its own into the request.

use super::options::BackendOptions;
use crate::shard::ask::{Ask, Who};
use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

/// What is asked about, which decides how an answer reads and what its absence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Connect,
    Refresh,
    Subscribe,
    SubRefresh,
    Publish,
    Rpc,
    CacheEmpty,
}

#[derive(Debug, Default, Serialize)]
struct Form<'a> {
    #[serde(skip_serializing_if = "String::is_empty")]
    client: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    transport: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    protocol: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    encoding: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'a str,
    #[serde(skip_serializing_if = "<[Box<str>]>::is_empty")]
    channels: &'a [Box<str>],
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b64data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<&'a RawValue>,
}

/// None: it is no question for a back end.
pub(super) fn topic(ask: &Ask) -> Option<Topic> {
    match ask {
        Ask::Connect { .. } => Some(Topic::Connect),
        Ask::Refresh { .. } => Some(Topic::Refresh),
        Ask::Subscribe { .. } => Some(Topic::Subscribe),
        Ask::SubRefresh { .. } => Some(Topic::SubRefresh),
        Ask::Publish { .. } => Some(Topic::Publish),
        Ask::Rpc { .. } => Some(Topic::Rpc),
        Ask::CacheEmpty { .. } => Some(Topic::CacheEmpty),
        Ask::Keys { .. } => None,
    }
}

/// Who it is about, if it is about one client.
pub(super) fn who(ask: &Ask) -> Option<&Who> {
    match ask {
        Ask::Connect { who, .. }
        | Ask::Refresh { who }
        | Ask::Subscribe { who, .. }
        | Ask::SubRefresh { who, .. }
        | Ask::Publish { who, .. }
        | Ask::Rpc { who, .. } => Some(who),
        Ask::CacheEmpty { .. } | Ask::Keys { .. } => None,
    }
}

/// The body of the request.
pub(super) fn body(ask: &Ask, options: &BackendOptions) -> Bytes {
    let mut form = Form::default();
    if let (Some(topic), Some(who)) = (topic(ask), who(ask)) {
        form.encoding = if options.is_binary { "binary" } else { "json" };
        form.client = who.client.to_string();
        form.transport = who.transport;
        form.protocol = who.protocol;
        // Before it has connected, a client is nobody yet.
        form.user = (topic != Topic::Connect).then_some(&who.user);
        form.meta = who.meta.as_deref().filter(|_| options.include_meta).and_then(raw);
    }
    let data: &[u8] = match ask {
        Ask::Connect { connect, .. } => {
            form.name = &connect.name;
            form.version = &connect.version;
            form.channels = &connect.channels;
            &connect.data
        }
        Ask::Subscribe { channel, token, data, .. } => {
            form.channel = Some(channel);
            form.token = (!token.is_empty()).then_some(token);
            data
        }
        Ask::SubRefresh { channel, .. } | Ask::CacheEmpty { channel, .. } => {
            form.channel = Some(channel);
            b""
        }
        Ask::Publish { channel, data, .. } => {
            form.channel = Some(channel);
            data
        }
        Ask::Rpc { method, data, .. } => {
            form.method = Some(method);
            data
        }
        Ask::Refresh { .. } | Ask::Keys { .. } => b"",
    };
    if !data.is_empty() {
        form.data = if options.is_binary { None } else { raw(data) };
        if form.data.is_none() {
            form.encoding = "binary";
            form.b64data = Some(STANDARD.encode(data));
        }
    }
    // Strings and documents alone: nothing in it can fail.
    serde_json::to_vec(&form).map(Bytes::from).unwrap_or_default()
}

pub(super) fn raw(bytes: &[u8]) -> Option<&RawValue> {
    serde_json::from_slice(bytes).ok()
}
