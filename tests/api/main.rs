//! The server API against the real server: every answer to the byte, and what subscribers see of it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each suite uses its part")]
mod support;

mod batches;
mod caller;
mod command;
mod connections;
mod doors;
mod events;
mod histories;
mod hostile;
mod people;
mod publishing;
mod revoking;

/// Everything that an anonymous client may want to do in `plain` channels, with presence; a history in `log:` channels;
/// neither in `bare:` channels. Pings do not come between.
const CONFIG: &str = "[http_api]\nkey = \"k-e-y\"\n\
    [client]\nallow_anonymous_connect_without_token = true\nping_interval = \"1h\"\n\
    [channel.without_namespace]\npresence = true\n\
    allow_subscribe_for_client = true\nallow_subscribe_for_anonymous = true\n\
    [[channel.namespaces]]\nname = \"log\"\nhistory_size = 10\nhistory_ttl = \"5m\"\n\
    allow_subscribe_for_client = true\nallow_subscribe_for_anonymous = true\n\
    [[channel.namespaces]]\nname = \"bare\"\n";

const KEY: &str = "k-e-y";
