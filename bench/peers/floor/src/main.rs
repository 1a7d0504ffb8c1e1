//! The floor: a bare loop that moves the same bytes as a WebSocket server and does nothing else.
//!
//! Broadcast: what arrives is framed once and sent to all connections by batched io_uring sends, one `enter` per
//! [`sends::BATCH_COUNT`]; what arrives meanwhile waits until all of them are done, and then leaves in one send. Echo: epoll, one `recv` and one `send`
//! per wake-up. There are no timers, limits, UTF-8 checks, pongs or fragments, and a reader that stops
//! stops everybody: no product can be like this, it only says what the kernel's part costs.

mod sends;
mod wire;

use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use peer_options::{Mode, Options};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::sockopt::set_tcp_nodelay;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, listen, recv, send};

use sends::Sends;
use wire::{Frame, OPCODE_BINARY, OPCODE_CLOSE, OPCODE_TEXT};

struct Conn {
    socket: OwnedFd,
    /// The beginning of a head or frame whose rest has not arrived. Empty, and without memory, in between.
    inbox: Vec<u8>,
    /// What an echo could not send yet.
    outbox: Vec<u8>,
    upgraded: bool,
}

struct Floor {
    mode: Mode,
    epoll: OwnedFd,
    /// Indexed by descriptor.
    conns: Vec<Option<Conn>>,
    /// The upgraded connections, dense.
    audience: Vec<RawFd>,
    sends: Sends,
    /// Everything that one wake-up of one connection has to send back.
    reply: Vec<u8>,
    /// What it said to everybody: one send for all of it.
    news: Vec<u8>,
}

const RECV_BYTES: usize = 64 * 1024;

fn main() -> std::io::Result<()> {
    let options = Options::from_args();
    if options.threads != 1 {
        return Err(std::io::Error::other("the floor has one thread"));
    }
    let listener = TcpListener::bind(options.listen)?;
    listener.set_nonblocking(true)?;
    listen(&listener, 4096)?; // again: std fixes the backlog at 128
    println!("listening on {}", listener.local_addr()?);

    let mut floor = Floor {
        mode: options.mode,
        epoll: epoll::create(CreateFlags::CLOEXEC)?,
        conns: Vec::new(),
        audience: Vec::new(),
        sends: Sends::new()?,
        reply: Vec::new(),
        news: Vec::new(),
    };
    floor.watch(&listener)?;
    let mut events = Vec::with_capacity(1024);
    let mut buffer = vec![0; RECV_BYTES];
    loop {
        events.clear();
        match epoll::wait(&floor.epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let fd = event.data.u64() as RawFd;
            if fd == listener.as_raw_fd() {
                floor.accept(&listener);
            } else if floor.turn(fd, event, &mut buffer).is_none() {
                floor.close(fd);
            }
        }
    }
}

impl Floor {
    fn watch(&self, socket: &(impl AsRawFd + AsFd)) -> Result<(), Errno> {
        let data = EventData::new_u64(socket.as_raw_fd() as u64);
        epoll::add(&self.epoll, socket, data, EventFlags::IN)
    }

    /// Out of descriptors: level-triggered epoll asks again.
    fn accept(&mut self, listener: &TcpListener) {
        while let Ok(socket) = accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            if set_tcp_nodelay(&socket, true).is_err() || self.watch(&socket).is_err() {
                continue;
            }
            let slot = socket.as_raw_fd() as usize;
            if self.conns.len() <= slot {
                self.conns.resize_with(slot + 1, || None);
            }
            self.conns[slot] = Some(Conn { socket, inbox: Vec::new(), outbox: Vec::new(), upgraded: false });
        }
    }

    fn close(&mut self, fd: RawFd) {
        self.audience.retain(|member| *member != fd);
        self.conns[fd as usize] = None;
    }

    /// One wake-up of one connection. `None`: it is over.
    fn turn(&mut self, fd: RawFd, event: &Event, buffer: &mut [u8]) -> Option<()> {
        let conn = self.conns[fd as usize].as_mut()?;
        if { event.flags }.contains(EventFlags::OUT) {
            flush(&self.epoll, conn, &[])?;
        }
        let count = match recv(&conn.socket, &mut *buffer, RecvFlags::empty()) {
            Ok((0, _)) => return None,
            Ok((count, _)) => count,
            Err(Errno::AGAIN | Errno::INTR) => return Some(()),
            Err(_) => return None,
        };
        // Before: inbox [old...] buffer [new...]   After: one slice that begins with a whole head or frame.
        let mut held = std::mem::take(&mut conn.inbox);
        let received: &mut [u8] = if held.is_empty() {
            &mut buffer[..count]
        } else {
            held.extend_from_slice(&buffer[..count]);
            &mut held
        };
        self.reply.clear();
        let mut start = 0;
        let mut closed = false;
        if !conn.upgraded
            && let Some((reply, consumed)) = wire::upgrade(received)?
        {
            self.reply = reply;
            start = consumed;
            conn.upgraded = true;
            self.audience.push(fd);
        }
        while conn.upgraded
            && !closed
            && let Some(Frame { opcode, payload, consumed }) = wire::unmask_next(&mut received[start..])
        {
            let payload = &received[start..][payload];
            match (self.mode, opcode) {
                (Mode::Echo, OPCODE_TEXT | OPCODE_BINARY) => wire::push(&mut self.reply, opcode, payload),
                (Mode::Broadcast, OPCODE_TEXT | OPCODE_BINARY) => wire::push(&mut self.news, opcode, payload),
                (_, OPCODE_CLOSE) => {
                    wire::push(&mut self.reply, opcode, payload);
                    closed = true;
                }
                (_, _) => {}
            }
            start += consumed;
        }
        conn.inbox.extend_from_slice(&received[start..]);
        self.sends.broadcast(&self.audience, &self.news);
        self.news.clear();
        flush(&self.epoll, conn, &self.reply)?;
        (!closed).then_some(())
    }
}

/// Sends what is owed; keeps what the socket does not take and waits for room. `None`: the connection is over.
fn flush(epoll: &OwnedFd, conn: &mut Conn, fresh: &[u8]) -> Option<()> {
    let waited = !conn.outbox.is_empty();
    conn.outbox.extend_from_slice(if waited { fresh } else { &[] });
    let owed = if waited { &conn.outbox } else { fresh };
    let sent = match owed {
        [] => 0,
        owed => match send(&conn.socket, owed, SendFlags::NOSIGNAL) {
            Ok(sent) => sent,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(_) => return None,
        },
    };
    let left = owed[sent..].to_vec();
    if waited || !left.is_empty() {
        conn.outbox = left;
        let out = if conn.outbox.is_empty() { EventFlags::empty() } else { EventFlags::OUT };
        let data = EventData::new_u64(conn.socket.as_raw_fd() as u64);
        epoll::modify(epoll, &conn.socket, data, EventFlags::IN | out).ok()?;
    }
    Some(())
}
