//! Who serves whom when a process takes over, and when it does not.

use crate::support::metrics::get;
use crate::support::server::Server;
use crate::support::session::{OPEN, Session};
use crate::support::wait::{PATIENCE, wait_until};
use rustix::process::Signal;
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;

const QUICK: &str = "[shutdown]\ndrain_window = \"1s\"\n";

fn history() -> String {
    OPEN.replace(
        "[channel.without_namespace]\n",
        "[channel.without_namespace]\nhistory_size = 10\nhistory_ttl = \"1h\"\nforce_recovery = true\n",
    )
}

/// Waits until an attempt has failed, for the so-manieth time.
#[track_caller]
fn fails(server: &Server, count: u64) {
    server.signal(Signal::USR2);
    let name = "upgrades_total{result=\"failed\"}";
    wait_until("the failure is counted", || server.metrics().labelled(name) == count);
}

/// What was in the memory of the old process is gone, and its clients are told so.
#[test]
fn clients_of_the_old_process_are_told_to_come_back_and_that_history_is_gone() {
    let mut server = Server::start(&format!("{}{QUICK}", history()));
    let mut old = Session::start(&server);
    let place = old.ask("subscribe", &json!({ "channel": "a", "recoverable": true, "positioned": true }));
    old.publish("a", &json!(1));
    server.upgrade();
    assert_eq!(old.publication().data, 1);
    let close = old.story_or_end().unwrap_err();
    assert_eq!((close.close_code(), close.reason()), (Some(3001), "shutdown".to_owned()));
    let mut new = Session::start(&server);
    let epoch = &place["subscribe"]["epoch"];
    let request = json!({ "channel": "a", "recover": true, "epoch": epoch, "offset": 1 });
    let reply = new.ask("subscribe", &request);
    assert!(reply["subscribe"]["recovered"] != true && reply["subscribe"]["epoch"] != *epoch, "{reply}");
    drop((old, new));
    assert_eq!(server.wait_for_first().code(), Some(0));
    server.settled();
}

#[test]
fn a_successor_that_cannot_start_changes_nothing() {
    let mut server = Server::start(OPEN);
    let mut session = Session::start(&server);
    server.rewrite(&format!("{OPEN}no_such_option = 1\n"));
    fails(&server, 1);
    server.says("unknown option `client.no_such_option`");
    server.says("the upgrade FAILED and this process goes on: process");
    server.says("exit status: 2");
    assert!(get(server.internal, "/readyz").starts_with("HTTP/1.1 200"));
    session.subscribe("still");
    session.publish("still", &json!("here"));
    drop(Session::start(&server));
    // Mended, it takes over.
    server.rewrite(OPEN);
    server.upgrade();
    drop(Session::start(&server));
    assert_eq!(session.publication().data, "here");
    session.client.parts(3001);
    assert_eq!(server.wait_for_first().code(), Some(0));
}

/// The database has one owner.
#[test]
fn with_durable_history_an_upgrade_is_refused_with_the_reason() {
    let folder =
        std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("upgrade-{}", std::process::id()));
    let server = Server::start(&format!("{OPEN}[store]\npath = \"{}\"\n", folder.display()));
    fails(&server, 1);
    server.says("belongs to one process at a time; restart instead");
    drop(Session::start(&server));
    drop(server);
    std::fs::remove_dir_all(folder).unwrap();
}

/// Two that answer on one port would be a riddle to every tool: the old one hangs up.
#[test]
fn the_internal_port_is_the_successors_alone() {
    let mut server = Server::start(&format!("{OPEN}{QUICK}"));
    let sessions: Vec<Session> = (0..200).map(|_| Session::start(&server)).collect();
    let mut kept = TcpStream::connect(server.internal).unwrap();
    kept.set_read_timeout(Some(PATIENCE)).unwrap();
    kept.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut answer = [0; 15];
    kept.read_exact(&mut answer).unwrap();
    server.upgrade();
    let mut rest = Vec::new();
    kept.read_to_end(&mut rest).expect("it ends in order");
    for _ in 0..50 {
        assert!(get(server.internal, "/readyz").starts_with("HTTP/1.1 200"));
    }
    assert_eq!(server.metrics().figure("connections"), 0);
    assert_eq!(server.metrics().labelled("upgrades_total{result=\"succeeded\"}"), 0, "figures of its own");
    drop(sessions);
    assert_eq!(server.wait_for_first().code(), Some(0));
}

/// A second wish while the first is being fulfilled, and a stop behind it.
#[test]
fn a_process_that_has_been_replaced_ends_by_the_next_signal() {
    let mut server = Server::start(&format!("{OPEN}[websocket]\nclose_timeout = \"15s\"\n"));
    let old = server.pid();
    // They never answer the close frame.
    let clients: Vec<Session> = (0..300).map(|_| Session::start(&server)).collect();
    server.upgrade();
    assert_ne!(server.pid(), old);
    server.says("draining for a successor");
    // Sooner would count as an echo.
    crate::support::wait::pause(std::time::Duration::from_millis(400));
    let pid = rustix::process::Pid::from_raw(old.cast_signed()).unwrap();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(server.wait_for_first().code(), Some(143));
    drop(clients);
    drop(Session::start(&server));
}
