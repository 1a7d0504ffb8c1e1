//! The ways in beside the WebSocket: for networks that break it, and for clients that only listen. The former are on,
//! because a client that needs them cannot ask for them.

use crate::config::option::{Entry, ON, OPEN, restart, switch};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transports {
    pub http_stream: bool,
    pub sse: bool,
    pub uni_websocket: bool,
    pub uni_http_stream: bool,
    pub uni_sse: bool,
}

pub const OPTIONS: &[Entry] = &[
    restart(switch(
        "http_stream.enabled",
        ON,
        |c| &mut c.transports.http_stream,
        "Serves /connection/http_stream, with commands on /emulation.",
    )),
    restart(switch(
        "sse.enabled",
        ON,
        |c| &mut c.transports.sse,
        "Serves /connection/sse, with commands on /emulation.",
    )),
    restart(switch(
        "uni_websocket.enabled",
        OPEN,
        |c| &mut c.transports.uni_websocket,
        "Serves /connection/uni_websocket, for clients that only listen.",
    )),
    restart(switch(
        "uni_http_stream.enabled",
        OPEN,
        |c| &mut c.transports.uni_http_stream,
        "Serves /connection/uni_http_stream, for clients that only listen.",
    )),
    restart(switch(
        "uni_sse.enabled",
        OPEN,
        |c| &mut c.transports.uni_sse,
        "Serves /connection/uni_sse, for clients that only listen.",
    )),
];
