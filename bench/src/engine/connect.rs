//! From a socket to a connection that is ready: TCP, the upgrade, the client protocol's hello.

use super::{Engine, broken, now_ns, watch};
use crate::connection::Phase;
use crate::handshake;
use crate::plan::Compression;
use ringway::sys::source::bind_source;
use ringway::ws::append_masked_frame;
use ringway::ws::deflate::{History, Window};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};

/// Attempts started in one turn: handshakes under way must not wait for a long row of new ones.
const TURN_COUNT_MAX: u32 = 64;

impl Engine {
    /// Starts attempts that are due; the rest comes in the next turn, which does not wait.
    pub(super) fn dial(&mut self, now: u64) {
        for _ in 0..TURN_COUNT_MAX {
            let Some(slot) = self.dialer.take(now) else { return };
            if let Err(error) = self.open(slot) {
                self.lose(slot, &broken(error));
            }
        }
    }

    fn open(&mut self, slot: u32) -> Result<(), Errno> {
        let family = if self.address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(family, SocketType::STREAM, flags, None)?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        self.bind_source(&socket, slot)?;
        match connect(&socket, &self.address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error),
        }
        watch(&self.epoll, socket.as_fd(), slot)?;
        let connection = &mut self.connections[slot as usize];
        connection.socket = Some(socket);
        connection.phase = Phase::Dialling;
        self.open_count += 1;
        Ok(())
    }

    fn bind_source(&self, socket: &OwnedFd, slot: u32) -> Result<(), Errno> {
        let sources = &self.plan.sources;
        if sources.is_empty() {
            return Ok(());
        }
        // By number over all engines: the processes must not crowd the first addresses.
        let index = self.index(slot) as usize;
        bind_source(socket.as_fd(), sources[index % sources.len()].into())
    }

    /// TCP is connected, or has failed: asks for the upgrade. False when there is nothing to go on with.
    pub(super) fn finish_connect(&mut self, slot: u32) -> bool {
        let connection = &mut self.connections[slot as usize];
        let Some(socket) = &connection.socket else { return false };
        let result = match sockopt::socket_error(socket) {
            Ok(Ok(())) => {
                if let Some(tls) = &self.tls {
                    connection.tls = tls.connect().ok().map(Box::new);
                }
                connection.send(&self.plan.request)
            }
            Ok(Err(error)) | Err(error) => Err(error),
        };
        if let Err(error) = result {
            self.lose(slot, &broken(error));
            return false;
        }
        connection.phase = Phase::Upgrading;
        true
    }

    /// Reads the response head. Gives the bytes behind it: the first frames.
    pub(super) fn upgrade<'a>(&mut self, slot: u32, bytes: &'a mut [u8]) -> Result<&'a mut [u8], String> {
        let connection = &mut self.connections[slot as usize];
        let earlier = connection.head.as_ref().map_or(0, |head| head.len());
        // Nearly always the whole head arrives at once, and nothing is kept.
        let kept = connection.head.take().map(|head| [&head, &*bytes].concat());
        let head = kept.as_deref().unwrap_or(bytes);
        let Some(head_len) =
            handshake::check(head, self.read.deflate).map_err(|refused| refused.to_string())?
        else {
            connection.head = Some(head.into());
            return Ok(&mut []);
        };
        if self.plan.compression == Compression::Takeover {
            self.histories.insert(slot, History::new(Window::Bits15));
        }
        self.greet(slot);
        Ok(bytes.get_mut(head_len - earlier..).unwrap_or_default())
    }

    /// The connection is upgraded: says hello, if the protocol has one.
    fn greet(&mut self, slot: u32) {
        let group = self.plan.shape.group(self.index(slot));
        let Some((hello, awaited)) = self.wire.target.hello(&self.plan.shape, group) else {
            return self.join(slot);
        };
        let key = self.wire.keys.of(slot);
        let (opcode, _) = self.wire.target.pong();
        append_masked_frame(&mut self.wire.out, opcode, &hello, key);
        let connection = &mut self.connections[slot as usize];
        connection.awaited = awaited;
        connection.phase = Phase::Joining;
        self.send(slot);
    }

    pub(super) fn join(&mut self, slot: u32) {
        self.connections[slot as usize].phase = Phase::Ready;
        self.dialer.ready(slot, now_ns());
        self.chores_at = 0;
    }

    /// The connection has ended, or never came up.
    pub(super) fn lose(&mut self, slot: u32, reason: &str) {
        let connection = &mut self.connections[slot as usize];
        let phase = connection.phase;
        if connection.socket.is_some() {
            self.open_count -= 1;
        }
        connection.reader.release(&mut self.wire.pool);
        self.histories.remove(&slot);
        match phase {
            Phase::Idle | Phase::Dialling | Phase::Upgrading | Phase::Joining => {
                let again = self.dialer.failed(slot, now_ns(), reason);
                connection.drop_socket(if again { Phase::Idle } else { Phase::Lost });
            }
            Phase::Ready => {
                connection.drop_socket(Phase::Lost);
                self.dialer.lost();
                *self.traffic.disconnects.entry(reason.to_owned()).or_default() += 1;
            }
            Phase::Leaving | Phase::Lost => connection.drop_socket(Phase::Lost),
        }
        self.chores_at = 0;
    }
}
