//! publish, broadcast, publish_event: what back ends say to channels.
//! Invariant: a broadcast answers for every channel, in the order of the request; one that fails stops no other.

use super::Api;
use super::data::Data;
use super::envelope::{Envelope, EnvelopeRequest};
use super::error::ApiError;
use super::request::{Text, or_zero, read, required};
use crate::limits::{API_BROADCAST_COUNT_MAX, API_PARALLEL_COUNT_MAX};
use crate::proto::Object;
use crate::publication::Tags;
use crate::shard::call::{Call, Outcome, Position, Publish};
use crate::sys::clock;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

#[derive(Deserialize)]
struct PublishRequest<'a> {
    #[serde(default, borrow)]
    channel: Text<'a>,
    /// Of a broadcast.
    #[serde(default, borrow, deserialize_with = "or_zero")]
    channels: Vec<Text<'a>>,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
    #[serde(default, borrow)]
    b64data: Text<'a>,
    #[serde(default, deserialize_with = "or_zero")]
    skip_history: bool,
    #[serde(default, borrow, deserialize_with = "or_zero")]
    tags: BTreeMap<Text<'a>, Text<'a>>,
    #[serde(default, borrow)]
    idempotency_key: Text<'a>,
    #[serde(default, deserialize_with = "or_zero")]
    delta: bool,
    #[serde(default, deserialize_with = "or_zero")]
    version: u64,
    #[serde(default, borrow)]
    version_epoch: Text<'a>,
}

impl PublishRequest<'_> {
    fn publish(&self) -> Result<Publish, ApiError> {
        let data = Data::read(self.data, &self.b64data)?.ok_or(ApiError::BadRequest("data is missing"))?;
        let tags: Tags =
            self.tags.iter().map(|(key, value)| (Box::from(&**key), Box::from(&**value))).collect();
        Ok(Publish {
            data: data.bytes,
            is_json: data.is_json,
            tags,
            skip_history: self.skip_history,
            delta: self.delta,
            idempotency_key: (!self.idempotency_key.is_empty()).then(|| Box::from(&*self.idempotency_key)),
            version: self.version,
            version_epoch: Box::from(&*self.version_epoch),
            ..Publish::default()
        })
    }
}

impl Api {
    pub(super) async fn publish(&self, params: &[u8], out: &mut Vec<u8>) -> Result<(), ApiError> {
        let request: PublishRequest = read(params)?;
        let channel = required(&request.channel)?;
        let position = self.order(channel, request.publish()?).await?;
        let mut object = Object::open(out);
        write_position(position.as_ref(), &mut object);
        object.close();
        Ok(())
    }

    pub(super) async fn publish_event(&self, params: &[u8], out: &mut Vec<u8>) -> Result<(), ApiError> {
        let request: EnvelopeRequest = read(params)?;
        let channel = required(&request.channel)?;
        let now_ms = u64::try_from(clock::wall().as_millis()).unwrap_or(u64::MAX);
        let envelope = Envelope::check(&request, now_ms)?;
        let publish = Publish {
            data: envelope.encode().into(),
            is_json: true,
            idempotency_key: Some(envelope.key()),
            ..Publish::default()
        };
        let position = self.order(channel, publish).await?;
        let mut object = Object::open(out);
        object.text_always("id", &envelope.id());
        write_position(position.as_ref(), &mut object);
        object.close();
        Ok(())
    }

    pub(super) async fn broadcast(&self, params: &[u8], out: &mut Vec<u8>) -> Result<(), ApiError> {
        let request: PublishRequest = read(params)?;
        if request.channels.is_empty() {
            return Err(ApiError::BadRequest("channels are missing"));
        }
        if request.channels.len() > API_BROADCAST_COUNT_MAX {
            return Err(ApiError::BadRequest("too many channels"));
        }
        let publish = request.publish()?;
        out.extend_from_slice(b"{\"responses\":[");
        let mut started = VecDeque::with_capacity(request.channels.len().min(API_PARALLEL_COUNT_MAX));
        let mut channels = request.channels.iter();
        let mut is_first = true;
        loop {
            while started.len() < API_PARALLEL_COUNT_MAX
                && let Some(channel) = channels.next()
            {
                let pending = required(channel).map(|channel| {
                    let call =
                        Call::Publish { channel: Arc::from(channel), publish: Box::new(publish.clone()) };
                    self.cores.start_owner(channel, call)
                });
                started.push_back(pending);
            }
            let Some(pending) = started.pop_front() else { break };
            if !is_first {
                out.push(b',');
            }
            is_first = false;
            let published = match pending {
                Ok(pending) => published(&self.cores.settle(pending).await),
                Err(error) => Err(error),
            };
            match published {
                Ok(position) => {
                    let mut object = Object::open(out);
                    object.object("result", |to| write_position(position.as_ref(), to));
                    object.close();
                }
                Err(error) => error.write_wrapped(out),
            }
        }
        out.extend_from_slice(b"]}");
        Ok(())
    }

    async fn order(&self, channel: &str, publish: Publish) -> Result<Option<Position>, ApiError> {
        let call = Call::Publish { channel: Arc::from(channel), publish: Box::new(publish) };
        published(&self.cores.ask_owner(channel, call).await)
    }
}

fn published(outcome: &Outcome) -> Result<Option<Position>, ApiError> {
    if let Outcome::Published { position } = outcome {
        Ok(position.clone())
    } else {
        Err(ApiError::of(outcome))
    }
}

fn write_position(position: Option<&Position>, to: &mut Object<'_>) {
    if let Some(position) = position {
        to.number("offset", position.offset);
        to.text("epoch", &position.epoch);
    }
}
