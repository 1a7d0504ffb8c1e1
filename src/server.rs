//! Wiring: from a checked configuration to running cores, and the order of starting and stopping.
//!
//! Start: limits and probes, then listeners, then the control plane, then the cores, which get their listeners when all of
//! them are ready. Stop: the control plane hears the signal and mails a drain to every core; each ends when its last client
//! has gone; then the control plane ends.

mod choice;
mod ending;
mod hooks;
mod listening;
mod succession;

use crate::auth::Auth;
use crate::cli::banner::{BannerFacts, banner};
use crate::cli::paint::Paint;
use crate::config::{Config, Warning};
use crate::control::{
    self, ApiAccess, Control, ControlError, ControlOptions, Cores, ErrorMode, Handover, Lifecycle, Line,
    LiveSettings, NodeView, Phase, Reload, StreamOptions, Succession, Supervisor, Upgrade,
};
use crate::driver::{Admissions, Core, DriverKind, NotReady, Roll, Station};
use crate::failpoint::{self, FailPoints};
use crate::fatal::Fatal;
use crate::ids::CoreId;
use crate::limits::{MAIL_BYTES_MAX, MAIL_COUNT_MAX, SURPLUS_DESCRIPTOR_COUNT, reserved_descriptors};
use crate::pressure::Pressure;
use crate::shard::mail::Mail;
use crate::shard::memo::Memo;
use crate::shard::{Portions, Settings, ShardOptions, Tallies};
use crate::stats::Published;
use crate::sys::inheritance::{Giver, inherit};
use crate::sys::mailbox::{Inbox, Mailbox, mailbox, weighed_mailbox};
use crate::sys::memory::Budget;
use crate::sys::rlimit::Limit;
use crate::sys::{entropy, journal, panics, rlimit};
use crossbeam_channel::{Receiver, Sender, bounded};
use listening::{Estate, Listening, Originals};
use rustix::fd::OwnedFd;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

mod reloading;
mod storing;

pub use choice::Choice;
pub use reloading::Sources;
use reloading::{Dials, Reloading};
use storing::{Memory, open_store};
use succession::Successors;

/// Runs until a signal ends it. Without `sources` nothing can be read again.
pub fn run(config: &Config, warnings: &[Warning], sources: Option<Sources>) -> Result<(), Fatal> {
    let inheritance = inherit()
        .map_err(|source| Fatal::Inherited { name: String::from("LISTEN_FDS"), cause: source.to_string() })?;
    let _journal = journal::start().map_err(|source| Fatal::Control { cause: source.to_string() })?;
    panics::install_hook();
    let fail = fail_points()?;
    let descriptors = rlimit::raise_descriptors().unwrap_or_else(|_| rlimit::descriptors());
    let choice = Choice::make(config.driver)?;
    let (budget, pressure) = memory_budget(config);
    let (admissions, room) = admissions(config, descriptors, &pressure)?;
    let mut estate = Estate::sort(inheritance)?;
    let listening = Listening::open(config.listen.public, &mut estate, config.cores.len())?;
    let public = listening.address;

    let node = Node::new(config).map_err(control_io)?;
    let lifecycle = Arc::clone(&node.lifecycle);
    let (roll, ended) = Roll::new(config.cores.len() as u16);
    let memory = open_store(config, &node.mailboxes, &fail)?;
    let succession = succession(config, &mut estate, &listening)?;
    let originals = listening.originals();
    let means = Means {
        admissions: Arc::new(admissions),
        room,
        sources,
        memory: memory.as_ref(),
        fail,
        originals,
        succession,
        pressure,
        budget,
    };
    let Started { control, cores, openings } = node.start(config, public, &choice, &roll, means)?;
    let facts = BannerFacts {
        public,
        internal: control.internal,
        cores: &config.cores,
        choice: &choice,
        descriptors,
        tls: config.tls.enabled,
        echo: config.routes.echo,
        pages: config.routes.pages,
        warnings,
        paint: Paint::stderr(),
    };
    journal::tell(banner(&facts).trim_end().to_owned());
    if api_access(config).is_closed() {
        journal::tell(API_CLOSED.to_owned());
    }
    journal::flush();
    announce(config, public, control.internal)?;
    lifecycle.set_ready();
    let shares = listening.share(config.cores.len()).map_err(control_io)?;
    for (opening, listeners) in openings.iter().zip(shares) {
        // One that has ended meanwhile is heard of below.
        let _ = opening.send(listeners);
    }
    drop((openings, listening));
    control.open();
    succession::tell_predecessor(estate.ready.take());

    wait(config, cores, &ended, &lifecycle)?;
    // Nobody orders anything any more: what was ordered is stored.
    drop(memory.map(|memory| memory.thread));
    control.finish();
    Ok(())
}

