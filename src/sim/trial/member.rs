//! A client that comes back: what an SDK keeps between its connections, and what it may expect of each reply.
//!
//! Invariant: its position in a channel moves by one publication at a time, or something was said: an unsubscribe push,
//! a disconnect, a recovery that failed. It has one command under way on a channel, or two when it changes its mind.

use super::truth::{Place, Reason, Tick, Truth};
use crate::delta;
use crate::sim::client::{Client, Heard};
use crate::sim::link::Incoming;
use crate::sim::message::{Fields, Message, encode};
use crate::sim::world::LinkId;
use crate::time::Moment;
use crate::ws::Opcode;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
pub struct Member {
    pub number: usize,
    pub is_binary: bool,
    pub link: Option<LinkId>,
    pub client: Client,
    pub is_reading: bool,
    /// Codes that the connection may be closed with.
    pub allowed: BTreeSet<u16>,
    pub client_id: Option<String>,
    pub standings: BTreeMap<usize, Standing>,
    asked: BTreeMap<u32, Ask>,
    batch: Vec<Value>,
}

/// What it knows of its subscription to a channel.
#[derive(Debug, Default)]
pub struct Standing {
    pub is_wanted: bool,
    pub is_live: bool,
    is_leaving: bool,
    waiting: u32,
    position: Option<(String, u64)>,
    pub filter: Option<&'static str>,
    pub wants_delta: bool,
    has_delta: bool,
    base: Option<Vec<u8>>,
    /// When the reply to subscribe was heard.
    pub since: Tick,
    /// The latest word on others: whether they are there.
    pub others: BTreeMap<String, bool>,
}

#[derive(Debug)]
enum Ask {
    Connect,
    Subscribe { channel: usize, since: Option<(String, u64)>, wants_delta: bool },
    Unsubscribe { channel: usize },
    Publish { number: usize },
    Presence,
    Stats,
    History { channel: usize },
}

/// What a member needs to know of the world to judge what it hears.
pub struct Hearing<'a> {
    pub truth: &'a mut Truth,
    pub codes: &'a mut BTreeSet<u32>,
    pub tick: Tick,
    pub now: Moment,
    /// News of who comes and goes may be lost: mailboxes are small.
    pub is_lossy: bool,
    pub excludes_sender: bool,
}

impl Member {
    pub fn new(number: usize, is_binary: bool) -> Self {
        Self {
            number,
            is_binary,
            link: None,
            client: Client::default(),
            is_reading: true,
            allowed: BTreeSet::new(),
            client_id: None,
            standings: BTreeMap::new(),
            asked: BTreeMap::new(),
            batch: Vec::new(),
        }
    }

    // What it says.

    /// On a new connection it takes up what it had.
    pub fn connect(&mut self, link: LinkId) {
        self.link = Some(link);
        self.client = Client::modelled();
        let path =
            if self.is_binary { "/connection/websocket?format=protobuf" } else { "/connection/websocket" };
        self.client.upgrade(path, &[format!("X-User: user-{}", self.number)]);
        self.command("connect", &json!({"name": "trial"}), Ask::Connect);
        let wanted: Vec<usize> =
            self.standings.iter().filter(|(_, it)| it.is_wanted).map(|(at, _)| *at).collect();
        for channel in wanted {
            self.subscribe(channel);
        }
    }

    pub fn subscribe(&mut self, channel: usize) {
        let standing = self.standings.entry(channel).or_default();
        standing.is_wanted = true;
        if self.link.is_none() || standing.is_live || standing.waiting > 0 {
            return;
        }
        standing.waiting = 1;
        let mut fields = json!({"channel": name(channel), "join_leave": true});
        let since = standing.position.clone();
        if let Some((epoch, offset)) = &since {
            fields["recover"] = true.into();
            fields["epoch"] = epoch.as_str().into();
            fields["offset"] = (*offset).into();
        }
        let wants_delta = standing.wants_delta;
        if wants_delta {
            fields["delta"] = "fossil".into();
        }
        if let Some(tag) = standing.filter {
            fields["tf"] = json!({"key": "t", "cmp": "eq", "val": tag});
        }
        self.command("subscribe", &fields, Ask::Subscribe { channel, since, wants_delta });
    }

    pub fn unsubscribe(&mut self, channel: usize) {
        let Some(standing) = self.standings.get_mut(&channel) else { return };
        standing.is_wanted = false;
        if self.link.is_none() || standing.is_leaving || (!standing.is_live && standing.waiting == 0) {
            return;
        }
        standing.is_leaving = true;
        standing.waiting += 1;
        self.command("unsubscribe", &json!({"channel": name(channel)}), Ask::Unsubscribe { channel });
    }

