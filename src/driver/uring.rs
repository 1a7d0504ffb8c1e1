//! The loop of a core on io_uring: a long-lived glommio task that drives a ring of our own.
//!
//! One turn: reap completions until the kernel has no more, take the mail, fire the timers, then drain the shard and
//! submit once. Everything that a connection is owed at the end of the turn leaves in one send. A core with nothing
//! to do sleeps on its doorbell, which rings for completions as well as for mail.
//! The ring descriptor itself is never polled: with deferred task work its wake-ups would be lost.

use super::sockets::{Exit, Socket, Sockets, Wait, token_of};
use super::{Admissions, Station};
use crate::control::Handover;
use crate::ids::ConnId;
use crate::limits;
use crate::payload::Payload;
use crate::shard::mail::Mail;
use crate::shard::{Input, Output, Shard};
use crate::stats::Published;
use crate::sys::mailbox::{Inbox, Mailbox};
use crate::sys::park::Parking;
use crate::sys::ring::{Chunk, Completion, Ring, RingOptions, Shot, Token};
use crate::sys::{clock, socket};
use crate::time::Moment;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use std::io;
use std::sync::Arc;
use std::time::Duration;

pub(super) async fn run(station: Station) -> io::Result<()> {
    let ready = station.ready.clone();
    let (mut driver, parking) = match Uring::new(station) {
        Ok(made) => made,
        Err(error) => {
            let _ = ready.send(Err(error));
            return Ok(());
        }
    };
    let _ = ready.send(Ok(()));
    while !driver.is_finished {
        if driver.turn()? {
            glommio::yield_if_needed().await;
        } else if driver.may_sleep()? {
            parking.sleep().await?;
            driver.wake();
        }
    }
    driver.publish(clock::now());
    Ok(())
}

struct Uring {
    shard: Shard,
    io: Io,
    mail: Inbox<Mail>,
    cores: Vec<Mailbox<Mail>>,
    published: Arc<Published>,
    published_at: Moment,
    /// Letters stayed behind because a mailbox is full.
    is_mail_blocked: bool,
    /// Longest turn since the last publication.
    lag: Duration,
    is_finished: bool,
}

/// Sockets and ring, apart from the shard: its outputs are carried out while it is borrowed.
struct Io {
    ring: Ring,
    sockets: Sockets,
    listener: Option<OwnedFd>,
    control: Mailbox<Handover>,
    admissions: Arc<Admissions>,
    accepting: Accepting,
    /// The next pause, longer each time in a row.
    accept_pause_ms: u64,
    /// Where parked sockets are read; hot ones have the ring's buffers.
    scratch: Vec<u8>,
    /// Slots that filled `scratch` and may have more.
    unread: Vec<u32>,
    /// Slots whose receive found no buffer.
    starved: Vec<u32>,
    /// Slots with a multishot receive.
    hot: Vec<u32>,
    swept_at: Moment,
    /// Bytes read from sockets that are about to be handed over.
    handovers: Vec<(ConnId, Vec<u8>)>,
    /// Sockets that are gone, for the shard to hear.
    closed: Vec<ConnId>,
    is_finished: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accepting {
    Armed,
    /// Out of descriptors: try again then.
    Paused { until: Moment },
    Ended,
}

impl Uring {
    fn new(station: Station) -> io::Result<(Self, Parking)> {
        let options = RingOptions {
            submissions: limits::SUBMISSION_COUNT,
            completions: limits::COMPLETION_COUNT,
            buffers: limits::RECV_BUFFER_COUNT,
            buffer_bytes: limits::RECV_BUFFER_BYTES,
        };
        let mut ring = Ring::new(options, station.mail.bell().as_fd())?;
        let parking = Parking::new(station.mail.bell())?;
        let listener = socket::listen(station.listen, limits::BACKLOG)?;
        ring.accept(listener.as_fd());
        ring.submit()?;
        let now = clock::now();
        let io = Io {
            ring,
            sockets: Sockets::default(),
            listener: Some(listener),
            control: station.control,
            admissions: station.admissions,
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
        };
        let driver = Self {
            shard: Shard::new(station.shard, now),
            io,
            mail: station.mail,
            cores: station.cores,
            published: station.published,
            published_at: now,
            is_mail_blocked: false,
            lag: Duration::ZERO,
            is_finished: false,
        };
        Ok((driver, parking))
    }

    /// True if anything happened.
    fn turn(&mut self) -> io::Result<bool> {
        let now = clock::now();
        let mut is_busy = self.io.read_more(now, &mut self.shard);
        is_busy |= self.reap(now)?;
        is_busy |= self.take_mail(now);
        if self.shard.deadline().is_some_and(|due| due <= now) {
            self.shard.advance(now);
        }
        self.io.resume_accepting(now);
        self.io.sweep(now);
        is_busy |= self.flush(now);
        self.io.rearm_starved();
        self.io.ring.submit()?;
        self.is_finished = self.io.is_finished;
        if is_busy {
            self.account(now);
        }
        Ok(is_busy)
    }

