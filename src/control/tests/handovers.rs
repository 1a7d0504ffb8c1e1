//! Connections that a shard gave away.

use super::{Client, Node};
use crate::control::http::Bounds;
use std::time::Duration;

const LIVEZ: &str = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";

/// Bounds that a test can wait for.
const TIGHT: Bounds = Bounds {
    head: Duration::from_millis(100),
    life: Duration::from_millis(400),
    end: Duration::from_millis(100),
    ..Bounds::PUBLIC
};

#[test]
fn the_page_comes_with_a_policy_that_allows_only_itself() {
    let node = Node::new();
    let mut client = node.request("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let page = client.response(true);
    assert_eq!(page.status(), 200);
    assert!(page.body.starts_with("<!doctype html>"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self' 'sha256-"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    let tag = page.header("etag").unwrap();
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: {tag}\r\n\r\n").as_bytes());
    assert_eq!(client.response(false).status(), 304);
}

#[test]
fn every_split_between_what_was_read_and_what_was_not_gives_the_same_answers() {
    let node = Node::new();
    let two = [LIVEZ, LIVEZ].concat();
    for read_count in 0..=two.len() {
        let mut client = node.hand_over(two.as_bytes(), read_count);
        for _ in 0..2 {
            let response = client.response(true);
            assert_eq!((response.status(), response.body.as_str()), (200, "ok\n"), "{read_count} bytes read");
        }
    }
}

#[test]
fn a_connection_stays_open_for_a_second_request() {
    let node = Node::new();
    let mut client = node.request(LIVEZ);
    assert_eq!(client.response(true).status(), 200);
    client.send(LIVEZ.as_bytes());
    assert_eq!(client.response(true).status(), 200);
}

#[test]
fn a_body_of_which_the_shard_read_a_part_is_not_taken_for_a_request() {
    let node = Node::new();
    let request = "POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 35\r\n\r\n";
    let body = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(body.len(), 35);
    let bytes = [request, body].concat();
    let mut client = node.hand_over(bytes.as_bytes(), request.len() + 10);
    assert_eq!(client.response(true).status(), 405);
    assert!(client.is_closed(), "a body that nobody read ends the connection");
}

#[test]
fn the_answer_to_a_large_body_arrives_before_the_close() {
    let node = Node::new();
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 800000\r\nConnection: close\r\n\r\n";
    let mut client = node.request(head);
    client.send(&vec![b'x'; 800_000]);
    assert_eq!(client.response(true).status(), 405);
    assert!(client.is_closed());
}

#[test]
fn head_gets_the_headers_alone() {
    let node = Node::new();
    let mut client = node.request("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    let response = client.response(false);
    assert_eq!(response.status(), 200);
    assert_ne!(response.header("content-length"), Some("0"));
    client.send(LIVEZ.as_bytes());
    assert_eq!(client.response(true).body, "ok\n", "a body followed the answer to HEAD");
}

#[test]
fn unknown_paths_are_404_and_other_methods_405() {
    let node = Node::new();
    let mut client = node.request("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n");
    let missing = client.response(true);
    assert_eq!((missing.status(), missing.body.as_str()), (404, "not found\n"));
    client.send(b"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n");
    let refused = client.response(true);
    assert_eq!((refused.status(), refused.body.as_str()), (405, "method not allowed\n"));
    assert_eq!(refused.header("allow"), Some("GET,HEAD"));
}

#[test]
fn an_upgrade_on_a_used_connection_is_misdirected_and_ends_it() {
    let node = Node::new();
    let mut client = node.request(LIVEZ);
    assert_eq!(client.response(true).status(), 200);
    client.send(
        b"GET /connection/websocket HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n\r\n",
    );
    client.send(LIVEZ.as_bytes());
    let response = client.response(true);
    assert_eq!(response.status(), 421);
    assert_eq!(response.header("connection"), Some("close"));
    assert!(client.is_closed(), "what follows a refused upgrade is not HTTP");
}

#[test]
fn an_upgrade_that_the_shard_gave_away_is_a_plain_request() {
    let node = Node::new();
    let mut client =
        node.request("GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(client.response(true).status(), 404);
}

#[test]
fn garbage_is_answered_with_400() {
    let node = Node::new();
    let mut client = node.request("\u{1}\u{2}\u{3}\r\n\r\n");
    assert_eq!(client.response(true).status(), 400);
    assert!(client.is_closed());
}

#[test]
fn an_idle_connection_and_an_unfinished_head_are_closed() {
    let node = Node::bounded(TIGHT);
    let mut idle = node.request(LIVEZ);
    assert_eq!(idle.response(true).status(), 200);
    let mut slow = node.request(LIVEZ);
    assert_eq!(slow.response(true).status(), 200);
    slow.send(b"GET /li");
    assert!(idle.is_closed());
    assert!(slow.is_closed());
    node.wait_for_metric("ringway_http_open 0");
}

#[test]
fn a_reader_that_takes_nothing_loses_its_slot() {
    let node = Node::bounded(TIGHT);
    let requests = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2_000);
    let client = node.hand_over(requests.as_bytes(), 100);
    node.wait_for_metric("ringway_http_served_total 1");
    node.wait_for_metric("ringway_http_open 0");
    drop(client);
}

#[test]
fn beyond_the_last_slot_the_answer_is_503_and_slots_come_back() {
    let node = Node::bounded(Bounds { slot_count: 1, ..Bounds::PUBLIC });
    let mut first = node.request(LIVEZ);
    assert_eq!(first.response(true).status(), 200);
    let mut second = node.request(LIVEZ);
    assert_eq!(second.response(true).status(), 503);
    assert!(second.is_closed());
    node.wait_for_metric("ringway_http_shed_total 1");
    drop(first);
    node.wait_for_metric("ringway_http_open 0");
    assert_eq!(node.request(LIVEZ).response(true).status(), 200);
}

#[test]
fn finishing_closes_idle_connections_at_once() {
    let mut node = Node::new();
    let mut client = node.request(LIVEZ);
    assert_eq!(client.response(true).status(), 200);
    // Closing our side as well spares the linger.
    let watcher = std::thread::spawn(move || {
        let closed = client.is_closed();
        drop::<Client>(client);
        closed
    });
    node.control.take().unwrap().finish();
    assert!(watcher.join().unwrap());
}

#[test]
fn many_hand_overs_from_many_threads_are_all_answered() {
    let node = Node::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let client = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                    let mut asking = Client::connect(client.local_addr().unwrap());
                    let (socket, _) = client.accept().unwrap();
                    let received = LIVEZ.as_bytes().to_vec();
                    let handover =
                        crate::control::Handover { socket: socket.into(), received: received.into() };
                    node.mailbox.post(handover).unwrap();
                    assert_eq!(asking.response(true).status(), 200);
                }
            });
        }
    });
}
