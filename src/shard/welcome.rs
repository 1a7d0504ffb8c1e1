//! What a client is told of a new subscription, and of a new connection.
//! Invariant: the position that it gets is the one from which on it hears everything.

use super::Shard;
use super::encoding::{Parts, Style, fitting, in_a_string, number_of};
use crate::hub::Place;
use crate::ids::{ChannelId, ConnId};
use crate::proto::reply::{ConnectResult, Publication as Shown, SubscribeResult};
use crate::proto::{Codec, Push, Reply, Subject, Unsubscribed};
use crate::publication::Publication;
use std::sync::Arc;

/// The facts of a new subscription.
#[derive(Debug)]
pub(super) struct Welcome {
    pub channel: ChannelId,
    pub name: Arc<str>,
    pub style: Style,
    /// Where the stream stands; none without history.
    pub place: Option<Place>,
    /// Offset that the client came with.
    pub since: u64,
    pub positioned: bool,
    pub recoverable: bool,
    pub recovers: bool,
    pub is_recovered: bool,
    /// The latest publication alone, which need not follow on where the client was.
    pub is_from_cache: bool,
    pub publications: Vec<Arc<Publication>>,
    pub delta: bool,
    pub data: Option<Arc<[u8]>>,
    /// Set if the client has to bring a new token within so many seconds.
    pub ttl_seconds: Option<u32>,
}

impl Welcome {
    fn parts(&self) -> Vec<Parts<'_>> {
        self.publications.iter().map(|publication| Parts::of(publication)).collect()
    }

    fn shown<'a>(&'a self, parts: &'a [Parts<'a>]) -> Vec<Shown<'a>> {
        let show = |(publication, parts): (&'a Arc<Publication>, &'a Parts<'a>)| {
            let mut shown = parts.shown(publication, self.style.wire.codec);
            if self.delta {
                shown.data = in_a_string(&publication.data, self.style.wire.codec);
            }
            shown
        };
        self.publications.iter().zip(parts).map(show).collect()
    }

    fn result<'a>(&'a self, shown: &'a [Shown<'a>]) -> SubscribeResult<'a> {
        let (epoch, top) = self.place.as_ref().map_or(("", 0), |place| (&*place.epoch, place.offset));
        SubscribeResult {
            expires: self.ttl_seconds.is_some_and(|ttl| ttl > 0),
            ttl_seconds: self.ttl_seconds.unwrap_or_default(),
            recoverable: self.recoverable,
            epoch,
            publications: shown,
            recovered: self.is_recovered,
            // The client goes on from where it was, through what it has recovered.
            offset: if self.is_recovered && !self.is_from_cache { self.since } else { top },
            positioned: self.positioned,
            data: fitting(self.data.as_deref(), self.style.wire.codec),
            was_recovering: self.recovers,
            delta: self.delta,
            id: self.style.numeric.then(|| number_of(self.channel)),
        }
    }
}

/// The facts of a new connection.
pub(super) struct Connected {
    client: [u8; 36],
    version: &'static str,
    welcomes: Vec<Welcome>,
    data: Option<Arc<[u8]>>,
    /// Set if the client has to bring a new token.
    ttl_seconds: Option<u32>,
    ping_seconds: u32,
    pong: bool,
    session: Option<[u8; 36]>,
    node: Option<[u8; 36]>,
    time_ms: u64,
}

