//! What an operator may change while the node runs. Every core gets the same snapshot as mail, and uses it from the next
//! input on; connections, subscriptions and deadlines that exist keep what they were made with.
//!
//! Invariant: a snapshot is checked before it is made, and nobody changes it afterwards. Whatever would need a socket,
//! a thread or a promise to clients to be taken back is in `ShardOptions`, which stay for the life of the process.

use crate::auth::Auth;
use crate::channels::{Namespaces, PersonalChannels, Policy};
use crate::http::OriginPolicy;
use crate::limits;
use crate::tls::Acceptor;
use crate::ws::deflate::Effort;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Settings {
    pub namespaces: Arc<Namespaces>,
    pub personal: PersonalChannels,
    pub auth: Arc<Auth>,
    pub hooks: Hooks,
    pub origins: OriginPolicy,
    /// What sockets of the public port are accepted with; none: without TLS.
    pub tls: Option<Acceptor>,
    pub access: Access,
    pub limits: Limits,
    pub patience: Patience,
    pub quotas: Quotas,
    pub compression: Compression,
    /// The connect result carries the time of the server.
    pub include_server_time: bool,
    /// The built-in RPC method `ping` is answered.
    pub rpc_ping: bool,
}

/// Which back ends are asked about what; a namespace names those for its channels.
#[derive(Clone, Debug, Default)]
pub struct Hooks {
    /// Asked about a connection that brings no token.
    pub connect: bool,
    /// Asked when a connection that a hook let in is about to expire.
    pub refresh: bool,
    /// For methods of no namespace.
    pub rpc: Option<Box<str>>,
    /// For methods that begin with this and a colon.
    pub rpc_namespaces: Vec<(Box<str>, Option<Box<str>>)>,
    /// Headers of the upgrade that any hook gets, in lower case.
    pub headers: Vec<Box<str>>,
    /// The same for headers that a client emulates in its connect command.
    pub emulated_headers: Vec<Box<str>>,
    /// Somebody wants to know of disconnects.
    pub disconnect: bool,
}

/// Who is let in without a token or a hook.
#[derive(Clone, Debug, Default)]
pub struct Access {
    pub anonymous: bool,
    /// Everybody may do everything: for development and tests.
    pub insecure: bool,
    /// A token without a user is refused with 3507.
    pub disallow_anonymous_tokens: bool,
    /// A header of the upgrade that names the user, set by a proxy that all clients come through. In lower case.
    pub user_id_header: Option<Box<str>>,
}

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of one user on this node; zero is no limit. Beyond: disconnect 3504.
    pub connections_per_user_max: u32,
    /// Connections a second of this node, streams among them; beyond: 503.
    pub handshake_rate: Option<u32>,
    pub channels_per_client_max: u32,
    pub message_bytes_max: u32,
    pub outbox_bytes_max: u32,
    /// Publications in one answer to `history`.
    pub history_page_max: u32,
    /// Publications that one recovery may bring; beyond: unrecovered.
    pub recovery_max: u32,
}

#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub handshake: Duration,
    pub message: Duration,
    /// From the upgrade to the connect command.
    pub stale: Duration,
    /// What a client gets beyond the end of its connection, to refresh it.
    pub expired: Duration,
    /// The same for a subscription.
    pub expired_subscription: Duration,
    /// How often a quiet positioned subscription is compared with its channel.
    pub position_check: Duration,
}

/// How fast clients may talk. Beyond: error 111 for commands, disconnect 3013 for what does not stop.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quotas {
    pub connection_commands: Quota,
    pub connection_bytes: Quota,
    /// All connections of a user on one core together.
    pub user_commands: Quota,
    pub user_bytes: Quota,
}

/// Of WebSocket messages (RFC 7692). Connections keep what they have agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// Clients that offer it get it.
    pub enabled: bool,
    pub effort: Effort,
    /// Messages may build on those before.
    pub takeover: bool,
    pub takeover_window_bits: u8,
    /// Of this core, for what connections with takeover have said and heard. Beyond: without takeover.
    pub takeover_bytes_max: u64,
}

/// A token bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Zero is no limit.
    pub per_second: u32,
    /// How much may come at once.
    pub burst: u32,
}

impl Quota {
    pub const fn is_off(self) -> bool {
        self.per_second == 0
    }
}

impl Settings {
    /// Everything allowed, every limit at its default: for tests and the simulator.
    pub fn open() -> Self {
        Self {
            namespaces: Arc::new(Namespaces::uniform(Policy::open())),
            personal: PersonalChannels::default(),
            auth: Arc::default(),
            hooks: Hooks::default(),
            origins: OriginPolicy::SameHost,
            tls: None,
            access: Access { anonymous: true, ..Access::default() },
            limits: Limits::default(),
            patience: Patience::default(),
            quotas: Quotas::default(),
            compression: Compression::default(),
            include_server_time: false,
            rpc_ping: false,
        }
    }

    /// Puts all channels under one policy.
    pub fn set_policy(&mut self, policy: Policy) {
        self.namespaces = Arc::new(Namespaces::uniform(policy));
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_per_user_max: 0,
            handshake_rate: None,
            channels_per_client_max: limits::CHANNELS_PER_CLIENT_MAX,
            message_bytes_max: limits::MESSAGE_BYTES_MAX,
            outbox_bytes_max: limits::OUTBOX_BYTES_MAX,
            history_page_max: limits::HISTORY_PAGE_COUNT_MAX,
            recovery_max: limits::RECOVERY_COUNT_MAX,
        }
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self {
            enabled: false,
            effort: Effort::default(),
            takeover: false,
            takeover_window_bits: limits::TAKEOVER_WINDOW_BITS as u8,
            takeover_bytes_max: u64::from(limits::TAKEOVER_BYTES_MAX),
        }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            handshake: Duration::from_millis(limits::HANDSHAKE_MS_MAX),
            message: Duration::from_millis(limits::MESSAGE_MS_MAX),
            stale: Duration::from_millis(limits::STALE_MS_MAX),
            expired: Duration::from_millis(limits::EXPIRED_MS_MAX),
            expired_subscription: Duration::from_millis(limits::EXPIRED_MS_MAX),
            position_check: Duration::from_millis(limits::POSITION_CHECK_MS),
        }
    }
}
