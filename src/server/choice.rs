//! Which driver the cores get. The ring where it works; elsewhere epoll, unless the operator insists.
//! Invariant: a machine that refuses io_uring is never passed over in silence: the refusal travels with the choice to the
//! log, to the figures and to the doctor.

use crate::config::Driver;
use crate::driver::DriverKind;
use crate::fatal::Fatal;
use crate::sys::probe::{self, RingFeatures};
use crate::sys::rlimit::{self, LOCKED_MEMORY_BYTES_MIN, Limit};

/// A driver, and why this one.
#[derive(Debug)]
pub enum Choice {
    /// The ring was tried out.
    Uring(RingFeatures),
    /// The configuration wants it so.
    Epoll,
    /// What would have ended a server that insists on the ring.
    Fallback(Fatal),
}

impl Choice {
    /// Tries the ring out, if it is wanted at all. Raise the limits before. An error: it is insisted upon, and refused.
    pub fn make(wanted: Driver) -> Result<Self, Fatal> {
        let locked_memory = rlimit::raise_locked_memory().unwrap_or_else(|_| rlimit::locked_memory());
        Self::of(wanted, || probe::probe().map_err(Fatal::Ring), locked_memory)
    }

    fn of(
        wanted: Driver,
        probe: impl FnOnce() -> Result<RingFeatures, Fatal>,
        locked_memory: Limit,
    ) -> Result<Self, Fatal> {
        let try_ring = || {
            let features = probe()?;
            if locked_memory.soft < LOCKED_MEMORY_BYTES_MIN {
                let (have_bytes, need_bytes) = (locked_memory.soft, LOCKED_MEMORY_BYTES_MIN);
                return Err(Fatal::LockedMemory { have_bytes, need_bytes });
            }
            Ok(Self::Uring(features))
        };
        match wanted {
            Driver::Epoll => Ok(Self::Epoll),
            Driver::Uring => try_ring(),
            Driver::Auto => Ok(try_ring().unwrap_or_else(Self::Fallback)),
        }
    }

    pub fn driver(&self) -> DriverKind {
        match self {
            Self::Uring(_) => DriverKind::Uring,
            Self::Epoll | Self::Fallback(_) => DriverKind::Epoll,
        }
    }

    /// A word for figures.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Uring(_) => "works",
            Self::Epoll => "configured",
            Self::Fallback(Fatal::Ring(refusal)) => refusal.word(),
            // Only two kinds of refusal come from `make`; the other is the limit of locked memory.
            Self::Fallback(_) => "memlock",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::probe::Refusal;

    const PLENTY: Limit = Limit { soft: u64::MAX, hard: u64::MAX };
    const LITTLE: Limit = Limit { soft: 65_536, hard: 65_536 };

    fn refused() -> Result<RingFeatures, Fatal> {
        Err(Fatal::Ring(Refusal::Filtered))
    }

    fn works() -> Result<RingFeatures, Fatal> {
        probe::probe().map_err(Fatal::Ring)
    }

    #[test]
    fn a_ring_that_works_is_taken_unless_epoll_is_wanted() {
        for wanted in [Driver::Auto, Driver::Uring] {
            let choice = Choice::of(wanted, works, PLENTY).unwrap();
            assert_eq!((choice.driver(), choice.reason()), (DriverKind::Uring, "works"));
        }
        let choice = Choice::of(Driver::Epoll, || unreachable!("nobody asked for the ring"), PLENTY).unwrap();
        assert_eq!((choice.driver(), choice.reason()), (DriverKind::Epoll, "configured"));
    }

    #[test]
    fn a_refusal_leads_to_epoll_with_its_name_and_ends_who_insists() {
        let choice = Choice::of(Driver::Auto, refused, PLENTY).unwrap();
        assert_eq!((choice.driver(), choice.reason()), (DriverKind::Epoll, "seccomp"));
        let choice = Choice::of(Driver::Auto, works, LITTLE).unwrap();
        assert_eq!((choice.driver(), choice.reason()), (DriverKind::Epoll, "memlock"));
        assert!(matches!(Choice::of(Driver::Uring, refused, PLENTY), Err(Fatal::Ring(Refusal::Filtered))));
        assert!(matches!(Choice::of(Driver::Uring, works, LITTLE), Err(Fatal::LockedMemory { .. })));
    }
}
