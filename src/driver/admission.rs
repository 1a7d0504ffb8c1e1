//! How many connections the node takes, counted over all cores.

use super::addresses::Addresses;
use crate::control::Places;
use crate::shard::Admission;
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Debug)]
pub struct Admissions {
    count: AtomicU32,
    limit: AtomicU32,
    ceiling: u32,
    pub addresses: Addresses,
}

impl Admissions {
    /// Beyond `limit` sockets are surplus: they live until they have been refused. Of those there is an end as well,
    /// because who says nothing is not refused for a while: at `ceiling`.
    pub fn new(limit: u32, ceiling: u32) -> Self {
        let addresses = Addresses::default();
        Self { count: AtomicU32::new(0), limit: AtomicU32::new(limit), ceiling, addresses }
    }

    /// Counts a socket in. None: it has to be closed at once.
    pub fn enter(&self) -> Option<Admission> {
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        if before < self.limit.load(Ordering::Relaxed) {
            Some(Admission::Welcome)
        } else if before < self.ceiling {
            Some(Admission::Surplus)
        } else {
            self.leave();
            None
        }
    }

    /// From here on; whoever is in stays in.
    pub fn set_limit(&self, limit: u32) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    pub fn leave(&self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Streams are connections too, but nobody is refused by one of them: beyond the limit there is no surplus.
impl Places for Admissions {
    fn enter(&self) -> bool {
        match Admissions::enter(self) {
            Some(Admission::Welcome) => true,
            Some(Admission::Surplus) => {
                Admissions::leave(self);
                false
            }
            None => false,
        }
    }

    fn leave(&self) {
        Admissions::leave(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_was_left_is_free_again() {
        let admissions = Admissions::new(1, 2);
        assert_eq!(admissions.enter(), Some(Admission::Welcome));
        assert_eq!(admissions.enter(), Some(Admission::Surplus));
        assert_eq!(admissions.enter(), None);
        admissions.leave();
        assert_eq!(admissions.enter(), Some(Admission::Surplus));
        admissions.leave();
        admissions.leave();
        assert_eq!(admissions.enter(), Some(Admission::Welcome));
    }

    #[test]
    fn a_lower_limit_holds_for_those_who_come() {
        let admissions = Admissions::new(2, 4);
        admissions.enter();
        admissions.set_limit(1);
        assert_eq!(admissions.enter(), Some(Admission::Surplus));
        admissions.set_limit(3);
        assert_eq!(admissions.enter(), Some(Admission::Welcome));
    }
}
