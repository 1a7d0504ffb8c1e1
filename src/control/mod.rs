//! The control plane: one thread that answers everything that is not a WebSocket.
//!
//! Plain HTTP connections come in from the shards with the bytes already read; probes and scrapers come to the internal
//! port; signals begin the stop. Invariant: the thread wakes for an event, never on a timer while nothing happens, and no
//! event of it is on the path of a delivery. It knows shards by their mail only.

mod api;
pub mod client;
mod cores;
mod handover;
mod hooks;
mod http;
mod inlet;
mod internal;
pub mod jwks;
mod key_desk;
mod ledger;
mod lifecycle;
mod live;
mod live_settings;
mod metrics;
mod pages;
mod process;
mod reload;
mod replay;
mod routes;
mod signals;
mod streams;
mod supervisor;
mod tenure;
#[cfg(test)]
mod tests;
mod unwinding;
mod upgrade;
mod wire;

pub use api::{ApiAccess, ErrorMode};
pub use cores::{Cores, MemoInbox};
pub use handover::Handover;
pub use hooks::{
    BackendOptions, EventOptions, Fallback, HookOptions, HookPlan, Rules, Transform, TransformTo,
};
pub use ledger::{Ledger, Receipts, Remembered};
pub use lifecycle::{Lifecycle, Phase};
pub use live::Live;
pub use live_settings::LiveSettings;
pub use reload::{Reload, Report};
pub use signals::Ending;
pub use streams::{Full, Places, StreamOptions};
pub use supervisor::Supervisor;
pub use upgrade::{Heir, READY, Upgrade};

use crate::failpoint::FailPoints;
use crate::pressure::Pressure;
use crate::stats::Published;
use crate::sys::clock;
use crate::sys::mailbox::Inbox;
use api::{Api, NodeFacts};
use client::{Client, Roots, RootsError};
use cores::{Desks, Memos};
use handover::Handovers;
use hooks::Hooks;
use http::{Bounds, Server, Traffic};
use key_desk::KeyDesk;
use metrics::Metrics;
use reload::ReloadFigures;
use routes::Site;
use signals::{Signals, Stopping};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use streams::Streams;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use upgrade::UpgradeFigures;

#[derive(Clone, Debug)]
pub struct ControlOptions {
    /// Address of the internal port; port 0 lets the kernel choose.
    pub internal: SocketAddr,
    /// Whether the public port serves the chat page.
    pub pages: bool,
    /// From the first signal to a hard end of the process.
    pub stop_max: Duration,
    /// Shown on the metrics page.
    pub version: &'static str,
    pub streams: StreamOptions,
    /// Of this node among others.
    pub name: String,
    /// Who may call the server API.
    pub api: Live<ApiAccess>,
    /// Serves the server API on the public port, too.
    pub api_external: bool,
    /// Followed while the node runs.
    pub hooks: HookPlan,
    /// What shall fail, in tests.
    pub fail: FailPoints,
}

/// What the control plane sees of the cores.
#[derive(Clone, Debug)]
pub struct NodeView {
    /// One per core.
    pub published: Vec<Arc<Published>>,
    /// The CPU of each core, in the same order.
    pub cpus: Vec<usize>,
    /// What moves the bytes: "io_uring" or "epoll".
    pub driver: &'static str,
    /// Why this driver, in a word.
    pub driver_reason: &'static str,
    pub lifecycle: Arc<Lifecycle>,
    pub pressure: Arc<Pressure>,
}

impl NodeView {
    /// A core has work and does not get on with it.
    fn is_stalled(&self) -> bool {
        let now = clock::now();
        self.published.iter().any(|published| !published.stalled(now).is_zero())
    }
}

/// Both directions between the control plane and the cores.
#[derive(Debug)]
pub struct Line {
    pub cores: Arc<Cores>,
    pub memos: MemoInbox,
    /// What the cores go by.
    pub live: Arc<LiveSettings>,
    /// None: there is no file that could be read again.
    pub reload: Option<Arc<Reload>>,
    /// None: what is revoked is known until the process ends.
    pub ledger: Option<Arc<Ledger>>,
    pub succession: Succession,
}

/// The processes before, after and above this one.
#[derive(Debug, Default)]
pub struct Succession {
    /// The listener of the internal port, if another process has left it to us.
    pub internal: Option<OwnedFd>,
    /// That process still answers there: it goes on until we are ready.
    pub is_successor: bool,
    /// None: SIGUSR2 ends the process, as ever.
    pub upgrade: Option<Arc<Upgrade>>,
    pub supervisor: Supervisor,
}

