//! One run from the conductor's side: gives the orders, collects the notes, samples the server at the right moments.
//!
//! Invariant: the measured part begins and ends at times that were fixed before it began, for all engines and for the
//! samples of the server alike. Knows no scenario: those call its stages in their order.

mod load;

pub use load::{Measured, Tally};

use crate::crew::{Crew, CrewError};
use crate::plan::{Dialled, Ending, Note, Order};
use crate::progress::Progress;
use crate::record::{Durations, Unreadable};
use crate::sampler::SampleError;
use crate::sampler::machine;
use crate::sampler::process::Process;
use load::{LoadState, Sample};
use ringway::sys::clock;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const SECOND_NS: u64 = 1_000_000_000;
/// From an order to its start: time for the slowest engine to read it.
const LEAD_NS: u64 = 100_000_000;
/// Longest wait for notes, so that the progress keeps moving.
const TICK_NS: u64 = 100_000_000;
/// For somebody to end the server and to start it again.
const RESTART_MAX: Duration = Duration::from_mins(1);
/// Between two looks whether it is there, and for one of them.
const PROBE_NS: u64 = 5_000_000;
const PROBE_MAX: Duration = Duration::from_millis(500);

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
    #[error("the server was not ended and started again within {0:?}")]
    NoRestart(Duration),
}

/// Connections brought up, all engines together.
#[derive(Debug)]
pub struct Connected {
    pub established: u32,
    pub given_up: u32,
    pub attempts: u64,
    pub retries: u64,
    pub elapsed_ns: u64,
    pub latency: Durations,
    /// Attempts that the kernel of this machine dropped because an accept queue was full.
    pub dropped: Option<u64>,
    pub reasons: BTreeMap<String, u64>,
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
        self.progress.connecting("connecting", total);
        self.crew.order(&Order::Connect { total })?;
        let connected = self.await_connected()?;
        if connected.established == 0 && connected.given_up > 0 {
            let reason = connected.reasons.iter().max_by_key(|(_, count)| **count);
            let reason = reason.map_or("no reason known".into(), |(reason, _)| reason.clone());
            return Err(ConductError::NoConnection(reason));
        }
        Ok(connected)
    }

    /// Drops all connections and brings them back.
    pub fn storm(&mut self, total: u32) -> Result<Connected, ConductError> {
        self.progress.connecting("reconnecting", total);
        self.crew.order(&Order::Storm { at_ns: now_ns() + LEAD_NS })?;
        self.await_connected()
    }

    /// Until the `total` connections are gone, and then until somebody listens there. For how long nobody did does not
    /// matter: on a busy machine a server may be back before we have looked.
    pub fn await_restart(&mut self, total: u32, address: SocketAddr) -> Result<(), ConductError> {
        self.progress.timed("waiting for a restart", RESTART_MAX);
        let end_ns = now_ns() + RESTART_MAX.as_nanos() as u64;
        let connected =
            |counts: &[(u32, u64, u64)]| counts.iter().map(|(connected, ..)| connected).sum::<u32>();
        while connected(&self.counts) > total / 2 || TcpStream::connect_timeout(&address, PROBE_MAX).is_err()
        {
            if now_ns() > end_ns {
                return Err(ConductError::NoRestart(RESTART_MAX));
            }
            self.turn(now_ns() + PROBE_NS)?;
            self.progress.elapsed();
        }
        Ok(())
    }

    fn await_connected(&mut self) -> Result<Connected, ConductError> {
        let mut sum = Connected {
            established: 0,
            given_up: 0,
            attempts: 0,
            retries: 0,
            elapsed_ns: 0,
            latency: Durations::new(),
            dropped: None,
            reasons: BTreeMap::new(),
        };
        let dropped = machine::accept_drops();
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
        sum.dropped =
            machine::accept_drops().zip(dropped).map(|(after, before)| after.saturating_sub(before));
        Ok(sum)
    }

    /// Lets time pass with everything connected.
    pub fn hold(&mut self, duration: Duration, what: &str) -> Result<(), ConductError> {
        let end_ns = now_ns() + duration.as_nanos() as u64;
        self.progress.timed(what, duration);
        while now_ns() < end_ns {
            self.turn(end_ns.min(now_ns() + TICK_NS))?;
            self.progress.elapsed();
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
        self.progress.timed("warming up", warmup);
        self.pass_until(from_ns, &mut load)?;
        let first = self.sample()?;
        self.progress.timed("measuring", duration);
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
        self.progress.timed("draining", drain);
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
        Ok(load.measured(published_count, first.as_ref().zip(last.as_ref()))?)
    }

    /// Closes all connections. Gives what went wrong with them before.
    pub fn finish(mut self) -> Result<Ending, ConductError> {
        self.progress.timed("closing", Duration::ZERO);
        self.crew.order(&Order::Finish)?;
        let mut sum = Ending::default();
        let mut awaited = self.crew.count();
        while awaited > 0 {
            for (_, note) in self.turn(now_ns() + TICK_NS)? {
                if let Note::Finished(ending) = note {
                    sum.disconnects.extend(ending.disconnects);
                    sum.error_replies.extend(ending.error_replies);
                    awaited -= 1;
                }
            }
        }
        Ok(sum)
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
            self.progress.traffic(sent, received);
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
        self.given_up += dialled.given_up;
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

pub fn now_ns() -> u64 {
    clock::now().as_nanos()
}
