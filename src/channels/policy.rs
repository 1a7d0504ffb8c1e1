//! What a namespace allows and keeps. Names and meaning are Centrifugo's (v6) wherever it has the same thing.
//! Invariant: a default policy allows nothing and keeps nothing. Never knows which channel or whose connection it is
//! asked about.

use super::Permission;
use regex::Regex;
use serde::de::IgnoredAny;
use std::time::Duration;

#[derive(Clone, Debug, Default)]
pub struct Policy {
    pub presence: bool,
    pub join_leave: bool,
    pub force_push_join_leave: bool,

    /// Publications of a channel that are kept; with a size or a time of zero none are.
    pub history_size: u32,
    pub history_ttl: Duration,
    /// How long offset and epoch outlive the last publication.
    pub history_meta_ttl: Duration,
    /// History survives a restart of the node.
    pub durable: bool,
    pub allow_positioning: bool,
    pub force_positioning: bool,
    pub allow_recovery: bool,
    pub force_recovery: bool,
    pub force_recovery_mode: RecoveryMode,
    /// A subscriber gets the latest publication without asking for it; implies cache recovery.
    pub auto_cache_recover: bool,

    /// `allowed_delta_types` has `fossil`, the only type that there is.
    pub allow_delta_fossil: bool,
    /// Every publication is one that deltas may be made of, whatever the publisher says.
    pub delta_publish: bool,
    pub allow_tags_filter: bool,
    /// Publications leave as they are, also where messages are compressed: they mix secrets with the text of others.
    pub is_uncompressed: bool,
    pub publication_data_format: DataFormat,
    /// A client does not get its own publications back.
    pub publish_exclude_sender: bool,
    /// Publications a second into one channel; zero is no limit.
    pub publish_rate: u32,

    /// `for_subscriber` means nothing here.
    pub subscribe: Permission,
    pub publish: Permission,
    /// Who may see presence, and join and leave.
    pub see_presence: Permission,
    pub see_history: Permission,
    pub allow_user_limited_channels: bool,
    /// For what stands behind the namespace; none: printable ASCII.
    pub channel_regex: Option<Regex>,

    /// Names of the hooks that are asked; none: nobody is.
    pub subscribe_proxy: Option<Box<str>>,
    pub publish_proxy: Option<Box<str>>,
    pub sub_refresh_proxy: Option<Box<str>>,
    /// Told when a channel is occupied or vacated.
    pub state_proxy: Option<Box<str>>,
    /// Asked for publications when a channel has none in its cache.
    pub cache_empty_proxy: Option<Box<str>>,
    pub channel_state_events: StateEvents,
}

/// What a subscriber that comes back is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecoveryMode {
    /// Every publication that it missed, or the news that this is impossible.
    #[default]
    Stream,
    /// The latest publication.
    Cache,
}

/// What the data of a publication has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DataFormat {
    /// Anything but nothing.
    #[default]
    NotEmpty,
    Json,
    JsonObject,
    /// Anything, even nothing.
    Binary,
}

/// Changes of a channel that the application is told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateEvents {
    /// The first subscriber of the node came.
    pub occupied: bool,
    /// The last one left.
    pub vacated: bool,
}

impl Policy {
    /// Everything allowed, nothing kept: for tests and the simulator.
    pub fn open() -> Self {
        Self {
            presence: true,
            subscribe: Permission::ALL,
            publish: Permission::ALL,
            see_presence: Permission::ALL,
            see_history: Permission::ALL,
            ..Self::default()
        }
    }

    pub const fn has_history(&self) -> bool {
        self.history_size > 0 && !self.history_ttl.is_zero()
    }

    /// Whether a subscription is watched for gaps. Recovery needs that, so it implies it.
    pub const fn is_positioned(&self, asks_position: bool, asks_recovery: bool, sees_history: bool) -> bool {
        let granted = self.force_positioning || (asks_position && (self.allow_positioning || sees_history));
        (self.has_history() && granted) || self.is_recoverable(asks_recovery, sees_history)
    }

    pub const fn is_recoverable(&self, asks: bool, sees_history: bool) -> bool {
        let granted =
            self.force_recovery || self.auto_cache_recover || (asks && (self.allow_recovery || sees_history));
        self.has_history() && granted
    }

    pub const fn recovery_mode(&self) -> RecoveryMode {
        if self.auto_cache_recover { RecoveryMode::Cache } else { self.force_recovery_mode }
    }

