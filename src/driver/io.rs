//! The sockets of a core and the ring that serves them, apart from the shard, whose outputs are carried out while it is
//! borrowed.
//!
//! Invariant: every socket has at most one request for reading and one for sending under way, and leaves only when
//! both are over. Split by event: `accepting`, `receiving`, and here sending and leaving.

use super::accepting::Accepting;
use super::sockets::{Exit, Sockets, Wait, token_of};
use super::{Admissions, NotReady, Station};
use crate::control::Handover;
use crate::ids::ConnId;
use crate::limits;
use crate::payload::Payload;
use crate::shard::memo::Memo;
use crate::shard::{Input, Output, Shard};
use crate::store::{Fate, Order, Store, StoreError};
use crate::sys::doorbell::Doorbell;
use crate::sys::mailbox::Mailbox;
use crate::sys::ring::{Completion, Ring, RingOptions, Shot, Token};
use crate::sys::socket;
use crate::time::Moment;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

/// See the module.
pub(super) struct Io {
    pub(super) ring: Ring,
    /// Rung for mail; the ring watches it.
    bell: Doorbell,
    pub(super) sockets: Sockets,
    pub(super) listener: Option<OwnedFd>,
    control: Mailbox<Handover>,
    memos: Mailbox<Memo>,
    /// Memos that found the control plane's mailbox full.
    kept_memos: VecDeque<Memo>,
    store: Option<Store>,
    fates: Vec<Fate>,
    pub(super) admissions: Arc<Admissions>,
    /// Of those who were counted by address, by slot.
    pub(super) addresses: HashMap<u32, IpAddr>,
    pub(super) accepting: Accepting,
    /// The next pause, longer each time in a row.
    pub(super) accept_pause_ms: u64,
    /// Where parked sockets are read; hot ones have the ring's buffers.
    pub(super) scratch: Vec<u8>,
    /// Slots that filled `scratch` and may have more.
    pub(super) unread: Vec<u32>,
    /// Slots whose receive found no buffer.
    pub(super) starved: Vec<u32>,
    /// Slots with a multishot receive.
    pub(super) hot: Vec<u32>,
    pub(super) swept_at: Moment,
    /// Bytes read from sockets that are about to be handed over.
    handovers: Vec<(ConnId, Vec<u8>)>,
    /// Sockets that are gone, for the shard to hear.
    closed: Vec<ConnId>,
    is_finished: bool,
}

impl Io {
    pub(super) fn new(station: &Station, now: Moment) -> Result<Self, NotReady> {
        let options = RingOptions {
            submissions: limits::SUBMISSION_COUNT,
            completions: limits::COMPLETION_COUNT,
            buffers: limits::RECV_BUFFER_COUNT,
            buffer_bytes: limits::RECV_BUFFER_BYTES,
        };
        let mut ring = Ring::new(options, station.mail.alarm().as_fd()).map_err(NotReady::Ring)?;
        ring.watch(station.mail.bell().as_fd());
        let listener = socket::listen(station.listen, limits::BACKLOG).map_err(NotReady::Listen)?;
        ring.accept(listener.as_fd());
        ring.submit().map_err(NotReady::Ring)?;
        Ok(Self {
            ring,
            bell: station.mail.bell().clone(),
            sockets: Sockets::default(),
            listener: Some(listener),
            control: station.control.clone(),
            memos: station.memos.clone(),
            kept_memos: VecDeque::new(),
            store: station.store.clone(),
            fates: Vec::new(),
            admissions: Arc::clone(&station.admissions),
            addresses: HashMap::new(),
            accepting: Accepting::Armed,
            accept_pause_ms: limits::ACCEPT_PAUSE_MS_MIN,
            scratch: vec![0; SCRATCH_BYTES],
            unread: Vec::new(),
            starved: Vec::new(),
            hot: Vec::new(),
            swept_at: now,
            handovers: Vec::new(),
            closed: Vec::new(),
            is_finished: false,
        })
    }

    /// When there is something to do even if nothing completes.
    pub(super) fn deadline(&self) -> Option<Moment> {
        [self.next_sweep(), self.accepting.deadline()].into_iter().flatten().min()
    }

    /// Connections that are gone, for the shard to hear.
    pub(super) fn take_closed(&mut self) -> Vec<ConnId> {
        std::mem::take(&mut self.closed)
    }

    /// An order that the store does not take has failed.
    fn order(&mut self, order: Order) {
        let refused = match &self.store {
            Some(store) => store.order(order).err(),
            None => Some(order),
        };
        if let Some(ticket) = refused.as_ref().and_then(Order::ticket) {
            self.fates.push(Fate::Failed { ticket, why: StoreError::Closing });
        }
    }

    /// Fates that need no disk.
    pub(super) fn take_fates(&mut self) -> Vec<Fate> {
        std::mem::take(&mut self.fates)
    }

    /// Posts what waits for the control plane, in order, as far as its mailbox takes it. True if something had to stay.
    pub(super) fn post_memos(&mut self) -> bool {
        while let Some(memo) = self.kept_memos.pop_front() {
            if let Err(memo) = self.memos.post(memo) {
                self.kept_memos.push_front(memo);
                return true;
            }
        }
        false
    }

    /// The drain is over.
    pub(super) fn is_finished(&self) -> bool {
        self.is_finished
    }

    pub(super) fn complete(&mut self, now: Moment, completion: Completion, shard: &mut Shard) {
        match completion {
            Completion::Accepted { result, shot } => self.accepted(now, result, shot, shard),
            Completion::Polled { token, result, shot } => self.polled(now, token, result, shot, shard),
            Completion::Received { token, result, shot } => self.received(now, token, result, shot, shard),
            Completion::Sent { token, payload, result } => self.sent(now, token, payload, result, shard),
            Completion::Rung { shot: Shot::Over } => self.ring.watch(self.bell.as_fd()),
            Completion::Rung { shot: Shot::Armed } | Completion::TimedOut => {}
        }
    }

    pub(super) fn carry_out(&mut self, output: Output) {
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
            Output::Close { conn } => self.begin_exit(conn, Exit::Close),
            Output::HandOver { conn, received } => {
                self.handovers.push((conn, received));
                self.begin_exit(conn, Exit::HandOver);
            }
            Output::Order(order) => self.order(order),
            Output::Memo(memo) => self.kept_memos.push_back(memo),
            Output::StopAccepting => self.stop_accepting(),
            Output::Finished => self.is_finished = true,
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
        let Some(socket) = self.sockets.by_token(token) else {
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
        if socket.exit == Exit::HandOver
            && let Some(at) = self.handovers.iter().position(|(conn, _)| *conn == id)
        {
            let (_, received) = self.handovers.swap_remove(at);
            // A control plane that is this far behind is no help to the client: the socket is closed.
            let _ = self.control.post(Handover { socket: socket.into_fd(), received });
        }
        self.admissions.leave();
        if let Some(address) = self.addresses.remove(&id.slot) {
            self.admissions.addresses.leave(address);
        }
        self.closed.push(id);
    }

    /// Bytes of a socket that is about to change hands go with it.
    pub(super) fn add_to_handover(&mut self, id: ConnId, bytes: &[u8]) {
        if let Some((_, received)) = self.handovers.iter_mut().find(|(conn, _)| *conn == id) {
            received.extend_from_slice(bytes);
        }
    }
}

/// One read of a parked socket.
const SCRATCH_BYTES: usize = 64 << 10;