/// Until every core has drained. One that ends before takes the node with it: channels without an owner would fail
/// without a word, and a supervisor can only help a process that has ended.
fn wait(
    config: &Config,
    cores: Vec<Core>,
    ended: &Receiver<CoreId>,
    lifecycle: &Lifecycle,
) -> Result<(), Fatal> {
    let mut cores: Vec<Option<Core>> = cores.into_iter().map(Some).collect();
    for _ in 0..cores.len() {
        let Ok(core) = ended.recv() else { break };
        let cpu = config.cores.get(core.index()).copied().unwrap_or_default();
        let joined = cores.get_mut(core.index()).and_then(Option::take).map_or(Ok(()), Core::join);
        joined.map_err(|source| Fatal::Core { cpu, cause: source.to_string() })?;
        if lifecycle.phase() == Phase::Ready {
            return Err(Fatal::Core { cpu, cause: String::from("it ended while clients were connected") });
        }
    }
    Ok(())
}

/// What a node is given to run with.
struct Means<'a> {
    admissions: Arc<Admissions>,
    /// Connections that the descriptors of this process allow.
    room: u32,
    /// None: nothing can be read again.
    sources: Option<Sources>,
    /// None: history lives in memory.
    memory: Option<&'a Memory>,
    /// What shall fail, in tests.
    fail: FailPoints,
    originals: Originals,
    succession: Succession,
    pressure: Arc<Pressure>,
    /// None: nobody says how much memory there is.
    budget: Option<Budget>,
}

/// A node whose cores wait for their listeners.
struct Started {
    control: Control,
    cores: Vec<Core>,
    openings: Vec<Sender<Vec<OwnedFd>>>,
}

/// The ends of everything that the threads of a node share.
struct Node {
    mailboxes: Vec<Mailbox<Mail>>,
    inboxes: Vec<Inbox<Mail>>,
    handovers: (Mailbox<Handover>, Inbox<Handover>),
    memos: (Mailbox<Memo>, Inbox<Memo>),
    published: Vec<Arc<Published>>,
    lifecycle: Arc<Lifecycle>,
}

impl Node {
    fn new(config: &Config) -> io::Result<Self> {
        let count = config.cores.len();
        let mut pairs = Vec::with_capacity(count);
        for _ in 0..count {
            pairs.push(weighed_mailbox(MAIL_COUNT_MAX, MAIL_BYTES_MAX, Mail::bytes)?);
        }
        let (mailboxes, inboxes) = pairs.into_iter().unzip();
        Ok(Self {
            mailboxes,
            inboxes,
            handovers: mailbox(HANDOVER_COUNT_MAX)?,
            memos: mailbox(MEMO_COUNT_MAX)?,
            published: (0..count).map(|_| Arc::default()).collect(),
            lifecycle: Arc::default(),
        })
    }

    fn start(
        self,
        config: &Config,
        public: SocketAddr,
        choice: &Choice,
        roll: &Roll,
        means: Means<'_>,
    ) -> Result<Started, Fatal> {
        let Self { mailboxes, inboxes, handovers: (to_control, handovers), .. } = self;
        let Self { memos: (to_desk, memos), published, lifecycle, .. } = self;
        let Means { admissions, room, sources, memory, fail, originals, succession, pressure, budget } =
            means;
        let settings = Arc::new(settings(config, memory)?);
        let (dials, tallies) = (Dials::new(config, &settings), Arc::default());
        let streams = StreamRoom { admissions: &admissions, tallies: &tallies, room };
        let options = control_options(config, public, &dials, streams, fail.clone());
        let view = node_view(config, choice, &published, &lifecycle, &pressure);
        let stop = ending::end(mailboxes.clone(), originals, config.shutdown.drain_window);
        let hash_seed = entropy::seed();
        let line_cores = Cores::new(mailboxes.clone(), hash_seed);
        let live = LiveSettings::new(Arc::clone(&settings), Arc::clone(&line_cores));
        let reload = sources.map(|sources| {
            let (running, admissions) = (Mutex::new(config.clone()), Arc::clone(&admissions));
            let live = Arc::clone(&live);
            let reloading = Reloading { sources, running, live, admissions, room, dials };
            Reload::new(Box::new(move || reloading.reload()))
        });
        let line = Line {
            cores: line_cores,
            memos,
            live,
            reload,
            succession,
            ledger: memory.map(|memory| Arc::clone(&memory.ledger)),
        };
        let control = control::spawn(options, view, handovers, line, stop).map_err(control_fatal)?;

        let (ready, started) = bounded(config.cores.len());
        let (mut cores, mut openings) = (Vec::with_capacity(config.cores.len()), Vec::new());
        for (index, mail) in inboxes.into_iter().enumerate() {
            let cpu = config.cores.get(index).copied().unwrap_or_default();
            let (sender, opening) = bounded(1);
            openings.push(sender);
            let core = CoreId(index as u16);
            let settings = Arc::clone(&settings);
            let shard = shard_options(config, core, hash_seed, settings, &tallies, fail.apart());
            let station = Station {
                cpu,
                opening,
                shard,
                mail,
                cores: mailboxes.clone(),
                control: to_control.clone(),
                memos: to_desk.clone(),
                store: memory.map(|memory| memory.store.clone()),
                published: published.get(index).map(Arc::clone).unwrap_or_default(),
                admissions: Arc::clone(&admissions),
                pressure: Arc::clone(&pressure),
                budget: budget.clone(),
                entry: roll.entry(core),
                ready: ready.clone(),
            };
            cores.push(spawn(choice.driver(), station)?);
        }
        drop(ready);
        all_ready(config, &started)?;
        Ok(Started { control, cores, openings })
    }
}

