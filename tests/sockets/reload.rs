//! SIGHUP: another configuration under running connections, or the same one when the new one is wrong.

use crate::support::client::Client;
use crate::support::metrics::get;
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::wait::wait_until;
use rustix::process::Signal;
use serde_json::json;

const CONNECT: &str = "[client]\nallow_anonymous_connect_without_token = true\n";
const CHAT: &str = "[[channel.namespaces]]\nname = \"chat\"\nallow_subscribe_for_client = true\n\
    allow_subscribe_for_anonymous = true\n";

#[test]
fn a_namespace_appears_and_a_limit_moves_without_a_reconnect() {
    let server = Server::start(CONNECT);
    let mut session = Session::start(&server);
    assert_eq!(session.ask("subscribe", &json!({ "channel": "chat:1" }))["error"]["code"], 102);
    server.reload(&format!("{CONNECT}channel_limit = 1\n{CHAT}"), "accepted");
    // The letter to the core and the command to it take different ways.
    wait_until("the namespace is known", || {
        session.ask("subscribe", &json!({ "channel": "chat:1" }))["error"].is_null()
    });
    assert_eq!(session.ask("subscribe", &json!({ "channel": "chat:2" }))["error"]["code"], 106);
    server.says("configuration reloaded: client.channel_limit, channel.namespaces.chat");
    drop(session);
    server.settled();
}

#[test]
fn a_wrong_configuration_is_refused_and_the_old_one_stays() {
    let server = Server::start(&format!("{CONNECT}{CHAT}"));
    let mut session = Session::start(&server);
    server.reload(&format!("{CONNECT}channel_limt = 1\n"), "refused");
    session.subscribe("chat:1");
    assert!(get(server.internal, "/readyz").starts_with("HTTP/1.1 200"));
    server.says("config.toml:3:1: unknown option `client.channel_limt`; did you mean");
    server.says("REFUSED");
    // Mended, it is taken. Until the core hears of it, subscriptions still succeed: each try takes another channel.
    server.reload(CONNECT, "accepted");
    let mut tries = 1;
    wait_until("the namespace is gone", || {
        tries += 1;
        session.ask("subscribe", &json!({ "channel": format!("chat:{tries}") }))["error"]["code"] == 102
    });
    drop(session);
    server.settled();
}

#[test]
fn what_needs_another_start_is_named_and_left_alone() {
    let server = Server::start(CONNECT);
    server.reload(&format!("{CONNECT}ping_interval = \"1m\"\nchannel_limit = 7\n"), "accepted");
    server.says("configuration reloaded: client.channel_limit\n");
    server.says("these take effect with the next start: client.ping_interval\n");
    let mut session = Session::start(&server);
    assert_eq!(session.ask("ping", &json!({}))["error"]["code"], 108);
    // Said again as long as it is so, and no longer.
    server.reload(CONNECT, "accepted");
    // Lines stand in the order in which they were told: what would follow this one comes before the refusal behind it.
    server.reload("nonsense", "refused");
    server.says("REFUSED");
    assert_eq!(server.log().matches("these take effect").count(), 1);
    drop(session);
    server.settled();
}

#[test]
fn a_lower_connection_limit_refuses_those_who_come() {
    let server = Server::start(CONNECT);
    let session = Session::start(&server);
    server.reload(&format!("{CONNECT}connection_limit = 1\n"), "accepted");
    let mut late = Client::connect(server.public);
    late.ask_upgrade("/connection/websocket");
    assert_eq!(late.refused().status, 503);
    drop((session, late));
    server.settled();
}

#[test]
fn without_a_file_sighup_ends_the_process_as_ever() {
    let mut server = Server::develop();
    server.signal(Signal::HUP);
    assert!(!server.wait_for_exit().success());
}
