//! Nothing to do.

use crate::support::client::Client;
use crate::support::metrics::{cpu_ns, switch_counts};
use crate::support::server::Server;
use crate::support::session::{OPEN, Session};
use crate::support::wait::{pause, wait_until};
use std::time::Duration;

/// No thread runs at all: not for a timer, not to have a look.
#[test]
fn a_server_with_idle_connections_never_wakes() {
    let server = Server::start_on(Server::core_count(2), OPEN);
    let bare: Vec<Client> = (0..250).map(|_| Client::echo(&server)).collect();
    let mut sessions: Vec<Session> = (0..250).map(|_| Session::start(&server)).collect();
    for (at, session) in sessions.iter_mut().enumerate() {
        session.subscribe(["news", "chat", "game"][at % 3]);
    }
    let state = || (switch_counts(server.pid()), cpu_ns(server.pid()));
    let mut before = state();
    wait_until("it has calmed down", || {
        pause(Duration::from_millis(300));
        let earlier = std::mem::replace(&mut before, state());
        earlier == before
    });
    pause(Duration::from_secs(3));
    assert_eq!(state(), before);
    drop((bare, sessions));
    server.settled();
}
