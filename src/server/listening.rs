//! The listeners of a node: bound here, or left to us by systemd or by the process whose place we take; and which core
//! gets which.
//!
//! Invariant: what was left to us at the address that we shall listen on is accepted from, whatever the number of our
//! cores is, because connections wait in its queue. The originals stay here until the node stops, so that a successor
//! can be given them.

use crate::fatal::Fatal;
use crate::limits::BACKLOG;
use crate::sys::inheritance::{Giver, Inheritance};
use crate::sys::{journal, socket};
use rustix::fd::{AsFd, OwnedFd};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// What was left to this process, by purpose.
#[derive(Debug, Default)]
pub(super) struct Estate {
    pub giver: Option<Giver>,
    /// Listening sockets, with their addresses.
    public: Vec<(SocketAddr, OwnedFd)>,
    internal: Option<(SocketAddr, OwnedFd)>,
    /// Where a predecessor waits for our word.
    pub ready: Option<OwnedFd>,
}

impl Estate {
    pub(super) fn sort(inheritance: Option<Inheritance>) -> Result<Self, Fatal> {
        let Some(Inheritance { giver, descriptors }) = inheritance else { return Ok(Self::default()) };
        let mut estate = Self { giver: Some(giver), ..Self::default() };
        for (name, descriptor) in descriptors {
            if name == READY && giver == Giver::Predecessor {
                estate.ready = Some(descriptor);
                continue;
            }
            let address = socket::adopt(descriptor.as_fd(), BACKLOG)
                .map_err(|source| Fatal::Inherited { name: name.clone(), cause: source.to_string() })?;
            if name == INTERNAL {
                estate.internal = Some((address, descriptor));
            } else {
                // systemd names a socket after its unit unless it is told a name.
                estate.public.push((address, descriptor));
            }
        }
        Ok(estate)
    }

    /// The listener of the internal port, if one was left to us and the configuration still wants it.
    pub(super) fn take_internal(&mut self, wanted: SocketAddr) -> Option<OwnedFd> {
        let (address, descriptor) = self.internal.take()?;
        is_wanted(self.giver, address, wanted).then_some(descriptor)
    }
}

/// The listeners of the public port.
#[derive(Debug)]
pub(super) struct Listening {
    pub address: SocketAddr,
    originals: Originals,
}

/// Shared with those who give them away, and with those who close them.
#[derive(Clone, Debug)]
pub(super) struct Originals(Arc<Mutex<Vec<OwnedFd>>>);

impl Listening {
    /// For so many cores.
    pub(super) fn open(wanted: SocketAddr, estate: &mut Estate, cores: usize) -> Result<Self, Fatal> {
        let failed = |source| Fatal::listen(wanted, source);
        let inherited: Vec<(SocketAddr, OwnedFd)> = std::mem::take(&mut estate.public);
        let (mut address, mut listeners) = (None, Vec::new());
        for (found, listener) in inherited {
            if is_wanted(estate.giver, found, address.unwrap_or(wanted)) {
                address = Some(found);
                listeners.push(listener);
            }
        }
        let address = match address {
            Some(address) => address,
            None => socket::reserve(wanted).map_err(failed)?,
        };
        // Alone we may add to a group that shares its port. A socket of systemd is meant to outlive us, with everything
        // in its queue: one of our own beside it would take a part of the clients along when we end.
        let may_add = match estate.giver {
            None => true,
            Some(Giver::Predecessor) => {
                listeners.iter().all(|listener| socket::shares_port(listener.as_fd()))
            }
            Some(Giver::Systemd) => listeners.is_empty(),
        };
        while may_add && listeners.len() < cores {
            listeners.push(socket::listen(address, BACKLOG).map_err(failed)?);
        }
        Ok(Self { address, originals: Originals(Arc::new(Mutex::new(listeners))) })
    }

    /// Duplicates, by core. Those of cores that are too few for the listeners are several each; too many cores share.
    pub(super) fn share(&self, cores: usize) -> io::Result<Vec<Vec<OwnedFd>>> {
        let originals = self.originals.lock();
        let mut shares: Vec<Vec<OwnedFd>> = (0..cores).map(|_| Vec::new()).collect();
        for turn in 0..originals.len().max(cores) {
            let original = originals.get(turn % originals.len().max(1));
            let (Some(original), Some(share)) = (original, shares.get_mut(turn % cores.max(1))) else {
                break;
            };
            share.push(original.try_clone()?);
        }
        Ok(shares)
    }

