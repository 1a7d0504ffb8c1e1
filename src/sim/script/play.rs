//! Plays a script on a stage: the simulated world, or sockets.
//!
//! Invariant: an expectation takes the oldest thing heard of its kind, so replies and pushes may come in either order but
//! pushes among themselves may not; what nobody expected is an error at the end, pings aside.

use super::{Act, Expectation, Incoming, Outcome, Saying, Script};
use crate::sim::client::{Client, Heard};
use crate::ws::Opcode;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Where a script is played.
pub trait Stage {
    /// Opens a connection for a client that has none.
    fn open(&mut self, client: &str) -> Result<(), String>;
    fn write(&mut self, client: &str, bytes: &[u8]);
    /// Nothing more will be written.
    fn finish(&mut self, client: &str);
    fn reset(&mut self, client: &str);
    /// What comes next. Silence means that nothing will come, or nothing within all patience.
    fn read(&mut self, client: &str) -> Incoming;
    /// Lets time pass, up to `limit` or to the next thing that happens; says how much. None where nobody can.
    fn pass(&mut self, limit: Duration) -> Option<Duration>;
}

/// Plays it to the end. The error names the line.
pub fn play(script: &Script, stage: &mut impl Stage) -> Result<(), String> {
    let mut play = Play { stage, actors: BTreeMap::new() };
    for step in &script.steps {
        play.act(&step.act).map_err(|error| format!("line {}: {error}", step.line))?;
    }
    for (name, actor) in &play.actors {
        let rest: Vec<&Heard> = actor.client.heard.iter().filter(|heard| !is_ping(heard)).collect();
        if !rest.is_empty() {
            return Err(format!("client {name} also heard {rest:?}"));
        }
    }
    Ok(())
}

struct Play<'s, S> {
    stage: &'s mut S,
    actors: BTreeMap<String, Actor>,
}

#[derive(Default)]
struct Actor {
    client: Client,
    /// Ids of commands that nobody has expected a reply for, oldest first.
    open_ids: VecDeque<u32>,
    client_id: Option<String>,
    end: Option<Incoming>,
}

impl<S: Stage> Play<'_, S> {
    fn act(&mut self, act: &Act) -> Result<(), String> {
        match act {
            Act::Wait(time) => self.wait(*time),
            Act::Say { client, saying } => self.say(client, saying),
            Act::Expect { client, expectation } => {
                self.meet(client, expectation).map_err(|error| format!("client {client}: {error}"))
            }
        }
    }

    fn wait(&mut self, mut left: Duration) -> Result<(), String> {
        let names: Vec<String> = self.actors.keys().cloned().collect();
        loop {
            for name in &names {
                while self.hear(name)? {}
            }
            if left.is_zero() {
                return Ok(());
            }
            left -= self.stage.pass(left).ok_or("time does not pass at a word here")?;
        }
    }

    fn say(&mut self, name: &str, saying: &Saying) -> Result<(), String> {
        if !self.actors.contains_key(name) {
            self.stage.open(name)?;
        }
        let actor = self.actors.entry(name.to_owned()).or_default();
        let client = &mut actor.client;
        match saying {
            Saying::Upgrade { path, fields } => client.upgrade(path, fields),
            Saying::Raw(bytes) => client.raw(bytes),
            Saying::Text(text) => client.text(text),
            Saying::Binary(bytes) => client.frame(Opcode::Binary, bytes),
            Saying::Ping(text) => client.frame(Opcode::Ping, text.as_bytes()),
            Saying::Pong(text) => client.frame(Opcode::Pong, text.as_bytes()),
            Saying::Close(code, reason) => client.close(*code, reason),
            Saying::Command(fields) => {
                let id = client.next_id();
                let mut command = fields.clone();
                command["id"] = id.into();
                client.text(&command.to_string());
                actor.open_ids.push_back(id);
            }
            Saying::Mute => client.is_mute = true,
            Saying::Finish => self.stage.finish(name),
            Saying::Reset => self.stage.reset(name),
        }
        self.write(name);
        Ok(())
    }

    fn write(&mut self, name: &str) {
        if let Some(actor) = self.actors.get_mut(name).filter(|actor| actor.client.has_output()) {
            self.stage.write(name, &actor.client.take_output());
        }
    }

    /// Reads once. False if there was nothing, or nothing more can be.
    fn hear(&mut self, name: &str) -> Result<bool, String> {
        let actor = self.actors.get_mut(name).ok_or("nobody has seen this client yet")?;
        if actor.end.is_some() {
            return Ok(false);
        }
        match self.stage.read(name) {
            Incoming::Silence => return Ok(false),
            Incoming::Bytes(bytes) => actor.client.receive(bytes)?,
            end @ (Incoming::Ended | Incoming::Reset) => actor.end = Some(end),
        }
        self.write(name);
        Ok(true)
    }

    fn meet(&mut self, name: &str, expectation: &Expectation) -> Result<(), String> {
        match expectation {
            Expectation::End => self.expect_end(name),
            Expectation::Nothing => self.expect_nothing(name),
            Expectation::Reply(id, outcome) => {
                let oldest = || self.actors.get_mut(name).and_then(|actor| actor.open_ids.pop_front());
                let id = id.or_else(oldest).ok_or("no command is open")?;
                let heard = self.first(name, |heard| matches!(heard, Heard::Reply(of, _) if *of == id))?;
                let Heard::Reply(_, result) = heard else { return Err("not a reply".into()) };
                self.judge_reply(name, result, outcome)
            }
            Expectation::Status(..)
            | Expectation::Publication { .. }
            | Expectation::Unsubscribed { .. }
            | Expectation::Ping
            | Expectation::FramedPing
            | Expectation::Pong(..)
            | Expectation::Text(..)
            | Expectation::Binary(..)
            | Expectation::Close(..) => {
                let heard = self.first(name, |heard| is_of_kind(heard, expectation))?;
                if is_met(&heard, expectation) {
                    Ok(())
                } else {
                    Err(format!("not {expectation:?} but {heard:?}"))
                }
            }
        }
    }

    /// Takes the oldest thing heard that is `wanted`, reading until there is one.
    fn first(&mut self, name: &str, wanted: impl Fn(&Heard) -> bool) -> Result<Heard, String> {
        loop {
            let actor = self.actors.get_mut(name).ok_or("nobody has seen this client yet")?;
            if let Some(at) = actor.client.heard.iter().position(&wanted) {
                return actor.client.heard.remove(at).ok_or_else(|| "nothing".into());
            }
            if !self.hear(name)? {
                let heard = self.actors.get(name).map(|actor| (&actor.client.heard, &actor.end));
                return Err(format!("waited in vain, having heard {heard:?}"));
            }
        }
    }

    fn expect_end(&mut self, name: &str) -> Result<(), String> {
        while self.hear(name)? {}
        match self.actors.get(name).and_then(|actor| actor.end.as_ref()) {
            Some(Incoming::Ended) => Ok(()),
            end => Err(format!("not the end but {end:?}")),
        }
    }

    /// A ping comes back, and before it nothing else.
    fn expect_nothing(&mut self, name: &str) -> Result<(), String> {
        if self.actors.get(name).is_some_and(|actor| actor.client.is_open()) {
            self.say(name, &Saying::Ping("nothing else?".into()))?;
            self.meet(name, &Expectation::Pong("nothing else?".into()))?;
        } else {
            while self.hear(name)? {}
        }
        let heard = self.actors.get(name).map(|actor| &actor.client.heard).into_iter().flatten();
        let heard: Vec<&Heard> = heard.filter(|heard| !is_ping(heard)).collect();
        if heard.is_empty() { Ok(()) } else { Err(format!("not nothing but {heard:?}")) }
    }

    fn judge_reply(
        &mut self,
        name: &str,
        result: Result<Value, u32>,
        outcome: &Outcome,
    ) -> Result<(), String> {
        match (result, outcome) {
            (Err(code), Outcome::Error(expected)) if code == *expected => Ok(()),
            (Ok(reply), Outcome::Ok(members)) => {
                let result = result_of(&reply).ok_or_else(|| format!("no result in {reply}"))?;
                if let (Some(actor), Some(id)) =
                    (self.actors.get_mut(name), reply["connect"]["client"].as_str())
                {
                    actor.client_id = Some(id.to_owned());
                }
                if has_members(result, members) { Ok(()) } else { Err(format!("no {members} in {result}")) }
            }
            (Ok(reply), Outcome::Here(names)) => {
                let there = reply["presence"]["presence"]
                    .as_object()
                    .ok_or_else(|| format!("no presence: {reply}"))?;
                let name_of = |id: &String| {
                    let actor = self.actors.iter().find(|(_, actor)| actor.client_id.as_ref() == Some(id));
                    actor.map_or_else(|| id.clone(), |(name, _)| name.clone())
                };
                let there: BTreeSet<String> = there.keys().map(name_of).collect();
                if there == *names { Ok(()) } else { Err(format!("not {names:?} but {there:?}")) }
            }
            (result, outcome) => Err(format!("not {outcome:?} but {result:?}")),
        }
    }
}