    pub fn publish(&mut self, number: usize, truth: &Truth) {
        let written = truth.written(number);
        let fields = json!({"channel": name(written.channel), "data": written.data});
        self.command("publish", &fields, Ask::Publish { number });
    }

    pub fn look_around(&mut self, channel: usize) {
        self.command("presence", &json!({"channel": name(channel)}), Ask::Presence);
        self.command("presence_stats", &json!({"channel": name(channel)}), Ask::Stats);
    }

    pub fn read_history(&mut self, channel: usize, limit: usize) {
        self.command("history", &json!({"channel": name(channel), "limit": limit}), Ask::History { channel });
    }

    fn command(&mut self, request: &str, fields: &Value, ask: Ask) {
        let id = self.client.next_id();
        self.batch.push(json!({"id": id, request: fields}));
        self.asked.insert(id, ask);
    }

    /// Everything that was said since, in one message.
    pub fn flush(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() || self.link.is_none() {
            return;
        }
        if self.is_binary {
            let bytes: Vec<u8> = batch.iter().flat_map(encode).collect();
            self.client.frame(Opcode::Binary, &bytes);
        } else {
            let lines: Vec<String> = batch.iter().map(Value::to_string).collect();
            self.client.text(&lines.join("\n"));
        }
    }

    pub fn batch_len(&self) -> usize {
        self.batch.len()
    }

    // What it hears.

    pub fn receive(&mut self, incoming: Incoming, hearing: &mut Hearing<'_>) {
        match incoming {
            Incoming::Silence => {}
            Incoming::Bytes(bytes) => {
                if let Err(wrong) = self.client.receive(bytes) {
                    assert!(wrong.is_empty(), "member {}: {wrong}", self.number);
                }
                while let Some(heard) = self.client.heard.pop_front() {
                    self.hear(heard, hearing);
                }
            }
            Incoming::Ended | Incoming::Reset => {
                assert!(!self.allowed.is_empty() || self.link.is_none(), "ended without a reason");
                self.disconnected();
            }
        }
    }

    fn hear(&mut self, heard: Heard, hearing: &mut Hearing<'_>) {
        match heard {
            Heard::Status(101) | Heard::Ping | Heard::FramePing(_) => {}
            Heard::Message(Message::Reply { id, kind, body }) => {
                let ask = self.asked.remove(&id);
                assert!(ask.is_some(), "a reply to no command: {id} {kind} {body:?}");
                if let Some(ask) = ask {
                    self.answered(ask, kind, &body, hearing);
                }
            }
            Heard::Message(Message::Push { channel, kind, body, .. }) => {
                self.pushed(&channel, kind, &body, hearing);
            }
            Heard::Close(code, reason) => {
                let is_allowed = code.is_some_and(|code| self.allowed.contains(&code));
                assert!(is_allowed, "closed with {code:?} {reason:?}, allowed are {:?}", self.allowed);
                hearing.codes.insert(code.unwrap_or_default().into());
                self.allowed.insert(0);
                self.end_subscriptions();
            }
            Heard::Status(_)
            | Heard::Reply(..)
            | Heard::Push(_)
            | Heard::Message(_)
            | Heard::FramePong(_)
            | Heard::Text(_)
            | Heard::Binary(_) => assert!(self.link.is_none(), "nothing that a member provokes"),
        }
    }

    fn answered(&mut self, ask: Ask, kind: &'static str, body: &Fields, hearing: &mut Hearing<'_>) {
        let code = if kind == "error" { body.number("code") as u32 } else { 0 };
        hearing.codes.extend((code > 0).then_some(code));
        match (ask, kind) {
            (Ask::Connect, "connect") => {
                self.client_id = Some(body.text("client").to_owned());
                assert!(!body.text("client").is_empty() && body.number("ping") > 0, "{body:?}");
            }
            (Ask::Subscribe { channel, since, wants_delta }, "subscribe") => {
                self.subscribed(channel, since.as_ref(), wants_delta, body, hearing);
            }
            (Ask::Subscribe { channel, .. }, "error") => {
                assert_eq!(code, 100, "not subscribed: {body:?}");
                self.waited(channel);
            }
            (Ask::Unsubscribe { channel }, "unsubscribe") => {
                let standing = self.standings.entry(channel).or_default();
                (standing.is_live, standing.is_leaving) = (false, false);
                // An SDK that was told to leave forgets where it was.
                standing.position = None;
                self.waited(channel);
            }
            (Ask::Publish { number }, "publish") => hearing.truth.acknowledge(number),
            (Ask::Presence, "presence") => {
                let clients = body.map("presence").into_iter().flatten();
                for (client, info) in clients {
                    assert_eq!(client, info.text("client"), "{body:?}");
                    assert!(info.text("user").starts_with("user-"), "{body:?}");
                }
            }
            (Ask::Stats, "presence_stats") => {
                assert!(body.number("num_users") <= body.number("num_clients"), "{body:?}");
            }
            (Ask::History { channel }, "history") => self.told_history(channel, body, hearing),
            (Ask::Publish { .. } | Ask::Presence | Ask::Stats | Ask::History { .. }, "error") => {
                assert!(matches!(code, 100 | 111), "{body:?}");
            }
            (ask, kind) => assert_eq!(kind, "", "for {ask:?}: {body:?}"),
        }
    }