    pub(super) fn originals(&self) -> Originals {
        self.originals.clone()
    }
}

impl Originals {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<OwnedFd>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// None of them is closed while `give` runs.
    pub(super) fn with<T>(&self, give: impl FnOnce(&[OwnedFd]) -> T) -> T {
        give(&self.lock())
    }

    /// Nobody gets them any more: a port is free when its last descriptor is closed.
    pub(super) fn close(&self) {
        self.lock().clear();
    }
}

/// Whether a listener is used. The unit of a socket decides where to listen; between two of us, the newer configuration.
fn is_wanted(giver: Option<Giver>, found: SocketAddr, wanted: SocketAddr) -> bool {
    let is_there = found.ip() == wanted.ip() && (wanted.port() == 0 || wanted.port() == found.port());
    if !is_there {
        let fate = if giver == Some(Giver::Systemd) { "is used all the same" } else { "is not used" };
        say(&format!("a listener on {found} was left to us, and {wanted} is configured: it {fate}"));
    }
    is_there || giver == Some(Giver::Systemd)
}

fn say(line: &str) {
    journal::tell(format!("ringway: {line}"));
}

// Names of what is left to a successor; those of listeners may stand in a unit as `FileDescriptorName`.
pub(super) const PUBLIC: &str = "public";
pub(super) const INTERNAL: &str = "internal";
pub(super) const READY: &str = "ready";

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: &str = "127.0.0.1:0";

    fn left(giver: Giver, listeners: Vec<(SocketAddr, OwnedFd)>) -> Estate {
        Estate { giver: Some(giver), public: listeners, ..Estate::default() }
    }

    fn counts(listening: &Listening, cores: usize) -> Vec<usize> {
        listening.share(cores).unwrap().iter().map(Vec::len).collect()
    }

    /// As a node with so many cores would leave them.
    fn group(count: usize) -> (SocketAddr, Vec<(SocketAddr, OwnedFd)>) {
        let listening = Listening::open(ANY.parse().unwrap(), &mut Estate::default(), count).unwrap();
        let mut originals = listening.originals.lock();
        (listening.address, originals.drain(..).map(|original| (listening.address, original)).collect())
    }

    #[test]
    fn every_core_has_a_listener_of_its_own() {
        let listening = Listening::open(ANY.parse().unwrap(), &mut Estate::default(), 3).unwrap();
        assert_eq!(counts(&listening, 3), [1, 1, 1]);
        assert_eq!(listening.originals.lock().len(), 3);
    }

    #[test]
    fn more_cores_than_before_add_listeners_and_fewer_take_all_of_them() {
        let (address, listeners) = group(2);
        let listening = Listening::open(address, &mut left(Giver::Predecessor, listeners), 4).unwrap();
        assert_eq!((counts(&listening, 4), listening.address), (vec![1, 1, 1, 1], address));
        let (address, listeners) = group(5);
        let listening = Listening::open(address, &mut left(Giver::Predecessor, listeners), 2).unwrap();
        assert_eq!(counts(&listening, 2), [3, 2]);
    }

    #[test]
    fn a_socket_of_systemd_is_shared_and_not_added_to() {
        let (_, listeners) = group(1);
        let other = "127.0.0.1:1".parse().unwrap();
        let listening = Listening::open(other, &mut left(Giver::Systemd, listeners), 3).unwrap();
        assert_eq!(counts(&listening, 3), [1, 1, 1]);
        assert_eq!(listening.originals.lock().len(), 1);
    }

    #[test]
    fn a_listener_that_the_new_configuration_does_not_want_is_left() {
        let (old, listeners) = group(1);
        let wanted = ANY.parse().unwrap();
        let same = Listening::open(wanted, &mut left(Giver::Predecessor, listeners), 1).unwrap();
        assert_eq!(same.address, old, "port 0 takes any");
        let (_, listeners) = group(1);
        let moved = "127.0.0.2:0".parse().unwrap();
        let listening = Listening::open(moved, &mut left(Giver::Predecessor, listeners), 1).unwrap();
        assert_eq!(listening.address.ip(), moved.ip());
    }

    #[test]
    fn what_is_no_listener_is_named() {
        let (pipe, _end) = rustix::pipe::pipe().unwrap();
        let descriptors = vec![("public".to_owned(), pipe)];
        let estate = Estate::sort(Some(Inheritance { giver: Giver::Systemd, descriptors }));
        assert!(estate.unwrap_err().to_string().contains("\"public\""));
    }
}
