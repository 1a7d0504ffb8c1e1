//! One core's state machine: connections, channels, deadlines. The driver and the simulator run the same code.
//!
//! Verbs: `open` a connection, `handle` what arrives, `advance` the clock, then `drain` everything that is owed and
//! `post` the letters. Contract: after any batch of the first three, one full `drain` and `post` before sleeping.
//! Knows nothing of sockets, rings, threads or clocks: bytes, `now` and seeds come in as arguments.
//!
//! Split by event: `handshake` (heads), `reading` (frames), `commands`, `subscribing`, `publishing`, `census` (client
//! protocol), `linking` and `letters` (mail), `beats` (deadlines), `closing`, `flushing`, `sealing` (TLS). `guarding` and
//! `mending` see to it that a bug of ours costs what it is about.

mod apps;
pub mod ask;
mod asking;
mod beats;
pub mod call;
mod calling;
mod census;
mod closing;
mod commands;
mod concerns;
mod connecting;
mod conns;
mod corking;
mod cursors;
mod delivering;
mod durable;
mod encoding;
mod entering;
mod expiring;
mod fetching;
mod flushing;
mod guarding;
mod handshake;
pub mod heard;
mod index;
mod joining;
mod letters;
mod linking;
pub mod mail;
pub mod memo;
mod mending;
pub mod options;
mod ordering;
mod pacing;
mod people;
mod port;
mod pressing;
mod publishing;
mod random;
mod rate;
mod reading;
mod refilling;
mod remains;
mod requests;
mod rests;
pub mod results;
mod revoking;
mod sealing;
pub mod settings;
mod slicing;
pub mod stream;
mod streaming;
mod subscribing;
mod sweeping;
mod takeover;
mod tallies;
mod targeting;
#[cfg(test)]
mod tests;
mod turns;
mod welcome;
mod wheel;

pub use heard::Heard;
pub use mending::{Finding, Place};
pub use options::ShardOptions;
pub use port::{Admission, Input, Output};
pub use remains::Remains;
pub use settings::Settings;
pub use slicing::Portions;
pub use tallies::Tallies;

use crate::conn::outbox::Nodes;
use crate::conn::{Conn, Phase};
use crate::delta::Encoder;
use crate::hub::Hub;
use crate::ids::ConnId;
use crate::limits;
use crate::payload::Payload;
use crate::pressure::Stage;
use crate::stats::{Stats, Work};
use crate::time::Moment;
use crate::tls::{Acceptor, Keys};
use crate::ws::deflate::Deflater;
use crate::ws::{self, Opcode, Pool, ReadOptions, Role};
use apps::Apps;
use beats::Pings;
use connecting::Connecting;
use conns::Conns;
use corking::Cork;
use durable::Vault;
use expiring::Expiries;
use flushing::Gathering;
use guarding::Wreckage;
use index::Index;
use joining::Joins;
use letters::Letters;
use pacing::Paces;
use random::Random;
use rate::{Rate, Rates};
use requests::Requests;
use rests::Piece;
use results::Results;
use revoking::Revoking;
use slicing::Slices;
use std::collections::HashMap;
use std::sync::Arc;
use stream::StreamId;
use sweeping::Sweeps;
use takeover::Takeovers;
use turns::Turns;
use wheel::Wheel;

pub struct Shard {
    options: ShardOptions,
    settings: Arc<Settings>,
    read: ReadOptions,
    /// The time of the turn.
    now: Moment,
    conns: Conns,
    hub: Hub,
    wheel: Wheel,
    nodes: Nodes,
    pool: Pool,
    deflater: Deflater,
    takeovers: Takeovers,
    requests: Requests,
    /// Of publications that back ends decide about.
    turns: Turns,
    letters: Letters,
    random: Random,
    /// Of TLS, before the expensive part.
    tls_rate: Option<Rate>,
    /// Of the connections over TLS that were busy last.
    keys: Keys,
    gathering: Gathering,
    cork: Cork,
    slices: Slices,
    /// Slots with something to send or to finish.
    dirty: Vec<u32>,
    /// Slots whose outbox refused a payload in this turn.
    slow: Vec<u32>,
    /// Somebody is owed more than half of what its queue takes.
    is_pressed: bool,
    /// What is held of messages that are not whole yet.
    partial_bytes: u64,
    /// Slots that were owed what their codec cannot carry.
    unfit: Vec<u32>,
    /// Subscriptions on their way.
    joins: Joins,
    /// Connect commands that wait for somebody.
    connecting: HashMap<ConnId, Box<Connecting>>,
    /// Connected clients by id, and by user.
    clients: Index,
    users: Index,
    apps: Apps,
    streams: HashMap<StreamId, ConnId>,
    stream_names: HashMap<ConnId, StreamId>,
    expiries: Expiries,
    /// Streams of channels that something will have to be dropped from.
    sweeps: Sweeps,
    revoking: Revoking,
    positions_due: Moment,
    results: Results,
    /// What is on its way to and from the disk.
    vault: Vault,
    /// Of publications, by channel.
    rates: Rates,
    paces: Paces,
    encoder: Encoder,
    /// The wall clock as the driver told it: when, and Unix milliseconds.
    wall: (Moment, i64),
    fired: Vec<u32>,
    outputs: Vec<Output>,
    /// A protocol message while it is encoded.
    text: Vec<u8>,
    /// The ping of the client protocol, framed.
    pings: Pings,
    /// The ping of RFC 6455, framed.
    native_ping: Payload,
    is_draining: bool,
    /// How short memory is.
    stage: Stage,
    /// When queues may be cut again.
    shed_at: Moment,
    wreckage: Wreckage,
    stats: Stats,
}