    /// One enter runs only some of the completions that the kernel deferred: ask again until there are none, because
    /// what is handled before the flush leaves in one send.
    fn reap(&mut self, now: Moment) -> io::Result<bool> {
        let mut is_busy = false;
        for _ in 0..REAP_ROUNDS_MAX {
            let mut count = 0;
            while count < REAP_COMPLETIONS_MAX
                && let Some(completion) = self.io.ring.next()
            {
                self.io.complete(now, completion, &mut self.shard);
                count += 1;
            }
            is_busy |= count > 0;
            if !self.io.ring.is_waiting() {
                break;
            }
            self.shard.stats().completions_overflowed += u64::from(self.io.ring.is_overflown());
            self.io.ring.submit()?;
        }
        Ok(is_busy)
    }

    fn take_mail(&mut self, now: Moment) -> bool {
        let mut count = 0;
        while count < MAIL_PER_TURN_MAX
            && let Some(mail) = self.mail.take()
        {
            self.shard.handle(now, Input::Mail(mail));
            count += 1;
        }
        count > 0
    }

    /// Carries out what the shard wants, until it wants nothing more. True if there was anything.
    fn flush(&mut self, now: Moment) -> bool {
        let mut is_busy = false;
        loop {
            let io = &mut self.io;
            self.shard.drain(&mut |output| {
                is_busy = true;
                io.carry_out(output);
            });
            if self.io.closed.is_empty() {
                break;
            }
            for conn in std::mem::take(&mut self.io.closed) {
                self.shard.handle(now, Input::Closed { conn });
            }
        }
        let cores = &self.cores;
        self.is_mail_blocked =
            self.shard.post(|to, mail| match cores.get(to.index()) {
                Some(mailbox) => mailbox.post(mail),
                None => Err(mail),
            });
        is_busy
    }

    /// Whether nothing can be missed by sleeping now. Announces the sleep to other cores and sets the alarm.
    fn may_sleep(&mut self) -> io::Result<bool> {
        let now = clock::now();
        self.publish(now);
        // Whatever rang until here has been served by the turn that found nothing.
        self.mail.bell().silence();
        if !self.io.unread.is_empty() || !self.mail.doze() {
            return Ok(false);
        }
        if let Some(due) = self.alarm(now) {
            self.io.ring.wake_at(due)?;
        }
        if self.io.ring.is_ready() {
            self.mail.wake();
            return Ok(false);
        }
        self.shard.stats().parks += 1;
        Ok(true)
    }

    fn alarm(&self, now: Moment) -> Option<Moment> {
        let blocked = self.is_mail_blocked.then(|| now + MAIL_RETRY);
        let sweep = (!self.io.hot.is_empty()).then(|| self.io.swept_at + SWEEP_INTERVAL);
        let accept = match self.io.accepting {
            Accepting::Paused { until } => Some(until),
            Accepting::Armed | Accepting::Ended => None,
        };
        [self.shard.deadline(), blocked, sweep, accept].into_iter().flatten().min()
    }

    fn wake(&mut self) {
        self.mail.wake();
    }

    fn account(&mut self, start: Moment) {
        let now = clock::now();
        let took = now.since(start);
        self.lag = self.lag.max(took);
        let stats = self.shard.stats();
        stats.turns += 1;
        stats.loop_busy_ns += took.as_nanos() as u64;
        if now.since(self.published_at) >= PUBLISH_INTERVAL {
            self.publish(now);
        }
    }

    fn publish(&mut self, now: Moment) {
        self.published_at = now;
        let depth = self.mail.depth() as u64;
        let stats = self.shard.stats();
        stats.mail_depth = depth;
        stats.loop_lag_ns = self.lag.as_nanos() as u64;
        self.published.publish(stats);
        self.lag = Duration::ZERO;
    }
}

impl Io {
    fn complete(&mut self, now: Moment, completion: Completion, shard: &mut Shard) {
        match completion {
            Completion::Accepted { result, shot } => self.accepted(now, result, shot, shard),
            Completion::Polled { token, result, shot } => self.polled(now, token, result, shot, shard),
            Completion::Received { token, result, shot } => self.received(now, token, result, shot, shard),
            Completion::Sent { token, payload, result } => self.sent(now, token, payload, result, shard),
            Completion::TimedOut => {}
        }
    }

