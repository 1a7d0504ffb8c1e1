//! How many connections the node takes, counted over all cores.

use crate::shard::Admission;
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Debug)]
pub struct Admissions {
    count: AtomicU32,
    limit: u32,
}

impl Admissions {
    pub const fn new(limit: u32) -> Self {
        Self { count: AtomicU32::new(0), limit }
    }

    /// Counts a socket in, whatever the answer: a surplus one lives until it has been refused.
    pub fn enter(&self) -> Admission {
        if self.count.fetch_add(1, Ordering::Relaxed) < self.limit {
            Admission::Welcome
        } else {
            Admission::Surplus
        }
    }

    pub fn leave(&self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_was_left_is_free_again() {
        let admissions = Admissions::new(1);
        assert_eq!(admissions.enter(), Admission::Welcome);
        assert_eq!(admissions.enter(), Admission::Surplus);
        admissions.leave();
        admissions.leave();
        assert_eq!(admissions.enter(), Admission::Welcome);
    }
}
