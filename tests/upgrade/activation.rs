//! Socket activation: systemd listens, whether or not a server runs. sd_listen_fds(3).

use crate::support::client::Client;
use crate::support::server::Server;
use crate::support::session::{OPEN, PATH, Session};
use rustix::process::Signal;
use std::net::TcpListener;

/// What is true of a restart is true of a crash: who connects meanwhile waits.
#[test]
fn who_connects_while_no_server_runs_is_served_by_the_next_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let first = Server::start_activated(Server::core_count(2), &listener, OPEN);
    assert_eq!(first.public, address, "port 0 of the configuration gives way");
    drop(Session::start(&first));
    first.signal(Signal::KILL);
    drop(first);
    let mut waiting: Vec<Client> = (0..20).map(|_| Client::connect(address)).collect();
    for client in &mut waiting {
        client.ask_upgrade(PATH);
    }
    let second = Server::start_activated(1, &listener, OPEN);
    for client in &mut waiting {
        assert_eq!(client.response().status, 101);
    }
    drop(waiting);
    second.settled();
}

/// Several cores take turns at one listener.
#[test]
fn all_cores_share_a_socket_of_systemd_and_pass_it_on() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = format!("{OPEN}[shutdown]\ndrain_window = \"1s\"\n");
    let mut server = Server::start_activated(Server::core_count(2), &listener, &config);
    let sessions: Vec<Session> = (0..50).map(|_| Session::start(&server)).collect();
    drop(sessions);
    server.upgrade();
    drop(Session::start(&server));
    assert!(server.wait_for_first().success());
    drop(Session::start(&server));
    server.settled();
}
