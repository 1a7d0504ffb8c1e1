//! One connection of a random life: what it asked, what it may expect, and whose fault its end is.
//!
//! Invariant: every reply answers a command that waits for one and has the result that the state of the subscription
//! allows; a push belongs to a live subscription; a connection ends only for a reason that this life gave.

use super::client::{Client, Heard};
use super::link::Incoming;
use super::oracle::{Ledger, PublicationId, SubscriptionId, Tick};
use super::world::LinkId;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

#[derive(Debug)]
pub struct Player {
    pub link: LinkId,
    pub client: Client,
    pub is_echo: bool,
    /// A slow or absent reader does not look at what has arrived.
    pub is_reading: bool,
    pub blames: BTreeSet<Blame>,
    pub is_over: bool,
    /// Assigned by the connect reply.
    pub client_id: Option<String>,
    pub has_asked_to_connect: bool,
    standings: BTreeMap<usize, Standing>,
    asked: BTreeMap<u32, Ask>,
    /// Commands that were written and not yet put into a message.
    batch: Vec<String>,
    echoes: VecDeque<Heard>,
    goodbye: Option<u16>,
}

/// Why a connection may end. Everything else that ends one is a bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blame {
    /// Sent what is no command, or none that is allowed now.
    Commands,
    /// Sent what is no frame, or a frame that is not allowed.
    Frames,
    /// Said goodbye, or finished sending.
    Left,
    /// Has not answered pings, or not read them.
    Absent,
    /// May have more queued than is allowed.
    Slow,
    /// Subscribes and unsubscribes faster than other cores answer.
    Restless,
    /// The node drains.
    Drain,
    /// Took too long for the handshake, the connect command or a message.
    Late,
    /// Nothing that it did: the world has bugs.
    Bug,
}

/// What this life knows of its subscription to a channel.
#[derive(Debug, Default)]
struct Standing {
    live: Option<SubscriptionId>,
    /// As of the last command written.
    is_wanted: bool,
    /// Commands about this channel that wait for their reply.
    waiting: u32,
    /// A signal or a failure crossed commands that were under way: what they meet is anybody's guess.
    is_unsure: bool,
}

#[derive(Debug)]
enum Ask {
    Connect,
    Subscribe {
        channel: usize,
        expect: Expect,
    },
    Unsubscribe {
        channel: usize,
    },
    Publish {
        publication: PublicationId,
    },
    Presence,
    Stats,
    /// Something that the server does not offer: error 108.
    Unoffered,
}

/// What the state of the subscription says about the reply to a subscribe command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Success,
    AlreadySubscribed,
    /// Commands or signals overlapped.
    Either,
}

impl Standing {
    /// With nothing under way, what is live is what the server believes.
    fn settle(&mut self) {
        if self.waiting == 0 {
            self.is_wanted = self.live.is_some();
            self.is_unsure = false;
        }
    }
}

impl Player {
    pub fn new(link: LinkId, is_echo: bool) -> Self {
        Self {
            link,
            client: Client::default(),
            is_echo,
            is_reading: true,
            blames: BTreeSet::new(),
            is_over: false,
            client_id: None,
            has_asked_to_connect: false,
            standings: BTreeMap::new(),
            asked: BTreeMap::new(),
            batch: Vec::new(),
            echoes: VecDeque::new(),
            goodbye: None,
        }
    }

    // What it says.

    pub fn connect(&mut self) {
        self.has_asked_to_connect = true;
        self.command("connect", &json!({"name": "simulated"}), Ask::Connect);
    }

    pub fn subscribe(&mut self, channel: usize) {
        let standing = self.standings.entry(channel).or_default();
        let expect = match (standing.is_unsure, standing.is_wanted) {
            (true, _) => Expect::Either,
            (false, true) => Expect::AlreadySubscribed,
            (false, false) => Expect::Success,
        };
        standing.is_wanted = true;
        standing.waiting += 1;
        self.blames.extend((standing.waiting > PATIENT_COUNT_MAX).then_some(Blame::Restless));
        self.command("subscribe", &json!({"channel": name(channel)}), Ask::Subscribe { channel, expect });
    }

