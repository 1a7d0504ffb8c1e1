//! Publications that a back end decides about take effect in the order in which their client sent them.

use super::CLIENTS;
use super::backend::{Answer, Backend};
use super::support::server::Server;
use super::support::session::Session;
use super::support::wait::wait_until;
use serde_json::{Value, json};

const COUNT: u64 = 20;

fn moderated(backend: &Backend, more: &str) -> String {
    format!(
        "{CLIENTS}publish_proxy_enabled = true\n{more}[channel.proxy.publish]\ntimeout = \"4s\"\n\
         endpoint = \"http://{}/publish\"\n",
        backend.address
    )
}

/// Slow about odd ones, and against the tenth.
fn decide(data: &Value) -> Answer {
    match data.as_u64() {
        Some(10) => Answer::Status(403),
        Some(n) if n % 2 == 1 => Answer::Late(json!({})),
        _ => Answer::Result(json!({})),
    }
}

fn keeps_order(cores: usize, more: &str) {
    let backend = Backend::start(|question| decide(&question.body["data"]));
    let config = moderated(&backend, more) + "status_transforms = \"403 error 403 no\"\n";
    let server = Server::start_on(cores, &config);
    let (mut speaker, mut listener) = (Session::start(&server), Session::start(&server));
    listener.subscribe("room");
    let commands: Vec<u64> =
        (1..=COUNT).map(|n| speaker.send("publish", &json!({ "channel": "room", "data": n }))).collect();
    wait_until("the back end is asked about all", || backend.asked().len() as u64 == COUNT);
    backend.open();
    let heard: Vec<u64> = (1..COUNT).map(|_| listener.publication().data.as_u64().unwrap()).collect();
    let expected: Vec<u64> = (1..=COUNT).filter(|&n| n != 10).collect();
    assert_eq!(heard, expected);
    for (n, command) in (1..).zip(commands) {
        let reply = speaker.reply(command);
        assert_eq!(reply["error"]["code"] == 403, n == 10, "{reply}");
    }
    drop((speaker, listener));
    server.settled();
}

#[test]
fn decisions_that_come_in_another_order_do_not_reorder_publications() {
    keeps_order(1, "");
}

#[test]
fn nor_do_they_between_cores() {
    keeps_order(Server::core_count(2), "history_size = 100\nhistory_ttl = \"1m\"\n");
}

#[test]
fn a_client_that_leaves_while_it_waits_leaves_nothing_behind() {
    let backend = Backend::start(|_| Answer::Late(json!({})));
    let server = Server::start(&moderated(&backend, ""));
    let mut speaker = Session::start(&server);
    for n in 0..5 {
        speaker.send("publish", &json!({ "channel": "room", "data": n }));
    }
    wait_until("the back end is asked", || backend.asked().len() == 5);
    drop(speaker);
    server.wait_for("connections", 0);
    backend.open();
    let mut other = Session::start(&server);
    other.subscribe("room");
    other.publish("room", &json!("still here"));
    assert_eq!(other.publication().data, "still here");
    drop(other);
    server.settled();
}
