//! Tokens whose key has to be fetched first.
//!
//! Invariant: a token waits for its key once: what is not there then is an error that passes. A refresh does not wait,
//! because the connection lives on: the client tries again, and finds the key.

use super::Shard;
use super::ask::Ask;
use super::commands::Refused;
use super::joining::Join;
use super::requests::{Asker, Kind};
use crate::auth::{Occasion, TokenError};
use crate::ids::ConnId;
use crate::proto::Reject;
use std::sync::Arc;

/// What is missing.
#[derive(Debug)]
pub(super) struct Missing {
    pub kid: Box<str>,
    /// Of the key set.
    pub address: Box<str>,
}

impl Shard {
    /// A subscription that waits for the key of its token.
    pub(super) fn fetch_for_join(
        &mut self,
        id: ConnId,
        command: u32,
        Missing { kid, address }: Missing,
        join: Box<Join>,
    ) -> Result<(), Refused> {
        if self.joins.contains(id, &join.name) {
            // Behind an unsubscribe that waits: nothing overtakes it.
            return Err(Reject::TooManyRequests.into());
        }
        let kind = Kind::Subscribe { channel: Arc::clone(&join.name) };
        let request = self.open_request(Asker::Client { conn: id, command }, kind)?;
        self.joins.add(id, join);
        self.ask_control(request, Ask::Keys { kid, address });
        Ok(())
    }

    /// The key is here, or cannot be had.
    pub(super) fn keys_for_join(&mut self, id: ConnId, mut join: Box<Join>) {
        let token = std::mem::take(&mut join.token);
        match self.check_subscription(id, &join.name, &token, Occasion::Subscribe) {
            Ok(claims) => {
                join.wish.grant_token(claims);
                self.join(id, join);
            }
            Err(Refused::Reject(reject)) => self.join_failed(id, *join, reject),
            Err(Refused::Disconnect(why)) => self.disconnect(id, why),
        }
    }

    /// So that the key is there when the client tries again.
    pub(super) fn fetch_for_refresh(&mut self, id: ConnId, error: &TokenError) {
        let TokenError::UnknownKey { kid, address, is_current: false } = error else {
            return;
        };
        // Who has too many requests open is not worth a fetch.
        if let Ok(request) = self.open_request(Asker::Client { conn: id, command: 0 }, Kind::Keys) {
            self.ask_control(request, Ask::Keys { kid: kid.clone(), address: address.clone() });
        }
    }
}
