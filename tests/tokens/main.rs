//! Tokens at the real server: keys that an issuer publishes, and what a revocation ends.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each suite uses its part")]
mod support;

mod issuer;
mod key_sets;
mod revocations;

use serde_json::{Value, json};
use support::client::Client;
use support::frame::CLOSE;
use support::server::Server;
use support::session::{PATH, Session};

/// What became of a connect command.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    In,
    Error(u64),
    Closed(u16),
}

#[track_caller]
fn connect(server: &Server, token: &str) -> (Session, Fate) {
    let mut session = Session::over(Client::upgraded(server, PATH));
    session.send("connect", &json!({ "token": token }));
    let frame = session.client.frame();
    let fate = if frame.first == CLOSE {
        Fate::Closed(u16::from_be_bytes([frame.payload[0], frame.payload[1]]))
    } else {
        let reply: Value = serde_json::from_slice(&frame.payload).unwrap();
        reply["error"]["code"].as_u64().map_or(Fate::In, Fate::Error)
    };
    (session, fate)
}
