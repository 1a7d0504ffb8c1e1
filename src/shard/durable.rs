//! Channels whose history is kept on disk: loaded before anything is answered, stored before anything is acknowledged.
//!
//! Invariant: nobody sees a publication that is not stored. Orders of a channel come back in their order, so its offsets
//! have no hole; when one fails, those behind it fail too, and the stream goes on from the last one that is stored.
//! While a channel is being loaded, whatever is asked of its owner waits here, in order.

use super::call::{Failure, Publish};
use super::concerns::Concern;
use super::mail::{Bulletin, Mail, Query, Reply, RequestId};
use super::ordering::{keep, numbered, place_of};
use super::{Output, Shard};
use crate::failpoint::Point;
use crate::history::Stream;
use crate::hub::Place;
use crate::ids::CoreId;
use crate::publication::Publication;
use crate::stats::Work;
use crate::store::{ChannelState, Fate, Idempotency, Keep, Order, Ticket, Version};
use crate::time::Moment;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Vault {
    next: u64,
    loading: HashMap<Arc<str>, Vec<Held>>,
    orders: HashMap<u64, Pending>,
    /// Publications of a channel that are being stored.
    in_flight: HashMap<Arc<str>, u64>,
    /// The order that stores the publication with this key.
    keys: HashMap<(Arc<str>, Box<str>), u64>,
}

/// What waits until a channel is loaded.
#[derive(Debug)]
enum Held {
    Query { from: CoreId, request: RequestId, query: Query },
    Link { from: CoreId, request: RequestId },
}

impl Held {
    /// Each is a letter by itself.
    fn concern(&self, name: &Arc<str>) -> Concern {
        match *self {
            Self::Query { from, request, .. } => Concern::Question { from, request },
            Self::Link { from, request } => Concern::Link { from, request, channel: Arc::clone(name) },
        }
    }
}

/// What an order was for.
#[derive(Debug)]
enum Pending {
    Load { name: Arc<str> },
    Append(Box<Append>),
    Remove { name: Arc<str>, from: CoreId, request: RequestId },
    Cursor { name: Arc<str>, user: Box<str>, offset: u64, from: CoreId, request: RequestId },
}

#[derive(Debug)]
struct Append {
    name: Arc<str>,
    publication: Arc<Publication>,
    version: Version,
    key: Option<Box<str>>,
    delta: bool,
    exclude: Option<crate::ids::ClientId>,
    /// Who is told. Repetitions with the same key wait for the first.
    askers: Askers,
}

pub(super) type Askers = Vec<(CoreId, RequestId)>;

impl Vault {
    pub(super) fn count(&self) -> usize {
        self.loading.len() + self.orders.len() + self.in_flight.len() + self.keys.len()
    }
}

impl Shard {
    /// Whether the stream of this channel, which this core owns, still has to come from the disk.
    pub(super) fn is_loading(&self, name: &str) -> bool {
        let is_durable = self.policy_of(name).is_ok_and(|policy| policy.durable && policy.has_history());
        let has_stream = || self.hub.find(name).and_then(|id| self.hub.channel(id)?.stream()).is_some();
        is_durable && self.hub.owns(name) && !has_stream()
    }

    pub(super) fn is_durable(&self, name: &str) -> bool {
        self.policy_of(name).is_ok_and(|policy| policy.durable && policy.has_history())
    }

