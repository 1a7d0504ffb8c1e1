//! A run from its flags to its files: checks what was asked for, staffs it, leads it, and books what it finds.
//!
//! Scenarios call `open`, then the stages in their order, then `close`. Every figure of `run.json` is set here.

use crate::calendar;
use crate::cli::flags::{Common, TrustFlags};
use crate::conductor::{ConductError, Conductor, Connected, Measured};
use crate::crew::Crew;
use crate::environment;
use crate::handshake;
use crate::plan::{Pace, Plan, Protocol, Shape, Trust};
use crate::preflight::{self, PreflightError};
use crate::progress::Progress;
use crate::report::run::{Connect, Latency, MemoryStep, Run, SCHEMA, Setup, Storm, VERSION};
use crate::report::{self, ReportError};
use crate::sampler::process::Process;
use crate::sampler::{SampleError, machine};
use crate::staffing::{self, Means, Staff};
use crate::stamp::PUBLISHER_COUNT_MAX;
use crate::target;
use crate::url::{Url, UrlError};
use crate::worker;
use ringway::sys::clock;
use std::net::SocketAddr;
use std::time::Duration;

/// Handshakes under way at a time, all engines together, unless told otherwise: well within any accept queue.
const IN_FLIGHT: u32 = 256;
/// After the last connection: a server that registers its connections behind the handshake gets time to do so.
const SETTLE: Duration = Duration::from_millis(300);
/// Size of a message beyond which nothing sensible is measured.
const SIZE_MAX: u32 = 16 << 20;

