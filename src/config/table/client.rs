//! What every client may do and has to put up with, whatever its channels.

use super::personal::PersonalChannel;
use super::rates::Rates;
use super::tokens::{SubscriptionToken, Token};
use crate::config::option::{
    Entry, HOUR_MS, MINUTE_MS, OFF, OPEN, SECOND_MS, count, duration, entry, restart, switch, text,
};
use crate::config::value::Field;
use crate::limits;
use std::time::Duration;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    pub allow_anonymous_connect_without_token: bool,
    pub disallow_anonymous_connection_tokens: bool,
    pub insecure: bool,
    /// Empty: no header names the user.
    pub user_id_http_header: String,
    /// Patterns that `OriginPolicy` accepts.
    pub allowed_origins: Vec<String>,
    pub ping_interval: Duration,
    pub pong_timeout: Duration,
    pub stale_close_delay: Duration,
    pub expired_close_delay: Duration,
    pub expired_sub_close_delay: Duration,
    pub channel_limit: u32,
    pub queue_max_size: u32,
    /// Of this node; zero is no limit.
    pub connection_limit: u32,
    /// Of this node, per second; zero is no limit.
    pub connection_rate_limit: u32,
    pub user_connection_limit: u32,
    pub address_connection_limit: u32,
    pub history_max_publication_limit: u32,
    pub recovery_max_publication_limit: u32,
    pub channel_position_check_delay: Duration,
    pub connect_include_server_time: bool,
    pub rates: Rates,
    pub personal: PersonalChannel,
    pub token: Token,
    pub subscription_token: SubscriptionToken,
}

pub const OPTIONS: &[Entry] = &[
    switch(
        "client.allow_anonymous_connect_without_token",
        OPEN,
        |c| &mut c.client.allow_anonymous_connect_without_token,
        "Lets clients connect without a token, as a user without a name.",
    ),
    switch(
        "client.disallow_anonymous_connection_tokens",
        OFF,
        |c| &mut c.client.disallow_anonymous_connection_tokens,
        "Refuses tokens that name no user; beyond: disconnect 3507.",
    ),
    switch(
        "client.insecure",
        OFF,
        |c| &mut c.client.insecure,
        "Lets everybody in and allows everything but private channels; for development and tests only.",
    ),
    text(
        "client.user_id_http_header",
        "",
        header_name,
        |c| &mut c.client.user_id_http_header,
        "Header of the upgrade that names the user; only behind a proxy that sets it and that all clients come through.",
    ),
    entry(
        "client.allowed_origins",
        Field::Patterns { place: |c| &mut c.client.allowed_origins, production: &[], development: &["*"] },
        "Origins of the web pages that may connect, where * is one label of the host name and * alone any \
         origin; none: pages of the host that they connect to; beyond: 403.",
    ),
    restart(duration(
        "client.ping_interval",
        limits::PING_INTERVAL_MS,
        [SECOND_MS, 60 * MINUTE_MS],
        |c| &mut c.client.ping_interval,
        "Time between two pings to a client.",
    )),
    restart(duration(
        "client.pong_timeout",
        limits::PONG_MS_MAX,
        [100, 10 * MINUTE_MS],
        |c| &mut c.client.pong_timeout,
        "Time for the answer to a ping, shorter than client.ping_interval; beyond: disconnect 3012.",
    )),
    duration(
        "client.stale_close_delay",
        limits::STALE_MS_MAX,
        [100, 10 * MINUTE_MS],
        |c| &mut c.client.stale_close_delay,
        "Time from the upgrade to the connect command; beyond: disconnect 3502.",
    ),
    duration(
        "client.expired_close_delay",
        limits::EXPIRED_MS_MAX,
        [0, HOUR_MS],
        |c| &mut c.client.expired_close_delay,
        "Time beyond the end of a connection's token, to refresh it; beyond: disconnect 3005.",
    ),
    duration(
        "client.expired_sub_close_delay",
        limits::EXPIRED_MS_MAX,
        [0, HOUR_MS],
        |c| &mut c.client.expired_sub_close_delay,
        "Time beyond the end of a subscription's token, to refresh it; beyond: unsubscribed with 2501.",
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
        "client.user_connection_limit",
        "connections",
        0,
        [0, u32::MAX],
        |c| &mut c.client.user_connection_limit,
        "Connections of one user to this node, 0 for no limit; beyond: disconnect 3504.",
    ),
    count(
        "client.address_connection_limit",
        "connections",
        0,
        [0, u32::MAX],
        |c| &mut c.client.address_connection_limit,
        "Connections from one IP address to this node, 0 for no limit; beyond: 503.",
    ),
    count(
        "client.history_max_publication_limit",
        "publications",
        limits::HISTORY_PAGE_COUNT_MAX,
        [1, 100_000],
        |c| &mut c.client.history_max_publication_limit,
        "Publications in one answer to a client's history command; beyond: the rest needs another command.",
    ),
    count(
        "client.recovery_max_publication_limit",
        "publications",
        limits::RECOVERY_COUNT_MAX,
        [1, 100_000],
        |c| &mut c.client.recovery_max_publication_limit,
        "Publications that a client which comes back may have missed; beyond: not recovered.",
    ),
    duration(
        "client.channel_position_check_delay",
        limits::POSITION_CHECK_MS,
        [SECOND_MS, HOUR_MS],
        |c| &mut c.client.channel_position_check_delay,
        "Time after which a quiet positioned subscription is compared with its channel; a gap: unsubscribed with 2500.",
    ),
    switch(
        "client.connect_include_server_time",
        OFF,
        |c| &mut c.client.connect_include_server_time,
        "Sends the time of the server in the connect result.",
    ),
];

/// RFC 9110 section 5.1.
fn header_name(text: &str) -> Result<(), String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.bytes().all(is_token) {
        Ok(())
    } else {
        Err("the name of an HTTP header, such as \"X-User-Id\"".to_owned())
    }
}