fn node_view(
    config: &Config,
    choice: &Choice,
    published: &[Arc<Published>],
    lifecycle: &Arc<Lifecycle>,
    pressure: &Arc<Pressure>,
) -> NodeView {
    NodeView {
        published: published.to_vec(),
        cpus: config.cores.clone(),
        driver: choice.driver().name(),
        driver_reason: choice.reason(),
        lifecycle: Arc::clone(lifecycle),
        pressure: Arc::clone(pressure),
    }
}

fn spawn(driver: DriverKind, station: Station) -> Result<Core, Fatal> {
    let cpu = station.cpu;
    Core::spawn(driver, station).map_err(|source| Fatal::Core { cpu, cause: source.to_string() })
}

/// Waits until every core has said that it could listen, or one that it cannot.
fn all_ready(config: &Config, started: &Receiver<Result<(), NotReady>>) -> Result<(), Fatal> {
    for &cpu in &config.cores {
        let told =
            started.recv().map_err(|_| Fatal::Core { cpu, cause: String::from("it ended at once") })?;
        told.map_err(|error| match error {
            NotReady::Driver(source) => Fatal::Core { cpu, cause: format!("its driver: {source}") },
            NotReady::Listen(source) => Fatal::Core { cpu, cause: format!("its listener: {source}") },
        })?;
    }
    Ok(())
}

/// Unlike that of other nodes, as far as host names are.
fn node_name(public: SocketAddr) -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}_{}", host.trim_end(), public.port())
}

/// Who may call the server API.
fn api_access(config: &Config) -> ApiAccess {
    let api = &config.http_api;
    let error_mode = if api.error_mode.is_empty() { ErrorMode::Body } else { ErrorMode::Transport };
    ApiAccess { key: api.key.expose().to_owned(), insecure: api.insecure, error_mode }
}

/// What a test wants to fail; nothing in a build that is given to anybody.
fn fail_points() -> Result<FailPoints, Fatal> {
    let Ok(plans) = std::env::var(failpoint::VARIABLE) else {
        return Ok(FailPoints::default());
    };
    FailPoints::parse(&plans).map_err(|cause| Fatal::Config { file: None, problems: vec![cause] })
}

/// What the node may use, and how near it is to the end of that.
fn memory_budget(config: &Config) -> (Option<Budget>, Arc<Pressure>) {
    let budget = match config.memory.limit_mib {
        0 => Budget::found(),
        limit_mib => Some(Budget::chosen(u64::from(limit_mib) << 20)),
    };
    if budget.is_none() {
        journal::tell(NO_BUDGET.to_owned());
    }
    let pressure =
        Arc::new(Pressure::new(budget.as_ref().map_or(0, Budget::usable_bytes), config.cores.len()));
    (budget, pressure)
}

fn shard_options(
    config: &Config,
    core: CoreId,
    hash_seed: u64,
    settings: Arc<Settings>,
    tallies: &Arc<Tallies>,
    fail: FailPoints,
) -> ShardOptions {
    ShardOptions {
        core,
        core_count: config.cores.len() as u16,
        seed: entropy::seed(),
        hash_seed,
        version: concat!("Ringway ", env!("CARGO_PKG_VERSION")),
        echo: config.routes.echo,
        uni_websocket: config.transports.uni_websocket,
        close_max: config.websocket.close_timeout,
        mail_count_max: MAIL_COUNT_MAX,
        mail_bytes_max: MAIL_BYTES_MAX,
        portions: Portions::default(),
        ping_interval: config.client.ping_interval,
        pong_max: config.client.pong_timeout,
        fail,
        tallies: Arc::clone(tallies),
        settings,
    }
}

/// What the cores start with.
fn settings(config: &Config, memory: Option<&Memory>) -> Result<Settings, Fatal> {
    let mut settings = config.settings()?;
    if let Some(memory) = memory {
        let revocations = Arc::new(memory.remembered.revocations.clone());
        settings.auth = Arc::new(Auth { revocations, ..Auth::clone(&settings.auth) });
    }
    Ok(settings)
}