    pub fn unsubscribe(&mut self, channel: usize) {
        let standing = self.standings.entry(channel).or_default();
        standing.is_wanted = false;
        standing.waiting += 1;
        self.blames.extend((standing.waiting > PATIENT_COUNT_MAX).then_some(Blame::Restless));
        self.command("unsubscribe", &json!({"channel": name(channel)}), Ask::Unsubscribe { channel });
    }

    /// `padding` makes the payload that long.
    pub fn publish(&mut self, channel: usize, padding: usize, ledger: &mut Ledger, now: Tick) {
        let publication = ledger.publish(channel, now);
        let data = json!({"n": publication.0, "pad": "x".repeat(padding)});
        self.command(
            "publish",
            &json!({"channel": name(channel), "data": data}),
            Ask::Publish { publication },
        );
    }

    pub fn presence(&mut self, channel: usize) {
        self.command("presence", &json!({"channel": name(channel)}), Ask::Presence);
    }

    pub fn presence_stats(&mut self, channel: usize) {
        self.command("presence_stats", &json!({"channel": name(channel)}), Ask::Stats);
    }

    pub fn rpc(&mut self) {
        self.command("rpc", &json!({"method": "nothing"}), Ask::Unoffered);
    }

    pub fn echo(&mut self, text: String) {
        self.client.text(&text);
        self.echoes.push_back(Heard::Text(text));
    }

    pub fn ping(&mut self, payload: &[u8]) {
        self.client.frame(crate::ws::Opcode::Ping, payload);
        self.echoes.push_back(Heard::FramePong(payload.to_vec()));
    }

    fn command(&mut self, request: &str, fields: &Value, ask: Ask) {
        let id = self.client.next_id();
        self.batch.push(json!({"id": id, request: fields}).to_string());
        self.asked.insert(id, ask);
    }

    /// The commands written so far, as the text of one message.
    pub fn take_batch(&mut self) -> Option<String> {
        (!self.batch.is_empty()).then(|| std::mem::take(&mut self.batch).join("\n"))
    }

    /// Commands of one message; more would be refused.
    pub fn batch_len(&self) -> usize {
        self.batch.len()
    }

    // What it hears.

    pub fn receive(&mut self, incoming: Incoming, ledger: &mut Ledger, now: Tick) {
        match incoming {
            Incoming::Silence => {}
            Incoming::Bytes(bytes) => {
                if let Err(wrong) = self.client.receive(bytes) {
                    assert!(wrong.is_empty(), "{wrong}");
                }
                while let Some(heard) = self.client.heard.pop_front() {
                    self.hear(heard, ledger, now);
                }
            }
            Incoming::Ended => {
                let is_excused = self.goodbye.is_some() || self.blames.contains(&Blame::Left);
                assert!(is_excused || !self.blames.is_empty(), "ended without a goodbye");
                self.end(ledger);
            }
            Incoming::Reset => {
                assert!(!self.blames.is_empty(), "reset without a reason");
                self.end(ledger);
            }
        }
    }

    fn hear(&mut self, heard: Heard, ledger: &mut Ledger, now: Tick) {
        assert!(self.goodbye.is_none(), "{heard:?} behind a close frame");
        match heard {
            Heard::Status(101) | Heard::Ping | Heard::FramePing(_) => {}
            Heard::Status(status) => {
                ledger.codes.insert(u32::from(status));
                self.refused(status);
            }
            Heard::Reply(STRAY_ID.., _) => assert!(self.blames.contains(&Blame::Commands)),
            Heard::Reply(id, result) => {
                ledger.codes.extend(result.as_ref().err());
                let ask = self.asked.remove(&id);
                assert!(ask.is_some(), "a reply to no command: {id} {result:?}");
                if let Some(ask) = ask {
                    self.answered(ask, result, ledger, now);
                }
            }
            Heard::Push(push) => self.pushed(&push, ledger),
            Heard::Message(_) | Heard::Text(_) | Heard::Binary(_) | Heard::FramePong(_) => {
                assert_eq!(Some(heard), self.echoes.pop_front(), "an echo is not what was sent");
            }
            Heard::Close(code, reason) => self.closed(code, &reason, ledger),
        }
    }

