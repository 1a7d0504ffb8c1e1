//! presence, presence_stats, channels, connections, info: what the node says of those who are there.

use super::CONFIG;
use super::caller::{BAD_REQUEST, Caller, NOT_AVAILABLE, connected};
use crate::support::server::Server;
use serde_json::json;

#[test]
fn presence_names_every_client_of_every_core() {
    let server = Server::start_on(Server::core_count(2), CONFIG);
    let caller = &mut Caller::of(&server);
    assert_eq!(caller.call("presence", r#"{"channel":"news"}"#), r#"{"result":{"presence":{}}}"#);
    assert_eq!(
        caller.call("presence_stats", r#"{"channel":"news"}"#),
        r#"{"result":{"num_clients":0,"num_users":0}}"#
    );
    let mut clients: Vec<_> = (0..8).map(|_| connected(&server)).collect();
    for (session, _) in &mut clients {
        session.subscribe("news");
    }
    let expected: serde_json::Map<_, _> =
        clients.iter().map(|(_, id)| (id.clone(), json!({"user": "", "client": id}))).collect();
    assert_eq!(caller.value("presence", r#"{"channel":"news"}"#), json!({"result": {"presence": expected}}));
    assert_eq!(
        caller.call("presence_stats", r#"{"channel":"news"}"#),
        r#"{"result":{"num_clients":8,"num_users":1}}"#,
        "anonymous clients are one user"
    );
}

#[test]
fn a_channel_without_presence_says_so() {
    let server = Server::start(CONFIG);
    let caller = &mut Caller::of(&server);
    for method in ["presence", "presence_stats"] {
        assert_eq!(caller.call(method, r#"{"channel":"bare:1"}"#), NOT_AVAILABLE, "{method}");
        assert_eq!(caller.call(method, "{}"), BAD_REQUEST, "{method}");
    }
}

#[test]
fn channels_are_counted_over_all_cores_and_chosen_by_a_glob() {
    let server = Server::start_on(Server::core_count(2), CONFIG);
    let caller = &mut Caller::of(&server);
    assert_eq!(caller.call("channels", ""), r#"{"result":{"channels":{}}}"#);
    let mut clients: Vec<_> = (0..6).map(|_| connected(&server).0).collect();
    for (n, session) in clients.iter_mut().enumerate() {
        session.subscribe("all");
        session.subscribe(&format!("log:{}", n % 2));
    }
    assert_eq!(
        caller.call("channels", "{}"),
        r#"{"result":{"channels":{"all":{"num_clients":6},"log:0":{"num_clients":3},"log:1":{"num_clients":3}}}}"#
    );
    assert_eq!(
        caller.call("channels", r#"{"pattern":"log:*"}"#),
        r#"{"result":{"channels":{"log:0":{"num_clients":3},"log:1":{"num_clients":3}}}}"#
    );
    assert_eq!(caller.call("channels", r#"{"pattern":"lo"}"#), r#"{"result":{"channels":{}}}"#);
}

#[test]
fn the_node_knows_itself_and_what_it_carries() {
    let server = Server::start_on(Server::core_count(2), CONFIG);
    let caller = &mut Caller::of(&server);
    let (mut session, id) = connected(&server);
    let (_other, _) = connected(&server);
    session.subscribe("news");
    let info = caller.value("info", "{}");
    let nodes = info["result"]["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 1);
    let node = &nodes[0];
    assert_eq!(node["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        [&node["num_clients"], &node["num_users"], &node["num_subs"], &node["num_channels"]],
        [2, 1, 1, 1],
        "{node}"
    );
    assert_eq!(node["uid"].as_str().unwrap().len(), 36);
    assert!(node["name"].as_str().unwrap().ends_with(&format!("_{}", server.public.port())), "{node}");
    assert!(node["metrics"]["items"]["handshakes"].is_u64(), "{node}");
    assert_eq!(caller.value("info", "")["result"]["nodes"][0]["uid"], node["uid"]);

    let found = caller.value("connections", r#"{"user":""}"#);
    let found = found["result"]["connections"].as_object().unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[&id]["channels"], json!(["news"]));
    assert_eq!(found[&id]["transport"], "websocket");
    let nobody = caller.call("connections", r#"{"user":"nobody"}"#);
    assert_eq!(nobody, r#"{"result":{"connections":{}}}"#);
}
