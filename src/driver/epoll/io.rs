//! The sockets of a core and the epoll that watches them, apart from the shard, whose outputs are carried out while it
//! is borrowed.
//!
//! Invariant: a socket that is closed or changes hands is gone at once, because nothing of it is under way in the
//! kernel; what its last turn has left behind is dropped. Split by event: `accepting`, `sending`, and here reading and
//! leaving.

use super::accepting::Accepting;
use super::sending::Stuck;
use super::socket::{Socket, id_of};
use crate::driver::entrance::Entrance;
use crate::driver::errands::Errands;
use crate::driver::slots::{Slots, Tenant};
use crate::driver::turn::Sockets;
use crate::driver::{NotReady, Station};
use crate::ids::ConnId;
use crate::shard::{Input, Output, Shard};
use crate::sys::epoll::{Change, Epoll, Notice};
use crate::sys::socket;
use crate::time::Moment;
use rustix::fd::{AsFd, OwnedFd};

/// See the module.
pub(super) struct Io {
    pub(super) epoll: Epoll,
    pub(super) sockets: Slots<Socket>,
    pub(super) listeners: Vec<OwnedFd>,
    pub(super) entrance: Entrance,
    pub(super) accepting: Accepting,
    errands: Errands,
    /// Where all sockets are read.
    scratch: Vec<u8>,
    /// Slots that filled `scratch` and may have more.
    unread: Vec<u32>,
    /// The list before, empty, for the next turn.
    read: Vec<u32>,
    pub(super) stuck: Stuck,
    /// Of this drain, for the shard to hear: payloads that have left, and sockets that take none any more.
    pub(super) sent: Vec<ConnId>,
    pub(super) broken: Vec<ConnId>,
}

impl Io {
    pub(super) fn new(station: &Station) -> Result<Self, NotReady> {
        let epoll = Epoll::new(NOTICE_COUNT_MAX).map_err(|error| NotReady::Driver(error.into()))?;
        epoll.watch_bell(station.mail.bell().as_fd()).map_err(|error| NotReady::Driver(error.into()))?;
        Ok(Self {
            epoll,
            sockets: Slots::default(),
            listeners: Vec::new(),
            entrance: Entrance::new(station),
            accepting: Accepting::Ended,
            errands: Errands::new(station),
            scratch: vec![0; SCRATCH_BYTES],
            unread: Vec::new(),
            read: Vec::new(),
            stuck: Stuck::default(),
            sent: Vec::new(),
            broken: Vec::new(),
        })
    }

    /// Passes on one of the things that the last wait has found.
    pub(super) fn take_notice(&mut self, now: Moment, at: usize, shard: &mut Shard) {
        match self.epoll.notice(at) {
            Some(Notice::Socket { number, change }) => self.changed(now, id_of(number), change, shard),
            Some(Notice::Knocked) => self.accept(now, shard),
            Some(Notice::Rung) | None => {}
        }
    }

    /// More has arrived than this turn has taken.
    pub(super) fn is_behind(&self) -> bool {
        self.epoll.is_full()
    }

    fn changed(&mut self, now: Moment, conn: ConnId, change: Change, shard: &mut Shard) {
        let Some(socket) = self.sockets.get_mut(conn) else {
            return;
        };
        socket.is_ending |= change.is_ending;
        if change.is_writable && socket.is_stuck {
            self.send_more(now, conn, shard);
        }
        if change.is_readable {
            self.read(now, conn, shard);
        }
    }

    pub(super) fn read_more(&mut self, now: Moment, shard: &mut Shard) -> bool {
        let mut unread = std::mem::replace(&mut self.unread, std::mem::take(&mut self.read));
        let is_any = !unread.is_empty();
        for slot in unread.drain(..) {
            let Some(socket) = self.sockets.at_slot(slot) else { continue };
            if std::mem::take(&mut socket.is_unread) {
                let conn = socket.id();
                self.read(now, conn, shard);
            }
        }
        self.read = unread;
        is_any
    }