    fn answered(&mut self, ask: Ask, result: Result<Value, u32>, ledger: &mut Ledger, now: Tick) {
        match (ask, result) {
            (Ask::Connect, Ok(reply)) => {
                assert!(reply["connect"]["ping"].is_u64(), "{reply}");
                self.client_id = reply["connect"]["client"].as_str().map(str::to_owned);
                assert!(self.client_id.is_some(), "{reply}");
            }
            (Ask::Subscribe { channel, expect }, result) => {
                self.subscribed(channel, expect, result, ledger, now);
            }
            (Ask::Unsubscribe { channel }, result) => {
                assert!(matches!(&result, Ok(reply) if reply["unsubscribe"].is_object()), "{result:?}");
                let standing = self.standings.entry(channel).or_default();
                standing.waiting -= 1;
                if let Some(over) = standing.live.take() {
                    ledger.end(over);
                }
                standing.settle();
            }
            (Ask::Publish { publication }, Ok(reply)) => {
                assert!(reply["publish"].is_object(), "{reply}");
                ledger.acknowledge(publication);
            }
            (Ask::Presence, Ok(reply)) => assert!(reply["presence"]["presence"].is_object(), "{reply}"),
            (Ask::Stats, Ok(reply)) => assert!(reply["presence_stats"]["num_clients"].is_u64(), "{reply}"),
            (Ask::Unoffered, result) => assert_eq!(result, Err(108)),
            // Another core was out of reach, or is asked too much: the client may try again.
            (Ask::Publish { .. }, Err(100)) | (Ask::Presence | Ask::Stats, Err(100 | 111)) => {}
            (ask, Err(code)) => assert_eq!(code, 0, "error for {ask:?}"),
        }
    }

    fn subscribed(
        &mut self,
        channel: usize,
        expect: Expect,
        result: Result<Value, u32>,
        ledger: &mut Ledger,
        now: Tick,
    ) {
        let standing = self.standings.entry(channel).or_default();
        standing.waiting -= 1;
        match result {
            Ok(reply) => {
                assert!(reply["subscribe"].is_object(), "{reply}");
                assert_ne!(expect, Expect::AlreadySubscribed, "subscribed twice to {channel}");
                assert_eq!(standing.live, None, "subscribed twice to {channel}");
                standing.live = Some(ledger.subscribe(channel, now));
            }
            // The owner of the channel was out of reach.
            Err(100) => return self.doubt(channel),
            Err(code) => {
                assert_eq!(code, 105);
                assert_ne!(expect, Expect::Success, "not subscribed to {channel}");
            }
        }
        standing.settle();
    }

    /// Commands that are under way meet a subscription that they did not expect, or none.
    fn doubt(&mut self, channel: usize) {
        for ask in self.asked.values_mut() {
            if let Ask::Subscribe { channel: of, expect } = ask
                && *of == channel
            {
                *expect = Expect::Either;
            }
        }
        let standing = self.standings.entry(channel).or_default();
        standing.is_unsure = true;
        standing.settle();
    }

    fn pushed(&mut self, push: &Value, ledger: &mut Ledger) {
        let channel = push["channel"].as_str().and_then(index);
        let standing = channel.and_then(|channel| self.standings.get_mut(&channel));
        let live = standing.as_ref().and_then(|standing| standing.live);
        assert!(live.is_some(), "a push in a channel without subscription: {push}");
        let (Some(standing), Some(live)) = (standing, live) else { return };
        if let Some(end) = push.get("unsubscribe") {
            assert_eq!(end["code"], 2500, "{push}");
            ledger.codes.insert(2500);
            ledger.end(live);
            standing.live = None;
            if let Some(channel) = channel {
                self.doubt(channel);
            }
        } else {
            let data = &push["pub"]["data"];
            assert!(push["pub"]["info"]["client"].is_string(), "{push}");
            let publication = data["n"].as_u64().map(|n| PublicationId(n as usize));
            assert!(publication.is_some(), "a publication that nobody published: {push}");
            if let Some(publication) = publication {
                ledger.deliver(live, publication);
            }
        }
    }

