//! The server API, and the procedures that the server answers itself.

use crate::auth::Secret;
use crate::config::option::{Entry, OFF, OPEN, choice, restart, secret, switch};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpApi {
    pub key: Secret,
    pub insecure: bool,
    pub external: bool,
    /// Empty or `transport`.
    pub error_mode: &'static str,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rpc {
    pub ping: bool,
}

pub const OPTIONS: &[Entry] = &[
    secret(
        "http_api.key",
        |c| &mut c.http_api.key,
        "Key that callers of the server API show, as X-API-Key; none: nobody can call it unless http_api.insecure.",
    ),
    switch(
        "http_api.insecure",
        OPEN,
        |c| &mut c.http_api.insecure,
        "Serves the server API without a key, to whoever reaches the port.",
    ),
    restart(switch(
        "http_api.external",
        OFF,
        |c| &mut c.http_api.external,
        "Serves the server API on the public port, too.",
    )),
    choice(
        "http_api.error_mode",
        &["", "transport"],
        |c| &mut c.http_api.error_mode,
        "With \"transport\", errors of the server API are HTTP statuses; otherwise they are in the body of a 200.",
    ),
    switch(
        "rpc.ping.enabled",
        OFF,
        |c| &mut c.rpc.ping,
        "Answers the procedure ping, for clients that measure the round trip.",
    ),
];
