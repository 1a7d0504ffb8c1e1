//! Accepting, and pausing when descriptors run out.
//! Invariant: the multishot accept is armed at most once; one that is over is armed again exactly once, after a pause
//! that grows while descriptors are short.

use super::io::Io;
use super::socket::{Socket, Wait, token_of};
use crate::shard::Shard;
use crate::sys::ring::Shot;
use crate::time::Moment;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepting {
    Armed,
    /// Out of descriptors: try again then.
    Paused {
        until: Moment,
    },
    /// The drain has cancelled it; its last completion is awaited.
    Ending,
    Ended,
}

impl Accepting {
    pub(super) fn deadline(self) -> Option<Moment> {
        match self {
            Self::Paused { until } => Some(until),
            Self::Armed | Self::Ending | Self::Ended => None,
        }
    }
}

impl Io {
    pub(super) fn accepted(
        &mut self,
        now: Moment,
        result: Result<OwnedFd, Errno>,
        shot: Shot,
        shard: &mut Shard,
    ) {
        let error = match result {
            Ok(fd) => {
                self.admit(now, fd, shard);
                None
            }
            Err(error) => Some(error),
        };
        if shot == Shot::Armed {
            return;
        }
        match error {
            // Over for good, however it ended: with the listener goes what waits in its queue.
            _ if self.accepting == Accepting::Ending => {
                self.accepting = Accepting::Ended;
                self.listener = None;
            }
            // The peer was gone before we looked, or the kernel ended the multishot: once more.
            Some(Errno::CONNABORTED | Errno::PROTO | Errno::INTR | Errno::CANCELED) | None => {
                self.arm_accept();
            }
            Some(_) => self.accepting = Accepting::Paused { until: self.entrance.pause(now, shard) },
        }
    }

    fn admit(&mut self, now: Moment, fd: OwnedFd, shard: &mut Shard) {
        let Some(id) = self.entrance.admit(now, fd.as_fd(), shard) else {
            return;
        };
        let mut socket = Socket::new(id, fd);
        self.ring.poll(socket.raw(), token_of(id));
        socket.wait = Wait::Poll;
        self.sockets.insert(socket);
    }

    pub(super) fn resume_accepting(&mut self, now: Moment) {
        if let Accepting::Paused { until } = self.accepting
            && until <= now
        {
            self.arm_accept();
        }
    }

    /// What waits in the listener's queue goes with it.
    pub(super) fn stop_accepting(&mut self) {
        if self.accepting == Accepting::Armed {
            self.accepting = Accepting::Ending;
            self.ring.cancel_accept();
        } else {
            self.accepting = Accepting::Ended;
            self.listener = None;
        }
    }

    fn arm_accept(&mut self) {
        if let Some(listener) = &self.listener {
            self.ring.accept(listener.as_fd());
            self.accepting = Accepting::Armed;
        }
    }
}
