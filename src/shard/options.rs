//! What a shard is for the life of its process, already checked. Shards know this and nothing of the configuration.
//! What may change meanwhile is in `Settings`.

use super::settings::Settings;
use super::slicing::Portions;
use super::tallies::Tallies;
use crate::failpoint::FailPoints;
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
    pub uni_websocket: bool,
    pub close_max: Duration,
    /// Letters that wait here for room in another core's mailbox.
    pub mail_count_max: usize,
    /// Bytes that wait likewise.
    pub mail_bytes_max: u64,
    /// What a turn is divided into.
    pub portions: Portions,
    /// Zero: no pings. Clients are told at connect and rely on it, so it cannot change under them.
    pub ping_interval: Duration,
    pub pong_max: Duration,
    /// What shall fail, in tests.
    pub fail: FailPoints,
    /// Shared by the cores of a node.
    pub tallies: Arc<Tallies>,
    /// In force at the start; later ones come as mail.
    pub settings: Arc<Settings>,
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
            uni_websocket: true,
            close_max: Duration::from_millis(limits::CLOSE_MS_MAX),
            mail_count_max: limits::MAIL_COUNT_MAX,
            mail_bytes_max: limits::MAIL_BYTES_MAX,
            portions: Portions::default(),
            ping_interval: Duration::from_millis(limits::PING_INTERVAL_MS),
            pong_max: Duration::from_millis(limits::PONG_MS_MAX),
            fail: FailPoints::default(),
            tallies: Arc::default(),
            settings: Arc::new(Settings::open()),
        }
    }

    /// To change them before the start.
    pub fn settings_mut(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }
}
