//! A client that comes back: what an SDK keeps between its connections, and what it asks for.
//!
//! Invariant: its position in a channel moves by one publication at a time, or something was said: an unsubscribe push,
//! a disconnect, a recovery that failed. It has one command under way on a channel, or two when it changes its mind.
//! Split: what it says is here, what it makes of what it hears in `hearing` and `pushes`, one subscription in `standing`.

mod hearing;
mod pushes;
mod standing;

pub use standing::Standing;

use super::issuer::{Form, Issuer, Revoked, Token, Wanted};
use super::lease::{End, Lease};
use super::rules::{Rules, name, personal};
use super::truth::{Place, Tick, Truth};
use crate::sim::client::Client;
use crate::sim::dice::Dice;
use crate::sim::message::encode;
use crate::sim::world::LinkId;
use crate::time::Moment;
use crate::ws::Opcode;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

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
    /// The token that its connection goes by.
    pub pass: Option<Token>,
    /// Of the connection.
    pub lease: Lease,
    pub desk: Desk,
    asked: BTreeMap<u32, Ask>,
    batch: Vec<Value>,
}

/// What a member uses to decide what it says.
pub struct Desk {
    pub dice: Dice,
    pub issuer: Rc<Issuer>,
    pub rules: Rc<Rules>,
    pub now_s: u64,
    /// Brings no bad tokens, and none that end.
    pub is_honest: bool,
    pub issued: u32,
}

#[derive(Debug)]
enum Ask {
    Connect {
        since: BTreeMap<usize, (String, u64)>,
        expected: BTreeSet<usize>,
    },
    Subscribe {
        channel: usize,
        since: Option<(String, u64)>,
        wants_delta: bool,
        filter: Option<&'static str>,
        token: Option<Token>,
    },
    Unsubscribe {
        channel: usize,
    },
    Publish {
        number: usize,
    },
    Presence,
    Stats,
    History {
        channel: usize,
    },
    Refresh {
        token: Token,
    },
    SubRefresh {
        channel: usize,
        token: Token,
    },
}

/// What a member needs to know of the world to judge what it hears.
pub struct Hearing<'a> {
    pub truth: &'a mut Truth,
    pub codes: &'a mut BTreeSet<u32>,
    pub revoked: &'a Revoked,
    pub tick: Tick,
    pub now: Moment,
    /// The latest that the wall clock has shown so far.
    pub unix_ms: u64,
    /// Orders to the disk may fail.
    pub is_failing: bool,
    /// News of who comes and goes may be lost: mailboxes are small.
    pub is_lossy: bool,
}

impl Member {
    pub fn new(number: usize, desk: Desk) -> Self {
        let mut desk = desk;
        Self {
            number,
            is_binary: desk.dice.percent(50),
            link: None,
            client: Client::default(),
            is_reading: true,
            allowed: BTreeSet::new(),
            client_id: None,
            standings: BTreeMap::new(),
            pass: None,
            lease: Lease::default(),
            desk,
            asked: BTreeMap::new(),
            batch: Vec::new(),
        }
    }

    /// On a new connection it takes up what it had.
    pub fn connect(&mut self, link: LinkId) {
        self.link = Some(link);
        self.client = Client::modelled();
        let rules = Rc::clone(&self.desk.rules);
        let path =
            if self.is_binary { "/connection/websocket?format=protobuf" } else { "/connection/websocket" };
        let header = (!rules.has_tokens).then(|| format!("X-User: user-{}", self.number));
        self.client.upgrade(path, header.as_slice());
        let mut fields = json!({"name": "trial"});
        let mut expected: BTreeSet<usize> =
            rules.has_personal.then(|| personal(self.number)).into_iter().collect();
        if rules.has_tokens {
            let (token, subs) = self.connection_token();
            fields["token"] = token.text.as_str().into();
            expected.extend(subs);
            self.allowed.extend((token.form == Form::Forged).then_some(3500));
            if token.is_usable() {
                // It may be over before the member is in.
                self.lease = Lease::of([End { command: 0, expire_at: token.expire_at, has_grace: true }]);
            }
            self.pass = Some(token);
        }
        let since = self.remembered();
        let mut subs = Map::new();
        for (channel, (epoch, offset)) in &since {
            subs.insert(name(*channel), json!({"recover": true, "epoch": epoch, "offset": offset}));
            expected.extend((!rules.is_guarded).then_some(*channel));
        }
        if !subs.is_empty() {
            fields["subs"] = subs.into();
        }
        for (channel, standing) in &mut self.standings {
            standing.is_server = expected.contains(channel);
        }
        for channel in &expected {
            self.standings.entry(*channel).or_default().serve();
        }
        self.command("connect", &fields, Ask::Connect { since, expected });
        let wanted: Vec<usize> =
            self.standings.iter().filter(|(_, it)| it.is_wanted).map(|(at, _)| *at).collect();
        for channel in wanted {
            self.subscribe(channel);
        }
    }

