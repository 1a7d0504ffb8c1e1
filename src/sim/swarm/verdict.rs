//! The end of a random world: rest, judgement, departure.

use super::Swarm;
use super::acts::{Behave, Say};
use crate::shard::Remains;
use crate::sim::client::{Client, Heard};
use crate::sim::link::Incoming;
use crate::sim::player::{Player, name};
use crate::sim::world::{LinkId, SETTLE_STEPS_MAX};
use serde_json::Value;
use std::time::Duration;

/// Longer than every deadline of a connection together.
const LONG: Duration = Duration::from_mins(2);

impl Swarm {
    /// The faults stop, everyone reads and everything that was asked is answered.
    pub(super) fn rest(&mut self) {
        self.world.calm();
        self.world.faults.lag = 0;
        self.world.faults.mail_lag = 0;
        self.world.faults.mail_count_max = 1024;
        for at in 0..self.players.len() {
            self.players[at].is_reading = true;
            self.players[at].client.is_mute = false;
            if self.players[at].is_live() {
                self.say(at, Say::Flush);
            }
        }
        self.settle();
        // Long enough for every unfinished goodbye, and for a few pings and pongs.
        self.pass(LONG);
        self.settle();
    }

    /// Until nothing moves and nothing is unread.
    fn settle(&mut self) {
        for round in 0.. {
            assert!(round < SETTLE_STEPS_MAX, "players that never come to rest");
            self.world.settle();
            let unread = |player: &&mut Player| player.is_reading && !player.is_over;
            let mut is_silent = true;
            for player in self.players.iter_mut().filter(unread) {
                self.now += 1;
                let incoming = self.world.read(player.link);
                is_silent &= incoming == Incoming::Silence;
                player.receive(incoming, &mut self.ledger, self.now);
            }
            (0..self.players.len()).for_each(|at| self.write(at));
            if is_silent && self.world.is_quiet() {
                return;
            }
        }
    }

    pub(super) fn judge(&mut self) {
        self.ledger.judge();
        self.players.iter().for_each(Player::judge);
        if self.is_draining {
            assert!(self.players.iter().all(|player| !player.is_live()), "a client survived the drain");
            return;
        }
        (0..self.channel_count).for_each(|channel| self.judge_presence(channel));
    }

    /// A newcomer asks who is there. It asks one thing at a time, so that no outbox is too small for the answers.
    fn judge_presence(&mut self, channel: usize) {
        let Some(link) = self.world.open() else { return };
        let mut observer = Client::default();
        observer.upgrade("/connection/websocket", &[]);
        self.await_answer(link, &mut observer);
        self.question(link, &mut observer, r#"{"id":1,"connect":{}}"#);
        let channel_name = name(channel);
        let question = format!(r#"{{"id":2,"presence":{{"channel":"{channel_name}"}}}}"#);
        let presence = self.question(link, &mut observer, &question);
        let question = format!(r#"{{"id":3,"presence_stats":{{"channel":"{channel_name}"}}}}"#);
        let stats = self.question(link, &mut observer, &question);
        self.world.reset(link);
        let present = |player: &&Player| player.is_subscribed(channel);
        let mut expected: Vec<&str> =
            self.players.iter().filter(present).filter_map(|player| player.client_id.as_deref()).collect();
        expected.sort_unstable();
        let there = presence["presence"]["presence"].as_object().into_iter().flatten();
        let there: Vec<&str> = there.map(|(client, _)| client.as_str()).collect();
        assert_eq!(there, expected, "presence of {channel_name}");
        assert_eq!(stats["presence_stats"]["num_clients"], Value::from(expected.len()), "{stats}");
    }

    fn question(&mut self, link: LinkId, observer: &mut Client, question: &str) -> Value {
        observer.text(question);
        let answer = self.await_answer(link, observer);
        assert!(matches!(answer, Heard::Reply(_, Ok(_))), "{question}: {answer:?}");
        if let Heard::Reply(_, Ok(reply)) = answer { reply } else { Value::Null }
    }

    fn await_answer(&mut self, link: LinkId, observer: &mut Client) -> Heard {
        self.world.write(link, &observer.take_output());
        loop {
            self.world.settle();
            let incoming = self.world.read(link);
            let Incoming::Bytes(bytes) = incoming else {
                assert_eq!(incoming, Incoming::Silence, "an observer was thrown out");
                let is_over = !self.world.has_unread(link) && self.world.is_quiet();
                assert!(!is_over, "an observer was ignored");
                continue;
            };
            assert_eq!(observer.receive(bytes), Ok(()));
            if let Some(heard) = observer.heard.pop_front() {
                return heard;
            }
        }
    }

    /// Everyone goes, one way or another; nothing may be left.
    pub(super) fn leave(&mut self) {
        for at in 0..self.players.len() {
            if !self.players[at].is_live() {
                continue;
            }
            let way = self.dice.below(3);
            if way == 0 {
                self.say(at, Say::Goodbye);
            }
            self.behave(at, if way == 1 { Behave::Reset } else { Behave::Finish });
        }
        self.settle();
        self.pass(LONG);
        self.settle();
        for core in 0..self.world.core_count() {
            let remains = self.world.remains(core);
            assert_eq!(remains, Remains::default(), "kept for nobody on core {core}");
            let stats = self.world.stats(core);
            assert!(self.has_bugs || stats.panics == 0, "{} panics that nobody planned", stats.panics);
            let left = [stats.connections, stats.sessions, stats.subscriptions, stats.channels];
            assert_eq!(left, [0; 4], "connections, sessions, subscriptions and channels left on core {core}");
        }
        assert_eq!(self.world.is_finished(), self.is_draining, "a drained node knows when it is empty");
    }
}
