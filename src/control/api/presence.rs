//! presence, presence_stats, channels: who is where.
//! Invariant: an answer is the sum over all cores, or an error.

use super::Api;
use super::data::write_opaque;
use super::error::ApiError;
use super::request::{Text, read, required};
use crate::proto::Object;
use crate::publication::Person;
use crate::shard::call::{Call, Outcome};
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

#[derive(Deserialize)]
struct ChannelRequest<'a> {
    #[serde(default, borrow)]
    channel: Text<'a>,
}

#[derive(Deserialize)]
struct ChannelsRequest<'a> {
    #[serde(default, borrow)]
    pattern: Text<'a>,
}

impl Api {
    pub(super) async fn presence(&self, params: &[u8], out: &mut Vec<u8>) -> Result<(), ApiError> {
        let request: ChannelRequest = read(params)?;
        let channel: Arc<str> = Arc::from(required(&request.channel)?);
        let mut found = Vec::new();
        for outcome in self.cores.ask_all(|| Call::Presence { channel: Arc::clone(&channel) }).await {
            let Outcome::People(mut people) = outcome else { return Err(ApiError::of(&outcome)) };
            found.append(&mut people);
        }
        let mut object = Object::open(out);
        object.object("presence", |to| {
            for person in &found {
                to.entry(&person.client.to_string(), |to| write_person(person, to));
            }
        });
        object.close();
        Ok(())
    }

    pub(super) async fn presence_stats(&self, params: &[u8], out: &mut Vec<u8>) -> Result<(), ApiError> {
        let request: ChannelRequest = read(params)?;
        let channel: Arc<str> = Arc::from(required(&request.channel)?);
        let (mut client_count, mut distinct) = (0_u64, HashSet::new());
        for outcome in self.cores.ask_all(|| Call::PresenceStats { channel: Arc::clone(&channel) }).await {
            let Outcome::Tally { clients, users } = outcome else { return Err(ApiError::of(&outcome)) };
            client_count += u64::from(clients);
            distinct.extend(users);
        }
        let mut object = Object::open(out);
        object.number_always("num_clients", client_count);
        object.number_always("num_users", distinct.len() as u64);
        object.close();
        Ok(())
    }

    pub(super) async fn channels(&self, params: &[u8], out: &mut Vec<u8>) -> Result<(), ApiError> {
        let request: ChannelsRequest = read(params)?;
        let pattern: Option<Box<str>> = (!request.pattern.is_empty()).then(|| Box::from(&*request.pattern));
        let mut found: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        for outcome in self.cores.ask_all(|| Call::Channels { pattern: pattern.clone() }).await {
            let Outcome::Channels(channels) = outcome else { return Err(ApiError::of(&outcome)) };
            for (channel, count) in channels {
                *found.entry(channel).or_default() += u64::from(count);
            }
        }
        let mut object = Object::open(out);
        object.object("channels", |to| {
            for (channel, &count) in &found {
                to.entry(channel, |to| to.number("num_clients", count));
            }
        });
        object.close();
        Ok(())
    }
}

/// A client as back ends see it.
pub(super) fn write_person(person: &Person, to: &mut Object<'_>) {
    to.text_always("user", &person.user);
    to.text_always("client", &person.client.to_string());
    if let Some(info) = &person.conn_info {
        write_opaque(["conn_info", "b64conn_info"], info, to);
    }
    if let Some(info) = &person.chan_info {
        write_opaque(["chan_info", "b64chan_info"], info, to);
    }
}