#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    #[error("--server-pid: {0}")]
    Server(#[from] SampleError),
    #[error(transparent)]
    Conduct(#[from] ConductError),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error("{0}")]
    Flags(String),
}

pub struct Session {
    common: Common,
    address: SocketAddr,
    connections: u32,
    conductor: Conductor,
    server: Option<Process>,
    run: Run,
    measured: Option<Measured>,
}

impl Session {
    /// Checks the flags and the server, starts the engines, and takes the baseline of the server's memory.
    pub fn open(name: &str, common: &Common, shape: &Shape) -> Result<Self, ScenarioError> {
        check(common, shape)?;
        let url = Url::parse(&common.url)?;
        let mut headers = common.headers.clone();
        headers.extend(common.compression.offer().map(str::to_owned));
        let request = handshake::request(&url.host, &url.path, &headers);
        let trust = trust(&common.trust, &url)?;
        preflight::check(&url, &request, common.protocol, common.compression, trust.as_ref())?;
        let server = common.server_pid.map(Process::new).transpose()?;
        let descriptors = worker::raise_descriptor_limit();
        let means = Means {
            cores_allowed: worker::allowed_cores(),
            cores_online: environment::cores_online(),
            descriptors,
            ports: port_count(),
            local: url.address.ip().is_loopback(),
        };
        let cores = common.cores.as_ref().map(|cores| cores.0.as_slice());
        let staff = staffing::staff(shape.connections, cores, common.sources, &means);
        for remark in &staff.remarks {
            eprintln!("note: {remark}");
        }
        let route = Route { url: &url, request: &request, trust };
        let plans = plans(name, common, shape, &staff, &route);
        let crew = Crew::start(plans).map_err(ConductError::from)?;
        let mut run = Run { schema: SCHEMA.into(), version: VERSION, ..Run::default() };
        let started = clock::wall();
        run.label = common.label.clone().unwrap_or_else(|| name.to_owned());
        run.started = calendar::rfc3339(started);
        run.started_ms = started.as_millis() as u64;
        run.id = format!("{}-{}", calendar::compact(started), report::file_name(&run.label));
        run.command = std::env::args().collect();
        run.setup = setup(name, common, shape);
        run.environment = environment::environment(descriptors);
        run.generator.processes = staff.cores.len() as u32;
        run.generator.sources = staff.sources.len().max(1) as u32;
        run.generator.cores = staff.cores;
        let progress = Progress::new(common.progress);
        let conductor = Conductor::new(crew, server, progress);
        let connections = shape.connections;
        let mut session = Self {
            common: common.clone(),
            address: url.address,
            connections,
            conductor,
            server,
            run,
            measured: None,
        };
        session.remember("baseline", 0, None)?;
        Ok(session)
    }

    /// Brings all connections up.
    pub fn connect(&mut self) -> Result<(), ScenarioError> {
        self.connect_to(self.connections)
    }

    /// Brings the first `total` connections up.
    pub fn connect_to(&mut self, total: u32) -> Result<(), ScenarioError> {
        let connected = self.conductor.connect(total)?;
        book_connect(&mut self.run.connect, &connected);
        self.run.failures.never_connected += connected.given_up;
        Ok(())
    }

    /// Waits, then reads the server's memory, and what it spent while nothing happened.
    pub fn hold(&mut self, name: &str, connections: u32, duration: Duration) -> Result<(), ScenarioError> {
        let before = self.server.map(Process::threads).transpose()?;
        let began = clock::now();
        self.conductor.hold(duration, "holding")?;
        let elapsed = clock::now().since(began).as_secs_f64();
        let after = self.server.map(Process::threads).transpose()?;
        let spent = before.zip(after).map(|(before, after)| after.since(&before).running_ns as f64 / 1e9);
        self.remember(name, connections, spent.map(|spent| spent / elapsed))
    }

    fn remember(&mut self, name: &str, connections: u32, cpu: Option<f64>) -> Result<(), ScenarioError> {
        let Some(server) = self.server else { return Ok(()) };
        let memory = server.memory()?;
        let slab = machine::slab();
        self.run.memory.get_or_insert_default().steps.push(MemoryStep {
            name: name.to_owned(),
            connections,
            rss_bytes: memory.rss,
            pss_bytes: memory.pss,
            private_bytes: memory.private,
            slab_bytes: slab.map(|slab| slab.total),
            slab_unreclaimable_bytes: slab.map(|slab| slab.unreclaimable),
            idle_cpu_cores: cpu,
        });
        Ok(())
    }

    /// Sends and measures, as the flags say.
    pub fn load(&mut self) -> Result<(), ScenarioError> {
        self.conductor.hold(SETTLE, "settling")?;
        let Common { warmup, duration, drain, .. } = self.common;
        self.measured = Some(self.conductor.load(warmup, duration, drain)?);
        self.remember("after-load", self.connections, None)
    }

    /// Waits until the server has ended and is there again: who is lost by that is expected back.
    pub fn await_restart(&mut self) -> Result<(), ScenarioError> {
        // Another process from here on.
        self.server = None;
        eprintln!("note: everybody is connected; end the server now, and start it again");
        Ok(self.conductor.await_restart(self.connections, self.address)?)
    }

    /// All connections drop, unless they are gone already, and come back.
    pub fn storm(&mut self) -> Result<(), ScenarioError> {
        let connected = self.conductor.storm(self.connections)?;
        let all_back = connected.established == self.connections;
        self.run.storm = Some(Storm {
            back: connected.established,
            all_back_s: all_back.then(|| connected.elapsed_ns as f64 / 1e9),
            retries: connected.retries,
            latency: Latency::of(&connected.latency),
            dropped: connected.dropped,
            reasons: connected.reasons,
        });
        self.run.failures.never_connected += connected.given_up;
        Ok(())
    }

    /// Ends the run and reports it. False when the proof failed.
    pub fn close(mut self) -> Result<bool, ScenarioError> {
        let ending = self.conductor.finish()?;
        for (reason, count) in ending.disconnects {
            *self.run.failures.disconnects.entry(reason).or_default() += count;
        }
        for (reason, count) in ending.error_replies {
            *self.run.failures.error_replies.entry(reason).or_default() += count;
        }
        report::figures::complete(&mut self.run, self.measured.as_ref());
        report::publish(&self.run, self.measured.as_ref(), &self.common)?;
        Ok(self.run.verdict.ok)
    }
}

fn check(common: &Common, shape: &Shape) -> Result<(), ScenarioError> {
    let wrong = |text: String| Err(ScenarioError::Flags(text));
    let size_min = target::size_min(common.protocol);
    if !(size_min..=SIZE_MAX).contains(&shape.size) {
        return wrong(format!(
            "--size has to be from {size_min} to {SIZE_MAX} bytes: each payload carries its send time and its number"
        ));
    }
    if shape.connections == 0 || shape.members == 0 || shape.speakers == 0 {
        return wrong("a run needs at least one connection, in a group, with a publisher".into());
    }
    if shape.speakers > shape.members {
        return wrong(format!("{} publishers cannot be among {} members", shape.speakers, shape.members));
    }
    if shape.publishers() > PUBLISHER_COUNT_MAX {
        return wrong(format!("at most {PUBLISHER_COUNT_MAX} publishers"));
    }
    if let Pace::Open { period_ns } = shape.pace
        && !(period_ns.is_finite() && period_ns > 0.0)
    {
        return wrong("--rate has to be more than 0".into());
    }
    if common.binary && common.protocol == Protocol::Centrifuge {
        return wrong("--binary does not go with the JSON client protocol".into());
    }
    if common.duration.is_zero() {
        return wrong("--duration has to be more than 0".into());
    }
    Ok(())
}

fn port_count() -> u32 {
    let (first, last) = machine::local_ports();
    last.saturating_sub(first) + 1
}

/// How to get to the server.
struct Route<'a> {
    url: &'a Url,
    request: &'a [u8],
    trust: Option<Trust>,
}