    /// Server-side subscriptions of the last connection, and where they stood.
    fn remembered(&self) -> BTreeMap<usize, (String, u64)> {
        let recovers = self.desk.rules.mode.recovers();
        let standings = self.standings.iter().filter(|(_, standing)| recovers && standing.is_server);
        standings.filter_map(|(channel, standing)| Some((*channel, standing.position.clone()?))).collect()
    }

    pub fn subscribe(&mut self, channel: usize) {
        let standing = self.standings.entry(channel).or_default();
        if standing.is_server {
            return;
        }
        standing.is_wanted = true;
        if self.link.is_none() || standing.is_live || standing.waiting > 0 {
            return;
        }
        standing.waiting = 1;
        let mut fields = json!({"channel": name(channel), "join_leave": true});
        let since = standing.position.clone().filter(|_| self.desk.rules.mode.recovers());
        if let Some((epoch, offset)) = &since {
            fields["recover"] = true.into();
            fields["epoch"] = epoch.as_str().into();
            fields["offset"] = (*offset).into();
        }
        let wants_delta = standing.wants_delta;
        if wants_delta {
            fields["delta"] = "fossil".into();
        }
        let filter = standing.filter;
        if let Some(tag) = filter {
            fields["tf"] = json!({"key": "t", "cmp": "eq", "val": tag});
        }
        let token = self.subscription_token(channel);
        if let Some(token) = &token {
            fields["token"] = token.text.as_str().into();
            self.allowed.extend((token.form == Form::Foreign).then_some(3500));
        }
        self.command("subscribe", &fields, Ask::Subscribe { channel, since, wants_delta, filter, token });
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

    /// A new token for the connection, good or not.
    pub fn refresh(&mut self) {
        if !self.is_connected() || self.pass.is_none() {
            return;
        }
        let (form, name) = self.desk.draw();
        let (user, now_s, subs) = (self.number, self.desk.now_s, (&[][..], true));
        let token = self.desk.issuer.issue(Wanted { form, name, user, now_s, channel: None, subs });
        match form {
            Form::Good | Form::Expiring(_) => {}
            Form::Stale => self.allowed.extend([3005]),
            Form::Forged | Form::Foreign => self.allowed.extend([3500]),
        }
        let (fields, expire_at, is_usable) =
            (json!({"token": token.text}), token.expire_at, token.is_usable());
        let command = self.command("refresh", &fields, Ask::Refresh { token });
        if is_usable {
            self.lease.offer(End { command, expire_at, has_grace: true });
        }
    }

    /// The same for a subscription of its own making.
    pub fn sub_refresh(&mut self, channel: usize) {
        let standing = self.standings.get(&channel);
        let is_own =
            standing.is_some_and(|standing| standing.is_live && !standing.is_server && !standing.is_leaving);
        if !is_own || !self.desk.rules.has_tokens || self.link.is_none() {
            return;
        }
        let may_be_server = standing.is_some_and(|standing| standing.may_be_server);
        let token = self.fresh_token(channel);
        match token.form {
            Form::Good | Form::Expiring(_) => {}
            Form::Stale => self.allowed.extend([3006]),
            Form::Forged | Form::Foreign => self.allowed.extend([3500]),
        }
        // What the server has made meanwhile is not for the client to prolong.
        self.allowed.extend(may_be_server.then_some(3501));
        let fields = json!({"channel": name(channel), "token": token.text});
        let (expire_at, is_usable) = (token.expire_at, token.is_usable());
        let command = self.command("sub_refresh", &fields, Ask::SubRefresh { channel, token });
        if let Some(standing) = self.standings.get_mut(&channel).filter(|_| is_usable) {
            standing.lease.offer(End { command, expire_at, has_grace: true });
        }
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

    fn command(&mut self, request: &str, fields: &Value, ask: Ask) -> u32 {
        let id = self.client.next_id();
        self.batch.push(json!({"id": id, request: fields}));
        self.asked.insert(id, ask);
        id
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

    // Tokens that it asks its application for.

    /// With the server-side subscriptions that it brings.
    fn connection_token(&mut self) -> (Token, BTreeSet<usize>) {
        let (form, name_of_token) = self.desk.draw();
        // A connection token of another user makes another user.
        let form = if form == Form::Foreign { Form::Forged } else { form };
        let mut channels = BTreeSet::new();
        if self.desk.dice.percent(40) {
            for channel in 0..self.desk.rules.channel_count {
                let is_wanted = self.standings.get(&channel).is_some_and(|standing| standing.is_wanted);
                channels.extend((!is_wanted && self.desk.dice.percent(50)).then_some(channel));
            }
        }
        let names: Vec<String> = channels.iter().map(|channel| name(*channel)).collect();
        let subs = (&names[..], self.desk.dice.percent(50));
        let (user, now_s) = (self.number, self.desk.now_s);
        let wanted = Wanted { form, name: name_of_token, user, now_s, channel: None, subs };
        (self.desk.issuer.issue(wanted), channels)
    }

    /// None: it tries without.
    fn subscription_token(&mut self, channel: usize) -> Option<Token> {
        let rules = &self.desk.rules;
        let without = match (rules.is_guarded, self.desk.is_honest) {
            (true, true) => 0,
            (true, false) => 5,
            (false, _) => 50,
        };
        if !rules.has_tokens || self.desk.dice.percent(without) {
            return None;
        }
        Some(self.fresh_token(channel))
    }

    fn fresh_token(&mut self, channel: usize) -> Token {
        let (form, name_of_token) = self.desk.draw();
        let (user, now_s, subs) = (self.number, self.desk.now_s, (&[][..], true));
        let channel = name(channel);
        let wanted = Wanted { form, name: name_of_token, user, now_s, channel: Some(&channel), subs };
        self.desk.issuer.issue(wanted)
    }

    /// The connection is gone, for whatever reason; what it waited for will not come.
    pub fn disconnected(&mut self) {
        self.link = None;
        self.client_id = None;
        self.is_reading = true;
        self.allowed.clear();
        self.pass = None;
        self.lease = Lease::default();
        self.end_subscriptions();
        self.asked.clear();
        self.batch.clear();
        for standing in self.standings.values_mut() {
            standing.lose_connection();
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
                let is_due = standing.is_wanted || standing.is_server;
                assert_eq!(standing.is_live, is_due, "member {} in {channel}", self.number);
            }
        }
    }

    /// Nothing is left that its token does not give any more.
    pub fn judge_rights(&self, revoked: &Revoked, unix_ms: u64) {
        if !self.is_connected() || self.allowed.contains(&0) {
            return;
        }
        let number = self.number;
        assert!(!self.lease.must_be_over(unix_ms), "member {number} outlives its token: {:?}", self.lease);
        assert!(!revoked.blocked.contains(&number), "member {number} is blocked and there");
        let is_dead = self.pass.as_ref().is_some_and(|pass| revoked.is_dead(pass));
        assert!(!is_dead, "member {number} is there with a revoked token");
        for (channel, standing) in self.standings.iter().filter(|(_, standing)| standing.is_live) {
            let is_over = standing.lease.must_be_over(unix_ms);
            assert!(!is_over, "member {number} outlives its token for {channel}: {:?}", standing.lease);
            let is_dead = standing.token.as_ref().is_some_and(|token| revoked.is_dead(token));
            assert!(!is_dead, "member {number} is in {channel} with a revoked token");
        }
    }

    /// Where it stands, if it is there.
    pub fn place(&self, channel: usize) -> Option<Place> {
        let standing = self.standings.get(&channel).filter(|standing| standing.is_live)?;
        let (epoch, offset) = standing.position.clone()?;
        Some(Place { channel, epoch, offset })
    }
}

impl Desk {
    /// What the next token is like, and its name.
    fn draw(&mut self) -> (Form, String) {
        self.issued += 1;
        let name = format!("{}-{}", self.dice.throw(), self.issued);
        let form = match self.dice.below(100) {
            _ if self.is_honest => Form::Good,
            0..50 => Form::Good,
            50..85 => Form::Expiring(self.dice.between(1, 60) as u64),
            85..90 => Form::Stale,
            90..95 => Form::Forged,
            _ => Form::Foreign,
        };
        (form, name)
    }
}
