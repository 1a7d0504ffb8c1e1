//! The server API: what back ends ask of a node, as JSON over HTTP.
//!
//! Invariant: nothing is done, and no body is read, for a caller that has not shown the key. Every request ends within its
//! time with one answer, whatever the cores do. Methods lie in modules by subject; this one only
//! finds them. Knows nothing of sockets.

mod batch;
mod connections;
mod data;
mod envelope;
mod error;
mod history;
mod key;
mod method;
mod node;
mod presence;
mod procedures;
mod publishing;
mod request;
mod revoking;
mod serve;

pub(super) use envelope::uuid;
pub use error::ErrorMode;
pub use key::ApiAccess;
pub(super) use node::NodeFacts;
pub(super) use serve::owns;

use super::Line;
use super::cores::Cores;
use super::ledger::Ledger;
use super::live::Live;
use super::live_settings::LiveSettings;
use super::reload::Reload;
use error::ApiError;
use hyper::body::Bytes;
use method::Method;
use std::sync::Arc;

/// Shared by all connections that speak to it.
#[derive(Debug)]
pub(super) struct Api {
    cores: Arc<Cores>,
    access: Live<ApiAccess>,
    facts: NodeFacts,
    live: Arc<LiveSettings>,
    reload: Option<Arc<Reload>>,
    ledger: Option<Arc<Ledger>>,
}

impl Api {
    pub(super) fn new(line: &Line, access: Live<ApiAccess>, facts: NodeFacts) -> Arc<Self> {
        Arc::new(Self {
            cores: Arc::clone(&line.cores),
            access,
            facts,
            live: Arc::clone(&line.live),
            reload: line.reload.clone(),
            ledger: line.ledger.clone(),
        })
    }

    fn access(&self) -> Arc<ApiAccess> {
        self.access.get()
    }

    /// Does what a method says and appends its result, one JSON object. After an error the tail of `out` is worthless.
    async fn perform(&self, method: Method, params: &[u8], out: &mut Vec<u8>) -> Result<(), ApiError> {
        match method {
            Method::Publish => self.publish(params, out).await,
            Method::Broadcast => self.broadcast(params, out).await,
            Method::PublishEvent => self.publish_event(params, out).await,
            Method::Subscribe => self.subscribe(params, out).await,
            Method::Unsubscribe => self.unsubscribe(params, out).await,
            Method::Disconnect => self.disconnect(params, out).await,
            Method::Refresh => self.refresh(params, out).await,
            Method::Connections => self.connections(params, out).await,
            Method::Presence => self.presence(params, out).await,
            Method::PresenceStats => self.presence_stats(params, out).await,
            Method::Channels => self.channels(params, out).await,
            Method::History => self.history(params, out).await,
            Method::HistoryRemove => self.history_remove(params, out).await,
            Method::Cursor => self.cursor(params, out).await,
            Method::SetCursor => self.set_cursor(params, out).await,
            Method::Info => self.info(params, out).await,
            Method::Rpc => self.rpc(params, out),
            Method::Reload => self.reload(params, out).await,
            Method::BlockUser => self.block_user(params, out).await,
            Method::UnblockUser => self.unblock_user(params, out).await,
            Method::RevokeToken => self.revoke_token(params, out).await,
            Method::InvalidateUserTokens => self.invalidate_user_tokens(params, out).await,
        }
    }

    /// `{"result":{..}}` or `{"error":{..}}`, behind what is in `out`.
    async fn reply(&self, method: Method, params: &[u8], out: &mut Vec<u8>) -> Result<(), ApiError> {
        self.wrapped("result", method, params, out).await
    }

    async fn wrapped(
        &self,
        name: &'static str,
        method: Method,
        params: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), ApiError> {
        let start = out.len();
        out.extend_from_slice(b"{\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        let done = self.perform(method, params, out).await;
        match &done {
            Ok(()) => out.push(b'}'),
            Err(error) => {
                out.truncate(start);
                error.write_wrapped(out);
            }
        }
        done
    }
}

/// A body that has come in whole; slices of it share its memory.
type Body = Bytes;
