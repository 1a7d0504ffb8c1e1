//! Acknowledgement cursors over RPC: where a user has read a channel up to, kept with the channel's history, so that a
//! new device starts where the last one stopped.
//!
//! `ringway.cursor.get {"channel"}` and `ringway.cursor.set {"channel", "offset"}`; both answer
//! `{"epoch", "offset", "acknowledged", "unread"}`. A cursor belongs to the user of the connection, who must be
//! subscribed to the channel or may read its history. It moves forward only.

use super::Shard;
use super::commands::Refused;
use super::mail::Query;
use super::requests::{Asker, Kind};
use crate::hub::Place;
use crate::ids::ConnId;
use crate::proto::command::Rpc;
use crate::proto::reply::RpcResult;
use crate::proto::{Disconnect, Raw, Reject, Reply};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

#[derive(Deserialize)]
struct Parameters<'a> {
    #[serde(borrow)]
    channel: Cow<'a, str>,
    offset: Option<u64>,
}

#[derive(Serialize)]
struct Answer<'a> {
    epoch: &'a str,
    /// Of the latest publication.
    offset: u64,
    acknowledged: u64,
    unread: u64,
}

impl Shard {
    pub(super) fn cursor_method(
        &mut self,
        id: ConnId,
        command: u32,
        method: &str,
        request: &Rpc<'_>,
    ) -> Result<(), Refused> {
        let Ok(parameters) = serde_json::from_slice::<Parameters<'_>>(request.data.bytes()) else {
            return Err(Reject::BadRequest.into());
        };
        let set = match (method, parameters.offset) {
            ("get", _) => None,
            ("set", Some(offset)) => Some(offset),
            ("set", None) => return Err(Reject::BadRequest.into()),
            _ => return Err(Reject::MethodNotFound.into()),
        };
        let name = &*parameters.channel;
        let Some(session) = self.session(id).filter(|_| !name.is_empty()) else {
            return Err(Disconnect::BadRequest.into());
        };
        // Anonymous users are nobody in particular, so nothing can be kept for them.
        if session.user.is_empty() {
            return Err(Reject::PermissionDenied.into());
        }
        let policy = self.settings.namespaces.resolve(name)?.policy;
        let is_subscriber = self.hub.find(name).is_some_and(|channel| session.find(channel).is_some());
        if !policy.has_history() {
            return Err(Reject::NotAvailable.into());
        }
        if !is_subscriber && !policy.see_history.allows(false, false) && !self.settings.access.insecure {
            return Err(Reject::PermissionDenied.into());
        }
        let (user, channel) = (session.user.clone(), self.name_of(name));
        let request = self.open_request(Asker::Client { conn: id, command }, Kind::Cursor)?;
        self.query(request, &channel, Query::Cursor { user, set });
        Ok(())
    }

    pub(super) fn reply_cursor(&mut self, id: ConnId, command: u32, place: &Place, acknowledged: u64) {
        let unread = place.offset.saturating_sub(acknowledged);
        let answer = Answer { epoch: &place.epoch, offset: place.offset, acknowledged, unread };
        let Ok(data) = serde_json::to_vec(&answer) else {
            return self.reject(id, command, Reject::Internal);
        };
        self.reply(id, command, &Reply::Rpc(RpcResult { data: Raw::accepted(&data) }));
    }
}
