//! Who comes in at the listener of a core, who has left, and how long the door stays shut while descriptors are short.
//!
//! Invariant: whoever was counted in is counted out, by address too. Pauses in a row double, and one who comes in ends
//! the row.

use super::{Admissions, Station};
use crate::ids::ConnId;
use crate::limits;
use crate::shard::{Admission, Shard};
use crate::sys::socket;
use crate::time::Moment;
use rustix::fd::BorrowedFd;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub(super) struct Entrance {
    admissions: Arc<Admissions>,
    /// Of those who were counted by address, by slot.
    addresses: HashMap<u32, IpAddr>,
    /// The next pause.
    pause_ms: u64,
}

impl Entrance {
    pub(super) fn new(station: &Station) -> Self {
        Self {
            admissions: Arc::clone(&station.admissions),
            addresses: HashMap::new(),
            pause_ms: limits::ACCEPT_PAUSE_MS_MIN,
        }
    }

    /// Lets a socket in. None: there is no room for it, and it has to be closed at once.
    pub(super) fn admit(&mut self, now: Moment, socket: BorrowedFd<'_>, shard: &mut Shard) -> Option<ConnId> {
        self.pause_ms = limits::ACCEPT_PAUSE_MS_MIN;
        let Some(admission) = self.admissions.enter() else {
            shard.stats().accept_drops += 1;
            return None;
        };
        shard.stats().limited_connections += u64::from(admission == Admission::Surplus);
        let counted = &self.admissions.addresses;
        let address = if counted.is_on() { socket::peer(socket) } else { None };
        let is_one_too_many = address.is_some_and(|address| !counted.enter(address));
        shard.stats().limited_addresses += u64::from(is_one_too_many);
        let admission = if is_one_too_many { Admission::Surplus } else { admission };
        let id = shard.open(now, admission);
        if let Some(address) = address {
            self.addresses.insert(id.slot, address);
        }
        Some(id)
    }

    pub(super) fn leave(&mut self, id: ConnId) {
        self.admissions.leave();
        if let Some(address) = self.addresses.remove(&id.slot) {
            self.admissions.addresses.leave(address);
        }
    }

    /// Out of descriptors or memory, or forbidden: trying again at once would only burn the core. Says when to.
    pub(super) fn pause(&mut self, now: Moment, shard: &mut Shard) -> Moment {
        shard.stats().accept_pauses += 1;
        self.later(now)
    }

    /// The end of the next pause.
    pub(super) fn later(&mut self, now: Moment) -> Moment {
        let until = now + Duration::from_millis(self.pause_ms);
        self.pause_ms = (self.pause_ms * 2).min(limits::ACCEPT_PAUSE_MS_MAX);
        until
    }
}
