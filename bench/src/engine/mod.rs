//! One generator process: an epoll loop over its share of the connections, driven by orders on a pipe.
//!
//! Invariant: nothing is allocated per message, and every turn ends with all that was caused by it handed to the sockets.
//! One read buffer and one write buffer serve all connections; an idle one costs `Connection` and nothing else.
//! Knows nothing of scenarios, servers' processes or reports.

mod chores;
mod connect;
mod dial;
mod orders;
mod publish;
mod receive;
pub mod traffic;

use crate::connection::{Connection, Phase};
use crate::frame::{Keys, Template};
use crate::ledger::Ledger;
use crate::pipe::{self, Inbox, PipeError};
use crate::plan::{Compression, Note, Pace, Plan};
use crate::schedule::Schedule;
use crate::target::Target;
use crate::tls::Tls;
use dial::Dialer;
use ringway::sys::clock;
use ringway::ws::deflate::History;
use ringway::ws::{Opcode, Pool, ReadOptions};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventFlags};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use std::collections::HashMap;
use std::fs::File;
use std::net::SocketAddr;
use traffic::Traffic;

/// Events of one wait. A full batch means that more was ready than one turn takes.
const EVENT_COUNT_MAX: usize = 512;
/// Shared read buffer: many messages per read, still within the second-level cache.
const READ_BYTES: usize = 64 * 1024;
/// Token of the order pipe; slots are smaller.
const ORDERS: u64 = u64::MAX;
/// Longest wait, so that a progress note leaves several times a second.
const WAIT_NS_MAX: u64 = 200_000_000;

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("epoll: {0}")]
    Epoll(Errno),
    #[error(transparent)]
    Pipe(#[from] PipeError),
    #[error("server address {0:?} is not an address with a port")]
    Address(String),
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the first order was not a plan")]
    NoPlan,
}

pub struct Engine {
    plan: Plan,
    address: SocketAddr,
    tls: Option<Tls>,
    epoll: OwnedFd,
    orders: (OwnedFd, Inbox),
    notes: File,
    /// By slot.
    connections: Vec<Connection>,
    dialer: Dialer,
    traffic: Traffic,
    schedule: Option<Schedule>,
    stage: Stage,
    wire: Wire,
    read: ReadOptions,
    /// What the server has said to a slot, where its compressed messages build on that.
    histories: HashMap<u32, History>,
    /// When the chores are due again, and when the last progress note left.
    chores_at: u64,
    progress_at: u64,
    /// Sockets that are open.
    open_count: u32,
    /// The first messages of the closed loop have left.
    primed: bool,
}

/// What the engine is doing beside keeping its connections.
#[derive(Debug)]
enum Stage {
    Waiting,
    /// All connections are dropped and dialled again at this time.
    StormAt(u64),
    Sending,
    /// The own messages have left; what others have sent is not known yet.
    Sent,
    /// That many deliveries are awaited; `complete_at` is when they were seen, for a last look for duplicates.
    Settling {
        expected: u64,
        deadline_ns: u64,
        complete_at: Option<u64>,
    },
    Leaving {
        deadline_ns: u64,
    },
    Over,
}

/// What all connections share.
struct Wire {
    target: Target,
    keys: Keys,
    template: Template,
    pool: Pool,
    read: Vec<u8>,
    /// What was in the records of one read.
    plain: Vec<u8>,
    /// Frames for one connection, filled and sent within a turn.
    out: Vec<u8>,
}

impl Engine {
    pub fn new(plan: Plan, orders: (OwnedFd, Inbox), notes: File) -> Result<Self, EngineError> {
        let address = plan.address.parse().map_err(|_| EngineError::Address(plan.address.clone()))?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(EngineError::Epoll)?;
        rustix::io::ioctl_fionbio(&orders.0, true).map_err(EngineError::Epoll)?;
        epoll::add(&epoll, &orders.0, epoll::EventData::new_u64(ORDERS), EventFlags::IN)
            .map_err(EngineError::Epoll)?;
        let count = share(plan.shape.connections, &plan);
        let keys = Keys::new(plan.seed ^ u64::from(plan.engine) << 32);
        let target = Target::new(plan.protocol);
        let (payload, fields) = target.message(&plan.shape);
        let opcode = if plan.shape.binary { Opcode::Binary } else { Opcode::Text };
        let wire = Wire {
            template: Template::new(&keys, opcode, &payload, fields),
            target,
            keys,
            pool: Pool::new(),
            read: vec![0; READ_BYTES],
            plain: Vec::new(),
            out: Vec::with_capacity(READ_BYTES),
        };
        Ok(Self {
            address,
            tls: plan.tls.as_ref().map(Tls::new).transpose()?,
            epoll,
            orders,
            notes,
            connections: (0..count).map(|_| Connection::default()).collect(),
            dialer: Dialer::new(plan.connect_rate, plan.in_flight_max, plan.tries_max),
            traffic: Traffic::new(plan.epoch_ns, Ledger::new(count, plan.shape.speakers)),
            schedule: None,
            stage: Stage::Waiting,
            wire,
            read: ReadOptions { deflate: plan.compression != Compression::None, ..receive::READ },
            histories: HashMap::new(),
            chores_at: 0,
            progress_at: 0,
            open_count: 0,
            primed: false,
            plan,
        })
    }

