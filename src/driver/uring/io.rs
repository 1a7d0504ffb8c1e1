//! The sockets of a core and the ring that serves them, apart from the shard, whose outputs are carried out while it is
//! borrowed.
//!
//! Invariant: every socket has at most one request for reading and one for sending under way, and leaves only when
//! both are over. Split by event: `accepting`, `receiving`, and here sending and leaving.

use super::accepting::Listening;
use super::requests::Requests;
use super::socket::{Exit, Socket, Wait, id_of, token_of};
use crate::driver::entrance::Entrance;
use crate::driver::errands::Errands;
use crate::driver::slots::Slots;
use crate::driver::turn::Sockets;
use crate::driver::{NotReady, Station};
use crate::ids::ConnId;
use crate::limits;
use crate::payload::Payload;
use crate::shard::{Heard, Input, Output, Shard};
use crate::sys::doorbell::Doorbell;
use crate::sys::ring::{Completion, Ring, RingOptions, Shot, Token};
use crate::sys::socket;
use crate::time::Moment;
use rustix::fd::AsFd;
use rustix::io::Errno;
use std::collections::VecDeque;

/// See the module.
pub(super) struct Io<R = Ring> {
    pub(super) ring: R,
    /// Rung for mail; the ring watches it.
    bell: Doorbell,
    pub(super) sockets: Slots<Socket>,
    pub(super) listening: Vec<Listening>,
    pub(super) entrance: Entrance,
    pub(super) errands: Errands,
    /// Where parked sockets are read; hot ones have the ring's buffers.
    pub(super) scratch: Vec<u8>,
    /// Slots that filled `scratch` and may have more.
    pub(super) unread: Vec<u32>,
    /// Slots whose receive found no buffer.
    pub(super) starved: Vec<u32>,
    /// Slots with a multishot receive.
    pub(super) hot: Vec<u32>,
    pub(super) swept_at: Moment,
    /// Completions that have come in the middle of a turn.
    backlog: VecDeque<Completion>,
    /// Bytes read from sockets that are about to be handed over.
    handovers: Vec<(ConnId, Heard)>,
}

impl Io {
    pub(super) fn new(station: &Station, now: Moment) -> Result<Self, NotReady> {
        let options = RingOptions {
            submissions: limits::SUBMISSION_COUNT,
            completions: limits::COMPLETION_COUNT,
            buffers: limits::RECV_BUFFER_COUNT,
            buffer_bytes: limits::RECV_BUFFER_BYTES,
        };
        let ring = Ring::new(options, station.mail.alarm().as_fd()).map_err(NotReady::Driver)?;
        Self::on(ring, station, now).map_err(NotReady::Driver)
    }
}

impl<R: Requests> Io<R> {
    pub(super) fn on(mut ring: R, station: &Station, now: Moment) -> std::io::Result<Self> {
        ring.watch(station.mail.bell().as_fd());
        ring.submit()?;
        Ok(Self {
            ring,
            bell: station.mail.bell().clone(),
            sockets: Slots::default(),
            listening: Vec::new(),
            entrance: Entrance::new(station),
            errands: Errands::new(station),
            scratch: vec![0; SCRATCH_BYTES],
            unread: Vec::new(),
            starved: Vec::new(),
            hot: Vec::new(),
            swept_at: now,
            backlog: VecDeque::new(),
            handovers: Vec::new(),
        })
    }

    pub(super) fn next_completion(&mut self) -> Option<Completion> {
        self.backlog.pop_front().or_else(|| self.ring.reap())
    }

    pub(super) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    pub(super) fn complete(&mut self, now: Moment, completion: Completion, shard: &mut Shard) {
        match completion {
            Completion::Accepted { listener, result, shot } => {
                self.accepted(now, listener, result, shot, shard);
            }
            Completion::Polled { token, result, shot } => self.polled(now, token, result, shot, shard),
            Completion::Received { token, result, shot } => self.received(now, token, result, shot, shard),
            Completion::Sent { token, payload, result } => self.sent(now, token, payload, result, shard),
            Completion::Rung { shot: Shot::Over } => self.ring.watch(self.bell.as_fd()),
            Completion::Rung { shot: Shot::Armed } | Completion::TimedOut => {}
        }
    }