impl Shard {
    pub fn new(options: ShardOptions, now: Moment) -> Self {
        let mut native_ping = Vec::new();
        ws::append_frame(&mut native_ping, Opcode::Ping, b"");
        let settings = Arc::clone(&options.settings);
        Self {
            read: ReadOptions {
                role: Role::Server,
                message_bytes_max: settings.limits.message_bytes_max,
                empty_frames_max: limits::EMPTY_FRAMES_MAX,
                deflate: false,
            },
            now,
            conns: Conns::default(),
            hub: Hub::new(options.core, options.core_count, options.hash_seed),
            wheel: Wheel::new(now),
            nodes: Nodes::default(),
            pool: Pool::new(),
            deflater: Deflater::new(settings.compression.effort),
            takeovers: Takeovers::default(),
            requests: Requests::default(),
            turns: Turns::default(),
            letters: Letters::new(options.core_count, options.mail_count_max, options.mail_bytes_max),
            random: Random::new(options.seed),
            tls_rate: Self::tls_rate(settings.tls.as_ref().and_then(|tls| tls.rate), now),
            keys: Keys::new(limits::TLS_KEY_COUNT_KEPT_MAX),
            gathering: Gathering::default(),
            cork: Cork::default(),
            slices: Slices::new(options.portions),
            dirty: Vec::new(),
            slow: Vec::new(),
            is_pressed: false,
            partial_bytes: 0,
            unfit: Vec::new(),
            joins: Joins::default(),
            connecting: HashMap::new(),
            clients: Index::new(options.hash_seed),
            users: Index::new(options.hash_seed),
            apps: Apps::default(),
            streams: HashMap::new(),
            stream_names: HashMap::new(),
            expiries: Expiries::default(),
            sweeps: Sweeps::default(),
            revoking: Revoking::default(),
            positions_due: now + settings.patience.position_check,
            results: Results::default(),
            vault: Vault::default(),
            rates: Rates::default(),
            paces: Paces::default(),
            encoder: Encoder::default(),
            wall: (now, 0),
            fired: Vec::new(),
            outputs: Vec::new(),
            text: Vec::new(),
            pings: Pings::default(),
            native_ping: Payload::new(native_ping),
            is_draining: false,
            stage: Stage::default(),
            shed_at: now,
            wreckage: Wreckage::default(),
            stats: Stats::default(),
            settings,
            options,
        }
    }

    /// From here on these hold.
    fn adopt(&mut self, settings: Arc<Settings>) {
        self.read.message_bytes_max = settings.limits.message_bytes_max;
        self.deflater.set_effort(settings.compression.effort);
        let rate = |settings: &Settings| settings.tls.as_ref().and_then(|tls| tls.rate);
        if rate(&self.settings) != rate(&settings) {
            self.tls_rate = Self::tls_rate(rate(&settings), self.now);
        }
        if !Arc::ptr_eq(&self.settings.auth.revocations, &settings.auth.revocations) {
            self.revoking.begin();
        }
        self.settings = settings;
    }

    /// A socket was accepted. Its id is valid until `Input::Closed`.
    pub fn open(&mut self, now: Moment, admission: Admission) -> ConnId {
        self.now = now;
        self.stats.accepted += 1;
        let tls = self.settings.tls.as_ref();
        let patience = match tls {
            _ if self.is_draining => self.options.close_max,
            Some(tls) => tls.patience,
            None => self.settings.patience.handshake,
        };
        let conn = Conn {
            due: now + patience,
            tls: tls.map(Acceptor::session),
            is_surplus: admission == Admission::Surplus || self.is_draining,
            ..Conn::default()
        };
        let due = conn.due;
        let id = self.conns.insert(conn);
        self.wheel.arm(id.slot, due);
        id
    }

