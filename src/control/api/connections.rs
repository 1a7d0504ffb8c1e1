//! subscribe, unsubscribe, disconnect, refresh, connections: what back ends do with the connections of a user.
//! Invariant: every core is asked, and one that does not answer makes the whole call an error. Whoever is not connected is
//! nobody's fault: the call is done.

use super::Api;
use super::data::Data;
use super::error::ApiError;
use super::request::{PositionRequest, Text, or_zero, read, required, target};
use crate::ids::ClientId;
use crate::limits::CLOSE_REASON_BYTES_MAX;
use crate::proto::{Disconnect, Object, Unsubscribed};
use crate::shard::call::{Call, Outcome, Overrides, Refresh, Subscribe};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;

#[derive(Deserialize)]
struct SubscribeRequest<'a> {
    #[serde(default, borrow)]
    user: Text<'a>,
    #[serde(default, borrow)]
    channel: Text<'a>,
    #[serde(default, borrow)]
    client: Text<'a>,
    #[serde(default, borrow)]
    session: Text<'a>,
    #[serde(default, borrow)]
    info: Option<&'a RawValue>,
    #[serde(default, borrow)]
    b64info: Text<'a>,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
    #[serde(default, borrow)]
    b64data: Text<'a>,
    #[serde(default, deserialize_with = "or_zero")]
    expire_at: u64,
    #[serde(default, borrow)]
    recover_since: Option<PositionRequest<'a>>,
    #[serde(default, rename = "override", deserialize_with = "or_zero")]
    overrides: OverridesRequest,
}

/// Each `{"value":true}`, so that absent differs from false.
#[derive(Default, Deserialize)]
struct OverridesRequest {
    #[serde(default)]
    presence: Option<Choice>,
    #[serde(default)]
    join_leave: Option<Choice>,
    #[serde(default)]
    force_push_join_leave: Option<Choice>,
    #[serde(default)]
    force_recovery: Option<Choice>,
    #[serde(default)]
    force_positioning: Option<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    value: bool,
}

#[derive(Deserialize)]
struct ConnectionRequest<'a> {
    #[serde(default, borrow)]
    user: Text<'a>,
    #[serde(default, borrow)]
    client: Text<'a>,
    #[serde(default, borrow)]
    session: Text<'a>,
    /// Of unsubscribe; empty: all.
    #[serde(default, borrow)]
    channel: Text<'a>,
    /// Of disconnect.
    #[serde(default, borrow, deserialize_with = "or_zero")]
    whitelist: Vec<Text<'a>>,
    #[serde(default, borrow)]
    disconnect: Option<DisconnectRequest<'a>>,
    /// Of refresh.
    #[serde(default, deserialize_with = "or_zero")]
    expired: bool,
    #[serde(default, deserialize_with = "or_zero")]
    expire_at: u64,
    #[serde(default, borrow)]
    info: Option<&'a RawValue>,
    #[serde(default, borrow)]
    b64info: Text<'a>,
}

#[derive(Deserialize)]
struct DisconnectRequest<'a> {
    #[serde(default, deserialize_with = "or_zero")]
    code: u16,
    #[serde(default, borrow)]
    reason: Text<'a>,
}

impl DisconnectRequest<'_> {
    fn words(&self) -> Result<(u16, Box<str>), ApiError> {
        if self.code == 0 && self.reason.is_empty() {
            return Ok((Disconnect::Force.code(), Box::from(Disconnect::Force.reason())));
        }
        if !CODES.contains(&self.code) {
            return Err(ApiError::BadRequest("the code of a disconnect is from 3000 to 4999"));
        }
        if self.reason.len() > CLOSE_REASON_BYTES_MAX {
            return Err(ApiError::BadRequest("the reason of a disconnect is longer than 123 bytes"));
        }
        let known = || Disconnect::ALL.iter().find(|known| known.code() == self.code);
        let reason = match &*self.reason {
            // Client libraries take a terminal code without a reason for a lost connection, and come back.
            "" => known().unwrap_or(&Disconnect::Force).reason(),
            reason => reason,
        };
        Ok((self.code, Box::from(reason)))
    }
}

impl Api {
    pub(super) async fn subscribe(&self, params: &[u8], out: &mut Vec<u8>) -> Result<(), ApiError> {
        let request: SubscribeRequest = read(params)?;
        let channel = required(&request.channel)?;
        let choice = |choice: &Option<Choice>| choice.as_ref().map(|choice| choice.value);
        let overrides = &request.overrides;
        let subscribe = Arc::new(Subscribe {
            channel: Arc::from(channel),
            expire_at: request.expire_at,
            info: Data::shared(request.info, &request.b64info)?,
            data: Data::shared(request.data, &request.b64data)?,
            recover_since: request.recover_since.as_ref().map(PositionRequest::position),
            overrides: Overrides {
                presence: choice(&overrides.presence),
                join_leave: choice(&overrides.join_leave),
                force_push_join_leave: choice(&overrides.force_push_join_leave),
                force_recovery: choice(&overrides.force_recovery),
                force_positioning: choice(&overrides.force_positioning),
            },
        });
        if let Some(target) = target(&request.user, &request.client, &request.session) {
            let make = || Call::Subscribe { target: target.clone(), subscribe: Arc::clone(&subscribe) };
            self.everywhere(make).await?;
        }
        out.extend_from_slice(DONE);
        Ok(())
    }

