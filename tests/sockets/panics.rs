//! Bugs of ours, called up on purpose at fail points of the real server: each costs what it was about.

use crate::support::canary::Canary;
use crate::support::client::Client;
use crate::support::frame::{CLOSE, TEXT, masked};
use crate::support::metrics::get;
use crate::support::server::Server;
use crate::support::session::{OPEN, Session};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;

/// Sends a command whose service panics; the connection ends with 1011 and none of our details.
#[track_caller]
fn boom(mut session: Session, method: &str) {
    session.send("rpc", &json!({ "method": method, "data": {} }));
    let close = session.client.parts(1011);
    assert_eq!(close.reason(), "internal error");
}

/// again and again, and each time one connection.
#[test]
fn a_panic_in_a_command_costs_its_connection_and_nobody_else_notices() {
    const ROUNDS: u64 = 20;
    let server = Server::start_failing(1, "command/boom drop/splash", OPEN);
    let canary = Canary::start(&server);
    let mut listener = Session::start(&server);
    listener.subscribe("news");
    for round in 0..ROUNDS {
        let mut session = Session::start(&server);
        session.subscribe("news");
        boom(session, if round % 2 == 0 { "boom" } else { "splash" });
        let stats = listener.ask("presence_stats", &json!({ "channel": "news" }));
        assert_eq!(stats["presence_stats"]["num_clients"], 1, "{stats}");
        listener.publish("news", &json!(round));
        assert_eq!(listener.publication().data, json!(round));
    }
    server.wait_for_closes(1011, ROUNDS);
    let metrics = server.metrics();
    assert_eq!(metrics.labelled("panics_total{where=\"input\"}"), ROUNDS);
    for part in ["fail point Command about \"boom\"", "src/failpoint.rs:", "commands.rs"] {
        server.says(part);
    }
    let log = server.log();
    assert!(log.matches("fail point").count() < ROUNDS as usize, "one place says so once a second");
    drop(listener);
    canary.unharmed();
    server.settled_after(ROUNDS);
}

/// some have the publication and some have not, so all of them are told to come again.
#[test]
fn a_panic_half_way_through_a_fan_out_is_told_to_every_subscriber() {
    let server = Server::start_failing(1, "fan_out/hurt@3", OPEN);
    let mut publisher = Session::start(&server);
    let mut sessions: Vec<Session> = (0..5).map(|_| Session::start(&server)).collect();
    for session in &mut sessions {
        session.subscribe("hurt");
        session.subscribe("sound");
    }
    publisher.send("publish", &json!({ "channel": "hurt", "data": 1 }));
    publisher.client.parts(1011);
    for session in &mut sessions {
        let mut told = String::new();
        while !told.contains("\"unsubscribe\"") {
            let frame = session.client.frame();
            assert_ne!(frame.first, CLOSE, "{}", frame.reason());
            told = String::from_utf8(frame.payload).unwrap();
        }
        assert!(told.contains("\"code\":2500"), "{told}");
    }
    // The other channel goes on, with the same sessions.
    let [first, ..] = &mut sessions[..] else { unreachable!() };
    first.publish("sound", &Value::from("still"));
    for session in &mut sessions {
        assert_eq!(session.publication().data, "still");
    }
    assert_eq!(server.metrics().figure("subscriptions"), 5);
    drop((publisher, sessions));
    server.settled_after(1);
}

/// a request of the control plane gets 500 and the next one its answer; no lock is poisoned.
#[test]
fn a_panic_in_the_control_plane_costs_its_request() {
    let server =
        Server::start_failing(1, "request/readyz request//api/info", "[http_api]\ninsecure = true\n");
    for round in 1..=3 {
        let page = ask(&server, "GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert!(page.starts_with("HTTP/1.1 200"), "another path: {page}");
        let page = ask(
            &server,
            "POST /api/info HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
        );
        assert!(page.starts_with("HTTP/1.1 500") && page.ends_with("internal error\n"), "{page}");
        assert!(get(server.internal, "/livez").starts_with("HTTP/1.1 200"));
        assert_eq!(server.metrics().labelled("panics_total{where=\"control\"}"), round);
    }
    server.settled_after(3);
}

fn ask(server: &Server, request: &str) -> String {
    let mut stream = TcpStream::connect(server.internal).unwrap();
    stream.set_read_timeout(Some(crate::support::wait::PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

/// orders of that group fail, and the store goes on.
#[test]
fn a_panic_in_the_store_fails_the_order_and_not_the_node() {
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("store-panics-{}", std::process::id()));
    let config = format!(
        "[store]\npath = {:?}\n{}",
        folder.display().to_string(),
        OPEN.replace("[routes]", "history_size = 10\nhistory_ttl = \"10m\"\ndurable = true\n[routes]")
    );
    let server = Server::start_failing(1, "store/hurt", &config);
    let mut session = Session::start(&server);
    let failed = session.ask("publish", &json!({ "channel": "hurt", "data": 1 }));
    assert_eq!(failed["error"]["code"], 100, "{failed}");
    session.publish("sound", &json!(2));
    assert!(server.metrics().labelled("panics_total{where=\"store\"}") >= 1);
    let mut client = Client::echo(&server);
    client.send(&masked(TEXT, b"served"));
    client.expect(TEXT, b"served");
    drop((session, client));
    server.wait_for("connections", 0);
    drop(server);
    let _ = std::fs::remove_dir_all(folder);
}
