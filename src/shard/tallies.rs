//! How many connections each user has on the node, counted over all cores.
//! Invariant: whoever was counted in is counted out. Without a limit nothing is counted; with one, the lock is taken when
//! a client connects and when it goes, never for a message.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Default)]
pub struct Tallies {
    by_user: Mutex<HashMap<Box<str>, u32>>,
}

impl Tallies {
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
