//! What a core does when memory runs short.

use super::*;
use crate::pressure::Stage;

#[test]
fn when_memory_is_short_new_subscriptions_are_told_to_try_again() {
    let mut bench = Bench::new(|_| ());
    let id = bench.client();
    bench.say(id, r#"{"id":2,"subscribe":{"channel":"before"}}"#);
    bench.shard.tell_pressure(bench.now, Stage::Tight, false);
    bench.say(id, r#"{"id":3,"subscribe":{"channel":"c"}}"#);
    bench.say(id, r#"{"id":4,"publish":{"channel":"before","data":1}}"#);
    let texts = bench.texts(id).join("");
    assert!(
        texts.contains(r#"{"id":3,"error":{"code":100,"#) && texts.contains(r#""temporary":true"#),
        "{texts}"
    );
    assert!(texts.contains(r#""data":1"#), "what it has goes on: {texts}");
    assert_eq!(bench.shard.stats().subscriptions_refused, 1);
    bench.shard.tell_pressure(bench.now, Stage::Calm, false);
    bench.say(id, r#"{"id":5,"subscribe":{"channel":"c"}}"#);
    assert_eq!(bench.texts(id), [r#"{"id":5,"subscribe":{}}"#]);
}

#[test]
fn the_longest_queues_are_cut_first_and_short_ones_never() {
    let mut bench = Bench::new(|options| options.settings_mut().limits.outbox_bytes_max = 4 << 20);
    let ids: Vec<ConnId> = (0..4).map(|_| bench.upgraded("/echo")).collect();
    bench.stuck.extend(&ids);
    // Queues of 30 KB, 300 KB, 600 KB and 900 KB.
    for (at, &id) in ids.iter().enumerate() {
        let mut frame = Vec::new();
        ws::append_masked_frame(&mut frame, Opcode::Binary, &vec![7; 30_000], [0; 4]);
        for _ in 0..(10 * at).max(1) {
            bench.bytes(id, &frame);
        }
    }
    assert!(bench.shard.stats().queued_bytes > 1_500_000);
    let mut cut = Vec::new();
    for _ in 0..8 {
        bench.now = bench.now + std::time::Duration::from_millis(500);
        bench.shard.tell_pressure(bench.now, Stage::Shedding, false);
        bench.settle();
        for &id in &ids {
            let is_open = bench.shard.conns.get(id).is_some_and(Conn::is_open);
            if !is_open && !cut.contains(&id) {
                cut.push(id);
            }
        }
    }
    assert_eq!(cut, [ids[3], ids[2], ids[1]], "one after the other, as far as need be");
    assert_eq!((bench.shard.stats().shed, bench.shard.stats().slow_disconnects), (3, 3));
    bench.stuck.clear();
    bench.shard.handle(bench.now, Input::Sent { conn: ids[3] });
    bench.settle();
    assert_eq!(bench.texts(ids[3]).last().unwrap(), "close 3008 slow");
}

/// Messages, heads and records that have begun cost as much as queues, and their deadlines are half a minute away.
#[test]
fn whoever_has_begun_to_say_much_is_cut_like_whoever_does_not_read() {
    let mut bench = Bench::new(|_| ());
    let (writer, brief) = (bench.client(), bench.client());
    let mut frame = Vec::new();
    ws::append_masked_frame(&mut frame, Opcode::Text, &vec![b'a'; 60_000], [1, 2, 3, 4]);
    bench.bytes(writer, &frame[..50_000]);
    bench.bytes(brief, &frame[..3_000]);
    let head = bench.open();
    bench.bytes(head, format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(7_000)).as_bytes());
    for _ in 0..4 {
        bench.now = bench.now + std::time::Duration::from_millis(500);
        bench.shard.tell_pressure(bench.now, Stage::Shedding, false);
        bench.settle();
    }
    assert_eq!(bench.texts(writer), ["close 3008 slow"]);
    let refusal = String::from_utf8(bench.sent.remove(&head).unwrap()).unwrap();
    assert!(refusal.starts_with("HTTP/1.1 503 ") && refusal.contains("Retry-After: 1\r\n"), "{refusal}");
    assert_eq!(bench.over, [writer, head], "the longest first");
    assert!(bench.shard.conns.get(brief).is_some_and(Conn::is_open), "a few bytes are no reason");
    assert_eq!((bench.shard.stats().shed, bench.shard.stats().slow_disconnects), (2, 1));
    bench.bytes(brief, &frame[3_000..]);
    assert!(
        bench.texts(brief)[0].starts_with("close 3501"),
        "it goes on: sixty thousand times a is no command"
    );
}
