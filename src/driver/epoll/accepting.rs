//! Accepting, and pausing when descriptors run out.
//! Invariant: while accepting pauses no listener is watched, because its queue would wake the core without end.

use super::io::Io;
use super::socket::{Socket, number_of};
use crate::shard::{Input, Shard};
use crate::sys::socket;
use crate::time::Moment;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepting {
    Open,
    /// Out of descriptors: try again then.
    Paused {
        until: Moment,
    },
    Ended,
}

impl Accepting {
    pub(super) fn deadline(self) -> Option<Moment> {
        match self {
            Self::Paused { until } => Some(until),
            Self::Open | Self::Ended => None,
        }
    }
}

impl Io {
    /// Those whom one turn takes; the others are reported again.
    pub(super) fn accept(&mut self, now: Moment, shard: &mut Shard) {
        for at in 0..self.listeners.len() {
            for _ in 0..ACCEPT_COUNT_MAX {
                let Some(listener) = self.listeners.get(at) else { return };
                match socket::accept(listener.as_fd()) {
                    Ok(Some(fd)) => self.admit(now, fd, shard),
                    Ok(None) => break,
                    // The peer was gone before we looked.
                    Err(Errno::CONNABORTED | Errno::PROTO) => {}
                    Err(_) => {
                        self.forget_listeners();
                        self.accepting = Accepting::Paused { until: self.entrance.pause(now, shard) };
                        return;
                    }
                }
            }
        }
    }

    /// From here on clients come in.
    pub(super) fn listen(&mut self, now: Moment, listeners: Vec<OwnedFd>) {
        self.listeners = listeners;
        // Refused for want of memory: later, then.
        self.accepting = self.watch_listeners(now);
    }

    fn watch_listeners(&mut self, now: Moment) -> Accepting {
        let is_watched = self.listeners.iter().all(|listener| {
            let listener = listener.as_fd();
            socket::set_nonblocking(listener).and_then(|()| self.epoll.watch_listener(listener)).is_ok()
        });
        if is_watched {
            return Accepting::Open;
        }
        self.forget_listeners();
        Accepting::Paused { until: self.entrance.later(now) }
    }

    fn forget_listeners(&self) {
        for listener in &self.listeners {
            self.epoll.forget(listener.as_fd());
        }
    }

    fn admit(&mut self, now: Moment, fd: OwnedFd, shard: &mut Shard) {
        let Some(conn) = self.entrance.admit(now, fd.as_fd(), shard) else {
            return;
        };
        let watched = self.epoll.watch_socket(fd.as_fd(), number_of(conn));
        self.sockets.insert(Socket::new(conn, fd));
        if watched.is_err() {
            shard.handle(now, Input::Broken { conn });
        }
    }

    pub(super) fn resume_accepting(&mut self, now: Moment) {
        let Accepting::Paused { until } = self.accepting else { return };
        if until > now {
            return;
        }
        self.accepting = self.watch_listeners(now);
    }

    /// Nobody else comes in. If nobody else holds a listener, what waits in its queue goes with it.
    pub(super) fn stop_accepting(&mut self) {
        self.accepting = Accepting::Ended;
        // Those that live on in other hands would be reported for ever.
        self.forget_listeners();
        self.listeners.clear();
    }
}

/// Accepted at one go, so that a flood of newcomers does not keep those waiting who are in.
const ACCEPT_COUNT_MAX: u32 = 256;
