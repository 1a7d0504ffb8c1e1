//! How many connections come from one address, counted over all cores.
//!
//! Invariant: whoever was counted in is counted out. Without a limit nothing is looked up and nothing locked; with one,
//! the lock is taken when a connection comes and goes, never for a message.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Default)]
pub struct Addresses {
    /// Zero: none.
    limit: AtomicU32,
    counts: Mutex<HashMap<IpAddr, u32>>,
}

impl Addresses {
    pub fn is_on(&self) -> bool {
        self.limit.load(Ordering::Relaxed) > 0
    }

    /// From here on; whoever is in stays in.
    pub fn set_limit(&self, limit: u32) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Counts a connection in. False: it is one too many, and counted all the same until it has gone.
    pub fn enter(&self, address: IpAddr) -> bool {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(site(address)).or_default();
        *count += 1;
        *count <= self.limit.load(Ordering::Relaxed)
    }

    pub fn leave(&self, address: IpAddr) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&site(address)) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&site(address));
            }
        }
    }
}

/// Who has one address of IPv6 mostly has the 64 bits behind it, too.
fn site(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => IpAddr::V4(mapped),
            None => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_so_many_places_and_a_place_that_was_left_is_free_again() {
        let addresses = Addresses::default();
        addresses.set_limit(1);
        assert!(addresses.enter(address("10.0.0.1")));
        assert!(addresses.enter(address("10.0.0.2")));
        assert!(!addresses.enter(address("10.0.0.1")));
        addresses.leave(address("10.0.0.1"));
        addresses.leave(address("10.0.0.1"));
        assert!(addresses.enter(address("10.0.0.1")));
        addresses.leave(address("10.0.0.1"));
        addresses.leave(address("10.0.0.2"));
        assert!(addresses.counts.lock().unwrap().is_empty());
    }

    #[test]
    fn a_site_of_ipv6_is_one_address() {
        let addresses = Addresses::default();
        addresses.set_limit(1);
        assert!(addresses.enter(address("2001:db8::1")));
        assert!(!addresses.enter(address("2001:db8::2")));
        assert!(addresses.enter(address("2001:db8:0:1::1")));
        assert!(addresses.enter(address("::ffff:10.0.0.1")));
        assert!(!addresses.enter(address("10.0.0.1")));
    }
}
