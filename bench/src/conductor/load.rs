//! What comes together while a load runs: the notes of all engines, summed up second by second, and the server beside them.

use crate::plan::{Loaded, Note, Second};
use crate::record::{Durations, Packed, Unreadable};
use crate::sampler::process::{CpuTime, Threads};
use std::time::Duration;

/// A load, all engines together.
#[derive(Debug, Default)]
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
    pub waiting_ns_max: u64,
}

/// One second, all engines together, with the server beside it.
#[derive(Debug, Default)]
pub struct Tally {
    pub sent: u64,
    pub received: u64,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub latency: Packed,
    pub server: Option<(CpuTime, u64)>,
}

/// What the server used in the measured part.
#[derive(Clone, Copy, Debug)]
pub struct ServerUse {
    pub cpu: CpuTime,
    pub total_ns: u64,
    /// Time that its threads were ready and had no CPU.
    pub waiting_ns: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub cpu: CpuTime,
    pub threads: Threads,
    pub machine_ns: Option<u64>,
}

/// What comes together while a load runs.
pub(super) struct LoadState {
    window_ns: u64,
    pub tallies: Vec<Tally>,
    /// Arrivals after the last second: latency only.
    tail: Durations,
    pub published: Vec<(u32, u32)>,
    /// Engines that have said what they sent, and those that have settled.
    pub published_by: usize,
    pub settled_by: usize,
    lateness: Durations,
    sum: Loaded,
    cpu_ns_max: u64,
    waiting_ns_max: u64,
}

impl LoadState {
    pub fn new(from_ns: u64, until_ns: u64, duration: Duration) -> Self {
        let seconds = duration.as_secs_f64().ceil() as usize;
        Self {
            window_ns: until_ns - from_ns,
            tallies: (0..seconds).map(|_| Tally::default()).collect(),
            tail: Durations::new(),
            published: Vec::new(),
            published_by: 0,
            settled_by: 0,
            lateness: Durations::new(),
            sum: Loaded::default(),
            cpu_ns_max: 0,
            waiting_ns_max: 0,
        }
    }

    pub fn note(&mut self, note: Note) -> Result<(), Unreadable> {
        match note {
            Note::Second(second) => self.second(second)?,
            Note::Published(published) => {
                self.published.extend(published);
                self.published_by += 1;
            }
            Note::Settled(loaded) => self.settled(&loaded)?,
            Note::Progress { .. } | Note::Connected(_) | Note::Finished(_) | Note::Failed { .. } => {}
        }
        Ok(())
    }

    fn second(&mut self, second: Second) -> Result<(), Unreadable> {
        let Some(tally) = self.tallies.get_mut(second.index as usize) else {
            return self.tail.add_bytes(&second.latency);
        };
        tally.sent += second.sent;
        tally.received += second.received;
        tally.sent_bytes += second.sent_bytes;
        tally.received_bytes += second.received_bytes;
        tally.latency.add(second.latency)
    }

    fn settled(&mut self, loaded: &Loaded) -> Result<(), Unreadable> {
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
        self.waiting_ns_max = self.waiting_ns_max.max(loaded.waiting_ns);
        self.lateness.add_bytes(&loaded.lateness)
    }

    pub fn measured(self, published: u64, ends: Option<(&Sample, &Sample)>) -> Result<Measured, Unreadable> {
        let mut latency = self.tail.clone();
        for tally in &self.tallies {
            latency.add(&tally.latency.open()?);
        }
        let machine_ns =
            ends.and_then(|(first, last)| Some(last.machine_ns?.saturating_sub(first.machine_ns?)));
        Ok(Measured {
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
            waiting_ns_max: self.waiting_ns_max,
        })
    }
}

/// The threads' own clocks are exact, but miss threads that have ended; the ticks of the process are complete, but each
/// of the two may be one tick off. Whichever shows more than the other could is right.
fn server_use(first: &Sample, last: &Sample) -> ServerUse {
    const TWO_TICKS_NS: u64 = 20_000_000;
    let cpu = last.cpu.since(first.cpu);
    let turns = last.threads.since(&first.threads);
    let total_ns = turns.running_ns.max(cpu.total_ns().saturating_sub(TWO_TICKS_NS));
    ServerUse { cpu, total_ns, waiting_ns: turns.waiting_ns }
}
