//! Every option, once: where it lives in the file, what it may be, what it is when nobody says anything.
//!
//! Invariant: each field of `Config` that an operator may choose has exactly one entry here. Names are Centrifugo's (v6)
//! wherever it has the same thing. Flags, environment names, help and the reference in the README are derived.

use super::value::Field;
use super::{Config, Mode};
use crate::limits;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// One option.
#[derive(Debug)]
pub struct Entry {
    /// Path in the file; also the long flag.
    pub key: &'static str,
    /// A shorter flag for what is typed by hand.
    pub alias: Option<&'static str>,
    pub field: Field,
    /// One sentence; what it does, then what happens beyond it.
    pub doc: &'static str,
}

impl Entry {
    /// The flag that the help shows, without dashes.
    pub fn flag(&self) -> &'static str {
        self.alias.unwrap_or(self.key)
    }

    /// `client.ping_interval` becomes `RINGWAY_CLIENT_PING_INTERVAL`.
    pub fn environment(&self) -> String {
        format!("{ENVIRONMENT_PREFIX}{}", self.key.replace('.', "_").to_uppercase())
    }

    /// Whether it can be switched on and off without a value.
    pub fn is_switch(&self) -> bool {
        matches!(self.field, Field::Switch { .. })
    }

    /// The table of the file that it stands in; empty for the top level.
    pub fn section(&self) -> &'static str {
        self.key.rsplit_once('.').map_or("", |(section, _)| section)
    }

    /// The default as it would be written in a file; the cores depend on the machine and are described instead.
    pub fn default_text(&self, mode: Mode) -> String {
        match self.field {
            Field::Cores { .. } => "all".to_owned(),
            Field::Switch { .. }
            | Field::Duration { .. }
            | Field::Count { .. }
            | Field::Address { .. }
            | Field::Patterns { .. }
            | Field::Driver { .. } => {
                let mut config = Config::default();
                self.field.reset(&mut config, mode, &[]);
                self.field.show(&mut config)
            }
        }
    }
}

pub const ENVIRONMENT_PREFIX: &str = "RINGWAY_";

/// Looks an option up by its path.
pub fn find(key: &str) -> Option<&'static Entry> {
    OPTIONS.iter().find(|entry| entry.key == key)
}

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;