/// For wss:// somebody has to vouch for the server, or nobody on purpose.
pub(super) fn trust(flags: &TrustFlags, url: &Url) -> Result<Option<Trust>, ScenarioError> {
    let roots = match (url.is_tls, &flags.ca, flags.insecure) {
        (false, ..) => return Ok(None),
        (true, Some(file), _) => std::fs::read_to_string(file)
            .map_err(|error| ScenarioError::Flags(format!("--ca {}: {error}", file.display())))?,
        (true, None, true) => String::new(),
        (true, None, false) => {
            return Err(ScenarioError::Flags("wss:// needs --ca FILE, or --insecure".into()));
        }
    };
    Ok(Some(Trust { name: url.name().to_owned(), roots }))
}

fn plans(name: &str, common: &Common, shape: &Shape, staff: &Staff, route: &Route<'_>) -> Vec<Plan> {
    let engines = staff.cores.len() as u32;
    let in_flight = common.in_flight.unwrap_or(if name == "storm" { shape.connections } else { IN_FLIGHT });
    let epoch_ns = clock::now().as_nanos();
    let plan = |(engine, core): (usize, &Option<u32>)| Plan {
        engine: engine as u32,
        engines,
        core: *core,
        epoch_ns,
        address: route.url.address.to_string(),
        tls: route.trust.clone(),
        request: route.request.to_vec(),
        protocol: common.protocol,
        compression: common.compression,
        sources: staff.sources.clone(),
        shape: shape.clone(),
        connect_rate: common.connect_rate.div_ceil(engines),
        in_flight_max: in_flight.div_ceil(engines),
        tries_max: common.tries,
        seed: common.seed,
    };
    staff.cores.iter().enumerate().map(plan).collect()
}

/// The channel names of this run.
pub fn channel_prefix(common: &Common) -> String {
    let fresh = || format!("bench-{:x}-", clock::wall().as_micros() & 0xff_ffff_ffff);
    common.channel_prefix.clone().unwrap_or_else(fresh)
}

fn setup(name: &str, common: &Common, shape: &Shape) -> Setup {
    let (pace, pipeline, rate) = match shape.pace {
        Pace::Silent => ("silent", None, None),
        Pace::Closed { pipeline } => ("closed", Some(pipeline), None),
        Pace::Open { period_ns } => ("open", None, Some(1e9 / period_ns)),
    };
    Setup {
        scenario: name.to_owned(),
        protocol: common.protocol.name().to_owned(),
        compression: common.compression.name().to_owned(),
        url: common.url.clone(),
        connections: shape.connections,
        groups: shape.connections.div_ceil(shape.members),
        members: shape.members,
        publishers: shape.publishers(),
        size_bytes: shape.size,
        binary: shape.binary,
        pace: pace.to_owned(),
        pipeline,
        rate_per_publisher: rate,
        warmup_s: common.warmup.as_secs_f64(),
        duration_s: common.duration.as_secs_f64(),
        connect_rate: common.connect_rate,
        server_pid: common.server_pid,
        seed: common.seed,
    }
}

/// Ramps in steps are booked as one: sums, the last count, and the latencies of the last step.
fn book_connect(connect: &mut Connect, connected: &Connected) {
    connect.established = connected.established;
    connect.attempts += connected.attempts;
    connect.retries += connected.retries;
    connect.elapsed_s += connected.elapsed_ns as f64 / 1e9;
    connect.rate_per_s = f64::from(connect.established) / connect.elapsed_s.max(1e-9);
    connect.latency = Latency::of(&connected.latency);
    connect.dropped = connect.dropped.map_or(connected.dropped, |sum| Some(sum + connected.dropped?));
    for (reason, count) in &connected.reasons {
        *connect.reasons.entry(reason.clone()).or_default() += count;
    }
}