fn control_options(
    config: &Config,
    public: SocketAddr,
    dials: &Dials,
    room: StreamRoom<'_>,
    fail: FailPoints,
) -> ControlOptions {
    ControlOptions {
        internal: config.listen.internal,
        pages: config.routes.pages,
        stop_max: config.shutdown.timeout,
        version: env!("CARGO_PKG_VERSION"),
        streams: stream_options(config, dials, room),
        name: node_name(public),
        api: dials.access.clone(),
        api_external: config.http_api.external,
        hooks: dials.hooks.clone(),
        fail,
    }
}

/// What streams share with sockets.
#[derive(Clone, Copy)]
struct StreamRoom<'a> {
    admissions: &'a Arc<Admissions>,
    tallies: &'a Arc<Tallies>,
    /// Connections that the descriptors of this process allow.
    room: u32,
}

fn stream_options(config: &Config, dials: &Dials, room: StreamRoom<'_>) -> StreamOptions {
    let transports = &config.transports;
    StreamOptions {
        http_stream: transports.http_stream,
        sse: transports.sse,
        uni_http_stream: transports.uni_http_stream,
        uni_sse: transports.uni_sse,
        count_max: room.room,
        origins: dials.origins.clone(),
        headers: dials.headers.clone(),
        places: Arc::<Admissions>::clone(room.admissions),
        tallies: Arc::clone(room.tallies),
    }
}

/// The configured limit, or as many as descriptors allow; and how many that are.
fn admissions(
    config: &Config,
    descriptors: Limit,
    pressure: &Arc<Pressure>,
) -> Result<(Admissions, u32), Fatal> {
    let reserved = reserved_descriptors(config.cores.len());
    let room = descriptors.soft.saturating_sub(reserved);
    if room == 0 {
        return Err(Fatal::Descriptors { have: descriptors.soft, need: reserved });
    }
    let room = u32::try_from(room).unwrap_or(u32::MAX);
    let ceiling = room.saturating_add(SURPLUS_DESCRIPTOR_COUNT);
    let admissions = Admissions::new(connection_limit(config, room), ceiling, Arc::clone(pressure));
    admissions.addresses.set_limit(config.client.address_connection_limit);
    Ok((admissions, room))
}

fn connection_limit(config: &Config, room: u32) -> u32 {
    if config.client.connection_limit == 0 { room } else { config.client.connection_limit.min(room) }
}

/// Tells a waiting script where we listen: written beside and renamed, so that nobody reads half a line.
fn announce(config: &Config, public: SocketAddr, internal: SocketAddr) -> Result<(), Fatal> {
    let Some(path) = &config.ready_file else {
        return Ok(());
    };
    let line =
        format!("{{\"public\":\"{public}\",\"internal\":\"{internal}\",\"pid\":{}}}\n", std::process::id());
    let draft = path.with_extension("draft");
    fs::write(&draft, line)
        .and_then(|()| fs::rename(&draft, path))
        .map_err(|source| Fatal::ReadyFile { path: path.clone(), source })
}

fn succession(config: &Config, estate: &mut Estate, listening: &Listening) -> Result<Succession, Fatal> {
    Ok(Succession {
        internal: estate.take_internal(config.listen.internal),
        is_successor: estate.giver == Some(Giver::Predecessor),
        upgrade: Some(upgrade(config, listening)?),
        supervisor: Supervisor::from_environment(),
    })
}

fn upgrade(config: &Config, listening: &Listening) -> Result<Arc<Upgrade>, Fatal> {
    let succession = Successors::new(config, listening.originals()).map_err(control_io)?;
    Upgrade::new(Box::new(move |internal| succession.start(internal))).map_err(control_io)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn control_io(source: io::Error) -> Fatal {
    Fatal::Control { cause: source.to_string() }
}

fn control_fatal(error: ControlError) -> Fatal {
    match error {
        ControlError::Bind { address, source } => Fatal::listen(address, source),
        ControlError::Reactor(source) | ControlError::Thread(source) => {
            Fatal::Control { cause: source.to_string() }
        }
        ControlError::Roots(source) => Fatal::Control { cause: source.to_string() },
    }
}

const NO_BUDGET: &str = "ringway: nobody says how much memory this node may use (no /proc/meminfo): set \
    memory.limit_mib, or it cannot shed load before it runs out";

const API_CLOSED: &str = "ringway: nobody can call the server API: set http_api.key, such as \
    RINGWAY_HTTP_API_KEY=$(openssl rand -hex 32)";

/// Plain HTTP connections on their way to the control plane.
const HANDOVER_COUNT_MAX: usize = 1024;
/// Memos of the cores on their way to the control plane; beyond, cores keep them.
const MEMO_COUNT_MAX: usize = 16 * 1024;
