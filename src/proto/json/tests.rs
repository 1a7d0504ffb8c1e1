//! The JSON wire, line by line.

mod commands;
mod cost;
mod properties;
mod results;

use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::limits::{COMMANDS_PER_MESSAGE_MAX, JSON_DEPTH_MAX};
use crate::proto::codec::{Codec, Malformed};
use crate::proto::codes::{Disconnect, Reject, Unsubscribed};
use crate::proto::command::*;
use crate::proto::push::Push;
use crate::proto::raw::Raw;
use crate::proto::reply::*;

fn all(message: &str) -> Vec<Result<Command<'_>, Malformed>> {
    Codec::Json.decode(message.as_bytes()).collect()
}

fn one(message: &str) -> Result<Command<'_>, Malformed> {
    let mut commands = Codec::Json.decode(message.as_bytes());
    let command = commands.next().expect("a message yields at least one result");
    assert_eq!(commands.next(), None, "{message}");
    command
}

fn request(message: &str) -> Request<'_> {
    one(message).expect(message).request
}

fn raw(text: &str) -> Raw<'_> {
    Raw::accepted(text.as_bytes())
}

fn reply(id: u32, reply: &Reply<'_>) -> String {
    let mut out = Vec::new();
    Codec::Json.encode_reply(id, reply, &mut out);
    String::from_utf8(out).unwrap()
}

fn push(push: &Push<'_>) -> String {
    let mut out = Vec::new();
    Codec::Json.encode_push(push, &mut out);
    String::from_utf8(out).unwrap()
}

fn one_of(line: &str) -> Result<Command<'_>, Malformed> {
    Codec::Json.decode(line.as_bytes()).next().unwrap_or(Err(Malformed::Empty))
}

const INFO: ClientInfo<'_> =
    ClientInfo { user: "7", client: "2f9c", conn_info: Raw::accepted(b"{\"a\":1}"), chan_info: Raw::NONE };
