//! A publication from a client's command to every subscriber of every core.
//!
//! Invariant: only the owner core of a channel orders its publications; it delivers to its own subscribers and mails
//! the framed bytes to the cores that are linked, in that same order. The bytes are framed once.

use super::Shard;
use super::commands::Refused;
use super::mail::{Mail, Person, Publish as Letter};
use super::requests::{Kind, Request};
use crate::conn::outbox::Nodes;
use crate::hub::{Member, Seat, Sink};
use crate::ids::{ChannelId, ConnId, CoreId};
use crate::limits::ENGINE_MS_MAX;
use crate::payload::{Parcel, Payload};
use crate::proto::command::Publish;
use crate::proto::reply::{ClientInfo, Publication};
use crate::proto::{Codec, Disconnect, Push, Raw, Reject, Reply};
use crate::shard::conns::Conns;
use crate::shard::mail::RequestId;
use crate::ws::{self, Opcode};
use std::sync::Arc;
use std::time::Duration;

impl Shard {
    pub(super) fn publish(&mut self, id: ConnId, command: u32, request: &Publish<'_>) -> Result<(), Refused> {
        let publisher = self.may_publish(id, request)?;
        let name = &*request.channel;
        let owner = match self.hub.seat(name) {
            Seat::Here => {
                self.put_in_order(name, request.data.bytes(), &publisher);
                self.reply(id, command, &Reply::Publish);
                return Ok(());
            }
            Seat::Core(owner) => owner,
        };
        let known = self.hub.find(name).and_then(|channel| self.hub.name(channel));
        let channel = known.map_or_else(|| Arc::from(name), Arc::clone);
        let publish = Box::new(Letter { channel, data: Box::from(request.data.bytes()), publisher });
        let request = self.open_request(id, command, Kind::Publish)?;
        let letter = Mail::Publish { from: self.options.core, request, publish };
        self.ask(owner, request, letter);
        Ok(())
    }

    fn may_publish(&self, id: ConnId, request: &Publish<'_>) -> Result<Person, Refused> {
        let name = &*request.channel;
        let Some(session) = self.session(id).filter(|_| !name.is_empty()) else {
            return Err(Disconnect::BadRequest.into());
        };
        let policy = self.settings.namespaces.resolve(name)?.policy;
        // A subscription that waits for its channel's owner counts: commands behind it were sent in good faith.
        let is_subscriber = self.hub.find(name).is_some_and(|channel| session.find(channel).is_some());
        if !policy.publish.allows(session.user.is_empty(), is_subscriber) {
            return Err(Reject::PermissionDenied.into());
        }
        if request.data.is_empty() || request.kind != 0 {
            return Err(Reject::BadRequest.into());
        }
        Ok(Person { client: session.client, user: session.user.clone() })
    }

    /// Refused when this client waits for too much already.
    pub(super) fn open_request(
        &mut self,
        conn: ConnId,
        command: u32,
        kind: Kind,
    ) -> Result<RequestId, Reject> {
        let weight = kind.weight();
        if let Some(session) = self.session_mut(conn) {
            if session.open_requests + weight > REQUEST_WEIGHT_MAX {
                return Err(Reject::TooManyRequests);
            }
            session.open_requests += weight;
        }
        let due = self.now + Duration::from_millis(ENGINE_MS_MAX);
        Ok(self.requests.open(due, Request { conn, command, kind }))
    }

    pub(super) fn close_request(&mut self, id: RequestId) -> Option<Request> {
        let request = self.requests.close(id)?;
        self.settle_request(&request);
        Some(request)
    }

    fn settle_request(&mut self, request: &Request) {
        if let Some(session) = self.session_mut(request.conn) {
            session.open_requests = session.open_requests.saturating_sub(request.kind.weight());
        }
    }

    /// Sends a request to another core, or answers it with an error at once when that core's mailbox is full.
    pub(super) fn ask(&mut self, to: CoreId, request: RequestId, letter: Mail) {
        if self.letters.ask(to, letter).is_err() {
            self.stats.mail_full += 1;
            if let Some(request) = self.close_request(request) {
                self.reject(request.conn, request.command, Reject::Internal);
            }
        }
    }