    fn waited(&mut self, channel: usize) {
        let standing = self.standings.entry(channel).or_default();
        standing.waiting -= 1;
        if standing.is_wanted && !standing.is_live {
            self.subscribe(channel);
        }
    }

    fn subscribed(
        &mut self,
        channel: usize,
        since: Option<&(String, u64)>,
        wants_delta: bool,
        body: &Fields,
        hearing: &mut Hearing<'_>,
    ) {
        let standing = self.standings.entry(channel).or_default();
        assert!(!standing.is_live, "subscribed twice to {channel}");
        assert!(body.flag("recoverable") && body.flag("positioned"), "{body:?}");
        assert_eq!(body.flag("was_recovering"), since.is_some(), "{body:?}");
        assert_eq!(body.flag("delta"), wants_delta && standing.filter.is_none(), "{body:?}");
        standing.is_live = true;
        standing.since = hearing.tick;
        standing.has_delta = body.flag("delta");
        standing.base = None;
        standing.others.clear();
        let (epoch, offset) = (body.text("epoch").to_owned(), body.number("offset"));
        assert!(!epoch.is_empty(), "{body:?}");
        let place = Place { channel, epoch: epoch.clone(), offset };
        if body.flag("recovered") {
            assert_eq!(since, Some(&(epoch.clone(), offset)), "recovered from somewhere else: {body:?}");
            hearing.codes.insert(if body.many("publications").is_empty() { 1 } else { 2 });
        } else {
            assert!(
                body.many("publications").is_empty(),
                "publications though nothing was recovered: {body:?}"
            );
            if let Some((epoch, offset)) = since {
                let since = Place { channel, epoch: epoch.clone(), offset: *offset };
                hearing.truth.lost(&since, &place, hearing.now);
                hearing.codes.insert(3);
            }
        }
        standing.position = Some((epoch, offset));
        for publication in body.many("publications") {
            self.published(channel, publication, hearing);
        }
        self.waited(channel);
    }

    fn pushed(&mut self, channel: &str, kind: &'static str, body: &Fields, hearing: &mut Hearing<'_>) {
        let at = index(channel);
        let standing = at.and_then(|at| self.standings.get_mut(&at));
        let is_live = standing.as_ref().is_some_and(|standing| standing.is_live);
        assert!(is_live, "member {}: a push without a subscription: {channel} {kind} {body:?}", self.number);
        let (Some(at), Some(standing)) = (at, standing) else { return };
        match kind {
            "pub" => self.published(at, body, hearing),
            "join" | "leave" => {
                let client = body.one("info").map_or("", |info| info.text("client")).to_owned();
                assert!(!client.is_empty(), "{kind} of nobody");
                let is_there = kind == "join";
                let before = standing.others.insert(client.clone(), is_there);
                assert!(
                    hearing.is_lossy || before != Some(is_there),
                    "member {}: {kind} of {client} twice in {channel}",
                    self.number
                );
            }
            "unsubscribe" => {
                let code = body.number("code") as u32;
                assert!(matches!(code, 2000 | 2500), "{body:?}");
                hearing.codes.insert(code);
                standing.is_live = false;
                if code == 2000 {
                    (standing.is_wanted, standing.position) = (false, None);
                } else if standing.is_wanted {
                    self.subscribe(at);
                }
            }
            other => assert_eq!(other, "", "a push that nobody provokes: {body:?}"),
        }
    }

