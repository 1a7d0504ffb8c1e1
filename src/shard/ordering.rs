//! What only the owner of a channel does: putting publications in order, keeping the stream, answering for it.
//!
//! Invariant: an answer leaves behind every earlier publication of its channel and before every later one, so whoever
//! is admitted by it misses nothing and gets nothing twice.

use super::Shard;
use super::call::{Failure, HistoryQuery, Publish};
use super::guarding::Underway;
use super::mail::{Bulletin, Mail, Query, Recover, Reply, RequestId, Source};
use crate::channels::{NameError, Policy};
use crate::history::{HistoryError, Keep, Range, Recovery, Stream};
use crate::hub::Place;
use crate::ids::{ChannelId, CoreId};
use crate::publication::Publication;
use std::sync::Arc;

impl Shard {
    /// Somebody asks for something that this core answers for.
    pub(super) fn answer_query(&mut self, from: CoreId, request: RequestId, name: &Arc<str>, query: Query) {
        let answer = match query {
            Query::Publish(publish) => self.put_in_order(name, *publish).map(Reply::Published),
            Query::Recover(recover) => self.recover(name, &recover),
            Query::History(query) => self.read_history(name, &query),
            Query::Position => self.stream_place(name).map(Reply::Position),
            Query::HistoryRemove => self.remove_history(name),
            Query::Cursor { user, set } => self.cursor(name, &user, set),
        };
        if matches!(answer, Ok(Reply::Recovered { .. })) {
            self.letters.close_gap(from, name);
        }
        self.reply_to(from, request, answer.unwrap_or_else(Reply::Failed));
    }

    pub(super) fn reply_to(&mut self, to: CoreId, request: RequestId, reply: Reply) {
        if to == self.options.core {
            self.replied(request, reply);
        } else {
            self.letters.tell(to, Mail::Reply { request, reply });
        }
    }

    /// This is the moment that decides the order.
    pub(super) fn put_in_order(
        &mut self,
        name: &Arc<str>,
        publish: Publish,
    ) -> Result<Option<Place>, Failure> {
        let policy = self.policy_of(name)?;
        let key = publish.idempotency_key.clone();
        if let Some(known) = key.as_deref().and_then(|key| self.results.find(name, key, self.now)) {
            return Ok(known);
        }
        if policy.publish_rate > 0 && !self.rates.admit(name, policy.publish_rate, self.now) {
            self.stats.limited_publications += 1;
            return Err(Failure::TooManyRequests);
        }
        self.stats.publications += 1;
        let (delta, exclude) = (publish.delta || policy.delta_publish, publish.exclude);
        let (publication, place) = if policy.has_history() && !publish.skip_history {
            match self.append(name, &policy, publish)? {
                Some((publication, place)) => (publication, Some(place)),
                // A newer version is known already: dropped, and that is a success.
                None => return self.stream_place(name).map(Some),
            }
        } else {
            (Arc::new(numbered(publish, 0, self.unix_ms())), None)
        };
        if let Some(key) = key {
            self.results.keep(name, &key, place.clone(), self.now);
        }
        if let Some(channel) = self.hub.find(name) {
            let epoch = place.as_ref().map(|place| Arc::clone(&place.epoch));
            self.spread(channel, &Bulletin { publication, epoch, delta, exclude });
        }
        Ok(place)
    }

    fn append(
        &mut self,
        name: &Arc<str>,
        policy: &Arc<Policy>,
        publish: Publish,
    ) -> Result<Option<(Arc<Publication>, Place)>, Failure> {
        let channel = self.open_stream(name, policy);
        self.wreckage.underway.push(Underway::Stream(channel));
        let appended = self.append_to(channel, publish);
        self.wreckage.underway.pop();
        appended
    }

    fn append_to(
        &mut self,
        channel: ChannelId,
        publish: Publish,
    ) -> Result<Option<(Arc<Publication>, Place)>, Failure> {
        let (now, time_ms) = (self.now, self.unix_ms());
        let stream = self.hub.channel_mut(channel).and_then(|channel| channel.stream_mut());
        let stream = stream.ok_or(Failure::Internal)?;
        if publish.version > 0 && !stream.is_newer(publish.version, &publish.version_epoch) {
            return Ok(None);
        }
        let (version, version_epoch) = (publish.version, publish.version_epoch.clone());
        let publication = Arc::new(numbered(publish, stream.top() + 1, time_ms));
        stream.append(Arc::clone(&publication), now);
        stream.set_version(version, version_epoch);
        let place = Place { epoch: Arc::clone(stream.epoch()), offset: publication.offset };
        Ok(Some((publication, place)))
    }