    /// Runs until the conductor says that it is over, or is gone.
    pub fn run(&mut self) -> Result<(), EngineError> {
        let mut events = Vec::with_capacity(EVENT_COUNT_MAX);
        self.take_orders()?;
        let mut now = now_ns();
        while !matches!(self.stage, Stage::Over) {
            let wait = self.next_at().saturating_sub(now).min(WAIT_NS_MAX);
            let timeout = Timespec { tv_sec: 0, tv_nsec: wait.cast_signed() };
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(EngineError::Epoll(error)),
            }
            let crowded = events.len() == EVENT_COUNT_MAX;
            for event in events.drain(..) {
                let (token, flags) = (event.data.u64(), event.flags);
                if token == ORDERS {
                    self.take_orders()?;
                } else {
                    self.on_ready(token as u32, flags, crowded);
                }
            }
            now = now_ns();
            self.dial(now);
            self.publish(now);
            if now >= self.chores_at {
                self.chores(now)?;
            }
        }
        Ok(())
    }

    /// When the loop has to turn even if nothing is ready.
    fn next_at(&self) -> u64 {
        let schedule = self.schedule.as_ref().and_then(Schedule::next_at);
        let dial = self.dialer.next_at();
        [schedule, dial, Some(self.chores_at)].into_iter().flatten().min().unwrap_or(u64::MAX)
    }

    fn on_ready(&mut self, slot: u32, flags: EventFlags, crowded: bool) {
        let phase = self.connections[slot as usize].phase;
        if phase == Phase::Dialling && !self.finish_connect(slot) {
            return;
        }
        if flags.intersects(EventFlags::IN | ENDED) {
            self.receive(slot, flags.intersects(ENDED), crowded);
        }
        let connection = &mut self.connections[slot as usize];
        if flags.contains(EventFlags::OUT)
            && connection.backlog_len() > 0
            && let Err(error) = connection.flush()
        {
            self.lose(slot, &broken(error));
        }
    }

    /// Number of a slot's connection over all engines.
    fn index(&self, slot: u32) -> u32 {
        self.plan.engine + slot * self.plan.engines
    }

    /// Writes a note. The pipe is read all the time, so that this does not wait.
    fn note(&mut self, note: &Note) -> Result<(), EngineError> {
        let archive = rkyv::to_bytes::<rkyv::rancor::Error>(note).map_err(PipeError::from)?;
        Ok(pipe::send(&mut self.notes, &archive)?)
    }

    /// Sends what stands in the write buffer.
    fn send(&mut self, slot: u32) {
        if self.wire.out.is_empty() {
            return;
        }
        let result = self.connections[slot as usize].send(&self.wire.out);
        self.wire.out.clear();
        if let Err(error) = result {
            self.lose(slot, &broken(error));
        }
    }

    fn is_closed_loop(&self) -> bool {
        matches!(self.plan.shape.pace, Pace::Closed { .. })
    }
}

/// The other side will send nothing more, or the connection is broken.
const ENDED: EventFlags = EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR);

/// How many of the run's first `total` connections belong to the engine of `plan`.
fn share(total: u32, plan: &Plan) -> u32 {
    total.saturating_sub(plan.engine).div_ceil(plan.engines)
}

fn now_ns() -> u64 {
    clock::now().as_nanos()
}

/// A reason in words that people look for.
fn broken(error: Errno) -> String {
    match error {
        Errno::CONNRESET => "connection reset".into(),
        Errno::PIPE => "sending on a connection that the server closed".into(),
        Errno::CONNREFUSED => "connection refused".into(),
        Errno::TIMEDOUT => "connection timed out".into(),
        Errno::ADDRNOTAVAIL => "no free local port (raise net.ipv4.ip_local_port_range or --sources)".into(),
        Errno::MFILE => "no free descriptor".into(),
        other => std::io::Error::from(other).to_string(),
    }
}

/// The descriptor of a socket, as epoll wants it.
fn watch(epoll: &OwnedFd, socket: BorrowedFd<'_>, slot: u32) -> Result<(), Errno> {
    // Edge-triggered for both directions: no further call per connection, whatever happens to it.
    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
    epoll::add(epoll, socket, epoll::EventData::new_u64(u64::from(slot)), flags)
}