    fn refused(&mut self, status: u16) {
        let blame = match status {
            400 => Blame::Frames,
            408 => Blame::Late,
            500 => Blame::Bug,
            503 => Blame::Drain,
            other => {
                assert_eq!(other, 101, "a status that no life provokes");
                return;
            }
        };
        assert!(self.blames.contains(&blame), "refused with {status} without {blame:?}");
        self.goodbye = Some(status);
    }

    fn closed(&mut self, code: Option<u16>, reason: &str, ledger: &mut Ledger) {
        let allowed: &[Blame] = match code {
            None | Some(1000) => &[Blame::Left],
            Some(1002 | 1003 | 1007 | 1009) => &[Blame::Frames],
            Some(1008) => &[Blame::Frames, Blame::Late],
            Some(1011) => &[Blame::Bug],
            Some(1012 | 3001) => &[Blame::Drain],
            Some(3008) => &[Blame::Slow],
            Some(3012) => &[Blame::Absent],
            Some(3013) => &[Blame::Restless],
            Some(3501 | 3508) => &[Blame::Commands],
            Some(3502) => &[Blame::Late],
            Some(_) => &[],
        };
        let is_allowed = allowed.iter().any(|blame| self.blames.contains(blame));
        assert!(is_allowed, "closed with {code:?} {reason:?}, blamed for {:?}", self.blames);
        assert!(code.is_none_or(|code| code < 3000 || !reason.is_empty()), "{code:?} without a reason");
        let code = code.unwrap_or(1005);
        ledger.codes.insert(u32::from(code));
        self.goodbye = Some(code);
        self.end_subscriptions(ledger);
    }

    /// The connection is gone, for whatever reason.
    pub fn end(&mut self, ledger: &mut Ledger) {
        self.is_over = true;
        self.end_subscriptions(ledger);
    }

    fn end_subscriptions(&mut self, ledger: &mut Ledger) {
        for standing in self.standings.values_mut() {
            if let Some(over) = standing.live.take() {
                ledger.end(over);
            }
        }
    }

    // What can be said of it when the world is at rest.

    pub fn is_live(&self) -> bool {
        !self.is_over && self.goodbye.is_none()
    }

    pub fn is_connected(&self) -> bool {
        self.is_live() && self.client_id.is_some()
    }

    pub fn is_subscribed(&self, channel: usize) -> bool {
        self.is_live() && self.standings.get(&channel).is_some_and(|standing| standing.live.is_some())
    }

    /// Nothing that was asked may be left without an answer.
    pub fn judge(&self) {
        let offences = [Blame::Commands, Blame::Frames, Blame::Left];
        if self.is_live() && !offences.iter().any(|offence| self.blames.contains(offence)) {
            assert!(self.asked.is_empty(), "commands without a reply: {:?}", self.asked);
            assert!(self.echoes.is_empty(), "echoes that never came: {:?}", self.echoes);
        }
        let must_end = self.blames.contains(&Blame::Commands) || self.blames.contains(&Blame::Frames);
        assert!(!must_end || !self.is_live(), "still welcome after {:?}", self.blames);
    }
}

/// Ids from here on are those of commands that cost the connection; what precedes the offence may be answered.
pub const STRAY_ID: u32 = 900_000;

/// Commands on one channel that a client may have waiting without being blamed for it.
const PATIENT_COUNT_MAX: u32 = 10;

pub fn name(channel: usize) -> String {
    format!("channel-{channel}")
}

fn index(name: &str) -> Option<usize> {
    name.strip_prefix("channel-")?.parse().ok()
}
