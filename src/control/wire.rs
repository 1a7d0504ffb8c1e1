//! What carries the HTTP of a connection: a socket, or a socket with TLS around it.
//!
//! Invariant: at most one record of what was written waits for the socket, and what is read at one time is opened at one
//! time, so a connection holds a few tens of KiB whatever its peer does. A peer that ends without saying so in TLS has
//! ended all the same: HTTP knows where its messages end.

use crate::ids::ConnId;
use crate::shard::heard::Sealed;
use crate::tls::{Event, Keys, Session};
use rustix::net::{SendFlags, send};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

pub(super) enum Wire {
    Plain(TcpStream),
    Sealed(Box<SealedStream>),
}

impl Wire {
    pub(super) fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Plain(socket) => socket.peer_addr(),
            Self::Sealed(stream) => stream.socket.peer_addr(),
        }
    }

    /// The socket itself, for who no longer cares what is said on it.
    pub(super) fn socket(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Sealed(stream) => &mut stream.socket,
        }
    }

    /// Says this and nothing else, past the reactor, which has not looked at the socket yet. A peer that cannot take it gets a
    /// bare close.
    pub(super) fn say_once(self, bytes: &[u8]) {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match self {
            Self::Plain(socket) => {
                let _ = send(&socket, bytes, flags);
            }
            Self::Sealed(mut stream) => {
                stream.seal(bytes);
                stream.close();
                let _ = send(&stream.socket, &stream.unsent, flags);
            }
        }
    }
}

pub(super) struct SealedStream {
    socket: TcpStream,
    session: Box<Session>,
    keys: Keys,
    /// Opened and not read yet.
    plain: Vec<u8>,
    read: usize,
    /// Sealed and not sent yet.
    unsent: Vec<u8>,
    sent: usize,
    has_ended: bool,
}

impl SealedStream {
    /// With the first plaintext that belongs behind what the shard has opened.
    pub(super) fn new(socket: TcpStream, sealed: Sealed) -> Self {
        let Sealed { session, mut records } = sealed;
        let mut stream = Self {
            socket,
            session,
            keys: Keys::new(1),
            plain: Vec::new(),
            read: 0,
            unsent: Vec::new(),
            sent: 0,
            has_ended: false,
        };
        stream.open(&mut records);
        stream
    }

    fn open(&mut self, bytes: &mut [u8]) {
        let mut rest = bytes;
        while !self.has_ended {
            let len = rest.len();
            let mut input = &mut *rest;
            match self.session.next(&mut input, &mut self.keys, OWNER) {
                Ok(Some(Event::Data(plain))) => self.plain.extend_from_slice(plain),
                Ok(Some(Event::Hello | Event::Opened(_))) => {}
                // What failed has said so in what is outgoing.
                Ok(Some(Event::Ended)) | Err(_) => self.has_ended = true,
                Ok(None) => break,
            }
            let left = input.len();
            rest = rest.get_mut(len - left..).unwrap_or_default();
        }
        self.take_outgoing();
    }

    fn take_outgoing(&mut self) {
        if self.session.has_outgoing() {
            let words = self.session.take_outgoing();
            self.unsent.extend_from_slice(&words);
        }
    }

    fn seal(&mut self, plain: &[u8]) {
        self.take_outgoing();
        if self.session.seal(plain, &mut self.unsent, &mut self.keys, OWNER).is_err() {
            self.has_ended = true;
            self.take_outgoing();
        }
    }

    fn close(&mut self) {
        self.take_outgoing();
        self.session.close(&mut self.unsent, &mut self.keys, OWNER);
    }

    /// Until everything that was sealed has been sent.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(bytes) = self.unsent.get(self.sent..).filter(|bytes| !bytes.is_empty()) {
            match ready!(Pin::new(&mut self.socket).poll_write(context, bytes))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.sent += count,
            }
        }
        self.unsent = Vec::new();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for SealedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let mut scratch = [0_u8; READ_BYTES];
        while this.plain.is_empty() && !this.has_ended {
            let mut records = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut this.socket).poll_read(context, &mut records))?;
            this.has_ended = records.filled().is_empty();
            this.open(records.filled_mut());
            if this.poll_send(context)?.is_pending() && this.unsent.len() - this.sent > UNSENT_BYTES_MAX {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        let rest = this.plain.get(this.read..).unwrap_or_default();
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(rest.get(..count).unwrap_or_default());
        this.read += count;
        if this.read == this.plain.len() {
            this.plain = Vec::new();
            this.read = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SealedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(context))?;
        let part = bytes.get(..bytes.len().min(RECORD_BYTES)).unwrap_or_default();
        self.seal(part);
        // What it does not take at once is sent before the next.
        let _ = self.poll_send(context)?;
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(context))?;
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.close();
        ready!(self.poll_send(context))?;
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Self::Sealed(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Self::Sealed(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(context, slices),
            Self::Sealed(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_write_vectored(),
            // A head and its body are put together by whoever writes, so that they share a record.
            Self::Sealed(_) => false,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(context),
            Self::Sealed(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Self::Sealed(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// The keys of such a connection are its own.
const OWNER: ConnId = ConnId { slot: 0, generation: 0 };
/// One read of the socket.
const READ_BYTES: usize = 16 * 1024;
/// Of what is written, at one time; RFC 8446 section 5.1 has no longer records.
const RECORD_BYTES: usize = 16 * 1024;
/// Answers to key updates that a peer may leave in the socket.
const UNSENT_BYTES_MAX: usize = 64 * 1024;