    /// A query for a channel that this core owns.
    pub(super) fn take_query(&mut self, from: CoreId, request: RequestId, name: &Arc<str>, query: Query) {
        if self.is_loading(name) {
            return self.hold(name, Held::Query { from, request, query });
        }
        if !self.is_durable(name) {
            return self.answer_query(from, request, name, query);
        }
        match query {
            Query::Publish(publish) if !publish.skip_history => self.store(from, request, name, *publish),
            Query::HistoryRemove => {
                let (channel, name) = (Arc::clone(name), Arc::clone(name));
                self.order(Pending::Remove { name, from, request }, |ticket| Order::Remove {
                    ticket,
                    channel,
                });
            }
            Query::Cursor { user, set: Some(offset) } => {
                let (channel, name, owner) = (Arc::clone(name), Arc::clone(name), user.clone());
                let pending = Pending::Cursor { name, user: owner, offset, from, request };
                self.order(pending, |ticket| Order::Cursor { ticket, channel, user, offset });
            }
            Query::Publish(_)
            | Query::Recover(_)
            | Query::History(_)
            | Query::Position
            | Query::Cursor { set: None, .. } => self.answer_query(from, request, name, query),
        }
    }

    pub(super) fn take_link(&mut self, from: CoreId, request: RequestId, name: &Arc<str>) {
        if self.is_loading(name) {
            self.hold(name, Held::Link { from, request });
        } else {
            self.link(from, request, name);
        }
    }

    fn hold(&mut self, name: &Arc<str>, held: Held) {
        if let Some(waiting) = self.vault.loading.get_mut(name) {
            return waiting.push(held);
        }
        let limit = self.policy_of(name).map_or(0, |policy| policy.history_size);
        let channel = Arc::clone(name);
        // With the order or not at all: whoever comes next counts on it.
        self.vault.loading.insert(Arc::clone(name), vec![held]);
        self.order(Pending::Load { name: Arc::clone(name) }, |ticket| Order::Load { ticket, channel, limit });
    }

    fn order(&mut self, pending: Pending, make: impl FnOnce(Ticket) -> Order) {
        self.vault.next += 1;
        let number = self.vault.next;
        self.vault.orders.insert(number, pending);
        self.outputs.push(Output::Order(make(Ticket { core: self.options.core, request: number })));
    }

    fn store(&mut self, from: CoreId, request: RequestId, name: &Arc<str>, publish: Publish) {
        let Ok(policy) = self.policy_of(name) else {
            return self.reply_to(from, request, Reply::Failed(Failure::UnknownChannel));
        };
        if let Some(key) = &publish.idempotency_key {
            if let Some(known) = self.results.find(name, key, self.now) {
                return self.reply_to(from, request, Reply::Published(known));
            }
            let first = self.vault.keys.get(&(Arc::clone(name), key.clone()));
            if let Some(Pending::Append(first)) = first.and_then(|first| self.vault.orders.get_mut(first)) {
                return first.askers.push((from, request));
            }
        }
        if policy.publish_rate > 0 && !self.rates.admit(name, policy.publish_rate, self.now) {
            self.stats.limited_publications += 1;
            return self.reply_to(from, request, Reply::Failed(Failure::TooManyRequests));
        }
        let time_ms = self.unix_ms();
        let stream = self.hub.find(name).and_then(|id| self.hub.channel(id)?.stream());
        let Some(stream) = stream else {
            return self.reply_to(from, request, Reply::Failed(Failure::Internal));
        };
        if publish.version > 0 && !stream.is_newer(publish.version, &publish.version_epoch) {
            let place = place_of(stream);
            return self.reply_to(from, request, Reply::Published(Some(place)));
        }
        let (epoch, top) = (Arc::clone(stream.epoch()), stream.top());
        let in_flight = self.vault.in_flight.get(name).copied().unwrap_or_default() + 1;
        let offset = top + in_flight;
        let version = Version { version: publish.version, epoch: publish.version_epoch.clone() };
        let (key, exclude) = (publish.idempotency_key.clone(), publish.exclude);
        let delta = publish.delta || policy.delta_publish;
        let publication = Arc::new(numbered(publish, offset, time_ms));
        let stored = Order::Append {
            ticket: Ticket { core: self.options.core, request: 0 },
            channel: Arc::clone(name),
            epoch,
            publication: Arc::clone(&publication),
            keep: Keep {
                size: policy.history_size,
                ttl_ms: policy.history_ttl.as_millis() as u64,
                meta_ttl_ms: policy.history_meta_ttl.as_millis() as u64,
            },
            idempotency: key.as_ref().map(|key| Idempotency {
                key: key.clone(),
                until_ms: time_ms as u64 + super::results::life_ms(key),
            }),
            version: (version.version > 0).then(|| Box::new(version.clone())),
        };
        let (name, askers) = (Arc::clone(name), vec![(from, request)]);
        // What counts the order comes with it: half of that would put a wrong number on the next one.
        if let Some(key) = &key {
            self.vault.keys.insert((Arc::clone(&name), key.clone()), self.vault.next + 1);
        }
        self.vault.in_flight.insert(Arc::clone(&name), in_flight);
        let append = Append { name, publication, version, key, delta, exclude, askers };
        self.order(Pending::Append(Box::new(append)), |ticket| ticketed(stored, ticket));
    }