    fn sent(
        &mut self,
        now: Moment,
        token: Token,
        payload: Payload,
        result: Result<u32, Errno>,
        shard: &mut Shard,
    ) {
        let Some(socket) = self.sockets.get_mut(id_of(token)) else {
            return;
        };
        let conn = socket.id;
        socket.flight = None;
        if socket.exit != Exit::Stay {
            return self.leave_if_done(conn);
        }
        match result {
            Ok(len) => {
                socket.sent += len;
                if socket.sent < payload.len() && len > 0 {
                    socket.flight = Some(self.ring.send(socket.raw(), token, payload, socket.sent));
                } else {
                    shard.handle(now, Input::Sent { conn });
                }
            }
            Err(_) => shard.handle(now, Input::Broken { conn }),
        }
    }

    /// Closing a descriptor with a pending request closes nothing: cancel first, go when the last one has completed.
    fn begin_exit(&mut self, id: ConnId, exit: Exit) {
        let Some(socket) = self.sockets.get_mut(id) else {
            return;
        };
        socket.exit = exit;
        match socket.wait {
            Wait::Poll => {
                socket.wait = Wait::PollEnding;
                self.ring.cancel_poll(token_of(id));
            }
            Wait::Receive => {
                socket.wait = Wait::ReceiveEnding;
                self.ring.cancel_receive(token_of(id));
            }
            Wait::Nothing | Wait::PollEnding | Wait::ReceiveEnding => {}
        }
        if let Some(flight) = socket.flight {
            self.ring.cancel_send(flight);
        }
        self.leave_if_done(id);
    }

    pub(super) fn leave_if_done(&mut self, id: ConnId) {
        if !self.sockets.get_mut(id).is_some_and(|socket| socket.is_done()) {
            return;
        }
        let Some(socket) = self.sockets.remove(id) else {
            return;
        };
        // Whoever gets the socket asks for a place of its own at once.
        self.entrance.leave(id);
        if socket.exit == Exit::HandOver
            && let Some(at) = self.handovers.iter().position(|(conn, _)| *conn == id)
        {
            let (_, received) = self.handovers.swap_remove(at);
            self.errands.hand_over(socket.into_fd(), received);
        }
        self.errands.closed(id);
    }

    /// Bytes of a socket that is about to change hands go with it.
    pub(super) fn add_to_handover(&mut self, id: ConnId, bytes: &[u8]) {
        if let Some((_, received)) = self.handovers.iter_mut().find(|(conn, _)| *conn == id) {
            received.extend_from_slice(bytes);
        }
    }
}

impl<R: Requests> Sockets for Io<R> {
    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send { conn, payload } => {
                if let Some(socket) = self.sockets.get_mut(conn) {
                    socket.sent = 0;
                    socket.flight = Some(self.ring.send(socket.raw(), token_of(conn), payload, 0));
                }
            }
            Output::Shutdown { conn } => {
                if let Some(socket) = self.sockets.get_mut(conn) {
                    socket::finish(socket.fd());
                }
            }
            Output::Pause { conn } => self.pause(conn),
            Output::Resume { conn } => self.resume(conn),
            Output::Close { conn } => self.begin_exit(conn, Exit::Close),
            Output::HandOver { conn, received } => {
                self.handovers.push((conn, received));
                self.begin_exit(conn, Exit::HandOver);
            }
            Output::Order(order) => self.errands.order(order),
            Output::Memo(memo) => self.errands.memo(memo),
            Output::StopAccepting => self.stop_accepting(),
            Output::Finished => self.errands.finish(),
        }
    }

    fn report(&mut self, now: Moment, shard: &mut Shard) -> bool {
        self.errands.report(now, shard)
    }

    /// Most sends are done as soon as the kernel hears of them. What else has arrived keeps its order, and waits.
    fn push_out(&mut self, now: Moment, shard: &mut Shard) -> bool {
        // An error is met again at the end of the turn.
        if self.ring.submit().is_err() {
            return false;
        }
        let mut is_sent = false;
        while let Some(completion) = self.ring.reap() {
            if let Completion::Sent { token, payload, result } = completion {
                is_sent = true;
                self.sent(now, token, payload, result, shard);
            } else {
                self.backlog.push_back(completion);
            }
        }
        is_sent
    }

    fn errands(&mut self) -> &mut Errands {
        &mut self.errands
    }

    fn deadline(&self) -> Option<Moment> {
        [self.next_sweep(), self.next_accept()].into_iter().flatten().min()
    }

    fn is_deaf(&self) -> bool {
        self.listening.iter().all(Listening::is_over)
    }
}

/// One read of a parked socket.
const SCRATCH_BYTES: usize = 64 << 10;
