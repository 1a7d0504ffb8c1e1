//! The body of a stream's response: what the core says goes out as it comes.
//!
//! Invariant: the core hears `Sent` once for each piece, when HTTP is done with it: the kernel has taken its last byte, so
//! that nothing piles up here, or the connection has ended. It hears `Gone` once, unless it has said `End` itself.

use super::Streams;
use super::sessions::Seat;
use crate::ids::ClientId;
use crate::shard::stream::{StreamInput, StreamKind, StreamOutput};
use axum::body::Bytes;
use hyper::body::{Body, Frame};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::sleep;

pub(super) struct StreamBody {
    /// Goes out before anything of the core.
    greeting: Option<Bytes>,
    /// At most one piece waits in it, which the core's own rule ensures.
    outputs: UnboundedReceiver<StreamOutput>,
    line: Arc<Line>,
}

/// The core cannot be told what was sent: it has more mail than it can take.
#[derive(Debug, Error)]
#[error("the stream broke off")]
pub(super) struct BrokenOff;

impl StreamBody {
    pub(super) fn new(
        greeting: &'static [u8],
        outputs: UnboundedReceiver<StreamOutput>,
        line: Arc<Line>,
    ) -> Self {
        let greeting = (!greeting.is_empty()).then(|| Bytes::from_static(greeting));
        Self { greeting, outputs, line }
    }
}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if let Some(greeting) = self.greeting.take() {
            return Poll::Ready(Some(Ok(Frame::data(greeting))));
        }
        match ready!(self.outputs.poll_recv(context)) {
            Some(StreamOutput::Bytes(bytes)) => {
                let piece = Piece { bytes, line: Arc::clone(&self.line) };
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_owner(piece)))))
            }
            Some(StreamOutput::End) => {
                self.line.end();
                Poll::Ready(None)
            }
            None => Poll::Ready(Some(Err(BrokenOff))),
        }
    }
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        self.line.leave();
    }
}

/// Bytes of the core until they are written: HTTP drops them when the kernel has them all.
struct Piece {
    bytes: Vec<u8>,
    line: Arc<Line>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.line.sent();
    }
}

/// A stream as its core knows it.
pub(super) struct Line {
    streams: Arc<Streams>,
    seat: Seat,
    kind: StreamKind,
    /// Under which the emulation endpoint finds the stream.
    session: ClientId,
    is_over: AtomicBool,
}

impl Line {
    /// The stream has been given to its core.
    pub(super) fn new(streams: &Arc<Streams>, seat: Seat, kind: StreamKind, session: ClientId) -> Self {
        streams.figures.count_open(seat.core, kind);
        Self { streams: Arc::clone(streams), seat, kind, session, is_over: AtomicBool::new(false) }
    }

    fn sent(&self) {
        let Seat { core, stream } = self.seat;
        if !self.is_over.load(Ordering::Relaxed)
            && !self.streams.cores.stream(core, stream, StreamInput::Sent)
        {
            // Without this word the core would wait for ever: the body sees its end and breaks the response off.
            self.streams.cores.close_stream(stream);
        }
    }

    /// The core has ended it.
    fn end(&self) {
        if !self.is_over.swap(true, Ordering::Relaxed) {
            self.streams.cores.close_stream(self.seat.stream);
            self.streams.sessions.remove(self.session);
            self.streams.figures.count_over(self.seat.core, self.kind);
        }
    }

    /// The peer has gone, if the core has not ended it before.
    fn leave(&self) {
        if self.is_over.load(Ordering::Relaxed) {
            return;
        }
        self.end();
        let Seat { core, stream } = self.seat;
        if !self.streams.cores.stream(core, stream, StreamInput::Gone) {
            let streams = Arc::clone(&self.streams);
            tokio::spawn(async move {
                for _ in 0..GONE_COUNT_MAX {
                    sleep(GONE_PAUSE).await;
                    if streams.cores.stream(core, stream, StreamInput::Gone) {
                        return;
                    }
                }
            });
        }
    }
}

/// A core that has no room for mail is told again. One that has none for a minute has ended, or is about to be ended.
const GONE_PAUSE: Duration = Duration::from_millis(100);
const GONE_COUNT_MAX: u32 = 600;
