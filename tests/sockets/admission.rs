//! How many may come, and how fast.

use crate::support::client::Client;
use crate::support::frame::{TEXT, masked};
use crate::support::server::Server;
use crate::support::wait::wait_until;

#[test]
fn beyond_the_connection_limit_there_is_503_until_somebody_leaves() {
    const PLACES: usize = 20;
    let server = Server::start_on(
        Server::core_count(2),
        &format!("[routes]\necho = true\n[client]\nconnection_limit = {PLACES}\n"),
    );
    for round in 1..=3 {
        let mut clients: Vec<Client> = (0..PLACES).map(|_| Client::echo(&server)).collect();
        for _ in 0..10 {
            let mut surplus = Client::connect(server.public);
            surplus.ask_upgrade("/echo");
            let response = surplus.refused();
            assert_eq!((response.status, response.field("retry-after")), (503, Some("1")));
        }
        server.wait_for("refusals_total", round * 10);
        for client in &mut clients {
            client.send(&masked(TEXT, b"served"));
            client.expect(TEXT, b"served");
        }
        drop(clients);
        server.wait_for("connections", 0);
    }
    server.settled();
}

#[test]
fn the_connection_rate_comes_back_with_time() {
    let server = Server::echo("[client]\nconnection_rate_limit = 20\n");
    let status = || {
        let mut client = Client::connect(server.public);
        client.ask_upgrade("/echo");
        let response = client.response();
        if response.status == 503 {
            assert_eq!(response.field("retry-after"), Some("1"));
        }
        response.status
    };
    wait_until("the burst is used up", || status() == 503);
    wait_until("there is a place again", || status() == 101);
    server.settled();
}

/// On all cores together; a place that was left is free again.
#[test]
fn one_address_has_so_many_connections() {
    let server = Server::start_on(
        Server::core_count(2),
        "[routes]\necho = true\n[client]\naddress_connection_limit = 3\n",
    );
    for _ in 0..2 {
        let kept: Vec<Client> = (0..3).map(|_| Client::echo(&server)).collect();
        let mut surplus = Client::connect(server.public);
        surplus.ask_upgrade("/echo");
        assert_eq!(surplus.refused().status, 503);
        drop((kept, surplus));
        server.wait_for("connections", 0);
    }
    server.settled();
}
