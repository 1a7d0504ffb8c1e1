//! Where the process runs and listens, what it serves beside clients, and how it stops.

use crate::config::option::{Entry, MINUTE_MS, ON, OPEN, SECOND_MS, alias, duration, entry, restart, switch};
use crate::config::value::Field;
use crate::limits;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    pub public: SocketAddr,
    pub internal: SocketAddr,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    pub echo: bool,
    pub pages: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shutdown {
    pub timeout: Duration,
    pub drain_window: Duration,
}

impl Default for Listen {
    fn default() -> Self {
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        Self { public: nowhere, internal: nowhere }
    }
}

pub const OPTIONS: &[Entry] = &[
    restart(entry(
        "cores",
        Field::Cores { place: |c| &mut c.cores },
        "CPUs that get an executor each: how many, or which, such as \"0,2-3\".",
    )),
    restart(entry(
        "driver",
        Field::Driver { place: |c| &mut c.driver },
        "How sockets are driven: auto is io_uring where the machine allows it, else epoll; uring is io_uring or nothing.",
    )),
    restart(alias(
        "listen",
        entry(
            "listen.public",
            Field::Address {
                place: |c| &mut c.listen.public,
                production: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8080),
                development: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
            },
            "Address for clients; port 0 lets the kernel choose.",
        ),
    )),
    restart(alias(
        "internal",
        entry(
            "listen.internal",
            Field::Address {
                place: |c| &mut c.listen.internal,
                production: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9080),
                development: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9080),
            },
            "Address for health, metrics and the server API; never expose it to clients.",
        ),
    )),
    restart(alias(
        "echo",
        switch("routes.echo", OPEN, |c| &mut c.routes.echo, "Serves /echo, which sends every message back."),
    )),
    restart(alias(
        "pages",
        switch("routes.pages", ON, |c| &mut c.routes.pages, "Serves the chat page on /."),
    )),
];

pub const SHUTDOWN: &[Entry] = &[
    restart(duration(
        "shutdown.timeout",
        limits::STOP_MS_MAX,
        [SECOND_MS, 60 * MINUTE_MS],
        |c| &mut c.shutdown.timeout,
        "Hard end of a stop, longer than drain window and close timeout together.",
    )),
    restart(duration(
        "shutdown.drain_window",
        limits::DRAIN_WINDOW_MS,
        [0, 30 * MINUTE_MS],
        |c| &mut c.shutdown.drain_window,
        "Time over which clients are closed (3001) after SIGTERM, so that they do not all come back at once.",
    )),
];