    /// Takes one input to its end: afterwards every consequence is queued for `drain` and `post`.
    pub fn handle(&mut self, now: Moment, input: Input<'_>) {
        self.now = now;
        match input {
            Input::Received { conn, bytes } => {
                self.attempt_for(Work::Input, conn, |shard| {
                    shard.begin_slice(conn);
                    shard.received(conn, bytes);
                    shard.uncork();
                    shard.end_slice(conn);
                });
            }
            Input::Ended { conn } => self.attempt_for(Work::Input, conn, |shard| shard.no_more(conn)),
            Input::Broken { conn } => self.attempt_for(Work::Input, conn, |shard| shard.broken(conn)),
            Input::Sent { conn } => self.attempt_for(Work::Input, conn, |shard| shard.sent(conn)),
            Input::Closed { conn } => self.free(conn),
            Input::Mail(mail) => self.opened(mail),
        }
        self.finish_input();
    }

    /// Every consequence of what was handled is queued, and everybody is in order.
    fn finish_input(&mut self) {
        self.uncork();
        self.cut_slow();
        self.mend();
    }

    /// Fires every deadline up to `now`.
    pub fn advance(&mut self, now: Moment) {
        self.now = now;
        // The pong that a deadline waits for may lie in what was put off.
        self.serve_put_off();
        let mut fired = std::mem::take(&mut self.fired);
        self.wheel.advance(now, &mut fired);
        for slot in fired.drain(..) {
            if let Some(id) = self.conns.id_of(slot) {
                self.serve_for(Work::Deadline, id, |shard| shard.due(id));
            }
        }
        self.fired = fired;
        while let Some((id, request)) = self.requests.expire(now) {
            self.attempt_request(Work::Deadline, id, request);
            self.mend();
        }
        self.expire();
        self.sweep();
        self.end_revoked();
        if self.positions_due <= now {
            self.positions_due = now + self.settings.patience.position_check;
            self.attempt(Work::Deadline, Self::check_positions);
        }
        self.finish_input();
    }

    /// Whether a drain had better not wait for the end of the turn: somebody may be cut off for being slow whose socket
    /// would take everything. Says so once.
    pub fn take_pressure(&mut self) -> bool {
        std::mem::take(&mut self.is_pressed)
    }

    pub const fn is_pressed(&self) -> bool {
        self.is_pressed
    }

    /// When `advance` is worth calling next, if nothing else happens.
    pub fn deadline(&self) -> Option<Moment> {
        // Without a stream of another core there is nothing to compare, and a quiet node sleeps.
        let positions = self.follows_streams().then_some(self.positions_due);
        let dues = [
            self.wheel.deadline(),
            self.requests.deadline(),
            self.expiries.deadline(),
            self.sweeps.deadline(),
            self.revoking.deadline(self.now),
            positions,
            self.has_put_off().then_some(self.now),
        ];
        dues.into_iter().flatten().min()
    }

    /// The figures of this core. Gauges are brought up to date here.
    pub fn stats(&mut self) -> &mut Stats {
        self.stats.connections = u64::from(self.conns.count());
        self.stats.channels = self.hub.channel_count() as u64;
        self.count_compression();
        self.stats.queued_bytes = self.nodes.bytes();
        self.stats.held_bytes = self.held_bytes();
        &mut self.stats
    }

    pub fn conn_count(&self) -> u32 {
        self.conns.count()
    }

    fn received(&mut self, id: ConnId, bytes: &mut [u8]) {
        self.stats.bytes_in += bytes.len() as u64;
        // Behind what waits it waits, too, as it came.
        if self.slices.holds(id) {
            return self.put_off(id, Piece::Bytes(bytes.to_vec()));
        }
        self.take_bytes(id, bytes);
    }

    /// What came from the socket, in its turn.
    fn take_bytes(&mut self, id: ConnId, bytes: &mut [u8]) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        match conn.tls.take_if(|_| !conn.phase.is_over()) {
            Some(session) => self.unseal(id, session, bytes),
            None => self.take_plain(id, bytes),
        }
    }

    /// The same without TLS around it.
    fn take_plain(&mut self, id: ConnId, bytes: &mut [u8]) {
        if self.slices.holds(id) {
            return self.put_off(id, Piece::Plain(bytes.to_vec()));
        }
        let Some(conn) = self.conns.get(id) else {
            return;
        };
        match conn.phase {
            Phase::Head(_) => self.read_head(id, bytes),
            Phase::Echo | Phase::Client(_) | Phase::Closing => self.read_frames(id, bytes),
            Phase::Leaving => self.add_to_handover(id, bytes),
            Phase::Lingering { .. } => {}
        }
    }

    fn mark_dirty(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id)
            && !conn.is_dirty
        {
            conn.is_dirty = true;
            self.dirty.push(id.slot);
        }
    }

    /// Sets the deadline of the phase and arms the wheel for the nearer of both deadlines.
    fn set_due(&mut self, id: ConnId, due: Moment) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.due = due;
            self.wheel.arm(id.slot, conn.next_due());
        }
    }
}