#[derive(Debug, Error)]
pub enum ControlError {
    #[error("the internal port {address} cannot be bound: {source}; choose another with --internal")]
    Bind { address: SocketAddr, source: io::Error },
    #[error("the reactor of the control plane cannot be created: {0}")]
    Reactor(io::Error),
    #[error("the thread of the control plane cannot be started: {0}")]
    Thread(io::Error),
    #[error("the certificates of this machine cannot be used for calls to back ends: {0}")]
    Roots(#[from] RootsError),
}

/// The running control plane.
#[derive(Debug)]
pub struct Control {
    /// Where the internal port listens.
    pub internal: SocketAddr,
    lifecycle: Arc<Lifecycle>,
    phase: watch::Sender<Phase>,
    supervisor: Arc<Supervisor>,
    thread: JoinHandle<()>,
}

impl Control {
    /// Every core listens: from here on the node is ready, and says so.
    pub fn open(&self) {
        self.lifecycle.set_ready();
        lifecycle::tell(&self.phase, Phase::Ready);
        self.supervisor.ready("listening");
    }

    /// Ends serving, giving open requests a moment, and joins the thread. To be called after the cores have ended.
    pub fn finish(self) {
        self.lifecycle.set_stopped();
        lifecycle::tell(&self.phase, Phase::Stopped);
        // A panic in there was reported by its hook, and there is nothing left to stop.
        let _ = self.thread.join();
    }
}

/// Binds the internal port, takes over SIGTERM and SIGINT, and starts the thread. `stop` is called once, on a thread of
/// its own, when the first signal comes or another process has taken our place.
pub fn spawn(
    options: ControlOptions,
    view: NodeView,
    handovers: Inbox<Handover>,
    line: Line,
    stop: impl FnOnce(Ending) + Send + 'static,
) -> Result<Control, ControlError> {
    spawn_bounded(options, view, handovers, line, stop, Bounds::PUBLIC)
}

fn spawn_bounded(
    options: ControlOptions,
    view: NodeView,
    handovers: Inbox<Handover>,
    line: Line,
    stop: impl FnOnce(Ending) + Send + 'static,
    bounds: Bounds,
) -> Result<Control, ControlError> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(ControlError::Reactor)?;
    let (phase, follow) = watch::channel(Phase::Starting);
    let lifecycle = Arc::clone(&view.lifecycle);
    let (plane, internal) = {
        let _context = runtime.enter();
        assemble(options, view, handovers, line, bounds, (&phase, &follow))?
    };
    let supervisor = Arc::clone(&plane.supervisor);
    let thread = thread::Builder::new()
        .name(String::from("control"))
        .spawn(move || plane.run(&runtime, follow, stop))
        .map_err(ControlError::Thread)?;
    Ok(Control { internal, lifecycle, phase, supervisor, thread })
}

/// Puts together what the thread owns, in the context of its reactor.
fn assemble(
    options: ControlOptions,
    view: NodeView,
    handovers: Inbox<Handover>,
    mut line: Line,
    bounds: Bounds,
    (phase, follow): (&watch::Sender<Phase>, &watch::Receiver<Phase>),
) -> Result<(Plane, SocketAddr), ControlError> {
    let (lifecycle, address) = (Arc::clone(&view.lifecycle), options.internal);
    let bind = |source| ControlError::Bind { address, source };
    let Succession { internal: left, is_successor, upgrade, supervisor } =
        std::mem::take(&mut line.succession);
    let (listener, internal) = listen(address, left, upgrade.as_deref()).map_err(bind)?;
    let traffic = Arc::new(Traffic::new(bounds));
    let published = view.published.clone();
    let streams = Streams::new(options.streams, &line, published.clone(), Arc::clone(&lifecycle));
    let client = Client::new(&Roots::System)?;
    let hooks = Hooks::new(&options.hooks, &client, Arc::clone(&line.cores));
    let key_desk = KeyDesk::new(client, Arc::clone(&line.cores), Arc::clone(&line.live));
    let metrics = Metrics::new(view.clone(), options.version, Arc::clone(&traffic))
        .with(streams.figures())
        .with(hooks.figures())
        .with(key_desk.figures())
        .with(ReloadFigures(line.reload.clone()))
        .with(UpgradeFigures(upgrade.clone()));
    let facts = NodeFacts {
        uid: api::uuid(),
        name: options.name,
        version: options.version,
        started: clock::now(),
        published: published.clone(),
    };
    let api = Api::new(&line, options.api, facts);
    let external = options.api_external.then(|| Arc::clone(&api));
    let plane = Plane {
        handovers: Handovers::new(handovers).map_err(ControlError::Reactor)?,
        cores: line.cores,
        memos: Memos::new(line.memos).map_err(ControlError::Reactor)?,
        streams: Arc::clone(&streams),
        key_desk,
        hooks,
        signals: Signals::new(line.reload, upgrade).map_err(ControlError::Reactor)?,
        public: Server::new(
            Arc::new(Site::new(
                routes::public(options.pages, streams.routes()),
                external,
                options.fail.clone(),
            )),
            bounds,
            traffic,
            follow.clone(),
            Phase::Draining,
        ),
        internal: Server::new(
            Arc::new(Site::new(routes::internal(view, metrics), Some(api), options.fail)),
            Bounds::INTERNAL,
            Arc::new(Traffic::new(Bounds::INTERNAL)),
            follow.clone(),
            Phase::Replaced,
        ),
        listener,
        opens: if is_successor { Phase::Ready } else { Phase::Starting },
        supervisor: Arc::new(supervisor),
        published,
        lifecycle,
        phase: phase.clone(),
        stop_max: options.stop_max,
    };
    Ok((plane, internal))
}