    /// The next publication of a subscription, live or recovered.
    fn published(&mut self, channel: usize, publication: &Fields, hearing: &mut Hearing<'_>) {
        let is_binary = self.is_binary;
        let excluded = hearing.excludes_sender.then_some(self.number);
        let Some(standing) = self.standings.get_mut(&channel) else { return };
        let Some((epoch, position)) = standing.position.clone() else { return };
        let offset = publication.number("offset");
        let what = format!("member {} at {position} of channel {channel}: {publication:?}", self.number);
        assert!(offset > position, "heard twice: {what}");
        let after = Place { channel, epoch, offset: position };
        hearing.truth.skip(&after, offset, Reason { filter: standing.filter, excluded });
        let told = publication.text("epoch");
        assert!(told.is_empty() || told == after.epoch, "an epoch of another stream: {what}");
        let data = standing.read(publication, is_binary, &what);
        let tag = publication.texts("tags").and_then(|tags| tags.get("t")).map(String::as_str);
        assert!(
            standing.filter.is_none() || standing.filter == tag,
            "not what the filter lets through: {what}"
        );
        let place = Place { offset, ..after };
        standing.position = Some((place.epoch.clone(), offset));
        let number = hearing.truth.heard(&place, &data, tag);
        let author = hearing.truth.written(number).by.map(|by| format!("user-{by}"));
        let info = publication.one("info").map(|info| info.text("user").to_owned());
        assert_eq!(info, author, "{what}");
    }

    #[expect(clippy::unused_self, reason = "beside its kin")]
    fn told_history(&self, channel: usize, body: &Fields, hearing: &mut Hearing<'_>) {
        let mut last = None;
        for publication in body.many("publications") {
            let offset = publication.number("offset");
            assert!(last.is_none_or(|last| offset == last + 1), "a hole in the history: {body:?}");
            assert!(offset <= body.number("offset") && !publication.flag("delta"), "{body:?}");
            last = Some(offset);
            let data = serde_json::from_slice(publication.raw("data")).unwrap_or_default();
            let tag = publication.texts("tags").and_then(|tags| tags.get("t")).map(String::as_str);
            let place = Place { channel, epoch: body.text("epoch").to_owned(), offset };
            hearing.truth.heard(&place, &data, tag);
        }
    }

    /// The connection is gone, for whatever reason; what it waited for will not come.
    pub fn disconnected(&mut self) {
        self.link = None;
        self.client_id = None;
        self.is_reading = true;
        self.allowed.clear();
        self.end_subscriptions();
        self.asked.clear();
        self.batch.clear();
        for standing in self.standings.values_mut() {
            (standing.waiting, standing.is_leaving) = (0, false);
        }
    }

    fn end_subscriptions(&mut self) {
        self.standings.values_mut().for_each(|standing| standing.is_live = false);
    }

    // What can be said of it when the world is at rest.

    pub fn is_connected(&self) -> bool {
        self.link.is_some() && self.client_id.is_some()
    }

    pub fn judge(&self) {
        if self.link.is_some() {
            assert!(self.asked.is_empty(), "member {}: no reply to {:?}", self.number, self.asked);
            for (channel, standing) in &self.standings {
                assert_eq!(standing.is_live, standing.is_wanted, "member {} in {channel}", self.number);
            }
        }
    }

    /// Where it stands, if it is there.
    pub fn place(&self, channel: usize) -> Option<Place> {
        let standing = self.standings.get(&channel).filter(|standing| standing.is_live)?;
        let (epoch, offset) = standing.position.clone()?;
        Some(Place { channel, epoch, offset })
    }
}

impl Standing {
    /// The document of a publication, out of whatever form it came in.
    fn read(&mut self, publication: &Fields, is_binary: bool, what: &str) -> Value {
        let raw = publication.raw("data");
        let is_patch = publication.flag("delta");
        if !self.has_delta {
            assert!(!is_patch, "a patch that nobody asked for: {what}");
            return serde_json::from_slice(raw).unwrap_or_default();
        }
        let bytes = if is_binary {
            raw.to_vec()
        } else {
            serde_json::from_slice::<String>(raw).unwrap_or_default().into_bytes()
        };
        let text = match (&self.base, is_patch) {
            (_, false) => Ok(bytes),
            (Some(base), true) => delta::apply(base, &bytes, 1 << 20),
            (None, true) => Err(delta::Corrupt::Command),
        };
        assert!(text.is_ok(), "a patch that does not fit {:?}: {what}", self.base);
        let text = text.unwrap_or_default();
        let document = serde_json::from_slice(&text).unwrap_or_default();
        self.base = Some(text);
        document
    }
}

pub fn name(channel: usize) -> String {
    format!("channel-{channel}")
}

fn index(name: &str) -> Option<usize> {
    name.strip_prefix("channel-")?.parse().ok()
}
