//! Coming and going.

use crate::support::client::Client;
use crate::support::frame::{TEXT, TEXT_START, masked};
use crate::support::server::Server;
use crate::support::session::{OPEN, PATH, Session};
use serde_json::json;

/// R-34, in small: two thousand connections end with a reset, at every point of their life, and leave nothing behind.
#[test]
fn storms_of_resets_leave_nothing_behind() {
    const ROUNDS: u64 = 5;
    const CLIENTS: usize = 400;
    let server = Server::start_on(Server::core_count(2), OPEN);
    let mut witness = Session::start(&server);
    witness.subscribe("storm");
    for round in 0..ROUNDS {
        let clients: Vec<Client> = (0..CLIENTS).map(|at| abandoned(&server, at)).collect();
        clients.into_iter().for_each(Client::reset);
        server.wait_for("connections", 1);
        server.wait_for("subscriptions", 1);
        server.wait_for("accepted_total", (round + 1) * CLIENTS as u64 + 1);
        witness.publish("storm", &json!(round));
        while witness.publication().data != round {}
    }
    let presence = witness.ask("presence_stats", &json!({ "channel": "storm" }));
    assert_eq!(presence["presence_stats"]["num_clients"], 1);
    drop(witness);
    for gauge in ["sessions", "subscriptions", "channels"] {
        server.wait_for(gauge, 0);
    }
    server.settled();
}

/// A connection that has come so far.
fn abandoned(server: &Server, at: usize) -> Client {
    let mut client = Client::connect(server.public);
    match at % 8 {
        0 => {}
        1 => client.send(b"GET /connection/websocket HTTP/1.1\r\nHo"),
        2 => client.ask_upgrade(PATH),
        3 => client = client.upgrade(PATH),
        4 => {
            client = client.upgrade("/echo");
            client.send(&masked(TEXT, &vec![b'x'; 30_000]));
        }
        5 => {
            client = client.upgrade("/echo");
            client.send(&masked(TEXT_START, b"half a message"));
        }
        6 | 7 => {
            let mut session = Session::over(client.upgrade(PATH));
            session.connect();
            session.subscribe("storm");
            session.send("publish", &json!({ "channel": "storm", "data": "not from the witness" }));
            client = session.client;
        }
        _ => unreachable!("a remainder of eight"),
    }
    client
}
