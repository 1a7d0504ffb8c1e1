//! How many connections the node takes, counted over all cores.

use super::addresses::Addresses;
use crate::control::{Full, Places};
use crate::pressure::{Pressure, Stage};
use crate::shard::Admission;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Debug)]
pub struct Admissions {
    count: AtomicU32,
    limit: AtomicU32,
    ceiling: u32,
    pressure: Arc<Pressure>,
    pub addresses: Addresses,
}

impl Admissions {
    /// Beyond `limit` sockets are surplus: they live until they have been refused. Of those there is an end as well,
    /// because who says nothing is not refused for a while: at `ceiling`.
    pub fn new(limit: u32, ceiling: u32, pressure: Arc<Pressure>) -> Self {
        let addresses = Addresses::default();
        Self { count: AtomicU32::new(0), limit: AtomicU32::new(limit), ceiling, pressure, addresses }
    }

    /// Counts a socket in. None: it has to be closed at once.
    pub fn enter(&self) -> Option<Admission> {
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        let stage = self.pressure.stage();
        // Short of memory nobody is let in. As long as it allows, newcomers hear when to come again.
        if before < self.limit.load(Ordering::Relaxed) && stage < Stage::Shut {
            Some(Admission::Welcome)
        } else if before < self.ceiling && stage < Stage::Shedding {
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
    fn enter(&self, address: Option<IpAddr>) -> Result<Option<IpAddr>, Full> {
        match Admissions::enter(self) {
            Some(Admission::Welcome) => {}
            Some(Admission::Surplus) => {
                Admissions::leave(self);
                return Err(Full::Node);
            }
            None => return Err(Full::Node),
        }
        let address = address.filter(|_| self.addresses.is_on());
        if address.is_some_and(|address| !self.addresses.enter(address)) {
            Places::leave(self, address);
            return Err(Full::Address);
        }
        Ok(address)
    }

    fn leave(&self, address: Option<IpAddr>) {
        if let Some(address) = address {
            self.addresses.leave(address);
        }
        Admissions::leave(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_was_left_is_free_again() {
        let admissions = Admissions::new(1, 2, Arc::default());
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
    fn a_stream_takes_a_place_of_the_node_and_one_of_its_address() {
        let admissions = Admissions::new(2, 4, Arc::default());
        let [one, other] = ["10.0.0.1", "10.0.0.2"].map(|text| text.parse().ok());
        assert_eq!(Places::enter(&admissions, one), Ok(None), "nothing is counted without a limit");
        admissions.addresses.set_limit(1);
        assert_eq!(Places::enter(&admissions, one), Ok(one));
        assert_eq!(Places::enter(&admissions, other), Err(Full::Node));
        Places::leave(&admissions, None);
        assert_eq!(Places::enter(&admissions, one), Err(Full::Address));
        assert_eq!(Places::enter(&admissions, other), Ok(other));
        Places::leave(&admissions, one);
        assert_eq!(Places::enter(&admissions, one), Ok(one));
    }

    #[test]
    fn a_lower_limit_holds_for_those_who_come() {
        let admissions = Admissions::new(2, 4, Arc::default());
        admissions.enter();
        admissions.set_limit(1);
        assert_eq!(admissions.enter(), Some(Admission::Surplus));
        admissions.set_limit(3);
        assert_eq!(admissions.enter(), Some(Admission::Welcome));
    }

    #[test]
    fn when_memory_is_short_newcomers_are_told_so_and_then_not_even_that() {
        let pressure = Arc::new(Pressure::new(1000, 1));
        let admissions = Admissions::new(10, 12, Arc::clone(&pressure));
        for (used, admission) in [
            (930, Some(Admission::Welcome)),
            (960, Some(Admission::Surplus)),
            (990, None),
            (100, Some(Admission::Welcome)),
        ] {
            pressure.note(used);
            assert_eq!(admissions.enter(), admission, "{used}");
        }
    }
}