    /// The store has done what it was told, or not.
    pub(super) fn fated(&mut self, fate: Fate) {
        let Some(pending) = self.vault.orders.remove(&fate.ticket().request) else {
            return;
        };
        let is_done = match &fate {
            Fate::Done { .. } | Fate::Loaded { .. } => true,
            Fate::Failed { .. } => {
                self.stats.store_failures += 1;
                false
            }
        };
        match pending {
            Pending::Load { name } => match fate {
                Fate::Loaded { state, .. } => self.loaded(&name, state.map(|state| *state)),
                Fate::Done { .. } | Fate::Failed { .. } => self.load_failed(&name),
            },
            Pending::Append(append) => self.appended(*append, is_done),
            Pending::Remove { name, from, request } => {
                let query = Query::HistoryRemove;
                self.done(is_done, from, request, &name, query);
            }
            Pending::Cursor { name, user, offset, from, request } => {
                self.done(is_done, from, request, &name, Query::Cursor { user, set: Some(offset) });
            }
        }
    }

    /// Who waits for this word of the store, and the channel that it is about.
    pub(super) fn waiting_for(&self, fate: &Fate) -> Option<(Arc<str>, Askers)> {
        match self.vault.orders.get(&fate.ticket().request)? {
            Pending::Load { name } => Some((Arc::clone(name), Vec::new())),
            Pending::Append(append) => Some((Arc::clone(&append.name), append.askers.clone())),
            Pending::Remove { name, from, request } | Pending::Cursor { name, from, request, .. } => {
                Some((Arc::clone(name), vec![(*from, *request)]))
            }
        }
    }

    /// What is on disk now holds in memory as well.
    fn done(&mut self, is_done: bool, from: CoreId, request: RequestId, name: &Arc<str>, query: Query) {
        if is_done {
            self.answer_query(from, request, name, query);
        } else {
            self.reply_to(from, request, Reply::Failed(Failure::Internal));
        }
    }

    fn appended(&mut self, append: Append, is_done: bool) {
        let Append { name, publication, version, key, delta, exclude, askers } = append;
        if let Some(in_flight) = self.vault.in_flight.get_mut(&name) {
            *in_flight = in_flight.saturating_sub(1);
            if *in_flight == 0 {
                self.vault.in_flight.remove(&name);
            }
        }
        if let Some(key) = &key {
            self.vault.keys.remove(&(Arc::clone(&name), key.clone()));
        }
        let place = if is_done { self.keep_stored(&name, &publication, version) } else { None };
        for &(from, request) in &askers {
            let reply = match &place {
                Some(place) => Reply::Published(Some(place.clone())),
                None => Reply::Failed(Failure::Internal),
            };
            self.reply_to(from, request, reply);
        }
        if is_done && place.is_none() {
            self.reload(&name);
        }
        let (Some(place), Some(channel)) = (place, self.hub.find(&name)) else {
            return;
        };
        if let Some(key) = key {
            self.results.keep(&name, &key, Some(place.clone()), self.now);
        }
        self.stats.publications += 1;
        self.spread(channel, &Bulletin { publication, epoch: Some(place.epoch), delta, exclude });
    }

