//! TCP sockets: the listener of a core, plain calls that never wait, and half-closes.
//! A listener carries every option that its connections shall have: the kernel inherits them, which saves a call each.

use super::clock;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendFlags, Shutdown, SocketFlags};
use rustix::thread::nanosleep;
use rustix::time::Timespec;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

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

/// Makes a listener that others have bound one of ours: every option that its connections shall have. What is no
/// listening TCP socket is an error.
pub fn adopt(listener: BorrowedFd<'_>, backlog: i32) -> io::Result<SocketAddr> {
    let socket = SockRef::from(&listener);
    if socket.r#type()? != Type::STREAM || !socket.is_listener()? {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a listening TCP socket"));
    }
    let address = local_address(&socket)?;
    socket.set_tcp_nodelay(true)?;
    socket.listen(backlog)?;
    Ok(address)
}

/// Whether other listeners may be bound to the same port.
pub fn shares_port(listener: BorrowedFd<'_>) -> bool {
    SockRef::from(&listener).reuse_port().unwrap_or(false)
}

/// Reserves `address` before any core runs, so that a second server on the same port is an error at start and port 0
/// becomes a number that all cores share. Sockets that share a port would let the second server in: bind without.
/// The kernel takes the rings of a killed process down in the background, and with them its listeners, so a port that
/// is in use is asked for once more during `RELEASE_MAX`.
pub fn reserve(address: SocketAddr) -> io::Result<SocketAddr> {
    let begun = clock::now();
    loop {
        match try_reserve(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && clock::now() - begun < RELEASE_MAX => {
                let _ = nanosleep(&Timespec { tv_sec: 0, tv_nsec: RELEASE_POLL_NANOS });
            }
            verdict => return verdict,
        }
    }
}

fn try_reserve(address: SocketAddr) -> io::Result<SocketAddr> {
    let probe = Socket::new(Domain::for_address(address), Type::STREAM.cloexec(), Some(Protocol::TCP))?;
    probe.set_reuse_address(true)?;
    probe.bind(&address.into())?;
    probe.listen(1)?;
    local_address(&probe)
}

fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    socket.local_addr()?.as_socket().ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
}

/// For a listener that is asked with `accept`.
pub fn set_nonblocking(listener: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::io::ioctl_fionbio(listener, true)
}

/// For a listener that a ring waits at. Says whether it was another driver's before.
pub fn set_blocking(listener: BorrowedFd<'_>) -> Result<bool, Errno> {
    let was_nonblocking = rustix::fs::fcntl_getfl(listener)?.contains(rustix::fs::OFlags::NONBLOCK);
    rustix::io::ioctl_fionbio(listener, false)?;
    Ok(was_nonblocking)
}

/// The next connection, blocking on purpose: reads and sends ask for `DONTWAIT` themselves. `Ok(None)`: none waits.
pub fn accept(listener: BorrowedFd<'_>) -> Result<Option<OwnedFd>, Errno> {
    match retry_on_intr(|| rustix::net::accept_with(listener, SocketFlags::CLOEXEC)) {
        Ok(socket) => Ok(Some(socket)),
        Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads what is there. `Ok(None)`: nothing yet. `Ok(Some(0))`: the peer has finished.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Option<usize>, Errno> {
    match retry_on_intr(|| rustix::net::recv(socket, &mut *buffer, RecvFlags::DONTWAIT)) {
        Ok((len, _)) => Ok(Some(len)),
        Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sends what there is room for. `Ok(None)`: no room. A peer that has gone is an error, never a signal.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> Result<Option<usize>, Errno> {
    match retry_on_intr(|| rustix::net::send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)) {
        Ok(len) => Ok(Some(len)),
        Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sends FIN behind everything that was sent. A peer that has already gone is no error.
pub fn finish(socket: BorrowedFd<'_>) {
    let _ = rustix::net::shutdown(socket, Shutdown::Write);
}

/// Ten thousand connections are gone in a fraction of this.
const RELEASE_MAX: Duration = Duration::from_secs(2);
const RELEASE_POLL_NANOS: i64 = 20_000_000;

/// Address of the peer; none once it has gone.
pub fn peer(socket: BorrowedFd<'_>) -> Option<IpAddr> {
    let address = rustix::net::getpeername(socket).ok()??;
    SocketAddr::try_from(address).ok().map(|address| address.ip())
}
