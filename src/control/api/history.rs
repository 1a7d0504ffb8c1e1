//! history, history_remove, cursor, set_cursor: the stream of a channel, and how far a user has read it.
//! Invariant: the owner of the channel is asked, and no one else.

use super::Api;
use super::error::ApiError;
use super::presence::write_person;
use super::request::{PositionRequest, Text, or_zero, read, required};
use crate::proto::{Object, Raw};
use crate::publication::Publication;
use crate::shard::call::{Call, HistoryQuery, Outcome};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
struct HistoryRequest<'a> {
    #[serde(default, borrow)]
    channel: Text<'a>,
    #[serde(default, deserialize_with = "or_zero")]
    limit: i32,
    #[serde(default, borrow)]
    since: Option<PositionRequest<'a>>,
    #[serde(default, deserialize_with = "or_zero")]
    reverse: bool,
}

#[derive(Deserialize)]
struct CursorRequest<'a> {
    #[serde(default, borrow)]
    channel: Text<'a>,
    #[serde(default, borrow)]
    user: Text<'a>,
    #[serde(default)]
    offset: Option<u64>,
}

impl Api {
    pub(super) async fn history(&self, params: &[u8], out: &mut Vec<u8>) -> Result<(), ApiError> {
        let request: HistoryRequest = read(params)?;
        let channel = required(&request.channel)?;
        let query = HistoryQuery {
            limit: request.limit,
            since: request.since.as_ref().map(PositionRequest::position),
            reverse: request.reverse,
        };
        let call = Call::History { channel: Arc::from(channel), query };
        let outcome = self.cores.ask_owner(channel, call).await;
        let Outcome::History { publications, position } = outcome else { return Err(ApiError::of(&outcome)) };
        let mut object = Object::open(out);
        object.objects("publications", &publications, |publication, to| write(publication, to));
        object.text_always("epoch", &position.epoch);
        object.number_always("offset", position.offset);
        object.close();
        Ok(())
    }

    pub(super) async fn history_remove(&self, params: &[u8], out: &mut Vec<u8>) -> Result<(), ApiError> {
        let request: HistoryRequest = read(params)?;
        let channel = required(&request.channel)?;
        let outcome =
            self.cores.ask_owner(channel, Call::HistoryRemove { channel: Arc::from(channel) }).await;
        if !matches!(outcome, Outcome::Done { .. }) {
            return Err(ApiError::of(&outcome));
        }
        out.extend_from_slice(b"{}");
        Ok(())
    }

    pub(super) async fn cursor(&self, params: &[u8], out: &mut Vec<u8>) -> Result<(), ApiError> {
        let request: CursorRequest = read(params)?;
        let channel = required(&request.channel)?;
        let call = Call::Cursor { channel: Arc::from(channel), user: Box::from(&*request.user) };
        self.answer_cursor(channel, call, out).await
    }

    /// Answers with what holds now, which may be beyond what was asked for.
    pub(super) async fn set_cursor(&self, params: &[u8], out: &mut Vec<u8>) -> Result<(), ApiError> {
        let request: CursorRequest = read(params)?;
        let channel = required(&request.channel)?;
        let offset = request.offset.ok_or(ApiError::BadRequest("offset is missing"))?;
        let user = Box::from(&*request.user);
        let call = Call::SetCursor { channel: Arc::from(channel), user, offset };
        self.answer_cursor(channel, call, out).await
    }

    async fn answer_cursor(&self, channel: &str, call: Call, out: &mut Vec<u8>) -> Result<(), ApiError> {
        let outcome = self.cores.ask_owner(channel, call).await;
        let Outcome::Cursor { position, acknowledged } = outcome else { return Err(ApiError::of(&outcome)) };
        let mut object = Object::open(out);
        object.number_always("acknowledged", acknowledged);
        object.text_always("epoch", &position.epoch);
        object.number_always("offset", position.offset);
        object.close();
        Ok(())
    }
}

fn write(publication: &Publication, to: &mut Object<'_>) {
    if publication.is_json {
        // Checked and compacted when it came in.
        to.raw("data", Raw::accepted(&publication.data));
    } else {
        to.text("b64data", &STANDARD.encode(&publication.data));
    }
    if let Some(person) = &publication.info {
        to.object("info", |to| write_person(person, to));
    }
    to.number("offset", publication.offset);
    if !publication.tags.is_empty() {
        to.object("tags", |to| {
            for (key, value) in &publication.tags {
                to.value(key, value);
            }
        });
    }
}