    /// Whether a subscriber is told who comes and goes.
    pub const fn pushes_join_leave(&self, asks: bool, sees_presence: bool) -> bool {
        self.join_leave && (self.force_push_join_leave || (asks && sees_presence))
    }

    /// An operator's pattern decides alone; it may allow what is not ASCII.
    pub(super) fn is_legal(&self, name: &str, rest: &str) -> bool {
        match &self.channel_regex {
            Some(pattern) => pattern.is_match(rest),
            None => name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '),
        }
    }
}

impl DataFormat {
    pub fn accepts(self, data: &[u8]) -> bool {
        let is_json = || serde_json::from_slice::<IgnoredAny>(data).is_ok();
        match self {
            Self::NotEmpty => !data.is_empty(),
            Self::Json => is_json(),
            Self::JsonObject => data.trim_ascii_start().starts_with(b"{") && is_json(),
            Self::Binary => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_history() -> Policy {
        Policy { history_size: 10, history_ttl: Duration::from_mins(1), ..Policy::default() }
    }

    #[test]
    fn a_default_policy_allows_and_keeps_nothing() {
        let policy = Policy::default();
        for permission in [policy.subscribe, policy.publish, policy.see_presence, policy.see_history] {
            assert!(!permission.allows(false, true));
        }
        assert!(!policy.has_history() && !policy.presence && !policy.allow_user_limited_channels);
    }

    #[test]
    fn history_needs_both_a_size_and_a_time() {
        assert!(with_history().has_history());
        assert!(!Policy { history_size: 0, ..with_history() }.has_history());
        assert!(!Policy { history_ttl: Duration::ZERO, ..with_history() }.has_history());
    }

    #[test]
    fn positions_are_given_to_whoever_asks_and_may() {
        let allowed = Policy { allow_positioning: true, ..with_history() };
        assert!(allowed.is_positioned(true, false, false));
        assert!(!allowed.is_positioned(false, false, true), "nobody asked");
        assert!(!allowed.is_recoverable(true, false), "a position is not a recovery");
        assert!(
            with_history().is_positioned(true, false, true),
            "who may read the history may know where it is"
        );
        assert!(!with_history().is_positioned(true, true, false));
        let forced = Policy { force_positioning: true, ..with_history() };
        assert!(forced.is_positioned(false, false, false));
        let hollow = Policy { force_positioning: true, force_recovery: true, ..Policy::default() };
        assert!(!hollow.is_positioned(true, true, true), "without a history there are no positions");
    }

    #[test]
    fn recovery_implies_positions() {
        for policy in [
            Policy { force_recovery: true, ..with_history() },
            Policy { auto_cache_recover: true, ..with_history() },
        ] {
            assert!(policy.is_recoverable(false, false) && policy.is_positioned(false, false, false));
        }
        let allowed = Policy { allow_recovery: true, ..with_history() };
        assert!(allowed.is_recoverable(true, false) && allowed.is_positioned(false, true, false));
        assert!(!allowed.is_recoverable(false, false));
    }

    #[test]
    fn automatic_recovery_is_from_the_cache() {
        assert_eq!(with_history().recovery_mode(), RecoveryMode::Stream);
        let automatic = Policy { auto_cache_recover: true, ..with_history() };
        assert_eq!(automatic.recovery_mode(), RecoveryMode::Cache);
    }

    #[test]
    fn join_and_leave_are_pushed_to_those_who_may_see_presence_unless_forced() {
        let told = Policy { join_leave: true, ..Policy::default() };
        assert!(told.pushes_join_leave(true, true));
        assert!(!told.pushes_join_leave(true, false) && !told.pushes_join_leave(false, true));
        let forced = Policy { force_push_join_leave: true, ..told };
        assert!(forced.pushes_join_leave(false, false));
        assert!(!Policy { join_leave: false, ..forced }.pushes_join_leave(true, true));
    }

    #[test]
    fn data_is_checked_as_the_namespace_demands() {
        let formats = [DataFormat::NotEmpty, DataFormat::Json, DataFormat::JsonObject, DataFormat::Binary];
        let accepted = |data: &[u8]| formats.map(|format| format.accepts(data));
        assert_eq!(accepted(b""), [false, false, false, true]);
        assert_eq!(accepted(b"\x00\xff"), [true, false, false, true]);
        assert_eq!(accepted(b"[1]"), [true, true, false, true]);
        assert_eq!(accepted(b" {\"a\":1} "), [true, true, true, true]);
        assert_eq!(accepted(b"{\"a\":1"), [true, false, false, true]);
    }
}
