//! Hooks of the real server against real back ends: reloads, breakers, deadlines, order.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each suite uses its part")]
mod support;

mod backend;
mod breaker;
mod order;
mod refill;
mod reload;
mod slowness;

use serde_json::{Value, json};
use std::net::SocketAddr;
use support::session::Session;

/// Anonymous clients, undisturbed by pings, that may do everything in `plain` channels.
const CLIENTS: &str = "[client]\nallow_anonymous_connect_without_token = true\nping_interval = \"1h\"\n\
    [channel.without_namespace]\nallow_subscribe_for_client = true\nallow_subscribe_for_anonymous = true\n\
    allow_publish_for_client = true\nallow_publish_for_anonymous = true\n";

/// Procedures are this back end's; further options of it may follow.
fn rpc_at(address: SocketAddr) -> String {
    format!(
        "{CLIENTS}[rpc.without_namespace]\nproxy_enabled = true\n[rpc.proxy]\n\
         endpoint = \"http://{address}/rpc\"\ntimeout = \"4s\"\n"
    )
}

/// The result of a procedure, or the code of its error.
#[track_caller]
fn call(session: &mut Session, method: &str) -> Result<Value, u64> {
    let reply = session.ask("rpc", &json!({ "method": method }));
    match reply["error"]["code"].as_u64() {
        Some(code) => Err(code),
        None => Ok(reply["rpc"]["data"].clone()),
    }
}