/// The listener of the internal port, of which a successor will get a duplicate.
fn listen(
    address: SocketAddr,
    left: Option<OwnedFd>,
    upgrade: Option<&Upgrade>,
) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = left.map_or_else(|| internal::bind(address), internal::adopt)?;
    if let Some(upgrade) = upgrade {
        upgrade.set_internal(listener.as_fd().try_clone_to_owned()?);
    }
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Everything that the thread owns.
struct Plane {
    handovers: Handovers,
    cores: Arc<Cores>,
    memos: Memos,
    streams: Arc<Streams>,
    key_desk: KeyDesk,
    hooks: Hooks,
    signals: Signals,
    public: Server,
    internal: Server,
    listener: TcpListener,
    /// When the internal port does: at once, or when our predecessor has heard of us.
    opens: Phase,
    supervisor: Arc<Supervisor>,
    published: Vec<Arc<Published>>,
    lifecycle: Arc<Lifecycle>,
    phase: watch::Sender<Phase>,
    stop_max: Duration,
}

impl Plane {
    fn run(
        self,
        runtime: &Runtime,
        mut follow: watch::Receiver<Phase>,
        stop: impl FnOnce(Ending) + Send + 'static,
    ) {
        runtime.block_on(async move {
            let supervisor = Arc::clone(&self.supervisor);
            let stopping = Stopping {
                lifecycle: &self.lifecycle,
                phase: &self.phase,
                stop_max: self.stop_max,
                supervisor: &supervisor,
            };
            let (asks, questions) = mpsc::unbounded_channel();
            let (events, told) = mpsc::unbounded_channel();
            let (keys, wanted) = mpsc::unbounded_channel();
            let desks = Desks { keys, asks, events };
            let telling = self.hooks.tell(told);
            let alive = follow.clone();
            tokio::select! {
                _ = follow.wait_for(|phase| *phase == Phase::Stopped) => {}
                _ = internal::run(&self.listener, &self.internal, &alive, self.opens) => {}
                () = supervisor.feed(&self.cores, &self.published, alive.clone()) => {}
                // A reactor that refuses the doorbell costs the pages, not the node: the rest goes on.
                () = async { handover::run(&self.handovers, &self.public).await; std::future::pending().await } => {}
                () = async { self.cores.run(&self.memos, &desks).await; std::future::pending().await } => {}
                () = self.key_desk.run(wanted) => {}
                () = self.hooks.run(questions) => {}
                _ = signals::run(self.signals, stopping, stop) => {}
            }
            // The last words of cores that have ended: the end of each stream among them.
            self.cores.take_rest(&self.memos, &desks);
            drop(desks);
            let told = async {
                let _ = telling.await;
            };
            let finish = async {
                tokio::join!(self.public.finish(), self.streams.finish(), self.internal.finish(), told)
            };
            let _ = timeout(FINISH_MAX, finish).await;
        });
    }
}

/// For answers that are on their way when the cores have ended. Within it falls the linger of the last connections.
const FINISH_MAX: Duration = Duration::from_secs(3);
