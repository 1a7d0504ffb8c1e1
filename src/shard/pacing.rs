//! How fast clients may talk: token buckets of a connection and of a user.
//!
//! Invariant: a bucket is the moment at which it would be full again (the generic cell rate algorithm), so an idle one
//! needs no care. Commands beyond the rate are answered with an error; bytes beyond it cost the connection.

use super::Shard;
use super::settings::Quota;
use crate::conn::session::Pace;
use crate::ids::ConnId;
use crate::proto::Disconnect;
use crate::time::Moment;
use std::collections::HashMap;

/// Buckets of users, on this core.
#[derive(Debug, Default)]
pub(super) struct Paces {
    by_user: HashMap<Box<str>, Pace>,
}

impl Shard {
    /// Counts the bytes of a message.
    pub(super) fn pace_bytes(&mut self, id: ConnId, bytes: usize) -> Result<(), Disconnect> {
        let quotas = self.settings.quotas;
        if quotas.connection_bytes.is_off() && quotas.user_bytes.is_off() {
            return Ok(());
        }
        let (now, cost) = (self.now, bytes as u64);
        let Some(session) = self.conns.get_mut(id).and_then(|conn| conn.session_mut()) else {
            return Ok(());
        };
        let is_admitted = quotas.connection_bytes.admit(&mut session.pace.bytes, cost, now)
            && (quotas.user_bytes.is_off() || session.user.is_empty() || {
                let pace = self.paces.of(&session.user, now);
                quotas.user_bytes.admit(&mut pace.bytes, cost, now)
            });
        if is_admitted {
            return Ok(());
        }
        self.stats.limited_bytes += 1;
        Err(Disconnect::TooManyRequests)
    }

    /// Counts a command. False: it is answered with an error instead of being served.
    pub(super) fn pace_command(&mut self, id: ConnId) -> bool {
        let quotas = self.settings.quotas;
        if quotas.connection_commands.is_off() && quotas.user_commands.is_off() {
            return true;
        }
        let now = self.now;
        let Some(session) = self.conns.get_mut(id).and_then(|conn| conn.session_mut()) else {
            return true;
        };
        let is_admitted = quotas.connection_commands.admit(&mut session.pace.commands, 1, now)
            && (quotas.user_commands.is_off() || session.user.is_empty() || {
                let pace = self.paces.of(&session.user, now);
                quotas.user_commands.admit(&mut pace.commands, 1, now)
            });
        self.stats.commands_paced += u64::from(!is_admitted);
        is_admitted
    }
}

impl Paces {
    fn of(&mut self, user: &str, now: Moment) -> &mut Pace {
        if self.by_user.len() >= USER_COUNT_KEPT {
            let now = now.as_nanos();
            self.by_user.retain(|_, pace| pace.commands > now || pace.bytes > now);
        }
        // The name is copied for a new one alone.
        if !self.by_user.contains_key(user) {
            self.by_user.insert(Box::from(user), Pace::default());
        }
        self.by_user.entry(Box::from(user)).or_default()
    }
}

impl Quota {
    /// Takes `cost` from the bucket if it has that much.
    fn admit(self, full_at: &mut u64, cost: u64, now: Moment) -> bool {
        if self.is_off() {
            return true;
        }
        let (now, per_second) = (now.as_nanos(), u64::from(self.per_second));
        let nanos = |tokens: u64| tokens.saturating_mul(1_000_000_000) / per_second;
        let next = (*full_at).max(now).saturating_add(nanos(cost));
        let is_admitted = next - now <= nanos(u64::from(self.burst).max(1));
        if is_admitted {
            *full_at = next;
        }
        is_admitted
    }
}

/// Buckets that are kept before full ones are looked for.
const USER_COUNT_KEPT: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let quota = Quota { per_second: 10, burst: 5 };
        let mut bucket = 0;
        let mut admitted = |ms: u64, cost| quota.admit(&mut bucket, cost, Moment::from_millis(ms));
        assert_eq!((0..9).filter(|_| admitted(1000, 1)).count(), 5);
        assert!(!admitted(1099, 1));
        assert!(admitted(1100, 1));
        assert!(!admitted(1500, 5));
        assert!(admitted(1600, 5));
        assert!(
            !Quota { per_second: 10, burst: 5 }.admit(&mut 0, 6, Moment::from_millis(9)),
            "more than ever fits"
        );
    }

    #[test]
    fn without_a_quota_everything_passes() {
        assert!(Quota::default().admit(&mut 0, u64::MAX, Moment::ZERO));
    }
}
