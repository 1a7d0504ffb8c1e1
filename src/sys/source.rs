//! Binds a client's socket to a source address without taking a port.
//! Invariant: the kernel picks the port when the socket connects and then needs only the pair of addresses to be free, not
//! the port: tens of thousands of connections per source, without a search that grows slow as the range fills.

#![expect(unsafe_code, reason = "rustix and socket2 do not carry IP_BIND_ADDRESS_NO_PORT")]

use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;
use std::ffi::c_int;
use std::net::{Ipv4Addr, SocketAddrV4};

/// Connections of `socket` will come from `address`.
pub fn bind_source(socket: BorrowedFd<'_>, address: Ipv4Addr) -> Result<(), Errno> {
    let on: c_int = 1;
    // SAFETY: the value is an int that outlives the call, and its size is given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            size_of::<c_int>() as libc::socklen_t,
        )
    };
    if result != 0 {
        return Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL));
    }
    rustix::net::bind(socket, &SocketAddrV4::new(address, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::AsFd;
    use socket2::{Domain, Socket, Type};
    use std::net::TcpListener;

    #[test]
    fn the_port_comes_with_the_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        bind_source(socket.as_fd(), Ipv4Addr::new(127, 0, 0, 9)).unwrap();
        let port = |socket: &Socket| socket.local_addr().unwrap().as_socket_ipv4().unwrap().port();
        assert_eq!(port(&socket), 0);
        socket.connect(&listener.local_addr().unwrap().into()).unwrap();
        assert_ne!(port(&socket), 0);
        let (_, peer) = listener.accept().unwrap();
        assert_eq!(peer.ip(), Ipv4Addr::new(127, 0, 0, 9));
    }
}