/// The object beside the id.
fn result_of(reply: &Value) -> Option<&Value> {
    reply.as_object()?.iter().find(|(key, _)| *key != "id").map(|(_, result)| result)
}

/// Whether everything in `part` is in `whole`.
fn has_members(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, part)| whole.get(key).is_some_and(|whole| has_members(whole, part)))
        }
        (whole, part) => whole == part,
    }
}

fn is_ping(heard: &Heard) -> bool {
    matches!(heard, Heard::Ping | Heard::FramePing(_))
}

fn is_of_kind(heard: &Heard, expectation: &Expectation) -> bool {
    matches!(
        (heard, expectation),
        (Heard::Status(_), Expectation::Status(_))
            | (Heard::Push(_), Expectation::Publication { .. } | Expectation::Unsubscribed { .. })
            | (Heard::Ping, Expectation::Ping)
            | (Heard::FramePing(_), Expectation::FramedPing)
            | (Heard::FramePong(_), Expectation::Pong(_))
            | (Heard::Text(_) | Heard::Binary(_), Expectation::Text(_) | Expectation::Binary(_))
            | (Heard::Close(..), Expectation::Close(..))
    )
}

fn is_met(heard: &Heard, expectation: &Expectation) -> bool {
    match (heard, expectation) {
        (Heard::Status(status), Expectation::Status(expected)) => status == expected,
        (Heard::Push(push), Expectation::Publication { channel, data }) => {
            push["channel"] == **channel && push["pub"]["data"] == *data
        }
        (Heard::Push(push), Expectation::Unsubscribed { channel, code }) => {
            push["channel"] == **channel && push["unsubscribe"]["code"] == *code
        }
        (Heard::Ping, Expectation::Ping) | (Heard::FramePing(_), Expectation::FramedPing) => true,
        (Heard::FramePong(payload), Expectation::Pong(expected)) => payload == expected.as_bytes(),
        (Heard::Text(text), Expectation::Text(expected)) => text == expected,
        (Heard::Binary(bytes), Expectation::Binary(expected)) => bytes == expected,
        (Heard::Close(code, reason), Expectation::Close(expected, expected_reason)) => {
            code == expected && expected_reason.as_ref().is_none_or(|expected| expected == reason)
        }
        (_, _) => false,
    }
}
