//! The epoll of one core: what has happened to which descriptor.
//!
//! Sockets are registered once, edge-triggered and for both directions, and never touched again: a change costs no
//! system call, and a socket that its owner has read to the end is not looked at before something new arrives. The
//! listener is level-triggered, because it is left with connections in its queue.
//! Invariant: a descriptor that was closed is not reported by a later `wait`; one that lives on in other hands must be
//! `forget`ed.
//! Knows nothing of connections: a number comes back as it went in.

use crate::time::Moment;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;

/// What happened to one descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Connections wait to be accepted.
    Knocked,
    /// The bell rang.
    Rung,
    Socket {
        number: u64,
        change: Change,
    },
}

/// News of a socket since they were last reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// There is something to read, an end or an error included.
    pub is_readable: bool,
    /// The peer has finished or broken off behind the bytes that wait: nothing will say so again.
    pub is_ending: bool,
    /// A send that found no room finds some.
    pub is_writable: bool,
}

/// How long a wait may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    None,
    Until(Moment),
    Endless,
}

pub struct Epoll {
    fd: OwnedFd,
    notices: Vec<Event>,
}

impl Epoll {
    /// Reports at most `notice_count_max` descriptors at a time.
    pub fn new(notice_count_max: usize) -> Result<Self, Errno> {
        Ok(Self { fd: epoll::create(CreateFlags::CLOEXEC)?, notices: Vec::with_capacity(notice_count_max) })
    }

    pub fn watch_listener(&self, listener: BorrowedFd<'_>) -> Result<(), Errno> {
        epoll::add(&self.fd, listener, EventData::new_u64(LISTENER), EventFlags::IN)
    }

    /// Every ring is an edge, so the bell never has to be silenced.
    pub fn watch_bell(&self, bell: BorrowedFd<'_>) -> Result<(), Errno> {
        epoll::add(&self.fd, bell, EventData::new_u64(BELL), EventFlags::IN | EventFlags::ET)
    }