/// In the order of the reference.
pub const OPTIONS: &[Entry] = &[
    Entry {
        key: "cores",
        alias: None,
        field: Field::Cores { place: |c| &mut c.cores },
        doc: "CPUs that get an executor each: how many, or which, such as \"0,2-3\".",
    },
    Entry {
        key: "driver",
        alias: None,
        field: Field::Driver { place: |c| &mut c.driver },
        doc: "How sockets are driven; io_uring is the only way so far.",
    },
    Entry {
        key: "listen.public",
        alias: Some("listen"),
        field: Field::Address {
            place: |c| &mut c.listen.public,
            production: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8080),
            development: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
        },
        doc: "Address for clients; port 0 lets the kernel choose.",
    },
    Entry {
        key: "listen.internal",
        alias: Some("internal"),
        field: Field::Address {
            place: |c| &mut c.listen.internal,
            production: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9080),
            development: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9080),
        },
        doc: "Address for health and metrics; never expose it to clients.",
    },
    switch(
        "routes.echo",
        Some("echo"),
        OPEN,
        |c| &mut c.routes.echo,
        "Serves /echo, which sends every message back.",
    ),
    switch("routes.pages", Some("pages"), ON, |c| &mut c.routes.pages, "Serves the chat page on /."),
    switch(
        "client.allow_anonymous_connect_without_token",
        None,
        OPEN,
        |c| &mut c.client.allow_anonymous_connect_without_token,
        "Lets clients connect without a token, as a user without a name.",
    ),
    Entry {
        key: "client.allowed_origins",
        alias: None,
        field: Field::Patterns {
            place: |c| &mut c.client.allowed_origins,
            production: &[],
            development: &["*"],
        },
        doc: "Origins of the web pages that may connect, where * is one label of the host name and * alone any \
              origin; none: pages of the host that they connect to; beyond: 403.",
    },
    duration(
        "client.ping_interval",
        limits::PING_INTERVAL_MS,
        [SECOND_MS, 60 * MINUTE_MS],
        |c| &mut c.client.ping_interval,
        "Time between two pings to a client.",
    ),
    duration(
        "client.pong_timeout",
        limits::PONG_MS_MAX,
        [100, 10 * MINUTE_MS],
        |c| &mut c.client.pong_timeout,
        "Time for the answer to a ping, shorter than client.ping_interval; beyond: disconnect 3012.",
    ),
    duration(
        "client.stale_close_delay",
        limits::STALE_MS_MAX,
        [100, 10 * MINUTE_MS],
        |c| &mut c.client.stale_close_delay,
        "Time from the upgrade to the connect command; beyond: disconnect 3502.",
    ),
    count(
        "client.channel_limit",
        "channels",
        limits::CHANNELS_PER_CLIENT_MAX,
        [1, 65_536],
        |c| &mut c.client.channel_limit,
        "Subscriptions of one connection; beyond: error 106.",
    ),
    count(
        "client.queue_max_size",
        "bytes",
        limits::OUTBOX_BYTES_MAX,
        [4 * limits::KIB, 1024 * limits::MIB],
        |c| &mut c.client.queue_max_size,
        "Bytes queued to one client, at least websocket.message_size_limit; beyond: disconnect 3008.",
    ),
    count(
        "client.connection_limit",
        "connections",
        0,
        [0, u32::MAX],
        |c| &mut c.client.connection_limit,
        "Connections of this node, 0 for no limit; beyond: 503.",
    ),
    count(
        "client.connection_rate_limit",
        "connections a second",
        0,
        [0, u32::MAX],
        |c| &mut c.client.connection_rate_limit,
        "New connections a second of this node, 0 for no limit; beyond: 503.",
    ),
    count(
        "websocket.message_size_limit",
        "bytes",
        limits::MESSAGE_BYTES_MAX,
        [limits::CONTROL_BYTES_MAX, limits::MESSAGE_BYTES_CEILING],
        |c| &mut c.websocket.message_size_limit,
        "Bytes of one message from a client; beyond: close 1009.",
    ),
    duration(
        "websocket.handshake_timeout",
        limits::HANDSHAKE_MS_MAX,
        [100, 10 * MINUTE_MS],
        |c| &mut c.websocket.handshake_timeout,
        "Time for the whole request head, however slowly it drips; beyond: 408.",
    ),
    duration(
        "websocket.message_timeout",
        limits::MESSAGE_MS_MAX,
        [100, 60 * MINUTE_MS],
        |c| &mut c.websocket.message_timeout,
        "Time from the first byte of a message to its last; beyond: close 1008.",
    ),
    duration(
        "websocket.close_timeout",
        limits::CLOSE_MS_MAX,
        [100, MINUTE_MS],
        |c| &mut c.websocket.close_timeout,
        "Time for a peer to answer our close frame; beyond: the socket is closed.",
    ),
    count(
        "channel.max_length",
        "bytes",
        limits::CHANNEL_NAME_BYTES_MAX as u32,
        [1, limits::CHANNEL_NAME_BYTES_MAX as u32],
        |c| &mut c.channel.max_length,
        "Bytes of a channel name; beyond: error 107.",
    ),
    switch(
        "channel.without_namespace.presence",
        None,
        OPEN,
        |c| &mut c.channel.without_namespace.presence,
        "Answers who is subscribed to a channel.",
    ),
    switch(
        "channel.without_namespace.allow_subscribe_for_client",
        None,
        OPEN,
        |c| &mut c.channel.without_namespace.allow_subscribe_for_client,
        "Users may subscribe to any channel.",
    ),
    switch(
        "channel.without_namespace.allow_subscribe_for_anonymous",
        None,
        OPEN,
        |c| &mut c.channel.without_namespace.allow_subscribe_for_anonymous,
        "So may anonymous clients; needs allow_subscribe_for_client.",
    ),
    switch(
        "channel.without_namespace.allow_publish_for_client",
        None,
        OPEN,
        |c| &mut c.channel.without_namespace.allow_publish_for_client,
        "Users may publish into any channel.",
    ),
    switch(
        "channel.without_namespace.allow_publish_for_subscriber",
        None,
        OPEN,
        |c| &mut c.channel.without_namespace.allow_publish_for_subscriber,
        "Subscribers of a channel may publish into it.",
    ),
    switch(
        "channel.without_namespace.allow_publish_for_anonymous",
        None,
        OPEN,
        |c| &mut c.channel.without_namespace.allow_publish_for_anonymous,
        "What allow_publish_for_client and _subscriber permit holds for anonymous clients too.",
    ),
    switch(
        "channel.without_namespace.allow_presence_for_client",
        None,
        OPEN,
        |c| &mut c.channel.without_namespace.allow_presence_for_client,
        "Users may ask who is subscribed to any channel.",
    ),
    switch(
        "channel.without_namespace.allow_presence_for_subscriber",
        None,
        OPEN,
        |c| &mut c.channel.without_namespace.allow_presence_for_subscriber,
        "Subscribers of a channel may ask who else is.",
    ),
    switch(
        "channel.without_namespace.allow_presence_for_anonymous",
        None,
        OPEN,
        |c| &mut c.channel.without_namespace.allow_presence_for_anonymous,
        "What allow_presence_for_client and _subscriber permit holds for anonymous clients too.",
    ),
    duration(
        "shutdown.timeout",
        limits::STOP_MS_MAX,
        [SECOND_MS, 60 * MINUTE_MS],
        |c| &mut c.shutdown.timeout,
        "Hard end of a stop, longer than drain window and close timeout together.",
    ),
    duration(
        "shutdown.drain_window",
        limits::DRAIN_WINDOW_MS,
        [0, 30 * MINUTE_MS],
        |c| &mut c.shutdown.drain_window,
        "Time over which clients are closed (3001) after SIGTERM, so that they do not all come back at once.",
    ),
];

/// On in production and in development.
const ON: [bool; 2] = [true, true];
/// Closed in production, open in development.
const OPEN: [bool; 2] = [false, true];

const fn switch(
    key: &'static str,
    alias: Option<&'static str>,
    [production, development]: [bool; 2],
    place: fn(&mut Config) -> &mut bool,
    doc: &'static str,
) -> Entry {
    Entry { key, alias, field: Field::Switch { place, production, development }, doc }
}

const fn duration(
    key: &'static str,
    default_ms: u64,
    range_ms: [u64; 2],
    place: fn(&mut Config) -> &mut std::time::Duration,
    doc: &'static str,
) -> Entry {
    Entry { key, alias: None, field: Field::Duration { place, default_ms, range_ms }, doc }
}

const fn count(
    key: &'static str,
    unit: &'static str,
    default: u32,
    range: [u32; 2],
    place: fn(&mut Config) -> &mut u32,
    doc: &'static str,
) -> Entry {
    Entry { key, alias: None, field: Field::Count { place, default, range, unit }, doc }
}
