//! Readers that are slower than what they subscribed to.

use crate::support::client::Client;
use crate::support::frame::{BINARY, masked};
use crate::support::metrics::resident_bytes;
use crate::support::server::Server;
use crate::support::session::{OPEN, PATH, Session};
use crate::support::wait::wait_until;
use rustix::process::Signal;
use serde_json::{Value, json};

const MIB: u64 = 1024 * 1024;

/// it hears a story without holes as far as it was queued, then why it ends. Nobody else hears less.
#[test]
fn a_slow_reader_is_closed_with_3008_and_the_others_lose_nothing() {
    const PUBLICATIONS_MAX: u32 = 2_000;
    let server =
        Server::start(&format!("{OPEN}queue_max_size = 65_536\n[websocket]\nclose_timeout = \"15s\"\n"));
    let mut publisher = Session::start(&server);
    let mut slow = Session::over(Client::connect_narrow(server.public).upgrade(PATH));
    slow.connect();
    slow.subscribe("busy");
    let mut others: Vec<Session> = (0..5).map(|_| Session::start(&server)).collect();
    for other in &mut others {
        other.subscribe("busy");
    }
    let data = |number: u32| json!([number, "x".repeat(10_000)]);
    let mut published = 0;
    while server.metrics().figure("slow_disconnects_total") == 0 {
        assert!(published < PUBLICATIONS_MAX, "the queue has no end");
        for number in published..published + 10 {
            publisher.publish("busy", &data(number));
            for other in &mut others {
                assert!(other.publication().data == data(number), "publication {number} differs");
            }
        }
        published += 10;
    }
    let mut heard = 0;
    let close = loop {
        match slow.story_or_end() {
            Ok(publication) => assert!(publication.data == data(heard), "publication {heard} differs"),
            Err(close) => break close,
        }
        heard += 1;
    };
    assert_eq!((close.close_code(), close.reason().as_str()), (Some(3008), "slow"));
    assert!(heard < published, "it missed something, or it was not slow");
    let metrics = server.metrics();
    assert_eq!((metrics.closes(3008), metrics.figure("slow_disconnects_total")), (1, 1));
    assert!(metrics.figure("drops_total") > 0, "what it missed is counted");
    // The channel goes on without it.
    publisher.publish("busy", &Value::from("after"));
    for other in &mut others {
        assert_eq!(other.publication().data, "after");
    }
    drop((publisher, slow, others));
    server.settled();
}

/// who was cut comes back with its position, and has then heard everything once and in order.
#[test]
fn a_slow_reader_that_comes_back_recovers_all_that_it_missed() {
    let history = "history_size = 10_000\nhistory_ttl = \"10m\"\nforce_recovery = true\n[routes]";
    let server = Server::start(&format!("{}queue_max_size = 65_536\n", OPEN.replace("[routes]", history)));
    let mut publisher = Session::start(&server);
    let mut slow = Session::over(Client::connect_narrow(server.public).upgrade(PATH));
    slow.connect();
    let joined = slow.ask("subscribe", &json!({ "channel": "busy" }))["subscribe"].clone();
    let mut published = 0;
    while server.metrics().figure("slow_disconnects_total") == 0 {
        for _ in 0..10 {
            published += 1;
            publisher.publish("busy", &json!([published, "x".repeat(10_000)]));
        }
    }
    let mut heard = Vec::new();
    while let Ok(publication) = slow.story_or_end() {
        heard.push(publication.data[0].as_u64().unwrap());
    }
    let mut again = Session::start(&server);
    let request = json!({
        "channel": "busy", "recover": true, "epoch": joined["epoch"], "offset": heard.len(),
    });
    let reply = again.ask("subscribe", &request)["subscribe"].clone();
    assert_eq!(reply["recovered"], true, "{reply}");
    let missed = reply["publications"].as_array().unwrap();
    assert!(!missed.is_empty());
    heard.extend(missed.iter().map(|publication| publication["data"][0].as_u64().unwrap()));
    assert!(heard.into_iter().eq(1..=published), "each once, in order");
    publisher.publish("busy", &json!("live"));
    assert_eq!(again.publication().data, "live");
    drop((publisher, slow, again));
    server.settled();
}

/// what was queued for those who never read is free again when they are gone. The allocator may keep some of it
/// for the next ones, but never more with every wave.
#[test]
fn memory_of_slow_readers_is_free_again() {
    const WAVES: u64 = 4;
    const CLIENTS: u64 = 30;
    const QUEUE: u64 = 2 * MIB;
    let config = format!("{OPEN}queue_max_size = {QUEUE}\n[websocket]\nclose_timeout = \"200ms\"\n");
    let server = Server::start(&config);
    let before = resident_bytes(server.pid());
    let message = masked(BINARY, &vec![7; 60_000]);
    for wave in 1..=WAVES {
        let mut clients: Vec<Client> =
            (0..CLIENTS).map(|_| Client::connect_narrow(server.public).upgrade("/echo")).collect();
        // What the kernel takes on top of the queue is its secret. Who has been closed may refuse the rest.
        wait_until("all queues are full", || {
            for client in &mut clients {
                let _ = (0..10).try_for_each(|_| client.try_send(&message));
            }
            server.metrics().closes(3008) == wave * CLIENTS
        });
        drop(clients);
        server.wait_for("connections", 0);
    }
    let grown = resident_bytes(server.pid()).saturating_sub(before);
    assert!(grown < 2 * CLIENTS * QUEUE, "{grown} bytes after {WAVES} waves of {}", CLIENTS * QUEUE);
    server.settled();
}

/// The server is stopped while many write to it, so that it finds all of it in one turn: many times what a queue takes.
#[test]
fn a_reader_that_keeps_up_is_not_cut_because_a_turn_was_long() {
    const PUBLISHERS: u64 = 24;
    const EACH: u64 = 1_000;
    let server = Server::start(&format!("{OPEN}queue_max_size = 131_072\n"));
    let mut reader = Session::start(&server);
    reader.subscribe("flood");
    let mut publishers: Vec<Session> = (0..PUBLISHERS).map(|_| Session::start(&server)).collect();
    server.signal(Signal::STOP);
    for (from, publisher) in publishers.iter_mut().enumerate() {
        publisher.send_many(EACH, "publish", &json!({"channel": "flood", "data": from}));
    }
    server.signal(Signal::CONT);
    let mut heard = vec![0; publishers.len()];
    for _ in 0..PUBLISHERS * EACH {
        match reader.story_or_end() {
            Ok(publication) => heard[publication.data.as_u64().unwrap() as usize] += 1,
            Err(close) => panic!("cut off after {heard:?}: {close:?}"),
        }
    }
    assert!(heard.iter().all(|&count| count == EACH));
    assert_eq!(server.metrics().figure("slow_disconnects_total"), 0);
    drop((reader, publishers));
    server.settled();
}
