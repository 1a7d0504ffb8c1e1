//! A socket that first yields again what a shard has already read from it, and that ends politely.
//!
//! Invariant: the reader sees every byte of the peer once and in order. After our FIN, what the peer still sends is read
//! and discarded for a bounded time and size, because closing over unread bytes sends a reset that can overtake our last
//! answer (RFC 9112 section 9.6).

use super::wire::Wire;
use crate::limits::LINGER_MS_MAX;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// Bytes that are discarded after our FIN; a peer that sends more is not listening to the answer anyway.
const LINGER_BYTES_MAX: usize = 1024 * 1024;

pub(super) struct Replay {
    wire: Wire,
    received: Vec<u8>,
    replayed: usize,
    linger: Option<Linger>,
}

impl Replay {
    pub(super) fn new(wire: Wire, received: Vec<u8>) -> Self {
        Self { wire, received, replayed: 0, linger: None }
    }
}

impl AsyncRead for Replay {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = self.received.get(self.replayed..).unwrap_or_default();
        if rest.is_empty() {
            return Pin::new(&mut self.wire).poll_read(context, buffer);
        }
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..count]);
        self.replayed += count;
        if self.replayed == self.received.len() {
            self.received = Vec::new();
            self.replayed = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Replay {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.wire).poll_shutdown(context))?;
        }
        this.linger.get_or_insert_with(Linger::new).poll(this.wire.socket(), context).map(Ok)
    }
}

/// The time between our FIN and our close.
struct Linger {
    discarded_bytes: usize,
    deadline: Pin<Box<Sleep>>,
}

impl Linger {
    fn new() -> Self {
        Self { discarded_bytes: 0, deadline: Box::pin(sleep(Duration::from_millis(LINGER_MS_MAX))) }
    }

    /// Ready when the peer has closed too, or has used up its time or its bytes.
    fn poll(&mut self, stream: &mut TcpStream, context: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0_u8; 4096];
        while self.discarded_bytes < LINGER_BYTES_MAX {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut *stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.discarded_bytes += buffer.filled().len();
                }
                Poll::Ready(Ok(()) | Err(_)) => return Poll::Ready(()),
                Poll::Pending => return self.deadline.as_mut().poll(context),
            }
        }
        Poll::Ready(())
    }
}
