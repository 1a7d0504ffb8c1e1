//! Takes plain HTTP connections from the shards and gives them to the HTTP server.
//!
//! Invariant: sleeps on the doorbell alone, so that a process without plain requests never wakes here; the inbox is asked
//! once more after it has announced its sleep, so that no connection waits for the next one.

use super::http::Server;
use crate::sys::doorbell::Doorbell;
use crate::sys::mailbox::Inbox;
use rustix::fd::AsFd;
use std::io;
use std::net::TcpStream as StdStream;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::TcpStream;

/// Connections taken before other tasks of this thread get their turn.
const BATCH_COUNT_MAX: usize = 64;

/// A plain HTTP connection that a shard gave away.
#[derive(Debug)]
pub struct Handover {
    /// A connected TCP socket. The shard has no request pending on it.
    pub socket: OwnedFd,
    /// Every byte that the shard has read from it: the head, perhaps the beginning of a body or of a second request.
    pub received: Vec<u8>,
}

/// The receiving end, tied to the reactor of the thread that created it.
pub(super) struct Handovers {
    inbox: Inbox<Handover>,
    bell: AsyncFd<Bell>,
}

impl Handovers {
    pub(super) fn new(inbox: Inbox<Handover>) -> io::Result<Self> {
        #[expect(deprecated, reason = "its heir is unsafe; what that asks for holds: see Bell")]
        let bell = AsyncFd::with_interest(Bell(inbox.bell().clone()), Interest::READABLE)?;
        Ok(Self { inbox, bell })
    }

    /// Serves hand-overs until it is dropped.
    pub(super) async fn run(&self, server: &Server) -> io::Error {
        loop {
            for _ in 0..BATCH_COUNT_MAX {
                let Some(handover) = self.inbox.take() else { break };
                // A socket that the reactor refuses is closed by its drop: there is no way left to answer on it.
                if let Ok(stream) = adopt(handover.socket) {
                    server.take(stream, handover.received);
                }
            }
            if !self.inbox.doze() {
                tokio::task::yield_now().await;
                continue;
            }
            let mut guard = match self.bell.readable().await {
                Ok(guard) => guard,
                Err(error) => return error,
            };
            // In this order: a ring after the silence makes the bell readable anew.
            self.inbox.bell().silence();
            guard.clear_ready();
            self.inbox.wake();
        }
    }
}

fn adopt(socket: OwnedFd) -> io::Result<TcpStream> {
    let stream = StdStream::from(socket);
    stream.set_nonblocking(true)?;
    TcpStream::from_std(stream)
}

/// The reactor wants a number: always the same one, of a descriptor that the doorbell keeps open as long as this lives.
struct Bell(Doorbell);

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}
