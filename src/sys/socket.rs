//! TCP sockets: the listener of a core, plain reads and half-closes.
//! A listener carries every option that its connections shall have: the kernel inherits them, which saves a call each.

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;

/// Binds one of the listeners that share `address`; the kernel spreads connections over them.
pub fn listen(address: SocketAddr, backlog: i32) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.cloexec(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

/// Reserves `address` before any core runs, so that a second server on the same port is an error at start and port 0
/// becomes a number that all cores share. Sockets that share a port would let the second server in: bind without.
pub fn reserve(address: SocketAddr) -> io::Result<SocketAddr> {
    let probe = Socket::new(Domain::for_address(address), Type::STREAM.cloexec(), Some(Protocol::TCP))?;
    probe.set_reuse_address(true)?;
    probe.bind(&address.into())?;
    probe.listen(1)?;
    local_address(&probe)
}

fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    socket.local_addr()?.as_socket().ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
}

/// Reads what is there. `Ok(None)`: nothing yet. `Ok(Some(0))`: the peer has finished.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Option<usize>, Errno> {
    match rustix::net::recv(socket, buffer, RecvFlags::DONTWAIT) {
        Ok((len, _)) => Ok(Some(len)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sends FIN behind everything that was sent. A peer that has already gone is no error.
pub fn finish(socket: BorrowedFd<'_>) {
    let _ = rustix::net::shutdown(socket, Shutdown::Write);
}
