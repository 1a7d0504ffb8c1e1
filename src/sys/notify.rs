//! Messages to the supervisor that started this process: sd_notify(3), by its datagram socket.
//! Invariant: a supervisor that does not read costs us `PATIENCE` and its message, never the process.

use rustix::fd::OwnedFd;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sendto, socket_with};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

#[derive(Debug)]
pub struct Notifier {
    socket: OwnedFd,
    address: SocketAddrUnix,
}

impl Notifier {
    /// `address` as in `NOTIFY_SOCKET`: a path, or a name behind `@` that is in no file system.
    pub fn new(address: &OsStr) -> io::Result<Self> {
        let address = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name)?,
            path @ [b'/', ..] => SocketAddrUnix::new(path)?,
            _ => return Err(io::Error::from(io::ErrorKind::InvalidInput)),
        };
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
        set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
        Ok(Self { socket, address })
    }

    /// Lines of `KEY=value`, separated by newlines.
    pub fn tell(&self, message: &str) -> io::Result<()> {
        sendto(&self.socket, message.as_bytes(), SendFlags::NOSIGNAL, &self.address)?;
        Ok(())
    }
}

/// A queue of messages that stays full so long belongs to a supervisor that is stuck.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    #[test]
    fn a_message_reaches_a_socket_without_a_file() {
        let name = format!("ringway-notify-{}", std::process::id());
        let receiver = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let notifier = Notifier::new(OsStr::new(&format!("@{name}"))).unwrap();
        notifier.tell("READY=1\nSTATUS=here").unwrap();
        let mut message = [0; 100];
        let len = receiver.recv(&mut message).unwrap();
        assert_eq!(&message[..len], b"READY=1\nSTATUS=here");
    }

    #[test]
    fn an_address_that_is_neither_path_nor_name_is_refused() {
        assert!(Notifier::new(OsStr::new("vsock:2:1234")).is_err());
        assert!(Notifier::new(OsStr::new("")).is_err());
    }
}
