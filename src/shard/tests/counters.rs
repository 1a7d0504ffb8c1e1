//! Numbers that grow for as long as a node lives, or that a peer chooses: what they do at their ends.

use super::messaging::{bench, kept};
use super::*;
use crate::history::{Keep, Stream};
use std::time::Duration;

/// R-35: 2^53 is where JavaScript stops counting in ones. On the wire every digit is there, and what was missed is found.
#[test]
fn offsets_go_on_beyond_what_a_float_can_tell_apart() {
    const TOP: u64 = (1 << 53) - 1;
    let mut bench = bench(kept());
    let id = bench.client();
    bench.api_publish("a", "0");
    let channel = bench.shard.hub.find("a").unwrap();
    let keep = Keep { count_max: 5, ttl: Duration::from_mins(1), meta_ttl: Duration::from_mins(10) };
    let stream = Stream::restored(Arc::from("e"), TOP, [], keep, bench.now);
    bench.shard.hub.channel_mut(channel).unwrap().set_stream(stream);
    for n in 1..=3 {
        bench.api_publish("a", &n.to_string());
    }
    bench.say(
        id,
        r#"{"id":2,"subscribe":{"channel":"a","recover":true,"epoch":"e","offset":9007199254740993}}"#,
    );
    let reply = bench.text(id);
    assert!(reply.contains(r#""publications":[{"data":3,"offset":9007199254740994}]"#), "{reply}");
    assert!(reply.contains(r#""recovered":true,"offset":9007199254740993"#), "{reply}");
    bench.api_publish("a", "4");
    assert!(bench.text(id).contains(r#""data":4,"offset":9007199254740995"#));
}

/// R-35: a peer says any position, the largest too.
#[test]
fn a_position_that_nobody_has_reached_is_answered_and_no_more() {
    let mut bench = bench(kept());
    let id = bench.client();
    for n in 1..=3 {
        bench.api_publish("a", &n.to_string());
    }
    let epoch = bench.epoch("a");
    for offset in [4, u64::from(u32::MAX) + 1, 1 << 53, i64::MAX as u64 + 1, u64::MAX] {
        for reverse in [false, true] {
            bench.say(
                id,
                &format!(r#"{{"id":2,"history":{{"channel":"a","limit":9,"reverse":{reverse},"since":{{"offset":{offset},"epoch":"{epoch}"}}}}}}"#),
            );
            let count = bench.text(id).matches("\"data\"").count();
            assert_eq!(count, if reverse { 3 } else { 0 }, "{offset}");
        }
        bench.say(id, &format!(r#"{{"id":3,"subscribe":{{"channel":"a","recover":true,"epoch":"{epoch}","offset":{offset}}}}}"#));
        let reply = bench.texts(id).join("");
        assert!(!reply.contains(r#""recovered":true"#) && reply.contains(r#""id":3,"subscribe""#), "{reply}");
        bench.say(id, r#"{"id":4,"unsubscribe":{"channel":"a"}}"#);
        bench.texts(id);
    }
}

/// R-35: a core counts its turns in 16 bits, and commands have the ids of their clients.
#[test]
fn what_a_client_has_used_up_is_forgotten_when_turns_begin_anew() {
    let mut bench = bench(kept());
    let id = bench.client();
    for _ in 0..=u32::from(u16::MAX) {
        bench.shard.begin_turn();
    }
    for number in [u32::MAX - 1, u32::MAX] {
        bench.say(id, &format!(r#"{{"id":{number},"publish":{{"channel":"a","data":1}}}}"#));
        assert_eq!(bench.text(id), format!(r#"{{"id":{number},"publish":{{}}}}"#));
    }
    bench.say(id, r#"{"id":1,"publish":{"channel":"a","data":1}}"#);
    assert_eq!(bench.text(id), r#"{"id":1,"publish":{}}"#, "ids are the client's own to repeat");
}
