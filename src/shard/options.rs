//! What a shard may decide by, already checked. Shards know this and nothing of the configuration.

use crate::channels::Permission;
use crate::http::OriginPolicy;
use crate::ids::CoreId;
use crate::limits;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct ShardOptions {
    pub core: CoreId,
    pub core_count: u16,
    /// Seed of this core's randomness: client ids, phases of pings.
    pub seed: u64,
    /// The same on all cores: decides which core owns a channel.
    pub hash_seed: u64,
    /// Sent in the connect result.
    pub version: &'static str,
    pub echo: bool,
    pub origins: Arc<OriginPolicy>,
    /// Upgrades a second on this core; beyond: 503.
    pub handshake_rate: Option<u32>,
    pub handshake_max: Duration,
    pub message_max: Duration,
    pub close_max: Duration,
    pub message_bytes_max: u32,
    pub outbox_bytes_max: u32,
    /// Letters that wait here for room in another core's mailbox.
    pub mail_count_max: usize,
    pub stale_max: Duration,
    /// Zero: no pings.
    pub ping_interval: Duration,
    pub pong_max: Duration,
    pub anonymous: bool,
    pub channels_per_client_max: u32,
    pub channel_name_bytes_max: usize,
    pub channels: ChannelPolicy,
}

/// What clients may do in a channel. Names and meaning are Centrifugo's.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChannelPolicy {
    pub presence: bool,
    pub subscribe: Permission,
    pub publish: Permission,
    pub see_presence: Permission,
}

impl ShardOptions {
    /// Everything allowed, every limit at its default: for tests and the simulator.
    pub fn open(core: CoreId, core_count: u16, seed: u64) -> Self {
        Self {
            core,
            core_count,
            seed,
            hash_seed: 0,
            version: "test",
            echo: true,
            origins: Arc::new(OriginPolicy::SameHost),
            handshake_rate: None,
            handshake_max: Duration::from_millis(limits::HANDSHAKE_MS_MAX),
            message_max: Duration::from_millis(limits::MESSAGE_MS_MAX),
            close_max: Duration::from_millis(limits::CLOSE_MS_MAX),
            message_bytes_max: limits::MESSAGE_BYTES_MAX,
            outbox_bytes_max: limits::OUTBOX_BYTES_MAX,
            mail_count_max: limits::MAIL_COUNT_MAX,
            stale_max: Duration::from_millis(limits::STALE_MS_MAX),
            ping_interval: Duration::from_millis(limits::PING_INTERVAL_MS),
            pong_max: Duration::from_millis(limits::PONG_MS_MAX),
            anonymous: true,
            channels_per_client_max: limits::CHANNELS_PER_CLIENT_MAX,
            channel_name_bytes_max: limits::CHANNEL_NAME_BYTES_MAX,
            channels: ChannelPolicy {
                presence: true,
                subscribe: Permission::ALL,
                publish: Permission::ALL,
                see_presence: Permission::ALL,
            },
        }
    }
}