    /// What lies on the disk does not follow on what this core knows: the first publication of a stream failed and the
    /// second one began it. Nothing that this core numbers would fit, so it loads the channel anew, and everybody there
    /// begins anew with it.
    fn reload(&mut self, name: &Arc<str>) {
        let Some(id) = self.hub.find(name) else {
            return;
        };
        if let Some(channel) = self.hub.channel_mut(id) {
            channel.drop_stream();
        }
        self.forfeit(id);
        if let Some(id) = self.hub.find(name) {
            self.hub.remove_if_deserted(id);
        }
    }

    fn keep_stored(
        &mut self,
        name: &Arc<str>,
        publication: &Arc<Publication>,
        version: Version,
    ) -> Option<Place> {
        let now = self.now;
        let stream = self.hub.find(name).and_then(|id| self.hub.channel_mut(id)?.stream_mut())?;
        if !stream.append(Arc::clone(publication), now) {
            return None;
        }
        stream.set_version(version.version, version.epoch);
        Some(place_of(stream))
    }

    fn loaded(&mut self, name: &Arc<str>, state: Option<ChannelState>) {
        let Ok(policy) = self.policy_of(name) else {
            return self.load_failed(name);
        };
        let (now, unix_ms) = (self.now, self.unix_ms());
        let stream = match state {
            None => Stream::new(self.random.epoch(), keep(&policy), now),
            Some(state) => {
                let due = |publication: &Publication| -> Moment {
                    let age_ms = unix_ms.saturating_sub(publication.time_ms).max(0) as u64;
                    now + policy.history_ttl.saturating_sub(Duration::from_millis(age_ms))
                };
                for known in &state.idempotency {
                    let place = Place { epoch: Arc::clone(&state.epoch), offset: known.offset };
                    self.results.keep(name, &known.key, Some(place), now);
                }
                let kept = state.publications.into_iter().map(|publication| (due(&publication), publication));
                let mut stream = Stream::restored(state.epoch, state.top, kept, keep(&policy), now);
                stream.set_version(state.version.version, state.version.epoch);
                for (user, offset) in state.cursors {
                    let _ = stream.acknowledge(&user, offset);
                }
                stream
            }
        };
        let id = self.hub.open(name, &policy);
        if let Some(channel) = self.hub.channel_mut(id) {
            channel.set_stream(stream);
        }
        self.watch_stream(id);
        for held in self.vault.loading.remove(name).unwrap_or_default() {
            let concern = held.concern(name);
            let is_done = self.attempt(Work::Letter, |shard| {
                shard.options.fail.hit(Point::Letter, name);
                match held {
                    Held::Query { from, request, query } => shard.take_query(from, request, name, query),
                    Held::Link { from, request } => shard.take_link(from, request, name),
                }
            });
            if !is_done {
                self.failed(concern);
            }
        }
    }

    pub(super) fn load_failed(&mut self, name: &Arc<str>) {
        for held in self.vault.loading.remove(name).unwrap_or_default() {
            match held {
                Held::Query { from, request, .. } => {
                    self.reply_to(from, request, Reply::Failed(Failure::Internal));
                }
                // A core asks once and would wait for ever, and everybody there with it.
                Held::Link { from, request } => {
                    self.letters.tell(from, Mail::Unlinkable { request, channel: Arc::clone(name) });
                }
            }
        }
    }
}

/// The same order under the ticket that it gets.
fn ticketed(order: Order, ticket: Ticket) -> Order {
    match order {
        Order::Append { channel, epoch, publication, keep, idempotency, version, .. } => {
            Order::Append { ticket, channel, epoch, publication, keep, idempotency, version }
        }
        Order::Load { .. }
        | Order::Remove { .. }
        | Order::Cursor { .. }
        | Order::Note { .. }
        | Order::Expire { .. } => order,
    }
}