    pub(super) async fn unsubscribe(&self, params: &[u8], out: &mut Vec<u8>) -> Result<(), ApiError> {
        let request: ConnectionRequest = read(params)?;
        let channel: Option<Arc<str>> = (!request.channel.is_empty()).then(|| Arc::from(&*request.channel));
        if let Some(target) = target(&request.user, &request.client, &request.session) {
            self.everywhere(|| Call::Unsubscribe {
                target: target.clone(),
                channel: channel.clone(),
                code: Unsubscribed::Server.code(),
                reason: Box::from(Unsubscribed::Server.reason()),
            })
            .await?;
        }
        out.extend_from_slice(DONE);
        Ok(())
    }

    pub(super) async fn disconnect(&self, params: &[u8], out: &mut Vec<u8>) -> Result<(), ApiError> {
        let request: ConnectionRequest = read(params)?;
        let nothing = DisconnectRequest { code: 0, reason: Text::default() };
        let (code, reason) = request.disconnect.as_ref().unwrap_or(&nothing).words()?;
        // An id that is none spares nobody.
        let spare: Vec<ClientId> = request.whitelist.iter().filter_map(|id| ClientId::parse(id)).collect();
        if let Some(target) = target(&request.user, &request.client, &request.session) {
            self.everywhere(|| Call::Disconnect {
                target: target.clone(),
                spare: spare.clone(),
                code,
                reason: reason.clone(),
            })
            .await?;
        }
        out.extend_from_slice(DONE);
        Ok(())
    }

    pub(super) async fn refresh(&self, params: &[u8], out: &mut Vec<u8>) -> Result<(), ApiError> {
        let request: ConnectionRequest = read(params)?;
        let refresh = Refresh {
            expired: request.expired,
            expire_at: request.expire_at,
            info: Data::shared(request.info, &request.b64info)?,
        };
        if let Some(target) = target(&request.user, &request.client, &request.session) {
            self.everywhere(|| Call::Refresh { target: target.clone(), refresh: refresh.clone() }).await?;
        }
        out.extend_from_slice(DONE);
        Ok(())
    }

    pub(super) async fn connections(&self, params: &[u8], out: &mut Vec<u8>) -> Result<(), ApiError> {
        let request: ConnectionRequest = read(params)?;
        let mut found = Vec::new();
        if let Some(target) = target(&request.user, &request.client, &request.session) {
            for outcome in self.cores.ask_all(|| Call::Connections { target: target.clone() }).await {
                let Outcome::Connections(mut connections) = outcome else {
                    return Err(ApiError::of(&outcome));
                };
                found.append(&mut connections);
            }
        }
        let mut object = Object::open(out);
        object.object("connections", |to| {
            for connection in &found {
                to.entry(&connection.client.to_string(), |to| {
                    to.text("user", &connection.user);
                    to.text("app_name", &connection.app_name);
                    to.text("app_version", &connection.app_version);
                    to.text("transport", connection.transport);
                    to.text("protocol", connection.protocol);
                    to.texts("channels", connection.channels.iter().map(|channel| &**channel));
                });
            }
        });
        object.close();
        Ok(())
    }

    /// Done once every core says so.
    pub(super) async fn everywhere(&self, make: impl FnMut() -> Call) -> Result<(), ApiError> {
        for outcome in self.cores.ask_all(make).await {
            if !matches!(outcome, Outcome::Done { .. }) {
                return Err(ApiError::of(&outcome));
            }
        }
        Ok(())
    }
}

/// All that a caller learns.
pub(super) const DONE: &[u8] = b"{}";

/// Codes that a close frame of ours may carry: the protocol's own, and those of applications.
const CODES: std::ops::RangeInclusive<u16> = 3000..=4999;

#[cfg(test)]
mod tests {
    use super::*;

    fn words(code: u16, reason: &str) -> Result<(u16, String), ApiError> {
        let request = DisconnectRequest { code, reason: Text(reason.into()) };
        request.words().map(|(code, reason)| (code, reason.into()))
    }

    #[test]
    fn a_disconnect_always_has_a_code_and_a_reason() {
        assert_eq!(words(0, ""), Ok((3503, String::from("force disconnect"))));
        assert_eq!(words(3011, ""), Ok((3011, String::from("force reconnect"))));
        assert_eq!(words(4500, ""), Ok((4500, String::from("force disconnect"))));
        assert_eq!(words(4001, "later"), Ok((4001, String::from("later"))));
    }

    #[test]
    fn codes_outside_of_the_ranges_and_long_reasons_are_refused() {
        for code in [0, 1000, 2999, 5000] {
            assert!(words(code, "x").is_err(), "{code}");
        }
        assert!(words(4000, &"x".repeat(CLOSE_REASON_BYTES_MAX)).is_ok());
        assert!(words(4000, &"x".repeat(CLOSE_REASON_BYTES_MAX + 1)).is_err());
    }
}
