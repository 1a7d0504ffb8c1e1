//! Slices of a turn: one that sends much does not hold up its neighbours, and one that reads is not cut for a burst.

use super::*;

/// Small commands in one message each, with ids from `first`.
fn pings(first: u32, count: u32) -> Vec<u8> {
    let mut frames = Vec::new();
    for id in first..first + count {
        let text = format!(r#"{{"id":{id},"rpc":{{"method":"ping","data":{{}}}}}}"#);
        ws::append_masked_frame(&mut frames, Opcode::Text, text.as_bytes(), [1, 2, 3, 4]);
    }
    frames
}

/// The ids of all replies so far, in order.
fn replied(bench: &mut Bench, id: ConnId) -> Vec<u32> {
    let texts = bench.texts(id);
    let lines = texts.iter().flat_map(|text| text.lines());
    let ids = lines.filter_map(|line| line.strip_prefix(r#"{"id":"#)?.split([',', '}']).next()?.parse().ok());
    ids.collect()
}

#[test]
fn a_long_input_is_cut_and_goes_on_in_the_next_turns_in_its_order() {
    let mut bench = Bench::new(|options| options.settings_mut().rpc_ping = true);
    let id = bench.client();
    bench.bytes(id, &pings(10, 2_000));
    let first = replied(&mut bench, id);
    assert!(!first.is_empty() && first.len() < 1_000, "{} in the first turn", first.len());
    assert_eq!(bench.shard.deadline(), Some(bench.now), "there is more to do at once");
    // What comes meanwhile stands behind it.
    bench.bytes(id, &pings(2_010, 10));
    assert!(replied(&mut bench, id).is_empty(), "it waits");
    let (mut all, mut turns) = (first, 0);
    while bench.shard.has_put_off() {
        bench.shard.advance(bench.now);
        bench.settle();
        let more = replied(&mut bench, id);
        assert!(!more.is_empty() && more.len() < 1_000, "{} in one turn", more.len());
        all.extend(more);
        turns += 1;
    }
    assert!(turns >= 2, "{turns} turns");
    assert!(all.into_iter().eq(10..2_020), "every command once, in order");
    assert!(bench.shard.stats().slices >= 2);
    assert_eq!(bench.shard.stats().put_off, 0);
}

#[test]
fn a_message_of_many_commands_is_cut_between_two_of_them() {
    let mut bench = Bench::new(|_| ());
    let listeners: Vec<ConnId> = (0..200).map(|_| bench.client()).collect();
    for &listener in &listeners {
        bench.say(listener, r#"{"id":2,"subscribe":{"channel":"c"}}"#);
        bench.texts(listener);
    }
    let publisher = bench.client();
    let publish = |id: u32| format!(r#"{{"id":{id},"publish":{{"channel":"c","data":{id}}}}}"#);
    let lines: Vec<String> = (10..210).map(publish).collect();
    // Each costs two hundred deliveries.
    bench.say(publisher, &lines.join("\n"));
    let first = replied(&mut bench, publisher).len();
    assert!((1..100).contains(&first), "{first} in the first turn");
    bench.pass(0);
    while bench.shard.has_put_off() {
        bench.shard.advance(bench.now);
        bench.settle();
    }
    for listener in listeners {
        let heard = bench.texts(listener);
        let data: Vec<String> = (10..210).map(|id| format!(r#""data":{id}"#)).collect();
        assert_eq!(heard.len(), data.len());
        assert!(heard.iter().zip(data).all(|(text, data)| text.contains(&data)), "in order, without a hole");
    }
}

#[test]
fn a_neighbour_is_served_in_the_turn_in_which_it_speaks() {
    let mut bench = Bench::new(|options| options.settings_mut().rpc_ping = true);
    let (loud, quiet) = (bench.client(), bench.client());
    bench.bytes(loud, &pings(10, 5_000));
    for round in 0..5 {
        assert!(bench.shard.has_put_off(), "the loud one is not done in round {round}");
        bench.bytes(quiet, &pings(100 + round, 1));
        assert_eq!(replied(&mut bench, quiet), [100 + round]);
        bench.shard.advance(bench.now);
        bench.settle();
    }
}

#[test]
fn the_end_of_a_peer_waits_behind_what_it_has_said() {
    let mut bench = Bench::new(|options| options.settings_mut().rpc_ping = true);
    let id = bench.client();
    bench.bytes(id, &pings(10, 1_500));
    bench.shard.handle(bench.now, Input::Ended { conn: id });
    bench.settle();
    assert!(bench.over.is_empty());
    rest(&mut bench);
    assert_eq!(bench.shard.stats().commands, 1 + 1_500);
    assert_eq!(bench.over, [id]);
}

#[test]
fn a_connection_that_is_lost_takes_what_was_put_off_with_it() {
    let mut bench = Bench::new(|options| options.settings_mut().rpc_ping = true);
    let id = bench.client();
    bench.bytes(id, &pings(10, 1_500));
    bench.shard.handle(bench.now, Input::Broken { conn: id });
    bench.settle();
    assert_eq!(bench.over, [id]);
    bench.shard.advance(bench.now);
    bench.settle();
    assert!(!bench.shard.has_put_off());
    assert_eq!(bench.shard.stats().connections, 0);
}

/// Nothing of its queue had left when it was full: that is our doing, not its.
#[test]
fn a_reader_that_keeps_up_is_not_cut_for_a_burst_beyond_its_queue() {
    let mut bench = Bench::new(|options| options.settings_mut().limits.outbox_bytes_max = 2_000);
    let (reader, publisher) = (bench.client(), bench.client());
    bench.say(reader, r#"{"id":2,"subscribe":{"channel":"c"}}"#);
    bench.texts(reader);
    let data = "x".repeat(500);
    let lines: Vec<String> = (0..30)
        .map(|id| format!(r#"{{"id":{},"publish":{{"channel":"c","data":"{id} {data}"}}}}"#, id + 10))
        .collect();
    bench.say(publisher, &lines.join("\n"));
    while bench.shard.has_put_off() {
        bench.shard.advance(bench.now);
        bench.settle();
    }
    let heard = bench.texts(reader);
    assert_eq!(heard.len(), 30);
    assert!(heard.iter().enumerate().all(|(at, text)| text.contains(&format!("\"{at} x"))), "in order");
    assert_eq!(bench.shard.stats().slow_disconnects, 0);
}

/// The shard counts on from the monotonic clock, whatever becomes of the other one.
#[test]
fn a_wall_clock_that_jumps_ends_nobody() {
    const HOUR_MS: i64 = 3_600_000;
    let mut bench = Bench::new(|_| ());
    let id = bench.client();
    let mut pings = 0;
    for second in 0..80 {
        let jump = [HOUR_MS, -HOUR_MS, 30 * 24 * HOUR_MS, 0][second as usize % 4];
        bench.shard.tell_time(bench.now, 1_800_000_000_000 + jump);
        bench.pass(1_000);
        for text in bench.texts(id) {
            assert_eq!(text, "{}");
            bench.say(id, "{}");
            pings += 1;
        }
    }
    assert_eq!(pings, 3, "they come at their time");
    assert!(bench.over.is_empty());
}

/// What came in one chunk behind a connect command that a back end decides about stays before what came after it.
#[test]
fn what_was_pipelined_behind_a_connect_stays_in_its_order() {
    for portions in [Portions::default(), Portions { turn: 1, most: 1, least: 1 }] {
        let mut bench = Bench::new(|options| {
            options.settings_mut().rpc_ping = true;
            options.portions = portions;
        });
        let id = bench.upgraded("/connection/websocket");
        let lines: Vec<String> =
            (2..40).map(|id| format!(r#"{{"id":{id},"rpc":{{"method":"ping"}}}}"#)).collect();
        bench.say(id, &format!("{}\n{}", r#"{"id":1,"connect":{}}"#, lines.join("\n")));
        bench.bytes(id, &pings(40, 40));
        rest(&mut bench);
        assert!(replied(&mut bench, id).into_iter().eq(1..80));
        assert_eq!(bench.shard.stats().put_off, 0);
    }
}

/// However small the slices, commands count for the limit of one message.
#[test]
fn a_message_that_is_cut_is_still_one_message() {
    let mut bench = Bench::new(|options| {
        options.settings_mut().rpc_ping = true;
        options.settings_mut().limits.message_bytes_max = 1 << 20;
        options.portions = Portions { turn: 300, most: 300, least: 300 };
    });
    let id = bench.client();
    let count = crate::limits::COMMANDS_PER_MESSAGE_MAX + 1;
    let lines: Vec<String> =
        (0..count).map(|at| format!(r#"{{"id":{},"rpc":{{"method":"ping"}}}}"#, at + 2)).collect();
    bench.say(id, &lines.join("\n"));
    rest(&mut bench);
    let texts = bench.texts(id);
    assert!(texts.last().is_some_and(|text| text.starts_with("close 3501")), "{:?}", texts.last());
}

/// A peer that is not to be read is let go on when all of its rest is served.
#[test]
fn a_socket_is_read_again_when_nothing_waits() {
    let mut bench = Bench::new(|options| options.settings_mut().rpc_ping = true);
    let id = bench.client();
    bench.shard.handle(bench.now, Input::Received { conn: id, bytes: &mut pings(10, 2_000) });
    let mut said = Vec::new();
    loop {
        bench.shard.drain(&mut |output| match output {
            Output::Pause { conn } => said.push((conn, true)),
            Output::Resume { conn } => said.push((conn, false)),
            Output::Send { .. }
            | Output::Shutdown { .. }
            | Output::Close { .. }
            | Output::HandOver { .. }
            | Output::Memo(_)
            | Output::Order(_)
            | Output::StopAccepting
            | Output::Finished => {}
        });
        if !bench.shard.has_put_off() {
            break;
        }
        bench.shard.begin_turn();
        bench.shard.advance(bench.now);
    }
    assert_eq!(said, [(id, true), (id, false)]);
}

/// A long turn would read on and on what has to wait, and all of it counts as long as it does.
#[test]
fn a_socket_is_not_read_from_the_moment_on_that_something_waits() {
    let mut bench = Bench::new(|options| options.settings_mut().rpc_ping = true);
    let id = bench.client();
    let before = bench.shard.held_bytes();
    let mut input = pings(10, 2_000);
    bench.shard.handle(bench.now, Input::Received { conn: id, bytes: &mut input });
    let mut said = Vec::new();
    bench.shard.drain_pauses(&mut |output| said.push(output));
    assert!(matches!(said[..], [Output::Pause { conn }] if conn == id), "{said:?}");
    let once = bench.shard.held_bytes() - before;
    let mut more = pings(10, 2_000);
    let len = more.len() as u64;
    bench.shard.handle(bench.now, Input::Received { conn: id, bytes: &mut more });
    assert!(bench.shard.held_bytes() - before >= once + len, "what was on its way is kept, and counts");
    rest(&mut bench);
    assert_eq!(bench.shard.held_bytes(), before);
}

/// Turns until nothing waits.
fn rest(bench: &mut Bench) {
    while bench.shard.has_put_off() {
        bench.shard.advance(bench.now);
        bench.settle();
    }
}

/// Sends are what a wide fan-out costs: publications that came together leave together, as far as that is no longer.
#[test]
fn publications_to_many_leave_in_one_send_each() {
    let mut bench = Bench::new(|_| ());
    let listeners: Vec<ConnId> = (0..2_000).map(|_| bench.client()).collect();
    for &listener in &listeners {
        bench.say(listener, r#"{"id":2,"subscribe":{"channel":"c"}}"#);
    }
    bench.sent.clear();
    let publisher = bench.client();
    let lines: Vec<String> =
        (10..16).map(|id| format!(r#"{{"id":{id},"publish":{{"channel":"c","data":1}}}}"#)).collect();
    let before = bench.shard.stats().sends;
    bench.say(publisher, &lines.join("\n"));
    assert_eq!(bench.shard.stats().sends - before, 2_001);
    assert_eq!(replied(&mut bench, publisher).len(), 6);
}
