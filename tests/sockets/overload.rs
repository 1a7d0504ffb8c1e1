//! Too much of everything: memory, input, log lines, and a core that does not come back.

use crate::support::canary::Canary;
use crate::support::client::Client;
use crate::support::frame::{BINARY, TEXT, masked};
use crate::support::group::Group;
use crate::support::metrics::{get, resident_bytes};
use crate::support::server::Server;
use crate::support::session::{OPEN, Session, Told};
use crate::support::wait::{PATIENCE, pause, wait_until};
use ringway::sys::clock;
use rustix::process::Signal;
use serde_json::json;
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::process::{Command, Stdio};
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// R-09, R-10: queues of those who never read would be many times the budget, and even half of one is more than what there
/// is for each of them, so that halving cuts nobody.
#[test]
fn when_memory_runs_short_the_largest_queues_go_and_everybody_else_stays() {
    const LIMIT_MIB: u64 = 160;
    const CLIENTS: usize = 60;
    let server = Server::start(&format!(
        "{OPEN}queue_max_size = 67_108_864\n[memory]\nlimit_mib = {LIMIT_MIB}\n[websocket]\nclose_timeout = \"1s\"\n"
    ));
    let canary = Canary::start(&server);
    let mut session = Session::start(&server);
    session.subscribe("before");
    let clients = crowd(&server, CLIENTS);
    let resident = resident_bytes(server.pid());
    assert!(resident < (LIMIT_MIB + LIMIT_MIB / 4) * MIB, "{} MiB of {LIMIT_MIB}", resident / MIB);
    let metrics = server.metrics();
    assert_eq!(metrics.labelled("memory_limit_bytes"), LIMIT_MIB * MIB);
    assert!(metrics.labelled("memory_used_bytes") > 0);
    // Who is quick is served all the while.
    canary.unharmed();
    session.publish("before", &json!(1));
    assert_eq!(session.publication().data, 1);
    drop(clients);
    wait_until("memory is there again", || server.metrics().labelled("memory_stage") == 0);
    session.subscribe("after");
    server.says("MiB in use: clients that hold the most of it are closed (3008)");
    server.says("MiB in use: everybody is served");
    drop(session);
    server.wait_for("connections", 0);
}

/// R-09: what a core counts is what it takes, so that whoever looks at the count knows when to look at the memory.
#[test]
fn memory_grows_as_what_is_counted_does() {
    let server = Server::start(&format!("{OPEN}queue_max_size = 16_777_216\n"));
    let mut clients = deaf(&server, 60);
    // First as much as the kernel takes for each of them: what leaves again leaves gaps.
    let before = hold(&server, &mut clients, 8 * MIB);
    let resident = resident_bytes(server.pid());
    let held = hold(&server, &mut clients, before + 64 * MIB) - before;
    let grown = resident_bytes(server.pid()).saturating_sub(resident);
    assert!(grown < held + held / 2, "{} MiB for {} that are counted", grown / MIB, held / MIB);
    assert_eq!(server.metrics().figure("slow_disconnects_total"), 0);
    drop(clients);
    wait_until("nothing is held for nobody", || server.metrics().figure("queued_bytes") == 0);
}

/// Clients that never read what comes back, and say so much that the longest queues are cut.
fn crowd(server: &Server, count: usize) -> Vec<Client> {
    let mut clients = deaf(server, count);
    wait_until("the longest queues are cut", || {
        flood(&mut clients);
        server.metrics().figure("slow_disconnects_total") >= 10
    });
    clients
}

/// Floods until so much is held, all that was sent is in, and no more leaves. Gives what is held then.
fn hold(server: &Server, clients: &mut [Client], bytes: u64) -> u64 {
    let (mut last, mut since) = ((0, 0), clock::now());
    wait_until("so much is held", || {
        let figures = server.metrics();
        let now = (figures.figure("held_bytes"), figures.figure("turns_total"));
        if now.0 < bytes {
            flood(clients);
        }
        if now != last {
            (last, since) = (now, clock::now());
        }
        // Figures of a core at work are a tenth of a second old.
        now.0 >= bytes && clock::now() - since > Duration::from_millis(500)
    });
    last.0
}

fn deaf(server: &Server, count: usize) -> Vec<Client> {
    (0..count).map(|_| Client::connect_narrow(server.public).upgrade("/echo")).collect()
}

fn flood(clients: &mut [Client]) {
    let message = masked(BINARY, &vec![7; 60_000]);
    for client in clients {
        // Who has been closed may refuse the rest.
        let _ = (0..4).try_for_each(|_| client.try_send(&message));
    }
}

