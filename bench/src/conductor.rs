//! One run from the conductor's side: gives the orders, collects the notes, samples the server at the right moments.
//!
//! Invariant: the measured part begins and ends at times that were fixed before it began, for all engines and for the
//! samples of the server alike. Knows no scenario: those call its stages in their order.

use crate::crew::{Crew, CrewError};
use crate::plan::{Dialled, Loaded, Note, Order, Second};
use crate::progress::Progress;
use crate::record::{Durations, Unreadable};
use crate::sampler::SampleError;
use crate::sampler::machine;
use crate::sampler::process::{CpuTime, Process, Threads};
use ringway::sys::clock;
use std::collections::BTreeMap;
use std::time::Duration;

const SECOND_NS: u64 = 1_000_000_000;
/// From an order to its start: time for the slowest engine to read it.
const LEAD_NS: u64 = 100_000_000;
/// Longest wait for notes, so that the progress keeps moving.
const TICK_NS: u64 = 100_000_000;

#[derive(Debug, thiserror::Error)]
pub enum ConductError {
    #[error(transparent)]
    Crew(#[from] CrewError),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("the server is gone or cannot be sampled: {0}")]
    Sample(#[from] SampleError),
    #[error("no connection came up: {0}")]
    NoConnection(String),
}

/// Connections brought up, all engines together.
#[derive(Debug)]
pub struct Connected {
    pub established: u32,
    pub attempts: u64,
    pub retries: u64,
    pub elapsed_ns: u64,
    pub latency: Durations,
    pub reasons: BTreeMap<String, u64>,
}

/// A load, all engines together.
#[derive(Debug)]
pub struct Measured {
    pub window_ns: u64,
    pub published: u64,
    pub latency: Durations,
    /// Of what arrived after the last second; contained in `latency`.
    pub tail: Durations,
    pub lateness: Durations,
    pub seconds: Vec<Tally>,
    pub server: Option<ServerUse>,
    pub machine_ns: Option<u64>,
    /// Sums of the engines.
    pub sum: Loaded,
    pub cpu_ns_max: u64,
    pub disconnects: BTreeMap<String, u64>,
    pub error_replies: BTreeMap<String, u64>,
}

/// One second, all engines together, with the server beside it.
#[derive(Debug)]
pub struct Tally {
    pub sent: u64,
    pub received: u64,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub latency: Durations,
    pub server: Option<(CpuTime, u64)>,
}

/// What the server used in the measured part.
#[derive(Clone, Copy, Debug)]
pub struct ServerUse {
    pub cpu: CpuTime,
    pub total_ns: u64,
}

#[derive(Clone, Debug)]
struct Sample {
    cpu: CpuTime,
    threads: Threads,
    machine_ns: Option<u64>,
}

pub struct Conductor {
    crew: Crew,
    pub server: Option<Process>,
    pub progress: Progress,
    counts: Vec<(u32, u64, u64)>,
}

impl Conductor {
    pub fn new(crew: Crew, server: Option<Process>, progress: Progress) -> Self {
        let counts = vec![(0, 0, 0); crew.count()];
        Self { crew, server, progress, counts }
    }

    /// Brings the first `total` connections up.
    pub fn connect(&mut self, total: u32) -> Result<Connected, ConductError> {
        self.progress.stage("connecting", u64::from(total));
        self.crew.order(&Order::Connect { total })?;
        let connected = self.await_connected()?;
        if connected.established == 0 {
            let reason = connected.reasons.iter().max_by_key(|(_, count)| **count);
            let reason = reason.map_or("no reason known".into(), |(reason, _)| reason.clone());
            return Err(ConductError::NoConnection(reason));
        }
        Ok(connected)
    }

    /// Drops all connections and brings them back.
    pub fn storm(&mut self, total: u32) -> Result<Connected, ConductError> {
        self.progress.stage("reconnecting", u64::from(total));
        self.crew.order(&Order::Storm { at_ns: now_ns() + LEAD_NS })?;
        self.await_connected()
    }

    fn await_connected(&mut self) -> Result<Connected, ConductError> {
        let mut sum = Connected {
            established: 0,
            attempts: 0,
            retries: 0,
            elapsed_ns: 0,
            latency: Durations::new(),
            reasons: BTreeMap::new(),
        };
        let mut awaited = self.crew.count();
        while awaited > 0 {
            for (_, note) in self.turn(now_ns() + TICK_NS)? {
                if let Note::Connected(dialled) = note {
                    sum.add(dialled)?;
                    awaited -= 1;
                }
            }
            self.progress.connected(self.counts.iter().map(|(connected, ..)| connected).sum());
        }
        self.progress.connected(sum.established);
        Ok(sum)
    }

    /// Lets time pass with everything connected.
    pub fn hold(&mut self, duration: Duration, what: &str) -> Result<(), ConductError> {
        let end_ns = now_ns() + duration.as_nanos() as u64;
        self.progress.stage(what, duration.as_secs());
        while now_ns() < end_ns {
            self.turn(end_ns.min(now_ns() + TICK_NS))?;
            self.progress.elapsed(end_ns.saturating_sub(now_ns()));
        }
        Ok(())
    }

    /// Sends for `warmup` and then for `duration`, which counts; then waits for what is under way, `drain` at most.
    pub fn load(
        &mut self,
        warmup: Duration,
        duration: Duration,
        drain: Duration,
    ) -> Result<Measured, ConductError> {
        let begin_ns = now_ns() + LEAD_NS;
        let from_ns = begin_ns + warmup.as_nanos() as u64;
        let until_ns = from_ns + duration.as_nanos() as u64;
        self.crew.order(&Order::Load { begin_ns, from_ns, until_ns })?;
        let mut load = LoadState::new(from_ns, until_ns, duration);
        self.progress.stage("warming up", warmup.as_secs());
        self.pass_until(from_ns, &mut load)?;
        let first = self.sample()?;
        self.progress.stage("measuring", duration.as_secs());
        let mut last = first.clone();
        for second in 0..load.tallies.len() {
            let end_ns = (from_ns + (second as u64 + 1) * SECOND_NS).min(until_ns);
            self.pass_until(end_ns, &mut load)?;
            let next = self.sample()?;
            if let (Some(next), Some(last), Some(server)) = (&next, &last, self.server) {
                load.tallies[second].server = Some((next.cpu.since(last.cpu), server.rss()?));
            }
            last = next;
        }
        self.progress.stage("draining", drain.as_secs());
        while load.published_by < self.crew.count() {
            self.pass_until(now_ns() + TICK_NS, &mut load)?;
        }
        let deadline_ns = now_ns() + drain.as_nanos() as u64;
        let published = std::mem::take(&mut load.published);
        let published_count = published.iter().map(|(_, count)| u64::from(*count)).sum();
        self.crew.order(&Order::Settle { published, deadline_ns })?;
        while load.settled_by < self.crew.count() {
            self.pass_until(now_ns() + TICK_NS, &mut load)?;
        }
        Ok(load.measured(published_count, first.as_ref().zip(last.as_ref())))
    }

    /// Closes all connections.
    pub fn finish(mut self) -> Result<(), ConductError> {
        self.progress.stage("closing", 0);
        self.crew.order(&Order::Finish)?;
        let mut awaited = self.crew.count();
        while awaited > 0 {
            let notes = self.turn(now_ns() + TICK_NS)?;
            awaited -= notes.iter().filter(|(_, note)| matches!(note, Note::Finished)).count();
        }
        self.progress.end();
        Ok(())
    }

    fn pass_until(&mut self, until_ns: u64, load: &mut LoadState) -> Result<(), ConductError> {
        loop {
            let now = now_ns();
            if now >= until_ns {
                return Ok(());
            }
            for (_, note) in self.turn(until_ns.min(now + TICK_NS))? {
                load.note(note)?;
            }
            let (sent, received) =
                self.counts.iter().fold((0, 0), |sum, counts| (sum.0 + counts.1, sum.1 + counts.2));
            self.progress.traffic(sent, received, until_ns.saturating_sub(now_ns()));
        }
    }

    /// Notes until `until_ns`; progress is taken out of them.
    fn turn(&mut self, until_ns: u64) -> Result<Vec<(usize, Note)>, ConductError> {
        let mut notes = self.crew.notes(until_ns)?;
        notes.retain(|(worker, note)| {
            let Note::Progress { connected, sent, received } = note else { return true };
            self.counts[*worker] = (*connected, *sent, *received);
            false
        });
        Ok(notes)
    }

    fn sample(&self) -> Result<Option<Sample>, ConductError> {
        let Some(server) = self.server else { return Ok(None) };
        let (cpu, threads) = (server.cpu()?, server.threads()?);
        Ok(Some(Sample { cpu, threads, machine_ns: machine::busy_ns() }))
    }
}

impl Connected {
    fn add(&mut self, dialled: Dialled) -> Result<(), Unreadable> {
        self.established += dialled.connected;
        self.attempts += dialled.attempts;
        self.retries += dialled.retries;
        self.elapsed_ns = self.elapsed_ns.max(dialled.elapsed_ns);
        self.latency.add_bytes(&dialled.latency)?;
        for (reason, count) in dialled.reasons {
            *self.reasons.entry(reason).or_default() += count;
        }
        Ok(())
    }
}

/// What comes together while a load runs.
struct LoadState {
    window_ns: u64,
    tallies: Vec<Tally>,
    /// Arrivals after the last second: latency only.
    tail: Durations,
    published: Vec<(u32, u32)>,
    published_by: usize,
    settled_by: usize,
    lateness: Durations,
    sum: Loaded,
    cpu_ns_max: u64,
    disconnects: BTreeMap<String, u64>,
    error_replies: BTreeMap<String, u64>,
}

impl LoadState {
    fn new(from_ns: u64, until_ns: u64, duration: Duration) -> Self {
        let seconds = duration.as_secs_f64().ceil() as usize;
        let tally = || Tally {
            sent: 0,
            received: 0,
            sent_bytes: 0,
            received_bytes: 0,
            latency: Durations::new(),
            server: None,
        };
        Self {
            window_ns: until_ns - from_ns,
            tallies: (0..seconds).map(|_| tally()).collect(),
            tail: Durations::new(),
            published: Vec::new(),
            published_by: 0,
            settled_by: 0,
            lateness: Durations::new(),
            sum: Loaded::default(),
            cpu_ns_max: 0,
            disconnects: BTreeMap::new(),
            error_replies: BTreeMap::new(),
        }
    }

    fn note(&mut self, note: Note) -> Result<(), Unreadable> {
        match note {
            Note::Second(second) => self.second(&second)?,
            Note::Published(published) => {
                self.published.extend(published);
                self.published_by += 1;
            }
            Note::Settled(loaded) => self.settled(loaded)?,
            Note::Progress { .. } | Note::Connected(_) | Note::Finished | Note::Failed { .. } => {}
        }
        Ok(())
    }

    fn second(&mut self, second: &Second) -> Result<(), Unreadable> {
        let Some(tally) = self.tallies.get_mut(second.index as usize) else {
            return self.tail.add_bytes(&second.latency);
        };
        tally.sent += second.sent;
        tally.received += second.received;
        tally.sent_bytes += second.sent_bytes;
        tally.received_bytes += second.received_bytes;
        tally.latency.add_bytes(&second.latency)
    }

    fn settled(&mut self, loaded: Loaded) -> Result<(), Unreadable> {
        self.settled_by += 1;
        let sum = &mut self.sum;
        sum.expected += loaded.expected;
        sum.delivered += loaded.delivered;
        sum.duplicated += loaded.duplicated;
        sum.reordered += loaded.reordered;
        sum.stray += loaded.stray;
        sum.unsent += loaded.unsent;
        sum.crowded += loaded.crowded;
        sum.received += loaded.received;
        sum.cpu_ns += loaded.cpu_ns;
        self.cpu_ns_max = self.cpu_ns_max.max(loaded.cpu_ns);
        for (reason, count) in loaded.disconnects {
            *self.disconnects.entry(reason).or_default() += count;
        }
        for (reason, count) in loaded.error_replies {
            *self.error_replies.entry(reason).or_default() += count;
        }
        self.lateness.add_bytes(&loaded.lateness)
    }

    fn measured(self, published: u64, ends: Option<(&Sample, &Sample)>) -> Measured {
        let mut latency = self.tail.clone();
        self.tallies.iter().for_each(|tally| latency.add(&tally.latency));
        let machine_ns =
            ends.and_then(|(first, last)| Some(last.machine_ns?.saturating_sub(first.machine_ns?)));
        Measured {
            window_ns: self.window_ns,
            published,
            latency,
            tail: self.tail,
            lateness: self.lateness,
            seconds: self.tallies,
            server: ends.map(|(first, last)| server_use(first, last)),
            machine_ns,
            sum: self.sum,
            cpu_ns_max: self.cpu_ns_max,
            disconnects: self.disconnects,
            error_replies: self.error_replies,
        }
    }
}

/// The threads' own clocks are exact, but miss threads that have ended; the ticks of the process are complete, but each
/// of the two may be one tick off. Whichever shows more than the other could is right.
fn server_use(first: &Sample, last: &Sample) -> ServerUse {
    const TWO_TICKS_NS: u64 = 20_000_000;
    let cpu = last.cpu.since(first.cpu);
    let exact_ns = last.threads.since(&first.threads);
    ServerUse { cpu, total_ns: exact_ns.max(cpu.total_ns().saturating_sub(TWO_TICKS_NS)) }
}

pub fn now_ns() -> u64 {
    clock::now().as_nanos()
}
