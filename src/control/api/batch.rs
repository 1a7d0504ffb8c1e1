//! Many calls in one request: the batch method, and lines of commands as old clients send them.
//!
//! Invariant: one reply a command, in the order of the commands; one that fails stops no other. In parallel, at most
//! `API_PARALLEL_COUNT_MAX` are under way.

use super::error::ApiError;
use super::method::Method;
use super::request::{Text, or_zero, read};
use super::{Api, Body};
use crate::limits::{API_BATCH_COUNT_MAX, API_PARALLEL_COUNT_MAX};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::sync::Arc;
use tokio::task::JoinSet;

#[derive(Deserialize)]
struct BatchRequest<'a> {
    #[serde(default, borrow, deserialize_with = "or_zero")]
    commands: Vec<BatchCommand<'a>>,
    #[serde(default, deserialize_with = "or_zero")]
    parallel: bool,
}

/// `{"publish":{..}}`: the first field that is a method.
struct BatchCommand<'a>(Option<(Method, &'a RawValue)>);

#[derive(Deserialize)]
struct LegacyCommand<'a> {
    #[serde(default, borrow)]
    method: Text<'a>,
    #[serde(default, borrow)]
    params: Option<&'a RawValue>,
}

impl Api {
    /// `{"replies":[..]}`
    pub(super) async fn batch(self: &Arc<Self>, body: &Body, out: &mut Vec<u8>) -> Result<(), ApiError> {
        let BatchRequest { commands, parallel } = read(body)?;
        if commands.len() > API_BATCH_COUNT_MAX {
            return Err(ApiError::BadRequest("too many commands"));
        }
        out.extend_from_slice(b"{\"replies\":[");
        if parallel {
            self.abreast(body, &commands, out).await;
        } else {
            for (index, BatchCommand(command)) in commands.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                self.one(command.map(|(method, params)| (method, params.get().as_bytes())), out).await;
            }
        }
        out.extend_from_slice(b"]}");
        Ok(())
    }

    async fn abreast(self: &Arc<Self>, body: &Body, commands: &[BatchCommand<'_>], out: &mut Vec<u8>) {
        let mut replies = vec![Vec::new(); commands.len()];
        let mut under_way = JoinSet::new();
        let mut waiting = commands.iter().enumerate();
        loop {
            while under_way.len() < API_PARALLEL_COUNT_MAX
                && let Some((index, BatchCommand(command))) = waiting.next()
            {
                let api = Arc::clone(self);
                let command =
                    command.map(|(method, params)| (method, body.slice_ref(params.get().as_bytes())));
                under_way.spawn(async move {
                    let mut reply = Vec::new();
                    api.one(command.as_ref().map(|(method, params)| (*method, &**params)), &mut reply).await;
                    (index, reply)
                });
            }
            let Some(done) = under_way.join_next().await else { break };
            if let Ok((index, reply)) = done
                && let Some(place) = replies.get_mut(index)
            {
                *place = reply;
            }
        }
        for (index, reply) in replies.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            if reply.is_empty() {
                // Its task broke off.
                ApiError::Internal.write_wrapped(out);
            }
            out.extend_from_slice(reply);
        }
    }

    /// `{"publish":{..}}` or `{"error":{..}}`
    async fn one(&self, command: Option<(Method, &[u8])>, out: &mut Vec<u8>) {
        match command {
            // The reply says what became of it.
            Some((method, params)) => _ = self.wrapped(method.name(), method, params, out).await,
            None => ApiError::NotFound.write_wrapped(out),
        }
    }

    /// Lines of `{"method":"publish","params":{..}}`, answered by as many lines of `{"result":{..}}`.
    pub(super) async fn legacy(&self, body: &[u8], out: &mut Vec<u8>) -> Result<(), ApiError> {
        let commands = serde_json::Deserializer::from_slice(body).into_iter::<LegacyCommand>();
        for (index, command) in commands.enumerate() {
            let command = command.map_err(|error| ApiError::Unreadable(error.to_string()))?;
            if index >= API_BATCH_COUNT_MAX {
                return Err(ApiError::BadRequest("too many commands"));
            }
            if index > 0 {
                out.push(b'\n');
            }
            let params = command.params.map_or(b"".as_slice(), |params| params.get().as_bytes());
            match Method::named(&command.method) {
                Some(method) => _ = self.reply(method, params, out).await,
                None => ApiError::NotFound.write_wrapped(out),
            }
        }
        Ok(())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for BatchCommand<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(CommandVisitor).map(BatchCommand)
    }
}

struct CommandVisitor;

impl<'de> Visitor<'de> for CommandVisitor {
    type Value = Option<(Method, &'de RawValue)>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object that names a method")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut command = None;
        while let Some(name) = members.next_key::<Text<'de>>()? {
            match Method::named(&name) {
                Some(method) if command.is_none() => {
                    command = members.next_value::<Option<&RawValue>>()?.map(|params| (method, params));
                }
                Some(_) | None => _ = members.next_value::<IgnoredAny>()?,
            }
        }
        Ok(command)
    }
}