/// R-11: the kernel ends a process beyond the limit of its control group. This one stays below, without having been told
/// more. Only where groups of memory can be made (version 1).
#[test]
fn a_node_stays_within_its_control_group() {
    const LIMIT_MIB: u64 = 384;
    let Some(group) = Group::new(LIMIT_MIB * MIB) else { return };
    let mut command = Command::new("sh");
    let enter = format!("{} && exec \"$0\" \"$@\"", group.enter());
    command.args(["-c", &enter, env!("CARGO_BIN_EXE_ringway")]);
    let config = format!("{OPEN}queue_max_size = 8_388_608\n[websocket]\nclose_timeout = \"1s\"\n");
    let server = Server::start_by(command, &config);
    let limit = server.metrics().labelled("memory_limit_bytes");
    assert!((LIMIT_MIB * 7 / 8 * MIB..LIMIT_MIB * MIB).contains(&limit), "{limit}");
    let mut session = Session::start(&server);
    session.subscribe("c");
    drop(crowd(&server, 60));
    session.publish("c", &json!("it lives"));
    assert_eq!(session.publication().data, "it lives");
    assert_eq!(group.killed_count(), 0);
    drop((session, server));
}

/// R-12: as much as the line takes, in small commands, from several at once. The neighbour hears every answer, and the
/// loud ones get theirs in order, only not all in one turn.
#[test]
fn clients_at_line_rate_do_not_hold_up_their_neighbour() {
    const LOUD: usize = 4;
    const MESSAGES: u32 = 20;
    const COMMANDS: u32 = 250;
    let server = Server::start(&format!("{OPEN}queue_max_size = 16_777_216\n"));
    let canary = Canary::start(&server);
    let loud: Vec<Session> = (0..LOUD).map(|_| Session::start(&server)).collect();
    let threads: Vec<_> = loud
        .into_iter()
        .map(|mut session| {
            std::thread::spawn(move || {
                let mut command = 100_u64;
                for _ in 0..MESSAGES {
                    let lines: Vec<String> = (0..COMMANDS)
                        .map(|_| {
                            command += 1;
                            format!(r#"{{"id":{command},"publish":{{"channel":"loud","data":{command}}}}}"#)
                        })
                        .collect();
                    session.client.send(&masked(TEXT, lines.join("\n").as_bytes()));
                }
                for expected in 101..=command {
                    let reply = session.reply(expected);
                    assert!(reply["publish"].is_object(), "{reply}");
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("every reply, in order");
    }
    canary.unharmed();
    assert!(server.metrics().figure("slices_total") > 0, "somebody had more than its share");
    server.settled();
}

/// R-15: word of it on both pages, and the other cores go on.
#[test]
fn a_core_that_stalls_is_told_of_and_the_others_deliver() {
    if Server::core_count(2) < 2 {
        return;
    }
    let server = Server::start_failing(2, "command/stall=stall:6000", OPEN);
    let mut sessions: Vec<Session> = (0..16).map(|_| Session::start(&server)).collect();
    let before = server.metrics().figure("messages_in_total");
    sessions[0].send("rpc", &json!({ "method": "stall", "data": {} }));
    wait_until("the node is degraded", || get(server.internal, "/readyz").contains("degraded"));
    assert!(get(server.internal, "/readyz").starts_with("HTTP/1.1 503"));
    assert!(server.metrics().text().contains("ringway_core_stalled_seconds"));
    assert!(get(server.internal, "/livez").starts_with("HTTP/1.1 200"), "a restart would cost the others");
    for session in &mut sessions {
        session.client.send(&masked(TEXT, br#"{"id":90,"rpc":{"method":"none","data":{}}}"#));
    }
    wait_until("the other core answers meanwhile", || {
        server.metrics().figure("messages_in_total") > before + 1
            && get(server.internal, "/readyz").contains("degraded")
    });
    wait_until("it is back", || get(server.internal, "/readyz").starts_with("HTTP/1.1 200"));
    for session in &mut sessions {
        assert!(session.reply(90)["error"].is_object());
    }
    drop(sessions);
    server.settled();
}

/// R-28: a full disk under the log costs its lines.
#[test]
fn a_log_that_cannot_be_written_costs_its_lines_alone() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let server = Server::start_logging_to(full.into(), "", OPEN);
    let canary = Canary::start(&server);
    for _ in 0..20 {
        server.signal(Signal::HUP);
    }
    wait_until("lines are counted that nobody will read", || {
        server.metrics().labelled("log_lines_dropped_total") > 0
    });
    canary.unharmed();
    server.settled();
}

/// R-28: nobody reads the pipe, so its few pages fill up.
#[test]
fn a_log_that_nobody_reads_stops_nobody() {
    let server = Server::start_logging_to(Stdio::piped(), "command/boom", OPEN);
    let canary = Canary::start(&server);
    let mut rounds = 0;
    // Every reload and every second's first panic says something, until the pipe is full and then the queue.
    wait_until("lines are counted that nobody will read", || {
        for _ in 0..50 {
            server.signal(Signal::HUP);
            get(server.internal, "/livez");
        }
        let mut session = Session::start(&server);
        session.send("rpc", &json!({ "method": "boom", "data": {} }));
        session.client.parts(1011);
        rounds += 1;
        server.metrics().labelled("log_lines_dropped_total") > 0
    });
    canary.unharmed();
    server.settled_after(rounds);
}

/// R-16: a core that is away for a while gets more mail than its mailbox takes. Who is subscribed there hears every
/// publication that was kept for it, in order, and then that it has missed some.
#[test]
fn mail_beyond_its_bytes_is_told_as_insufficient_state() {
    const CHANNELS: usize = 16;
    const ROUNDS_MAX: usize = 40;
    if Server::core_count(2) < 2 {
        return;
    }
    // No more letters than a hundredth of what a mailbox counts: they are too heavy, not too many.
    let text = "x".repeat(900_000);
    let config = format!("{OPEN}queue_max_size = 536_870_912\n[websocket]\nmessage_size_limit = 1_048_576\n");
    // Long enough to fill a mailbox on a machine that has much else to do, and twice as long as `wait_until` has patience.
    let server = Server::start_failing(2, "command/stall=stall:40000", &config);
    let (mut here, mut there) = (Vec::new(), Vec::new());
    while here.is_empty() || there.len() < 2 {
        let before = server.metrics().of_core("connections", 0);
        let session = Session::start(&server);
        wait_until("it is counted", || {
            server.metrics().figure("connections") == (here.len() + there.len() + 1) as u64
        });
        if server.metrics().of_core("connections", 0) > before { &mut here } else { &mut there }
            .push(session);
    }
    let (publisher, reader) = (&mut here[0], &mut there[1]);
    let names: Vec<String> = (0..CHANNELS).map(|at| format!("c{at}")).collect();
    for name in &names {
        reader.subscribe(name);
    }
    there[0].send("rpc", &json!({ "method": "stall", "data": {} }));
    let mut commands = Vec::new();
    for round in 0..ROUNDS_MAX {
        for name in &names {
            let request = json!({ "channel": name, "data": [round, text] });
            commands.push((name, round as u64, publisher.send("publish", &request)));
        }
        if server.metrics().figure("mail_full_total") >= CHANNELS as u64 {
            break;
        }
    }
    assert!(server.metrics().figure("mail_full_total") > 0, "there was room for all of it");
    // What was refused is told to the publisher, and is no hole.
    let mut kept: HashMap<&str, Vec<u64>> = HashMap::new();
    for (name, round, command) in commands {
        if publisher.reply(command)["publish"].is_object() {
            kept.entry(name).or_default().push(round);
        }
    }
    let reader = &mut there[1];
    let mut heard: HashMap<String, Vec<u64>> = HashMap::new();
    let (mut missed, mut ended) = (BTreeSet::new(), BTreeSet::new());
    pause(PATIENCE);
    wait_until("the core is back", || get(server.internal, "/readyz").starts_with("HTTP/1.1 200"));
    for name in &names {
        // It has much to open before it can answer.
        wait_until("the last word is taken", || {
            publisher.ask("publish", &json!({ "channel": name, "data": [u64::MAX] }))["publish"].is_object()
        });
    }
    while ended.union(&missed).count() < CHANNELS {
        match reader.story_or_end_of_subscription() {
            Told::Publication(publication) if publication.data[0] == u64::MAX => {
                // A try that was given up may have been served all the same.
                ended.insert(publication.channel);
            }
            Told::Publication(publication) => {
                let round = publication.data[0].as_u64().unwrap();
                heard.entry(publication.channel).or_default().push(round);
            }
            Told::Unsubscribed(channel, code) => {
                assert_eq!(code, 2500, "{channel}");
                missed.insert(channel);
            }
        }
    }
    assert!(!missed.is_empty(), "somebody has missed something");
    for name in &names {
        let (kept, heard) =
            (kept.remove(name.as_str()).unwrap_or_default(), heard.remove(name).unwrap_or_default());
        assert!(heard.is_sorted_by(|one, other| one < other), "{name}: {heard:?}");
        if missed.contains(name) {
            assert!(kept.starts_with(&heard), "{name}: without a hole up to the gap: {heard:?} of {kept:?}");
        } else {
            assert!(kept.iter().all(|round| heard.contains(round)), "{name}: {heard:?} of {kept:?}");
        }
    }
    // Whoever subscribes again hears what is new.
    let again = missed.first().unwrap();
    reader.subscribe(again);
    reader.take_publications();
    publisher.publish(again, &json!("again"));
    assert_eq!(reader.publication().data, "again");
    drop((here, there));
    server.settled();
}
