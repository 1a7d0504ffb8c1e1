//! Takes plain HTTP connections from the shards and gives them to the HTTP server.
//!
//! Invariant: a socket arrives with every byte that was read from it, and is served or closed.

use super::http::Server;
use super::inlet::Inlet;
use super::wire::{SealedStream, Wire};
use crate::shard::Heard;
use std::io;
use std::net::TcpStream as StdStream;
use std::os::fd::OwnedFd;
use tokio::net::TcpStream;

/// Connections taken before other tasks of this thread get their turn.
const BATCH_COUNT_MAX: usize = 64;

/// A plain HTTP connection that a shard gave away.
#[derive(Debug)]
pub struct Handover {
    /// A connected TCP socket. The shard has no request pending on it.
    pub socket: OwnedFd,
    /// Everything that the shard has read from it: the head, perhaps the beginning of a body or of a second request.
    pub received: Heard,
}

pub(super) type Handovers = Inlet<Handover>;

/// Serves hand-overs until it is dropped.
pub(super) async fn run(handovers: &Handovers, server: &Server) -> io::Error {
    loop {
        for _ in 0..BATCH_COUNT_MAX {
            let Some(handover) = handovers.take() else { break };
            // A socket that the reactor refuses is closed by its drop: there is no way left to answer on it.
            if let Ok(stream) = adopt(handover.socket) {
                let Heard { plain, sealed } = handover.received;
                let wire = match sealed {
                    Some(sealed) => Wire::Sealed(Box::new(SealedStream::new(stream, *sealed))),
                    None => Wire::Plain(stream),
                };
                server.take(wire, plain);
            }
        }
        if let Err(error) = handovers.rest().await {
            return error;
        }
    }
}

fn adopt(socket: OwnedFd) -> io::Result<TcpStream> {
    let stream = StdStream::from(socket);
    stream.set_nonblocking(true)?;
    TcpStream::from_std(stream)
}
