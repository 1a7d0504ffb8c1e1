//! Who comes in with a token, for how long, and what it brings.

use super::*;
use crate::auth::{Algorithm, Auth, KeyOptions, Keys, Secret};
use crate::channels::Policy;
use std::sync::Arc;

/// Unix seconds at the beginning of each test.
const START: i64 = 1_800_000_000;

fn keys() -> Keys {
    Keys::new(&KeyOptions { hmac_secret: Secret::new("secret"), ..KeyOptions::default() }).unwrap()
}

fn token(claims: &str) -> String {
    keys().sign(Algorithm::Hs256, claims.as_bytes()).unwrap()
}

fn bench() -> Bench {
    let mut bench = Bench::new(|options| {
        let settings = options.settings_mut();
        settings.access.anonymous = false;
        settings.auth = Arc::new(Auth { connection: keys(), ..Auth::default() });
        let subscribe = crate::channels::Permission::default();
        settings.set_policy(Policy { subscribe, join_leave: true, ..Policy::open() });
    });
    bench.shard.tell_time(bench.now, START * 1000);
    bench
}

fn connect(bench: &mut Bench, claims: &str) -> (ConnId, String) {
    let id = bench.upgraded("/connection/websocket");
    bench.say(id, &format!(r#"{{"id":1,"connect":{{"token":"{}"}}}}"#, token(claims)));
    (id, bench.texts(id).join("|"))
}

impl Bench {
    /// What `id` hears in so many seconds, while it answers pings.
    fn listen(&mut self, id: ConnId, seconds: u32) -> Vec<String> {
        let mut heard = Vec::new();
        for _ in 0..seconds {
            self.pass(1_000);
            for text in self.texts(id) {
                if text == "{}" {
                    self.say(id, "{}");
                }
                heard.push(text);
            }
        }
        heard
    }
}

#[test]
fn a_token_names_the_user_and_the_end() {
    let mut bench = bench();
    let (id, reply) = connect(&mut bench, &format!(r#"{{"sub":"u","exp":{},"info":{{"n":1}}}}"#, START + 60));
    assert!(reply.contains(r#""expires":true,"ttl":60"#), "{reply}");
    assert_eq!(&*bench.shard.session(id).unwrap().user, "u");
    let early = bench.listen(id, 84);
    assert!(!early.iter().any(|text| text.starts_with("close")), "{early:?}");
    let late = bench.listen(id, 3);
    assert_eq!(late.last().unwrap(), "close 3005 connection expired");
}

#[test]
fn a_clock_that_is_set_back_delays_the_end_and_does_not_lose_it() {
    let mut bench = bench();
    let (id, _) = connect(&mut bench, &format!(r#"{{"sub":"u","exp":{}}}"#, START + 60));
    bench.listen(id, 50);
    bench.shard.tell_time(bench.now, (START - 50) * 1000);
    let early = bench.listen(id, 134);
    assert!(!early.iter().any(|text| text.starts_with("close")), "{early:?}");
    let late = bench.listen(id, 3);
    assert_eq!(late.last().unwrap(), "close 3005 connection expired");
}

#[test]
fn a_token_that_is_over_or_wrong_is_told_apart() {
    let mut bench = bench();
    let (id, reply) = connect(&mut bench, &format!(r#"{{"exp":{}}}"#, START - 1));
    assert_eq!(reply, r#"{"id":1,"error":{"code":109,"message":"token expired"}}"#);
    bench.say(id, r#"{"id":2,"subscribe":{"channel":"a"}}"#);
    assert_eq!(bench.texts(id), [""; 0], "what was pipelined behind it is not served, and does not disturb");
    let id = bench.upgraded("/connection/websocket");
    bench.say(id, r#"{"id":1,"connect":{"token":"nonsense"}}"#);
    assert_eq!(bench.texts(id), ["close 3500 invalid token"]);
    let id = bench.upgraded("/connection/websocket");
    bench.say(id, r#"{"id":1,"connect":{}}"#);
    assert_eq!(bench.texts(id), ["close 3501 bad request"]);
}

#[test]
fn a_refresh_prolongs_the_connection_and_names_the_client() {
    let mut bench = bench();
    let (id, _) = connect(&mut bench, &format!(r#"{{"sub":"u","exp":{}}}"#, START + 10));
    bench.pass(9_000);
    let fresh = token(&format!(r#"{{"sub":"u","exp":{}}}"#, START + 100));
    bench.say(id, &format!(r#"{{"id":2,"refresh":{{"token":"{fresh}"}}}}"#));
    let client = bench.shard.session(id).unwrap().client;
    let reply = bench.texts(id).join("");
    assert!(reply.starts_with(&format!(r#"{{"id":2,"refresh":{{"client":"{client}""#)), "{reply}");
    assert!(reply.contains(r#""expires":true,"ttl":91"#), "{reply}");
    bench.say(id, &format!(r#"{{"id":3,"refresh":{{"token":"{}"}}}}"#, token(r#"{"sub":"other"}"#)));
    assert_eq!(bench.texts(id), ["close 3500 invalid token"]);
}

#[test]
fn subscriptions_of_a_token_are_there_before_the_reply() {
    let mut bench = bench();
    let (id, reply) = connect(&mut bench, r##"{"sub":"u","subs":{"#u":{"data":{"x":1}},"news":{}}}"##);
    assert!(reply.contains(r##""#u":{"data":{"x":1}}"##) && reply.contains(r#""news":{}"#), "{reply}");
    assert!(reply.starts_with(r#"{"id":1,"connect""#), "no join comes before the reply: {reply}");
    assert_eq!(bench.shard.session(id).unwrap().subscriptions.len(), 2);
}

#[test]
fn a_subscription_of_a_token_that_cannot_be_had_ends_the_connection_and_leaves_nothing() {
    let mut bench = bench();
    let (_, reply) = connect(&mut bench, r#"{"sub":"u","subs":{"nowhere:a":{},"news":{},"weather":{}}}"#);
    assert!(reply.starts_with("close 3004"), "{reply}");
    let remains = bench.shard.remains();
    assert_eq!((remains.joins, remains.named, bench.shard.stats().channels), (0, 0, 0));
}

#[test]
fn a_subscription_token_opens_its_channel_for_its_user_alone() {
    let mut bench = bench();
    let (id, _) = connect(&mut bench, r#"{"sub":"u"}"#);
    let subscribe = |command: u32, channel: &str, token: &str| {
        format!(r#"{{"id":{command},"subscribe":{{"channel":"{channel}","token":"{token}"}}}}"#)
    };
    bench.say(id, &subscribe(2, "$a", ""));
    assert_eq!(bench.texts(id), [r#"{"id":2,"error":{"code":103,"message":"permission denied"}}"#]);
    bench.say(id, &subscribe(3, "$a", &token(r#"{"sub":"u","channel":"$a"}"#)));
    assert_eq!(bench.texts(id)[0], r#"{"id":3,"subscribe":{}}"#, "a token without an end has none");
    let late = format!(r#"{{"sub":"u","channel":"$b","exp":{}}}"#, START - 1);
    bench.say(id, &subscribe(4, "$b", &token(&late)));
    assert_eq!(bench.texts(id), [r#"{"id":4,"error":{"code":109,"message":"token expired"}}"#]);
    bench.say(id, &subscribe(5, "$b", &token(r#"{"sub":"v","channel":"$b"}"#)));
    assert_eq!(bench.texts(id).last().unwrap(), "close 3500 invalid token");
}

#[test]
fn a_subscription_that_is_over_is_taken_back_and_one_that_is_refreshed_stays() {
    let mut bench = bench();
    let (id, _) = connect(&mut bench, r#"{"sub":"u"}"#);
    let until = |end: i64| token(&format!(r#"{{"sub":"u","channel":"a","exp":{end}}}"#));
    bench.say(id, &format!(r#"{{"id":2,"subscribe":{{"channel":"a","token":"{}"}}}}"#, until(START + 10)));
    assert!(bench.texts(id)[0].contains(r#""expires":true,"ttl":10"#));
    bench.pass(5_000);
    bench.say(id, &format!(r#"{{"id":3,"sub_refresh":{{"channel":"a","token":"{}"}}}}"#, until(START + 15)));
    assert_eq!(bench.texts(id), [r#"{"id":3,"sub_refresh":{"expires":true,"ttl":10}}"#]);
    let said = bench.listen(id, 40);
    let end = r#"{"push":{"channel":"a","unsubscribe":{"code":2501,"reason":"subscription expired"}}}"#;
    assert!(said.iter().any(|text| text == end), "{said:?}");
    let late = until(START - 1);
    let (id, _) = connect(&mut bench, r#"{"sub":"u"}"#);
    bench.say(id, &format!(r#"{{"id":2,"subscribe":{{"channel":"a","token":"{}"}}}}"#, until(START + 999)));
    bench.texts(id);
    bench.say(id, &format!(r#"{{"id":3,"sub_refresh":{{"channel":"a","token":"{late}"}}}}"#));
    assert_eq!(bench.texts(id).last().unwrap(), "close 3006 subscription expired");
}