    fn accepted(&mut self, now: Moment, result: Result<OwnedFd, Errno>, shot: Shot, shard: &mut Shard) {
        let error = match result {
            Ok(fd) => {
                let id = shard.open(now, self.admissions.enter());
                let mut socket = Socket::new(id, fd);
                self.ring.poll(socket.raw(), token_of(id));
                socket.wait = Wait::Poll;
                self.sockets.insert(socket);
                self.accept_pause_ms = limits::ACCEPT_PAUSE_MS_MIN;
                None
            }
            Err(error) => Some(error),
        };
        if shot == Shot::Armed {
            return;
        }
        match error {
            // The drain has cancelled it: with the listener goes what waits in its queue.
            Some(Errno::CANCELED) => {
                self.accepting = Accepting::Ended;
                self.listener = None;
            }
            Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                shard.stats().accept_pauses += 1;
                self.accepting = Accepting::Paused { until: now + Duration::from_millis(self.accept_pause_ms) };
                self.accept_pause_ms = (self.accept_pause_ms * 2).min(limits::ACCEPT_PAUSE_MS_MAX);
            }
            // The peer was gone before we looked, or the kernel ended the multishot: once more.
            Some(_) | None => self.arm_accept(),
        }
    }

    fn arm_accept(&mut self) {
        if let Some(listener) = &self.listener {
            self.ring.accept(listener.as_fd());
            self.accepting = Accepting::Armed;
        }
    }

    fn resume_accepting(&mut self, now: Moment) {
        if let Accepting::Paused { until } = self.accepting
            && until <= now
        {
            self.arm_accept();
        }
    }

    /// A parked socket has bytes, or has ended.
    fn polled(
        &mut self,
        now: Moment,
        token: Token,
        result: Result<(), Errno>,
        shot: Shot,
        shard: &mut Shard,
    ) {
        let Some(socket) = self.sockets.by_token(token) else {
            return;
        };
        let (id, was_ending) = (socket.id, socket.wait == Wait::PollEnding);
        if shot == Shot::Over {
            socket.wait = Wait::Nothing;
        }
        if socket.exit == Exit::Stay && result.is_err_and(|error| error != Errno::CANCELED) {
            shard.handle(now, Input::Broken { conn: id });
        } else if socket.exit == Exit::Stay && result.is_ok() {
            let tick = tick(now);
            let soon = tick.wrapping_sub(socket.read_at) < HOT_GAP_TICKS;
            socket.streak = if soon { socket.streak.saturating_add(1) } else { 0 };
            socket.read_at = tick;
            if socket.streak >= HOT_STREAK && socket.wait == Wait::Poll {
                socket.wait = Wait::PollEnding;
                self.ring.cancel_poll(token);
            }
            self.read(now, id, shard);
        }
        if shot == Shot::Over {
            self.wait_again(id, was_ending, shard);
        }
    }

    /// Reads a parked socket once; one that fills the buffer gets another turn later, after its neighbours.
    fn read(&mut self, now: Moment, conn: ConnId, shard: &mut Shard) {
        let Some(socket) = self.sockets.get_mut(conn) else {
            return;
        };
        shard.stats().receives += 1;
        match socket::receive(socket.fd(), &mut self.scratch) {
            Ok(None) => {}
            Ok(Some(0)) => shard.handle(now, Input::Ended { conn }),
            Ok(Some(len)) => {
                if len == self.scratch.len() {
                    self.unread.push(conn.slot);
                }
                let bytes = self.scratch.get_mut(..len).unwrap_or_default();
                shard.handle(now, Input::Received { conn, bytes });
            }
            Err(_) => shard.handle(now, Input::Broken { conn }),
        }
    }

    fn read_more(&mut self, now: Moment, shard: &mut Shard) -> bool {
        let unread = std::mem::take(&mut self.unread);
        for &slot in &unread {
            if let Some(socket) = self.sockets.at_slot(slot)
                && socket.exit == Exit::Stay
                && matches!(socket.wait, Wait::Poll | Wait::PollEnding | Wait::Nothing)
            {
                let id = socket.id;
                self.read(now, id, shard);
            }
        }
        !unread.is_empty()
    }

