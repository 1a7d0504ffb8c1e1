//! What is counted over all cores: how many connections each user has on the node, and how fast connections come.
//! Invariant: whoever was counted in is counted out. Without a limit nothing is counted; with one, a lock is taken when
//! a client connects and when it goes, never for a message.

use super::rate::Rate;
use crate::time::Moment;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Default)]
pub struct Tallies {
    by_user: Mutex<HashMap<Box<str>, u32>>,
    arrivals: Mutex<Option<Rate>>,
}

impl Tallies {
    /// Whether another connection may come now. None: there is no limit.
    pub fn admit(&self, per_second: Option<u32>, now: Moment) -> bool {
        let Some(per_second) = per_second else { return true };
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let rate = arrivals.get_or_insert_with(|| Rate::new(per_second, now));
        rate.set(per_second, now);
        rate.admit(now)
    }

    /// Counts a connection in, unless there are `limit` already.
    pub fn enter(&self, user: &str, limit: u32) -> bool {
        let mut by_user = self.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_user.entry(Box::from(user)).or_default();
        let is_admitted = *count < limit;
        *count += u32::from(is_admitted);
        is_admitted
    }

    pub fn leave(&self, user: &str) {
        let mut by_user = self.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_user.get_mut(user) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                by_user.remove(user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_who_share_it_come_at_one_rate_which_may_change() {
        let tallies = Tallies::default();
        let admitted =
            |per_second, ms| (0..50).filter(|_| tallies.admit(per_second, Moment::from_millis(ms))).count();
        assert_eq!(admitted(None, 0), 50);
        assert_eq!(admitted(Some(10), 0), 10);
        assert_eq!(admitted(Some(10), 100), 1);
        assert_eq!(admitted(Some(20), 100), 20);
        // The clocks of cores differ by a turn.
        assert_eq!(admitted(Some(20), 50), 0);
        assert_eq!(admitted(Some(20), 150), 1);
    }

    #[test]
    fn a_user_has_so_many_places_and_one_that_was_left_is_free_again() {
        let tallies = Tallies::default();
        assert!(tallies.enter("u", 1) && tallies.enter("v", 1));
        assert!(!tallies.enter("u", 1));
        tallies.leave("u");
        assert!(tallies.enter("u", 1));
        tallies.leave("u");
        tallies.leave("v");
        assert!(tallies.by_user.lock().unwrap().is_empty());
    }
}
