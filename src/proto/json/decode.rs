//! From one line of JSON to one command. Protocol summary: the envelope is an object of `id` and named requests.
//! Invariant: unknown keys are skipped, `null` is absent, a repeated key is an error; nothing is copied but strings
//! that hold an escape.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::depth;
use super::field::{self, FromObject};
use crate::limits::JSON_DEPTH_MAX;
use crate::proto::codec::Malformed;
use crate::proto::command::{Command, Connect, Emulation, Request};

/// Nesting of a whole command: `{"publish":{"data":` opens two objects around the embedded data.
const COMMAND_DEPTH_MAX: u32 = JSON_DEPTH_MAX + 2;

/// Drops the one newline that may end a message.
pub(in crate::proto) fn trim(message: &[u8]) -> &[u8] {
    message.strip_suffix(b"\n").unwrap_or(message)
}

/// The first line, and what is left when there was a newline behind it.
pub(in crate::proto) fn split(message: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'\n', message) {
        Some(at) => (&message[..at], Some(&message[at + 1..])),
        None => (message, None),
    }
}

pub(in crate::proto) fn command(line: &[u8]) -> Result<Command<'_>, Malformed> {
    if line.trim_ascii().is_empty() {
        return Err(Malformed::Empty);
    }
    if !depth::within(line, COMMAND_DEPTH_MAX) {
        return Err(Malformed::TooDeep);
    }
    let Envelope { id, request } = serde_json::from_slice(line).map_err(|_| Malformed::Syntax)?;
    match request {
        Some(request @ Request::Send(_)) => Ok(Command { id, request }),
        _ if id == 0 => Ok(Command { id, request: Request::Pong }),
        Some(request) => Ok(Command { id, request }),
        None => Err(Malformed::NoRequest),
    }
}

/// The body of a connect command alone, as transports begin that carry nothing else from the client.
pub(in crate::proto) fn connect(text: &[u8]) -> Result<Connect<'_>, Malformed> {
    body(text)
}

pub(in crate::proto) fn emulation(text: &[u8]) -> Result<Emulation<'_>, Malformed> {
    let EmulationBody { session, node, data } = body(text)?;
    let data = match data {
        Cow::Borrowed(data) => Cow::Borrowed(data.as_bytes()),
        Cow::Owned(data) => Cow::Owned(data.into_bytes()),
    };
    Ok(Emulation { session, node, data })
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct EmulationBody<'a> {
    #[serde(borrow, deserialize_with = "field::text")]
    session: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "field::text")]
    node: Cow<'a, str>,
    /// A string that holds the commands.
    #[serde(borrow, deserialize_with = "field::text")]
    data: Cow<'a, str>,
}

fn body<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Malformed> {
    if text.trim_ascii().is_empty() {
        return Err(Malformed::Empty);
    }
    if !depth::within(text, COMMAND_DEPTH_MAX) {
        return Err(Malformed::TooDeep);
    }
    serde_json::from_slice::<FromObject<T>>(text).map(|object| object.0).map_err(|_| Malformed::Syntax)
}

/// Whether `text` is one JSON value that may be embedded.
pub(in crate::proto) fn check(text: &[u8]) -> Result<(), Malformed> {
    if !depth::within(text, JSON_DEPTH_MAX) {
        return Err(Malformed::TooDeep);
    }
    serde_json::from_slice::<&RawValue>(text).map(drop).map_err(|_| Malformed::Syntax)
}

struct Envelope<'a> {
    id: u32,
    request: Option<Request<'a>>,
}

/// Keys of the envelope. After `id`, in the order in which requests are served.
#[derive(Clone, Copy, Deserialize, PartialEq, PartialOrd)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Id,
    Connect,
    Ping,
    Subscribe,
    Unsubscribe,
    Publish,
    Presence,
    PresenceStats,
    History,
    Rpc,
    Send,
    Refresh,
    SubRefresh,
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
struct NoFields {}

impl<'de: 'a, 'a> Deserialize<'de> for Envelope<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(EnvelopeVisitor)
    }
}

struct EnvelopeVisitor;

impl<'de> Visitor<'de> for EnvelopeVisitor {
    type Value = Envelope<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a command object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut id = 0;
        let mut seen = 0_u16;
        let mut first: Option<(Key, Request<'de>)> = None;
        while let Some(key) = members.next_key::<Key>()? {
            if key != Key::Unknown {
                let bit = 1 << key as u16;
                if seen & bit != 0 {
                    return Err(A::Error::custom("duplicate key"));
                }
                seen |= bit;
            }
            if key == Key::Id {
                id = members.next_value::<Option<u32>>()?.unwrap_or_default();
            } else if let Some(request) = request(key, &mut members)?
                && first.as_ref().is_none_or(|(earlier, _)| key < *earlier)
            {
                first = Some((key, request));
            }
        }
        Ok(Envelope { id, request: first.map(|(_, request)| request) })
    }
}

/// The value of `key` as a request; `None` when it is null or none of ours.
fn request<'de, A: MapAccess<'de>>(key: Key, members: &mut A) -> Result<Option<Request<'de>>, A::Error> {
    Ok(match key {
        Key::Connect => object(members)?.map(Request::Connect),
        Key::Ping => object(members)?.map(|NoFields {}| Request::Ping),
        Key::Subscribe => object(members)?.map(Request::Subscribe),
        Key::Unsubscribe => object(members)?.map(Request::Unsubscribe),
        Key::Publish => object(members)?.map(Request::Publish),
        Key::Presence => object(members)?.map(Request::Presence),
        Key::PresenceStats => object(members)?.map(Request::PresenceStats),
        Key::History => object(members)?.map(Request::History),
        Key::Rpc => object(members)?.map(Request::Rpc),
        Key::Send => object(members)?.map(Request::Send),
        Key::Refresh => object(members)?.map(Request::Refresh),
        Key::SubRefresh => object(members)?.map(Request::SubRefresh),
        Key::Id | Key::Unknown => {
            members.next_value::<IgnoredAny>()?;
            None
        }
    })
}

fn object<'de, T: Deserialize<'de>, A: MapAccess<'de>>(members: &mut A) -> Result<Option<T>, A::Error> {
    Ok(members.next_value::<Option<FromObject<T>>>()?.map(|object| object.0))
}
