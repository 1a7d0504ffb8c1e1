//! A socket, bare or under TLS, whose every wait ends. Knows nothing of HTTP and frames.

use crate::clock;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use socket2::{Domain, SockRef, Socket, Type};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// What a read has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Bytes(usize),
    Fin,
    Reset,
    /// Nothing until the deadline.
    Silence,
}

impl Stream {
    /// The window is chosen when a connection begins, so a small buffer must be there before.
    pub fn connect(
        address: SocketAddr,
        receive_bytes: Option<usize>,
        patience: Duration,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if let Some(bytes) = receive_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.connect_timeout(&address.into(), patience)?;
        socket.set_tcp_nodelay(true)?;
        Ok(Self::Plain(socket.into()))
    }

    /// Goes under TLS.
    pub fn secured(self, config: Arc<ClientConfig>, name: &str, patience: Duration) -> io::Result<Self> {
        let Self::Plain(tcp) = self else { return Ok(self) };
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
        tcp.set_read_timeout(Some(patience))?;
        tcp.set_write_timeout(Some(patience))?;
        let mut stream = StreamOwned::new(connection, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self::Tls(Box::new(stream)))
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(stream) => &stream.sock,
        }
    }

    pub fn read(&mut self, buffer: &mut [u8], deadline: Instant) -> Found {
        let Some(left) = clock::left(deadline) else { return Found::Silence };
        if self.tcp().set_read_timeout(Some(left)).is_err() {
            return Found::Reset;
        }
        let read = match self {
            Self::Plain(tcp) => tcp.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        };
        match read {
            Ok(0) => Found::Fin,
            Ok(len) => Found::Bytes(len),
            Err(error) if is_late(&error) => Found::Silence,
            Err(error) if error.kind() == ErrorKind::Interrupted => self.read(buffer, deadline),
            // FIN without an alert before it.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Found::Fin,
            Err(_) => Found::Reset,
        }
    }

    /// Whether all of it went out: a server may close its window, or the connection, in the middle of it.
    pub fn write(&mut self, bytes: &[u8], deadline: Instant) -> bool {
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some(left) = clock::left(deadline) else { return false };
            if self.tcp().set_write_timeout(Some(left)).is_err() {
                return false;
            }
            let piece = &rest[..rest.len().min(WRITE_BYTES_MAX)];
            let written = match self {
                Self::Plain(tcp) => tcp.write(piece),
                Self::Tls(stream) => stream.write(piece).and_then(|len| stream.flush().map(|()| len)),
            };
            match written {
                Ok(len) => rest = &rest[len..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }

    /// No more bytes from us.
    pub fn half_close(&mut self) {
        if let Self::Tls(stream) = self {
            stream.conn.send_close_notify();
            let _ = stream.conn.complete_io(&mut stream.sock);
        }
        let _ = self.tcp().shutdown(Shutdown::Write);
    }

    /// Ends with RST instead of FIN.
    pub fn reset(self) {
        let _ = SockRef::from(self.tcp()).set_linger(Some(Duration::ZERO));
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// So that the deadline is looked at now and then.
const WRITE_BYTES_MAX: usize = 256 * 1024;
