//! block_user, unblock_user, revoke_token, invalidate_user_tokens: who is kept out before a token ends by itself.
//!
//! Invariant: the cores know of it before whoever it hits is disconnected, so that nobody slips in again in between.
//! Kept by this node: on its disk if it has a store, else until it ends.

use super::Api;
use super::connections::DONE;
use super::error::ApiError;
use super::request::{Text, or_zero, read};
use crate::auth::{Auth, Change, Revocations, TokenName};
use crate::proto::Disconnect;
use crate::shard::call::{Call, Target};
use crate::sys::clock;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
struct RevokingRequest<'a> {
    #[serde(default, borrow)]
    user: Option<Text<'a>>,
    /// The claim `jti` of a token.
    #[serde(default, borrow)]
    uid: Text<'a>,
    /// A whole token, in place of its `jti`.
    #[serde(default, borrow)]
    token: Text<'a>,
    /// Of subscription tokens; none: tokens of every kind.
    #[serde(default, borrow)]
    channel: Text<'a>,
    /// Unix seconds; none: now.
    #[serde(default)]
    issued_before: Option<u64>,
    /// Unix seconds until which the act is remembered; 0: for ever.
    #[serde(default, deserialize_with = "or_zero")]
    expire_at: u64,
}

impl RevokingRequest<'_> {
    fn user(&self) -> Result<Box<str>, ApiError> {
        match self.user.as_deref() {
            None | Some("") => Err(ApiError::BadRequest("user is missing")),
            Some(user) => Ok(Box::from(user)),
        }
    }
}

impl Api {
    pub(super) async fn block_user(&self, params: &[u8], out: &mut Vec<u8>) -> Result<(), ApiError> {
        let request: RevokingRequest = read(params)?;
        let user = request.user()?;
        self.revoke(Change::BlockUser { user: user.clone(), until: request.expire_at }).await?;
        let target = Target { user: Some(user), ..Target::default() };
        self.everywhere(|| Call::Disconnect {
            target: target.clone(),
            spare: Vec::new(),
            code: Disconnect::PermissionDenied.code(),
            reason: Box::from(Disconnect::PermissionDenied.reason()),
        })
        .await?;
        out.extend_from_slice(DONE);
        Ok(())
    }

    pub(super) async fn unblock_user(&self, params: &[u8], out: &mut Vec<u8>) -> Result<(), ApiError> {
        let request: RevokingRequest = read(params)?;
        self.revoke(Change::UnblockUser { user: request.user()? }).await?;
        out.extend_from_slice(DONE);
        Ok(())
    }

    pub(super) async fn revoke_token(&self, params: &[u8], out: &mut Vec<u8>) -> Result<(), ApiError> {
        let request: RevokingRequest = read(params)?;
        let name = match (&*request.uid, &*request.token) {
            ("", "") => return Err(ApiError::BadRequest("uid is missing")),
            ("", token) => TokenName::of_token(token),
            (uid, _) => TokenName::of_jti(uid),
        };
        self.revoke(Change::RevokeToken { name, until: request.expire_at }).await?;
        out.extend_from_slice(DONE);
        Ok(())
    }

    pub(super) async fn invalidate_user_tokens(
        &self,
        params: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), ApiError> {
        let request: RevokingRequest = read(params)?;
        self.revoke(Change::RevokeUser {
            user: request.user()?,
            channel: (!request.channel.is_empty()).then(|| Box::from(&*request.channel)),
            before: request.issued_before.unwrap_or_else(|| clock::wall().as_secs()),
            until: request.expire_at,
        })
        .await?;
        out.extend_from_slice(DONE);
        Ok(())
    }

    /// For every core, from its next input on. With a store it is on the disk, too, before the caller hears that it is
    /// done: after an error it is in force, but another process may not know of it.
    async fn revoke(&self, change: Change) -> Result<(), ApiError> {
        let (mut done, mut receipt) = (Ok(()), None);
        self.live.change(|settings| {
            let mut revocations = Revocations::clone(&settings.auth.revocations);
            done = revocations.apply(change.clone(), clock::wall().as_secs());
            if done.is_ok() {
                receipt = self.ledger.as_ref().map(|ledger| ledger.keep(&change, &revocations));
            }
            settings.auth =
                Arc::new(Auth { revocations: Arc::new(revocations), ..Auth::clone(&settings.auth) });
        });
        done.map_err(|full| ApiError::Refused(full.to_string()))?;
        let is_kept = match receipt {
            Some(receipt) => receipt.wait().await,
            None => true,
        };
        if is_kept { Ok(()) } else { Err(ApiError::Internal) }
    }
}