    pub(super) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Reads a socket once; one that fills the buffer gets another turn later, after its neighbours.
    fn read(&mut self, now: Moment, conn: ConnId, shard: &mut Shard) {
        let Some(socket) = self.sockets.get_mut(conn).filter(|socket| !socket.is_paused) else {
            return;
        };
        shard.stats().receives += 1;
        match socket::receive(socket.fd(), &mut self.scratch) {
            Ok(None) => {}
            Ok(Some(0)) => shard.handle(now, Input::Ended { conn }),
            Ok(Some(len)) => {
                if !socket.is_unread && (socket.is_ending || len == self.scratch.len()) {
                    socket.is_unread = true;
                    self.unread.push(conn.slot);
                }
                let bytes = self.scratch.get_mut(..len).unwrap_or_default();
                shard.handle(now, Input::Received { conn, bytes });
            }
            Err(_) => shard.handle(now, Input::Broken { conn }),
        }
    }

    fn pause(&mut self, conn: ConnId) {
        if let Some(socket) = self.sockets.get_mut(conn) {
            socket.is_paused = true;
        }
    }

    fn resume(&mut self, conn: ConnId) {
        if let Some(socket) = self.sockets.get_mut(conn) {
            socket.is_paused = false;
            // What has come meanwhile is not announced again.
            if !socket.is_unread {
                socket.is_unread = true;
                self.unread.push(conn.slot);
            }
        }
    }

    /// Takes the socket out of everything. None: it has gone before.
    fn leave(&mut self, conn: ConnId) -> Option<Socket> {
        let socket = self.sockets.remove(conn)?;
        if socket.is_stuck {
            self.stuck.take(conn.slot);
        }
        self.entrance.leave(conn);
        self.errands.closed(conn);
        Some(socket)
    }
}

impl Sockets for Io {
    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send { conn, payload } => self.send(conn, payload),
            Output::Shutdown { conn } => {
                if let Some(socket) = self.sockets.get_mut(conn) {
                    socket::finish(socket.fd());
                }
            }
            Output::Pause { conn } => self.pause(conn),
            Output::Resume { conn } => self.resume(conn),
            Output::Close { conn } => drop(self.leave(conn)),
            Output::HandOver { conn, received } => {
                if let Some(socket) = self.leave(conn) {
                    self.epoll.forget(socket.fd());
                    self.errands.hand_over(socket.into_fd(), received);
                }
            }
            Output::Order(order) => self.errands.order(order),
            Output::Memo(memo) => self.errands.memo(memo),
            Output::StopAccepting => self.stop_accepting(),
            Output::Finished => self.errands.finish(),
        }
    }

    fn report(&mut self, now: Moment, shard: &mut Shard) -> bool {
        let is_news = !self.sent.is_empty() || !self.broken.is_empty();
        // Whoever was told to close meanwhile has heard its last word from us.
        for conn in self.sent.drain(..) {
            if self.sockets.get_mut(conn).is_some() {
                shard.handle(now, Input::Sent { conn });
            }
        }
        for conn in self.broken.drain(..) {
            if self.sockets.get_mut(conn).is_some() {
                shard.handle(now, Input::Broken { conn });
            }
        }
        if self.sent.capacity() > LIST_KEPT {
            self.sent = Vec::new();
        }
        self.errands.report(now, shard) || is_news
    }

    /// Whatever was handed out has left or is stuck already, and `report` has said so.
    fn push_out(&mut self, _now: Moment, _shard: &mut Shard) -> bool {
        false
    }

    fn errands(&mut self) -> &mut Errands {
        &mut self.errands
    }

    fn is_deaf(&self) -> bool {
        self.accepting == Accepting::Ended
    }

    fn deadline(&self) -> Option<Moment> {
        self.accepting.deadline()
    }
}

/// News of one wait: 12 KiB, and after so many sockets those that answer have waited long enough.
const NOTICE_COUNT_MAX: usize = 1024;
/// One read of a socket.
const SCRATCH_BYTES: usize = 64 << 10;
/// Entries of a list that stay allocated.
const LIST_KEPT: usize = 16 * 1024;