    /// `number` has at most 62 bits.
    pub fn watch_socket(&self, socket: BorrowedFd<'_>, number: u64) -> Result<(), Errno> {
        let interest = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.fd, socket, EventData::new_u64(number), interest)
    }

    pub fn forget(&self, descriptor: BorrowedFd<'_>) {
        let _ = epoll::delete(&self.fd, descriptor);
    }

    /// Blocks until something has happened, a signal has come or `patience` is over. `now` is the time at the call.
    pub fn wait(&mut self, now: Moment, patience: Patience) -> Result<(), Errno> {
        let timeout = match patience {
            Patience::None => Some(Timespec::default()),
            Patience::Until(due) => Some(timeout(now, due)),
            Patience::Endless => None,
        };
        self.notices.clear();
        match epoll::wait(&self.fd, rustix::buffer::spare_capacity(&mut self.notices), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What the last wait found.
    pub fn count(&self) -> usize {
        self.notices.len()
    }

    /// The last wait found as much as it could report: there may be more.
    pub fn is_full(&self) -> bool {
        self.notices.len() == self.notices.capacity()
    }

    pub fn notice(&self, at: usize) -> Option<Notice> {
        let Event { flags, data } = *self.notices.get(at)?;
        Some(match data.u64() {
            LISTENER => Notice::Knocked,
            BELL => Notice::Rung,
            number => Notice::Socket { number, change: change(flags) },
        })
    }
}

fn change(flags: EventFlags) -> Change {
    let ending = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
    Change {
        is_readable: flags.intersects(ending | EventFlags::IN),
        is_ending: flags.intersects(ending),
        is_writable: flags.intersects(ending | EventFlags::OUT),
    }
}

/// In whole milliseconds, because that is what the oldest of the calls counts in, and never too early: who wakes before
/// its time has to wait again.
fn timeout(now: Moment, due: Moment) -> Timespec {
    let millis = due.since(now).as_nanos().div_ceil(1_000_000).min(u128::from(TIMEOUT_MS_MAX)) as i64;
    Timespec { tv_sec: millis / 1_000, tv_nsec: millis % 1_000 * 1_000_000 }
}

const LISTENER: u64 = u64::MAX;
const BELL: u64 = u64::MAX - 1;
/// Fits what the kernel takes for milliseconds; whoever sleeps longer wakes once in between.
const TIMEOUT_MS_MAX: u32 = 24 * 3_600 * 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock;
    use crate::sys::doorbell::Doorbell;
    use crate::sys::socket;
    use rustix::fd::AsFd;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    fn wait(epoll: &mut Epoll) -> Vec<Notice> {
        let now = clock::now();
        epoll.wait(now, Patience::Until(now + Duration::from_secs(20))).unwrap();
        (0..epoll.count()).filter_map(|at| epoll.notice(at)).collect()
    }

    fn look(epoll: &mut Epoll) -> usize {
        epoll.wait(clock::now(), Patience::None).unwrap();
        epoll.count()
    }

    #[test]
    fn a_socket_is_reported_once_for_what_arrived_and_again_for_its_end() {
        let (mut client, server) = pair();
        let mut epoll = Epoll::new(8).unwrap();
        epoll.watch_socket(server.as_fd(), 7).unwrap();
        let change = Change { is_readable: false, is_ending: false, is_writable: true };
        assert_eq!(wait(&mut epoll), [Notice::Socket { number: 7, change }], "room to send, at the start");
        client.write_all(b"news").unwrap();
        let change = Change { is_readable: true, ..change };
        assert_eq!(wait(&mut epoll), [Notice::Socket { number: 7, change }]);
        assert_eq!(look(&mut epoll), 0, "unread, but nothing new");
        drop(client);
        let change = Change { is_ending: true, ..change };
        assert_eq!(wait(&mut epoll), [Notice::Socket { number: 7, change }]);
    }

    #[test]
    fn a_send_that_found_no_room_hears_when_there_is_some() {
        let (mut client, server) = pair();
        let mut epoll = Epoll::new(8).unwrap();
        epoll.watch_socket(server.as_fd(), 7).unwrap();
        wait(&mut epoll);
        let mut sent = 0;
        while let Some(len) = socket::send(server.as_fd(), &[0; 4096]).unwrap() {
            sent += len;
        }
        assert_eq!(look(&mut epoll), 0);
        let mut bytes = vec![0; sent];
        client.read_exact(&mut bytes).unwrap();
        let change = Change { is_readable: false, is_ending: false, is_writable: true };
        assert_eq!(wait(&mut epoll), [Notice::Socket { number: 7, change }]);
    }

    #[test]
    fn every_ring_wakes_though_nobody_silences_the_bell() {
        let bell = Doorbell::new().unwrap();
        let mut epoll = Epoll::new(8).unwrap();
        bell.ring();
        epoll.watch_bell(bell.as_fd()).unwrap();
        for _ in 0..3 {
            assert_eq!(wait(&mut epoll), [Notice::Rung]);
            assert_eq!(look(&mut epoll), 0);
            bell.ring();
        }
    }

    #[test]
    fn a_listener_is_reported_until_its_queue_is_empty() {
        let listener = socket::listen("127.0.0.1:0".parse().unwrap(), 8).unwrap();
        socket::set_nonblocking(listener.as_fd()).unwrap();
        let address = rustix::net::getsockname(&listener).unwrap();
        let address = std::net::SocketAddr::try_from(address).unwrap();
        let _clients = [TcpStream::connect(address).unwrap(), TcpStream::connect(address).unwrap()];
        let mut epoll = Epoll::new(8).unwrap();
        epoll.watch_listener(listener.as_fd()).unwrap();
        for _ in 0..2 {
            assert_eq!(wait(&mut epoll), [Notice::Knocked]);
            assert!(socket::accept(listener.as_fd()).unwrap().is_some());
        }
        assert_eq!(look(&mut epoll), 0);
        assert!(socket::accept(listener.as_fd()).unwrap().is_none());
    }

    #[test]
    fn a_socket_in_other_hands_is_no_longer_reported() {
        let (mut client, server) = pair();
        let mut epoll = Epoll::new(8).unwrap();
        epoll.watch_socket(server.as_fd(), 7).unwrap();
        epoll.forget(server.as_fd());
        client.write_all(b"not for us").unwrap();
        assert_eq!(look(&mut epoll), 0);
    }

    #[test]
    fn a_wait_never_ends_too_early() {
        let now = Moment::from_nanos(5);
        assert_eq!(timeout(now, Moment::from_nanos(6)), Timespec { tv_sec: 0, tv_nsec: 1_000_000 });
        assert_eq!(timeout(now, now), Timespec::default());
        let late = timeout(now, now + Duration::from_millis(61_250));
        assert_eq!(late, Timespec { tv_sec: 61, tv_nsec: 250_000_000 });
    }
}