impl Connected {
    pub(super) fn encode(&self, style: Style, command: u32, out: &mut Vec<u8>) {
        let parts: Vec<Vec<Parts<'_>>> = self.welcomes.iter().map(Welcome::parts).collect();
        let shown: Vec<Vec<Shown<'_>>> =
            self.welcomes.iter().zip(&parts).map(|(welcome, parts)| welcome.shown(parts)).collect();
        let subs: Vec<(&str, SubscribeResult<'_>)> = (self.welcomes.iter().zip(&shown))
            .map(|(welcome, shown)| (&*welcome.name, welcome.result(shown)))
            .collect();
        let result = ConnectResult {
            client: utf8(&self.client),
            version: self.version,
            expires: self.ttl_seconds.is_some(),
            ttl_seconds: self.ttl_seconds.unwrap_or_default(),
            data: fitting(self.data.as_deref(), style.wire.codec),
            subs: &subs,
            ping_seconds: self.ping_seconds,
            pong: self.pong,
            session: self.session.as_ref().map_or("", utf8),
            node: self.node.as_ref().map_or("", utf8),
            time_ms: self.time_ms,
        };
        if style.wire.is_bare {
            style.wire.codec.encode_bare_push(&Push::Connect(result), out);
        } else {
            style.wire.codec.encode_reply(command, &Reply::Connect(result), out);
        }
    }
}

impl Shard {
    pub(super) fn connected(&self, id: ConnId, welcomes: Vec<Welcome>, data: Option<Arc<[u8]>>) -> Connected {
        let session = self.session(id);
        let profile = session.and_then(|session| session.profile.as_deref());
        let native = session.is_some_and(|session| session.native_pings);
        let expiring = profile.filter(|profile| profile.expire_at > 0 && profile.refreshes_itself);
        let ping = self.options.ping_interval;
        let emulated = profile.and_then(|profile| profile.stream.as_ref());
        Connected {
            client: session.map_or([b'0'; 36], |session| session.client.text()),
            version: self.options.version,
            welcomes,
            data,
            ttl_seconds: expiring.map(|profile| self.seconds_until(profile.expire_at)),
            ping_seconds: if native { 0 } else { ping.as_secs_f64().ceil() as u32 },
            pong: !native && !ping.is_zero() && !session.is_some_and(|session| session.wire.is_bare),
            session: emulated.map(|stream| stream.session.text()),
            node: emulated.map(|stream| stream.node.text()),
            time_ms: if self.settings.include_server_time { self.unix_ms() as u64 } else { 0 },
        }
    }

    pub(super) fn reply_welcome(&mut self, id: ConnId, command: u32, welcome: &Welcome) {
        let parts = welcome.parts();
        let shown = welcome.shown(&parts);
        let is_bare = !shown.is_empty() && self.is_bare(&welcome.name);
        self.reply_with(id, command, &Reply::Subscribe(welcome.result(&shown)), is_bare);
    }

    /// The server has subscribed a client that did not ask: it is told, and gets what it has missed.
    pub(super) fn push_welcome(&mut self, id: ConnId, welcome: &Welcome) {
        let result = welcome.result(&[]);
        let subscribe = Push::Subscribe {
            channel: &welcome.name,
            recoverable: result.recoverable,
            epoch: result.epoch,
            offset: result.offset,
            positioned: result.positioned,
            data: result.data,
        };
        self.push(id, &subscribe);
        let parts = welcome.parts();
        let is_bare = self.is_bare(&welcome.name);
        for publication in welcome.shown(&parts) {
            let push = Push::Publication { channel: Subject::Name(&welcome.name), publication };
            self.push_with(id, &push, is_bare);
        }
    }

    pub(super) fn push_unsubscribed(&mut self, id: ConnId, channel: &str, why: Unsubscribed) {
        self.push(id, &Push::unsubscribed(channel, why));
    }

    /// Says something unasked to one client, behind what the current input has answered so far.
    pub(super) fn push(&mut self, id: ConnId, push: &Push<'_>) {
        self.push_with(id, push, false);
    }

    fn push_with(&mut self, id: ConnId, push: &Push<'_>, is_bare: bool) {
        let Some(wire) = self.session(id).map(|session| session.wire) else {
            return;
        };
        self.uncork();
        let style = Style { wire, numeric: false };
        let payload = if is_bare {
            style.push_bare(push, &mut self.text, &mut self.deflater)
        } else {
            style.push(push, &mut self.text, &mut self.deflater)
        };
        self.stats.messages_out += 1;
        self.queue(id, payload);
    }
}

fn utf8(text: &[u8; 36]) -> &str {
    std::str::from_utf8(text).unwrap_or_default()
}

/// A page of publications as it goes over the wire. What a client of the JSON codec could not read is left out.
pub(super) fn shown_page(page: &[Arc<Publication>], codec: Codec, tell: impl FnOnce(&[Shown<'_>])) {
    let fits = |publication: &&Arc<Publication>| codec == Codec::Protobuf || publication.is_json;
    let fitting: Vec<&Arc<Publication>> = page.iter().filter(fits).collect();
    let parts: Vec<Parts<'_>> = fitting.iter().map(|publication| Parts::of(publication)).collect();
    let shown: Vec<Shown<'_>> =
        fitting.iter().zip(&parts).map(|(publication, parts)| parts.shown(publication, codec)).collect();
    tell(&shown);
}
