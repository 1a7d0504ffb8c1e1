//! What the channels of one trial are like, and who is let in: drawn once, the same for server and model.
//! Invariant: whatever the model expects of a reply follows from these rules and what was asked, from nothing else.

use super::issuer::Issuer;
use super::truth::Keep;
use crate::auth::Auth;
use crate::channels::{Permission, PersonalChannels, Policy, RecoveryMode};
use crate::shard::Settings;
use crate::sim::dice::Dice;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Rules {
    pub mode: Mode,
    pub keep: Keep,
    pub excludes_sender: bool,
    pub delta_publish: bool,
    /// Who comes brings a token; otherwise a proxy names the user.
    pub has_tokens: bool,
    /// Channels are opened by subscription tokens alone.
    pub is_guarded: bool,
    /// History lies on a disk, and outlives the process.
    pub is_durable: bool,
    /// Somebody sets the wall clock now and then.
    pub moves_clock: bool,
    /// Every user is subscribed to a channel of its own.
    pub has_personal: bool,
    pub channel_count: usize,
}

/// What a subscriber gets besides publications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// All that it missed, when it comes back.
    Stream,
    /// The latest publication, when it comes back.
    Cache,
    /// The latest publication, whenever it comes.
    AutoCache,
    /// Its position, and a word when something is missing.
    Positioned,
}

/// How wrong the wall clock may be, in either direction.
pub const CLOCK_MS_MAX: usize = 60_000;

/// How long the position of a quiet channel is kept.
pub const META_TTL: Duration = Duration::from_mins(30);

impl Rules {
    pub fn draw(dice: &mut Dice) -> Self {
        let keep = Keep {
            size: [1, 3, 10, 100][dice.below(4)],
            ttl: Duration::from_secs([2, 30, 600][dice.below(3)]),
        };
        let mode = match dice.below(10) {
            0 => Mode::Cache,
            1 => Mode::AutoCache,
            2 => Mode::Positioned,
            _ => Mode::Stream,
        };
        let has_tokens = dice.percent(50);
        let is_durable = dice.percent(25);
        Self {
            mode,
            keep,
            excludes_sender: dice.percent(20),
            delta_publish: dice.percent(70),
            has_tokens,
            is_guarded: has_tokens && dice.percent(40),
            is_durable,
            // What is on disk ages by the wall clock, which the model would have to follow.
            moves_clock: !is_durable && dice.percent(25),
            has_personal: dice.percent(30),
            channel_count: dice.between(1, 3),
        }
    }

    pub fn settings(&self, issuer: &Issuer) -> Settings {
        let mut settings = Settings::open();
        let see_history = if self.mode.recovers() { Permission::ALL } else { Permission::default() };
        settings.set_policy(Policy {
            history_size: self.keep.size as u32,
            history_ttl: self.keep.ttl,
            history_meta_ttl: META_TTL,
            durable: self.is_durable,
            force_recovery: self.mode.recovers(),
            force_recovery_mode: if self.mode == Mode::Cache {
                RecoveryMode::Cache
            } else {
                RecoveryMode::Stream
            },
            auto_cache_recover: self.mode == Mode::AutoCache,
            force_positioning: self.mode == Mode::Positioned,
            join_leave: true,
            allow_delta_fossil: true,
            delta_publish: self.delta_publish,
            allow_tags_filter: true,
            publish_exclude_sender: self.excludes_sender,
            allow_user_limited_channels: true,
            subscribe: if self.is_guarded { Permission::default() } else { Permission::ALL },
            see_history,
            ..Policy::open()
        });
        settings.access.anonymous = false;
        settings.access.user_id_header = (!self.has_tokens).then(|| Box::from("x-user"));
        settings.personal = PersonalChannels { enabled: self.has_personal, ..PersonalChannels::default() };
        settings.auth = Arc::new(Auth { connection: issuer.keys(), ..Auth::default() });
        settings
    }
}

impl Mode {
    /// Whoever was there may take up where it was.
    pub const fn recovers(self) -> bool {
        !matches!(self, Self::Positioned)
    }

    pub const fn is_cached(self) -> bool {
        matches!(self, Self::Cache | Self::AutoCache)
    }
}

/// Personal channels are numbered from here on, by their users.
const PERSONAL: usize = 100;

pub const fn personal(member: usize) -> usize {
    PERSONAL + member
}

pub fn name(channel: usize) -> String {
    if channel < PERSONAL { format!("channel-{channel}") } else { format!("#user-{}", channel - PERSONAL) }
}

pub fn index(name: &str) -> Option<usize> {
    let personal_index = || name.strip_prefix("#user-")?.parse::<usize>().ok().map(personal);
    name.strip_prefix("channel-").map_or_else(personal_index, |rest| rest.parse().ok())
}