    /// A hot socket has bytes, has ended, or its receive has.
    fn received(
        &mut self,
        now: Moment,
        token: Token,
        result: Result<Option<Chunk>, Errno>,
        shot: Shot,
        shard: &mut Shard,
    ) {
        shard.stats().receives += 1;
        let Some(socket) = self.sockets.by_token(token) else {
            if let Ok(Some(chunk)) = result {
                self.ring.recycle(chunk);
            }
            return;
        };
        let (conn, exit, was_ending) = (socket.id, socket.exit, socket.wait == Wait::ReceiveEnding);
        if shot == Shot::Over {
            socket.wait = Wait::Nothing;
        }
        match result {
            Ok(Some(chunk)) => {
                socket.read_at = tick(now);
                match exit {
                    Exit::Stay => shard.handle(now, Input::Received { conn, bytes: self.ring.bytes(&chunk) }),
                    Exit::HandOver => {
                        let bytes = self.ring.bytes(&chunk);
                        if let Some((_, received)) = self.handovers.iter_mut().find(|(id, _)| *id == conn) {
                            received.extend_from_slice(bytes);
                        }
                    }
                    Exit::Close => {}
                }
                self.ring.recycle(chunk);
            }
            Ok(None) if exit == Exit::Stay => shard.handle(now, Input::Ended { conn }),
            Err(Errno::NOBUFS) if exit == Exit::Stay => {
                shard.stats().buffers_starved += 1;
                self.starved.push(conn.slot);
                return;
            }
            Ok(None) | Err(Errno::CANCELED | Errno::NOBUFS) => {}
            Err(_) if exit == Exit::Stay => shard.handle(now, Input::Broken { conn }),
            Err(_) => {}
        }
        if shot == Shot::Over {
            self.wait_again(conn, was_ending, shard);
        }
    }

    /// A multishot request is over: the next one, unless the socket leaves. A cancelled poll makes it hot, a cancelled
    /// receive parks it.
    fn wait_again(&mut self, id: ConnId, was_ending: bool, shard: &mut Shard) {
        let Some(socket) = self.sockets.get_mut(id) else {
            return;
        };
        if socket.exit != Exit::Stay {
            return self.leave_if_done(id);
        }
        if socket.wait != Wait::Nothing {
            return;
        }
        let (raw, token) = (socket.raw(), token_of(id));
        let is_hot = socket.streak >= HOT_STREAK;
        if is_hot {
            socket.wait = Wait::Receive;
            self.ring.receive(raw, token);
        } else {
            socket.wait = Wait::Poll;
            self.ring.poll(raw, token);
        }
        if was_ending && is_hot {
            self.hot.push(id.slot);
            shard.stats().promoted += 1;
        } else if was_ending {
            shard.stats().parked += 1;
        }
    }

    fn rearm_starved(&mut self) {
        for slot in std::mem::take(&mut self.starved) {
            if let Some(socket) = self.sockets.at_slot(slot)
                && socket.wait == Wait::Nothing
                && socket.exit == Exit::Stay
            {
                socket.wait = Wait::Receive;
                self.ring.receive(socket.raw(), token_of(socket.id));
            }
        }
    }

    /// Parks hot sockets that have been quiet for a while.
    fn sweep(&mut self, now: Moment) {
        if self.hot.is_empty() || now.since(self.swept_at) < SWEEP_INTERVAL {
            return;
        }
        self.swept_at = now;
        let (tick, ring, sockets) = (tick(now), &mut self.ring, &mut self.sockets);
        self.hot.retain(|&slot| {
            let Some(socket) = sockets.at_slot(slot).filter(|socket| socket.streak >= HOT_STREAK) else {
                return false;
            };
            if tick.wrapping_sub(socket.read_at) < QUIET_TICKS || socket.wait != Wait::Receive {
                return true;
            }
            socket.wait = Wait::ReceiveEnding;
            socket.streak = 0;
            ring.cancel_receive(token_of(socket.id));
            false
        });
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
            Output::Close { conn } => self.begin_exit(conn, Exit::Close),
            Output::HandOver { conn, received } => {
                self.handovers.push((conn, received));
                self.begin_exit(conn, Exit::HandOver);
            }
            Output::StopAccepting => {
                if self.accepting == Accepting::Armed {
                    self.ring.cancel_accept();
                } else {
                    self.accepting = Accepting::Ended;
                    self.listener = None;
                }
            }
            Output::Finished => self.is_finished = true,
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

    fn leave_if_done(&mut self, id: ConnId) {
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
        self.closed.push(id);
    }
}

/// Coarse time for activity: 64 ms.
const fn tick(now: Moment) -> u32 {
    (now.as_nanos() >> 26) as u32
}

/// One read of a parked socket.
const SCRATCH_BYTES: usize = 64 << 10;
/// Completions between two looks at the rest of the world.
const REAP_COMPLETIONS_MAX: u32 = 4096;
/// Enters of one turn; each runs some twenty deferred completions.
const REAP_ROUNDS_MAX: u32 = 64;
/// Letters of one turn.
const MAIL_PER_TURN_MAX: u32 = 1024;
/// A full mailbox is tried again this often.
const MAIL_RETRY: Duration = Duration::from_millis(1);
/// Figures are at most this old while a core is busy, and exact when it sleeps.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(100);
/// Reads closer together than this count as a streak; about a second.
const HOT_GAP_TICKS: u32 = 15;
/// A streak this long makes a socket hot: a handshake and a few commands do not.
const HOT_STREAK: u8 = 8;
/// A hot socket without a read for this long is parked; about five seconds.
const QUIET_TICKS: u32 = 75;
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
