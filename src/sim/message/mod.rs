//! What the server says, decoded by somebody who trusts it with nothing.
//!
//! Invariant: one value for both codecs. An unknown or repeated field, a wrong type, a zero value that should have been
//! left out and one that should have been written are errors, not leniency. Shares no code with `proto`.

mod json;
mod protobuf;
pub mod schema;
#[cfg(test)]
mod tests;

pub use protobuf::encode;

use schema::REPLY;
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    Ping,
    /// `kind` names the result; it is `error` if there is none.
    Reply {
        id: u32,
        kind: &'static str,
        body: Fields,
    },
    Push {
        channel: String,
        id: i128,
        kind: &'static str,
        body: Fields,
    },
}

/// The fields of one message that were there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(pub BTreeMap<&'static str, Item>);

#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Number(i128),
    Flag,
    Text(String),
    /// JSON text from JSON, the bytes themselves from Protobuf.
    Raw(Vec<u8>),
    Texts(BTreeMap<String, String>),
    One(Fields),
    Many(Vec<Fields>),
    Map(BTreeMap<String, Fields>),
}

impl Message {
    /// One line of a text message.
    pub fn from_json(line: &str) -> Result<Self, String> {
        let fields = json::decode(&REPLY, line)?;
        Self::of(fields).map_err(|wrong| format!("{wrong}: {line}"))
    }

    /// All messages of one binary frame.
    pub fn from_protobuf(mut bytes: &[u8]) -> Result<Vec<Self>, String> {
        if bytes.is_empty() {
            return Err("an empty binary frame".into());
        }
        let mut messages = Vec::new();
        while !bytes.is_empty() {
            let message = protobuf::delimited(&mut bytes)?;
            messages.push(protobuf::decode(&REPLY, message).and_then(Self::of)?);
        }
        Ok(messages)
    }

    fn of(mut fields: Fields) -> Result<Self, String> {
        if fields.0.is_empty() {
            return Ok(Self::Ping);
        }
        let id = fields.take_number("id");
        let Some((kind, Item::One(mut body))) = fields.0.pop_first() else {
            return Err("a reply without a result".into());
        };
        if !fields.0.is_empty() {
            return Err("a reply with two results".into());
        }
        if kind != "push" {
            let id = u32::try_from(id).ok().filter(|id| *id > 0).ok_or("a reply to nobody")?;
            return Ok(Self::Reply { id, kind, body });
        }
        if id != 0 {
            return Err("a push with the id of a command".into());
        }
        let number = body.take_number("id");
        let channel = body.text("channel").to_owned();
        body.0.remove("channel");
        let Some((kind, Item::One(news))) = body.0.pop_first() else { return Err("an empty push".into()) };
        let is_about_channel = !matches!(kind, "message" | "disconnect" | "refresh");
        if is_about_channel && channel.is_empty() == (number == 0) {
            return Err("a push with no channel, or with two".into());
        }
        if !body.0.is_empty() {
            return Err("a push with two contents".into());
        }
        Ok(Self::Push { channel, id: number, kind, body: news })
    }
}

impl Fields {
    /// Zero when it is not there, as everywhere in the protocol.
    pub fn number(&self, name: &str) -> u64 {
        match self.0.get(name) {
            Some(Item::Number(number)) => u64::try_from(*number).unwrap_or_default(),
            _ => 0,
        }
    }

    fn take_number(&mut self, name: &str) -> i128 {
        match self.0.remove(name) {
            Some(Item::Number(number)) => number,
            _ => 0,
        }
    }

    pub fn flag(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub fn text(&self, name: &str) -> &str {
        match self.0.get(name) {
            Some(Item::Text(text)) => text,
            _ => "",
        }
    }

    pub fn raw(&self, name: &str) -> &[u8] {
        match self.0.get(name) {
            Some(Item::Raw(raw)) => raw,
            _ => &[],
        }
    }

    pub fn texts(&self, name: &str) -> Option<&BTreeMap<String, String>> {
        match self.0.get(name) {
            Some(Item::Texts(texts)) => Some(texts),
            _ => None,
        }
    }

    pub fn one(&self, name: &str) -> Option<&Self> {
        match self.0.get(name) {
            Some(Item::One(fields)) => Some(fields),
            _ => None,
        }
    }

    pub fn many(&self, name: &str) -> &[Self] {
        match self.0.get(name) {
            Some(Item::Many(fields)) => fields,
            _ => &[],
        }
    }

    pub fn map(&self, name: &str) -> Option<&BTreeMap<String, Self>> {
        match self.0.get(name) {
            Some(Item::Map(map)) => Some(map),
            _ => None,
        }
    }
}