    fn recover(&mut self, name: &Arc<str>, recover: &Recover) -> Result<Reply, Failure> {
        let place = self.stream_place(name)?;
        let (now, count_max) = (self.now, self.settings.limits.recovery_max as usize);
        let stream = self.hub.find(name).and_then(|channel| self.hub.channel(channel)?.stream());
        let stream = stream.ok_or(Failure::NotAvailable)?;
        let (offset, epoch) =
            recover.since.as_ref().map_or((0, ""), |position| (position.offset, &*position.epoch));
        let recovery = match recover.from {
            Source::Nothing => Recovery::Recovered(Vec::new()),
            Source::Stream => stream.recover(offset, epoch, count_max, now),
            Source::Cache => stream.recover_latest(offset, epoch, now),
        };
        let publications = match recovery {
            Recovery::Recovered(publications) => Some(publications),
            Recovery::Lost => None,
        };
        Ok(Reply::Recovered { place, publications })
    }

    fn read_history(&mut self, name: &Arc<str>, query: &HistoryQuery) -> Result<Reply, Failure> {
        let place = self.stream_place(name)?;
        let stream = self.hub.find(name).and_then(|channel| self.hub.channel(channel)?.stream());
        let stream = stream.ok_or(Failure::NotAvailable)?;
        let since = query.since.as_ref().map(|position| (position.offset, &*position.epoch));
        let count_max = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let range = Range { count_max, since, reverse: query.reverse };
        match stream.read(&range, self.now) {
            Ok(publications) => Ok(Reply::History { publications, place }),
            Err(HistoryError::Unrecoverable) => Err(Failure::Unrecoverable),
            Err(HistoryError::BadRange | HistoryError::TooManyCursors) => Err(Failure::BadRequest),
        }
    }

    fn remove_history(&mut self, name: &Arc<str>) -> Result<Reply, Failure> {
        self.stream_place(name)?;
        let channel = self.hub.find(name).ok_or(Failure::Internal)?;
        if let Some(stream) = self.hub.channel_mut(channel).and_then(|channel| channel.stream_mut()) {
            stream.remove();
        }
        Ok(Reply::Done)
    }

    fn cursor(&mut self, name: &Arc<str>, user: &str, set: Option<u64>) -> Result<Reply, Failure> {
        let place = self.stream_place(name)?;
        let channel = self.hub.find(name).ok_or(Failure::Internal)?;
        let stream = self.hub.channel_mut(channel).and_then(|channel| channel.stream_mut());
        let stream = stream.ok_or(Failure::NotAvailable)?;
        let acknowledged = match set {
            Some(offset) => stream.acknowledge(user, offset).map_err(|_| Failure::TooManyRequests)?,
            None => stream.cursor(user),
        };
        Ok(Reply::Cursor { place, acknowledged })
    }

    /// Where the stream stands; one that is not there begins now.
    pub(super) fn stream_place(&mut self, name: &Arc<str>) -> Result<Place, Failure> {
        let policy = self.policy_of(name)?;
        if !policy.has_history() {
            return Err(Failure::NotAvailable);
        }
        let channel = self.open_stream(name, &policy);
        let stream = self.hub.channel(channel).and_then(|channel| channel.stream());
        stream.map(place_of).ok_or(Failure::Internal)
    }

    fn open_stream(&mut self, name: &Arc<str>, policy: &Arc<Policy>) -> ChannelId {
        let id = self.hub.open(name, policy);
        let keep = keep(policy);
        let Some(channel) = self.hub.channel_mut(id) else {
            return id;
        };
        if !Arc::ptr_eq(&channel.policy, policy) {
            channel.policy = Arc::clone(policy);
        }
        if let Some(stream) = channel.stream_mut() {
            stream.set_keep(keep);
        } else {
            let stream = Stream::new(self.random.epoch(), keep, self.now);
            channel.set_stream(stream);
            self.watch_stream(id);
        }
        id
    }

    /// Of a channel that the API, a hook or another core names.
    pub(super) fn policy_of(&self, name: &str) -> Result<Arc<Policy>, Failure> {
        match self.settings.namespaces.resolve_trusted(name) {
            Ok(resolved) => Ok(Arc::clone(resolved.policy)),
            Err(NameError::Unknown) => Err(Failure::UnknownChannel),
            Err(NameError::Empty | NameError::TooLong | NameError::Malformed) => Err(Failure::BadRequest),
        }
    }
}

pub(super) fn place_of(stream: &Stream) -> Place {
    Place { epoch: Arc::clone(stream.epoch()), offset: stream.top() }
}

pub(super) fn keep(policy: &Policy) -> Keep {
    // A position that is forgotten before its publications would make them another stream.
    let meta_ttl = policy.history_meta_ttl.max(policy.history_ttl);
    Keep { count_max: policy.history_size, ttl: policy.history_ttl, meta_ttl }
}

pub(super) fn numbered(publish: Publish, offset: u64, time_ms: i64) -> Publication {
    let Publish { data, is_json, publisher, tags, .. } = publish;
    Publication { offset, data, is_json, info: publisher, tags, time_ms }
}