    /// No answer in time: whether it was stored is not known, and the error says that trying again is right.
    pub(super) fn expired(&mut self, request: &Request) {
        self.settle_request(request);
        match &request.kind {
            Kind::Link { channel } => self.link_expired(channel),
            Kind::Publish | Kind::Presence(_) | Kind::PresenceStats(_) => {
                self.reject(request.conn, request.command, Reject::Internal);
            }
        }
    }

    pub(super) fn published(&mut self, request: RequestId) {
        if let Some(request) = self.close_request(request) {
            self.reply(request.conn, request.command, &Reply::Publish);
        }
    }

    /// Called on the owner: this is the moment that decides the order.
    pub(super) fn put_in_order(&mut self, name: &str, data: &[u8], publisher: &Person) {
        self.stats.publications += 1;
        let Some(channel) = self.hub.find(name) else {
            return;
        };
        let payload = self.frame(name, data, publisher);
        if !self.hub.remotes(channel).is_empty() {
            self.mail_publication(channel, &Parcel::new(payload.bytes()));
        }
        self.deliver(channel, &payload);
    }

    fn frame(&mut self, channel: &str, data: &[u8], publisher: &Person) -> Payload {
        let client = publisher.client.text();
        let info = ClientInfo {
            user: &publisher.user,
            client: std::str::from_utf8(&client).unwrap_or_default(),
            ..ClientInfo::default()
        };
        let publication =
            Publication { data: Raw::accepted(data), info: Some(info), ..Publication::default() };
        self.frame_push(&Push::Publication { channel, publication })
    }

    /// Encodes and frames a push, once for all who will get it.
    pub(super) fn frame_push(&mut self, push: &Push<'_>) -> Payload {
        self.text.clear();
        Codec::Json.encode_push(push, &mut self.text);
        let mut frame = Vec::with_capacity(self.text.len() + FRAME_HEADER_BYTES_MAX);
        ws::append_frame(&mut frame, Opcode::Text, &self.text);
        Payload::new(frame)
    }

    fn mail_publication(&mut self, channel: ChannelId, frame: &Parcel) {
        let Some(name) = self.hub.name(channel) else {
            return;
        };
        for &core in self.hub.remotes(channel) {
            if !self.letters.publication(core, name, frame) {
                self.stats.mail_full += 1;
            }
        }
    }

    /// Owes the payload to every subscriber of this core.
    pub(super) fn deliver(&mut self, channel: ChannelId, payload: &Payload) {
        // A subscribe reply that is still corked must not be overtaken.
        self.uncork();
        let mut delivery = Delivery {
            conns: &mut self.conns,
            nodes: &mut self.nodes,
            dirty: &mut self.dirty,
            slow: &mut self.slow,
            outbox_bytes_max: self.settings.limits.outbox_bytes_max,
            refused: 0,
        };
        let count = self.hub.fan_out(channel, payload, &mut delivery);
        let refused = delivery.refused;
        let delivered = u64::from(count - refused.min(count));
        self.stats.deliveries += delivered;
        self.stats.messages_out += delivered;
        self.stats.drops += u64::from(refused);
    }
}

/// The shard's end of a fan-out: a reference in each subscriber's outbox.
struct Delivery<'a> {
    conns: &'a mut Conns,
    nodes: &'a mut Nodes,
    dirty: &'a mut Vec<u32>,
    slow: &'a mut Vec<u32>,
    outbox_bytes_max: u32,
    refused: u32,
}

impl Sink for Delivery<'_> {
    #[inline]
    fn deliver(&mut self, member: Member, payload: &Payload) {
        let Some(conn) = self.conns.at_slot(member.0) else {
            return;
        };
        if conn.owe(self.nodes, payload.clone(), self.outbox_bytes_max).is_err() {
            self.slow.push(member.0);
            self.refused += 1;
        } else if !conn.is_dirty {
            conn.is_dirty = true;
            self.dirty.push(member.0);
        }
    }
}

/// What one client may have waiting: a thousand publications, or sixteen looks at who is there.
const REQUEST_WEIGHT_MAX: u16 = 1024;

/// RFC 6455 section 5.2, without a mask.
const FRAME_HEADER_BYTES_MAX: usize = 10;
