//! Accepting, and pausing when descriptors run out.
//! Invariant: the multishot accept of a listener is armed at most once; one that is over is armed again exactly once,
//! after a pause that grows while descriptors are short. A listener is over only when nothing can come in any more.

use super::io::Io;
use super::requests::Requests;
use super::socket::{Socket, Wait, token_of};
use crate::shard::Shard;
use crate::sys::ring::{Shot, Token};
use crate::sys::socket;
use crate::time::Moment;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;

/// A listener of this core: most have one, those that took over the listeners of more cores have several.
#[derive(Debug)]
pub(super) struct Listening {
    /// None: closed, as far as this core goes.
    listener: Option<OwnedFd>,
    accepting: Accepting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accepting {
    Armed,
    /// Out of descriptors: try again then.
    Paused {
        until: Moment,
    },
    /// Cancelled; the last completion is awaited.
    Ending,
    Ended,
}

impl<R: Requests> Io<R> {
    /// From here on clients come in.
    pub(super) fn listen(&mut self, listeners: Vec<OwnedFd>) {
        for listener in listeners {
            self.listening.push(Listening { listener: Some(listener), accepting: Accepting::Ended });
            self.arm_accept(self.listening.len() - 1);
        }
    }

    pub(super) fn accepted(
        &mut self,
        now: Moment,
        listener: Token,
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
        let at = listener.get() as usize;
        let Some(listening) = self.listening.get_mut(at) else { return };
        match error {
            // Over for good, however it ended: if nobody else holds the listener, what waits in its queue goes with it.
            _ if listening.accepting == Accepting::Ending => listening.close(),
            // The peer was gone before we looked, or the kernel ended the multishot: once more.
            Some(Errno::CONNABORTED | Errno::PROTO | Errno::INTR | Errno::CANCELED) | None => {
                self.arm_accept(at);
            }
            // Another driver uses it, too, or did, and this kernel does not wait at a listener of that kind. Not before it
            // must be: where the other one still accepts, it would wait in the middle of its turn.
            Some(Errno::AGAIN) if listening.unblock() => self.arm_accept(at),
            Some(_) => listening.accepting = Accepting::Paused { until: self.entrance.pause(now, shard) },
        }
    }

    fn admit(&mut self, now: Moment, fd: OwnedFd, shard: &mut Shard) {
        let Some(id) = self.entrance.admit(now, fd.as_fd(), shard) else {
            return;
        };
        // Accepted before the cancel of the accept took effect: the shard will say once more when it is done.
        self.errands.resume();
        let mut socket = Socket::new(id, fd);
        self.ring.poll(socket.raw(), token_of(id));
        socket.wait = Wait::Poll;
        self.sockets.insert(socket);
    }

    /// When a pause is over.
    pub(super) fn next_accept(&self) -> Option<Moment> {
        self.listening.iter().filter_map(|listening| listening.accepting.deadline()).min()
    }

    pub(super) fn resume_accepting(&mut self, now: Moment) {
        for at in 0..self.listening.len() {
            if self.listening[at].accepting.deadline().is_some_and(|until| until <= now) {
                self.arm_accept(at);
            }
        }
    }

    /// Nobody else comes in. Asked again, it changes nothing.
    pub(super) fn stop_accepting(&mut self) {
        for (at, listening) in self.listening.iter_mut().enumerate() {
            match listening.accepting {
                Accepting::Armed => {
                    listening.accepting = Accepting::Ending;
                    self.ring.cancel_accept(Token::new(at as u64));
                }
                Accepting::Paused { .. } => listening.close(),
                Accepting::Ending | Accepting::Ended => {}
            }
        }
    }

    fn arm_accept(&mut self, at: usize) {
        if let Some(Listening { listener: Some(listener), accepting }) = self.listening.get_mut(at) {
            self.ring.accept(listener.as_fd(), Token::new(at as u64));
            *accepting = Accepting::Armed;
        }
    }
}

impl Listening {
    pub(super) fn is_over(&self) -> bool {
        self.accepting == Accepting::Ended
    }

    /// Whether that changes anything.
    fn unblock(&self) -> bool {
        self.listener.as_ref().is_some_and(|listener| socket::set_blocking(listener.as_fd()) == Ok(true))
    }

    fn close(&mut self) {
        self.accepting = Accepting::Ended;
        self.listener = None;
    }
}

impl Accepting {
    fn deadline(self) -> Option<Moment> {
        match self {
            Self::Paused { until } => Some(until),
            Self::Armed | Self::Ending | Self::Ended => None,
        }
    }
}
