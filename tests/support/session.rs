//! A peer that speaks the client protocol in JSON. What comes in another order than it asks for is kept.
//! Strict: publications of a channel come between the replies to subscribe and unsubscribe alone.

use super::client::Client;
use super::frame::{CLOSE, Frame, TEXT, masked};
use super::server::Server;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet, VecDeque};

pub const PATH: &str = "/connection/websocket";

#[derive(Debug)]
pub struct Session {
    pub client: Client,
    last_command: u64,
    /// Subscribe and unsubscribe commands without a reply: the channel, and whether it is then subscribed.
    pending: HashMap<u64, (String, bool)>,
    channels: HashSet<String>,
    replies: VecDeque<Value>,
    publications: VecDeque<Publication>,
    /// Subscriptions that the server has ended, and with which code.
    ended: VecDeque<(String, u64)>,
}

/// What a subscriber is told.
#[derive(Debug)]
pub enum Told {
    Publication(Publication),
    Unsubscribed(String, u64),
}

/// A publication as a subscriber sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Publication {
    pub channel: String,
    pub data: Value,
}

impl Session {
    /// Upgraded and connected.
    #[track_caller]
    pub fn start(server: &Server) -> Self {
        let mut session = Self::over(Client::upgraded(server, PATH));
        session.connect();
        session
    }

    /// On a connection that is upgraded.
    pub fn over(client: Client) -> Self {
        Self {
            client,
            last_command: 0,
            pending: HashMap::new(),
            channels: HashSet::new(),
            replies: VecDeque::new(),
            publications: VecDeque::new(),
            ended: VecDeque::new(),
        }
    }

    /// Gives the client id.
    #[track_caller]
    pub fn connect(&mut self) -> String {
        self.ask("connect", &json!({}))["connect"]["client"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub fn subscribe(&mut self, channel: &str) {
        let reply = self.ask("subscribe", &json!({ "channel": channel }));
        assert!(reply["subscribe"].is_object(), "{reply}");
    }

    #[track_caller]
    pub fn unsubscribe(&mut self, channel: &str) {
        let reply = self.ask("unsubscribe", &json!({ "channel": channel }));
        assert!(reply["unsubscribe"].is_object(), "{reply}");
    }

    #[track_caller]
    pub fn publish(&mut self, channel: &str, data: &Value) {
        let reply = self.ask("publish", &json!({ "channel": channel, "data": data }));
        assert!(reply["publish"].is_object(), "{reply}");
    }

    /// Sends a command, without waiting for its reply.
    #[track_caller]
    pub fn send(&mut self, method: &str, request: &Value) -> u64 {
        self.last_command += 1;
        if let "subscribe" | "unsubscribe" = method {
            let channel = request["channel"].as_str().unwrap().to_owned();
            self.pending.insert(self.last_command, (channel, method == "subscribe"));
        }
        let command = json!({ "id": self.last_command, method: request });
        self.client.send(&masked(TEXT, command.to_string().as_bytes()));
        self.last_command
    }

    /// Sends so many of a command in one piece.
    #[track_caller]
    pub fn send_many(&mut self, count: u64, method: &str, request: &Value) -> Vec<u64> {
        let first = self.last_command + 1;
        self.last_command += count;
        let commands: Vec<u64> = (first..first + count).collect();
        let frames = commands
            .iter()
            .map(|id| masked(TEXT, json!({ "id": id, method: request }).to_string().as_bytes()));
        self.client.send(&frames.collect::<Vec<_>>().concat());
        commands
    }

    /// Sends a command and gives its reply.
    #[track_caller]
    pub fn ask(&mut self, method: &str, request: &Value) -> Value {
        let command = self.send(method, request);
        self.reply(command)
    }

    /// The reply to a command.
    #[track_caller]
    pub fn reply(&mut self, command: u64) -> Value {
        loop {
            if let Some(at) = self.replies.iter().position(|reply| reply["id"] == command) {
                return self.replies.remove(at).unwrap();
            }
            assert!(self.read().is_none(), "closed before the reply to command {command}");
        }
    }

    /// The next publication.
    #[track_caller]
    pub fn publication(&mut self) -> Publication {
        self.story_or_end().unwrap_or_else(|close| panic!("closed instead: {close:?}"))
    }

    /// The next publication, or the close frame.
    #[track_caller]
    pub fn story_or_end(&mut self) -> Result<Publication, Frame> {
        loop {
            if let Some(publication) = self.publications.pop_front() {
                return Ok(publication);
            }
            if let Some(close) = self.read() {
                return Err(close);
            }
            assert!(self.ended.is_empty(), "subscriptions have ended: {:?}", self.ended);
        }
    }

    /// The next publication, or word that a subscription has ended without having been asked to.
    #[track_caller]
    pub fn story_or_end_of_subscription(&mut self) -> Told {
        loop {
            if let Some(publication) = self.publications.pop_front() {
                return Told::Publication(publication);
            }
            if let Some((channel, code)) = self.ended.pop_front() {
                return Told::Unsubscribed(channel, code);
            }
            if let Some(close) = self.read() {
                panic!("closed instead: {close:?}");
            }
        }
    }

    /// Publications that have come in while something else was awaited.
    pub fn take_publications(&mut self) -> Vec<Publication> {
        self.publications.drain(..).collect()
    }

    /// Reads a frame: a close frame is given back, everything else is sorted in. Pings are answered.
    #[track_caller]
    fn read(&mut self) -> Option<Frame> {
        let frame = self.client.frame();
        if frame.first == CLOSE {
            return Some(frame);
        }
        assert_eq!(frame.first, TEXT, "a JSON session speaks in text");
        for line in frame.payload.split(|&byte| byte == b'\n') {
            let mut message: Value = serde_json::from_slice(line).expect("every line is a document");
            if let Some(id) = message["id"].as_u64() {
                match self.pending.remove(&id) {
                    Some((channel, true)) => _ = self.channels.insert(channel),
                    Some((channel, false)) => _ = self.channels.remove(&channel),
                    None => {}
                }
                self.replies.push_back(message);
            } else if message.get("push").is_some() {
                let push = message["push"].take();
                let channel = push["channel"].as_str().unwrap().to_owned();
                if let Some(code) = push["unsubscribe"]["code"].as_u64() {
                    assert!(self.channels.remove(&channel), "the end of no subscription: {push}");
                    self.ended.push_back((channel, code));
                    continue;
                }
                assert!(push["pub"].is_object(), "an unexpected push: {push}");
                assert!(self.channels.contains(&channel), "a publication outside of a subscription: {push}");
                self.publications.push_back(Publication { channel, data: push["pub"]["data"].clone() });
            } else {
                assert_eq!(message, json!({}), "a ping is an empty object");
                self.client.send(&masked(TEXT, b"{}"));
            }
        }
        None
    }
}

/// Everything that an anonymous client may want to do, as fast as it likes, undisturbed by pings. Further options of
/// `[client]` may follow.
pub const OPEN: &str = "[channel.without_namespace]\npresence = true\n\
    allow_presence_for_client = true\nallow_presence_for_anonymous = true\n\
    allow_subscribe_for_client = true\nallow_subscribe_for_anonymous = true\n\
    allow_publish_for_client = true\nallow_publish_for_anonymous = true\n\
    [routes]\necho = true\n\
    [client]\nallow_anonymous_connect_without_token = true\nping_interval = \"1h\"\n\
    command_rate_limit = 0\nbyte_rate_limit = 0\n";
