//! Who is still there. R-13, in small.

use crate::support::client::{Client, arrivals};
use crate::support::frame::{PING, PONG, TEXT, masked};
use crate::support::server::Server;
use crate::support::session::{OPEN, PATH, Session};
use std::collections::BTreeMap;

#[test]
fn who_answers_pings_stays_and_who_does_not_is_closed_with_3012() {
    const BEATS: usize = 3;
    let server = Server::start(&pinged("1s", "700ms"));
    let mut answering = Session::start(&server).client;
    let mut framed = Client::echo(&server);
    let mut mute = Session::start(&server).client;
    for _ in 0..BEATS {
        answering.expect(TEXT, b"{}");
        answering.send(&masked(TEXT, b"{}"));
        framed.expect(PING, b"");
        framed.send(&masked(PONG, b""));
    }
    mute.expect(TEXT, b"{}");
    assert_eq!(mute.parts(3012).reason(), "no pong");
    // A pong is owed once for each ping, and both are still there to hear the next one.
    answering.expect(TEXT, b"{}");
    framed.expect(PING, b"");
    assert_eq!(server.metrics().closes(3012), 1);
    drop((answering, framed, mute));
    server.settled();
}

/// They came at the same moment; they shall not be pinged at the same moment for ever.
#[test]
fn pings_of_those_who_came_together_are_spread() {
    const CLIENTS: usize = 200;
    /// The server's own resolution.
    const TICK_MS: u64 = 64;
    let server = Server::start(&pinged("4s", "3s"));
    let mut sessions: Vec<Session> =
        (0..CLIENTS).map(|_| Session::over(Client::upgraded(&server, PATH))).collect();
    let commands: Vec<u64> =
        sessions.iter_mut().map(|session| session.send("connect", &serde_json::json!({}))).collect();
    for (session, command) in sessions.iter_mut().zip(commands) {
        session.reply(command);
    }
    let mut ticks: BTreeMap<u64, usize> = BTreeMap::new();
    for ping in arrivals(sessions.iter().map(|session| &session.client)) {
        *ticks.entry(ping.as_millis() / TICK_MS).or_default() += 1;
    }
    // Phases lie within two seconds: thirty ticks of seven each, on average.
    assert!(ticks.len() > 10, "{ticks:?}");
    assert!(ticks.values().all(|&count| count < CLIENTS / 4), "{ticks:?}");
    drop(sessions);
    server.settled();
}

fn pinged(interval: &str, patience: &str) -> String {
    format!("{OPEN}pong_timeout = \"{patience}\"\n").replace("\"1h\"", &format!("\"{interval}\""))
}
