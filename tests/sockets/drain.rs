//! The stop. R-29.

use crate::support::client::{Client, arrivals};
use crate::support::metrics::get;
use crate::support::server::Server;
use crate::support::session::{OPEN, PATH, Session};
use crate::support::wait::{pause, wait_until};
use ringway::sys::clock;
use rustix::process::Signal;
use serde_json::json;
use std::net::TcpStream;
use std::time::Duration;

/// No new client, and every old one is told why it has to go, at a moment of its own within the window.
#[test]
fn a_drain_says_goodbye_to_two_thousand_clients_spread_over_its_window() {
    const CLIENTS: usize = 2_000;
    const WINDOW: Duration = Duration::from_secs(3);
    let config = format!("{OPEN}[shutdown]\ndrain_window = \"3s\"\n");
    let mut server = Server::start_on(Server::core_count(2), &config);
    let mut sessions: Vec<Session> = (0..CLIENTS).map(|_| Session::start(&server)).collect();
    assert!(get(server.internal, "/readyz").starts_with("HTTP/1.1 200"));
    let begin = clock::now();
    server.signal(Signal::TERM);
    wait_until("it is not ready any more", || get(server.internal, "/readyz").starts_with("HTTP/1.1 503"));
    wait_until("connections are refused", || TcpStream::connect(server.public).is_err());
    let goodbyes: Vec<Duration> = arrivals(sessions.iter().map(|session| &session.client))
        .into_iter()
        .map(|arrival| arrival.since(begin))
        .collect();
    let early = goodbyes.iter().filter(|goodbye| **goodbye < WINDOW / 2).count();
    assert!((CLIENTS / 4..CLIENTS * 3 / 4).contains(&early), "{early} of {CLIENTS} in the first half");
    let last = goodbyes.iter().max().unwrap();
    assert!(*last < 2 * WINDOW, "the last one after {last:?}");
    for session in &mut sessions {
        assert_eq!(session.client.parts(3001).reason(), "shutdown");
    }
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

/// What was queued before the goodbye leaves before the goodbye.
#[test]
fn a_client_in_the_middle_of_a_large_publication_gets_all_of_it() {
    // More than the kernel keeps for a socket, less than our queue.
    const PUBLICATIONS: usize = 100;
    let config = format!(
        "{OPEN}queue_max_size = 16_777_216\n[websocket]\nclose_timeout = \"15s\"\n[shutdown]\ndrain_window = \"1s\"\n"
    );
    let mut server = Server::start(&config);
    let mut publisher = Session::start(&server);
    let mut reader = Session::over(Client::connect_narrow(server.public).upgrade(PATH));
    reader.connect();
    reader.subscribe("large");
    let data = |number: usize| json!([number, "x".repeat(60_000)]);
    (0..PUBLICATIONS).for_each(|number| publisher.publish("large", &data(number)));
    server.signal(Signal::TERM);
    server.wait_for_closes(3001, 2);
    for number in 0..PUBLICATIONS {
        assert!(reader.publication().data == data(number), "publication {number} differs");
    }
    reader.client.parts(3001);
    publisher.client.parts(3001);
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

/// Upgraded before the drain, connected during it: that buys no time.
#[test]
fn who_connects_during_a_drain_leaves_with_the_others() {
    let config = format!("{OPEN}[shutdown]\ndrain_window = \"3s\"\n[websocket]\nclose_timeout = \"1s\"\n");
    let mut server = Server::start(&config);
    // Many, so that their goodbyes take the whole window.
    let mut late: Vec<Session> = (0..400).map(|_| Session::over(Client::upgraded(&server, PATH))).collect();
    server.signal(Signal::TERM);
    wait_until("it is not ready any more", || get(server.internal, "/readyz").starts_with("HTTP/1.1 503"));
    // Who is not told goodbye before gets an answer.
    for session in &mut late {
        session.send("connect", &json!({}));
    }
    for session in &mut late {
        let close = session.story_or_end().expect_err("nothing was published");
        assert_eq!(close.close_code(), Some(3001));
    }
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

/// 143 is what a shell says of a process that SIGTERM has ended.
#[test]
fn a_second_signal_ends_at_once() {
    let mut server = Server::start(&format!("{OPEN}[websocket]\nclose_timeout = \"15s\"\n"));
    // They never answer the close frame.
    let clients: Vec<Client> = (0..300).map(|_| Client::upgraded(&server, PATH)).collect();
    server.signal(Signal::TERM);
    // Sooner would count as an echo of the first.
    pause(Duration::from_millis(400));
    server.signal(Signal::TERM);
    assert_eq!(server.wait_for_exit().code(), Some(143));
    drop(clients);
}

/// Supervisors signal a process and again its group. Two of a kind could merge on their way.
#[test]
fn two_signals_at_once_are_one_wish() {
    let mut server = Server::start(OPEN);
    let mut clients: Vec<Session> = (0..50).map(|_| Session::start(&server)).collect();
    server.signal(Signal::TERM);
    server.signal(Signal::INT);
    for session in &mut clients {
        session.client.parts(3001);
    }
    assert_eq!(server.wait_for_exit().code(), Some(0));
}
