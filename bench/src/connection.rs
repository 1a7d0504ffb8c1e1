//! One client connection: its socket, how far it is, and what could not be sent yet.
//! Invariant: `CONNECTION_BYTES_MAX` at rest; the two buffers exist only while something is half sent or half received.

use crate::tls;
use ringway::ws::Reader;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use rustls::ClientConnection;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// No socket yet, or between two attempts.
    #[default]
    Idle,
    /// TCP is connecting.
    Dialling,
    /// The upgrade request is out.
    Upgrading,
    /// Upgraded; answers of the client protocol are awaited.
    Joining,
    Ready,
    /// Our close frame is out.
    Leaving,
    /// Ended by the server or the network. Not dialled again.
    Lost,
}

#[derive(Debug, Default)]
pub struct Connection {
    pub socket: Option<OwnedFd>,
    pub tls: Option<Box<ClientConnection>>,
    pub phase: Phase,
    /// Answers that `Joining` waits for, one bit each.
    pub awaited: u8,
    /// Messages published; the sequence number of the next.
    pub sent: u32,
    pub reader: Reader,
    /// Bytes that the socket did not take.
    backlog: Option<Box<Backlog>>,
    /// A response head that has not arrived whole.
    pub head: Option<Box<[u8]>>,
}

#[derive(Debug, Default)]
struct Backlog {
    bytes: Vec<u8>,
    sent: usize,
}

/// What an idle connection may cost us, beside the kernel's share.
const CONNECTION_BYTES_MAX: usize = 56;
const _: () = assert!(size_of::<Connection>() <= CONNECTION_BYTES_MAX);

/// Bytes that may wait for one connection; what is due beyond is not sent, and counted.
pub const BACKLOG_BYTES_MAX: usize = 1 << 20;

impl Connection {
    /// Sends, or keeps what the socket does not take.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        match &mut self.tls {
            Some(connection) => {
                let records = tls::seal(connection, bytes).map_err(|_| Errno::PROTO)?;
                self.send_raw(&records)
            }
            None => self.send_raw(bytes),
        }
    }

    /// Opens what was received into `plain`, and sends what that calls for.
    pub fn open(&mut self, records: &[u8], plain: &mut Vec<u8>) -> Result<(), String> {
        let Some(connection) = &mut self.tls else { return Ok(()) };
        let result = tls::open(connection, records, plain);
        let answer = tls::outgoing(connection).map_err(|error| error.to_string())?;
        self.send_raw(&answer).map_err(|error| std::io::Error::from(error).to_string())?;
        result
    }

    fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let Some(socket) = &self.socket else { return Ok(()) };
        let sent = match &self.backlog {
            Some(_) => 0,
            None => send_some(socket, bytes)?,
        };
        if sent < bytes.len() {
            self.backlog.get_or_insert_default().bytes.extend_from_slice(&bytes[sent..]);
        }
        Ok(())
    }

    /// Goes on with what was kept: the socket takes bytes again.
    pub fn flush(&mut self) -> Result<(), Errno> {
        let (Some(socket), Some(backlog)) = (&self.socket, &mut self.backlog) else { return Ok(()) };
        backlog.sent += send_some(socket, &backlog.bytes[backlog.sent..])?;
        if backlog.sent == backlog.bytes.len() {
            self.backlog = None;
        }
        Ok(())
    }

    pub fn backlog_len(&self) -> usize {
        self.backlog.as_ref().map_or(0, |backlog| backlog.bytes.len() - backlog.sent)
    }

    /// Closes the socket and forgets everything but what was published.
    pub fn drop_socket(&mut self, phase: Phase) {
        let sent = self.sent;
        *self = Self { phase, sent, ..Self::default() };
    }
}

/// Bytes that the socket took; 0 when it is full.
fn send_some(socket: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    loop {
        match send(socket, bytes, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(0),
            sent => return sent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_the_socket_does_not_take_is_sent_later_and_in_order() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut connection = Connection { socket: Some(ours.into()), ..Connection::default() };
        let parts: Vec<Vec<u8>> = (0..64_u8).map(|part| vec![part; 16 * 1024]).collect();
        for part in &parts {
            connection.send(part).unwrap();
        }
        assert!(connection.backlog_len() > 0, "the socket buffer took one megabyte at once");
        let expected = parts.concat();
        let mut received = vec![0; expected.len()];
        let mut at = 0;
        while at < received.len() {
            at += theirs.read(&mut received[at..]).unwrap();
            connection.flush().unwrap();
        }
        assert_eq!(received, expected);
        assert_eq!(connection.backlog_len(), 0);
    }
}
