//! What became of the questions to each back end, for the metrics page.

use super::breaker::State;
use super::roster::Roster;
use crate::control::live::Live;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::histogram::Histogram;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How a question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Ok,
    /// The back end has refused, with an error or by its status.
    Error,
    Disconnect,
    Timeout,
    Unreachable,
    Broken,
    TooLong,
    /// A status without a meaning.
    Status,
    Garbage,
    /// The breaker is open.
    Open,
    /// No turn in time, or too many wait for one.
    Crowded,
}

const ENDINGS: [&str; 11] = [
    "ok",
    "error",
    "disconnect",
    "timeout",
    "unreachable",
    "broken",
    "too_long",
    "status",
    "garbage",
    "breaker_open",
    "crowded",
];

#[derive(Debug)]
pub(super) struct BackendFigures {
    name: Box<str>,
    endings: [AtomicU64; ENDINGS.len()],
    /// Of requests that were sent.
    seconds: Histogram,
    under_way: AtomicU64,
}

#[derive(Debug, Default)]
pub(super) struct EventFigures {
    pub(super) sent: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) retries: AtomicU64,
}

impl BackendFigures {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: Box::from(name),
            endings: Default::default(),
            seconds: Histogram::new(BUCKETS_S),
            under_way: AtomicU64::new(0),
        }
    }

    pub(super) fn count(&self, ending: Ending) {
        self.endings[ending as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn began(&self) {
        self.under_way.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn took(&self, time: Duration) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        self.seconds.observe(time.as_secs_f64());
    }
}

/// From a cache's answer to the longest timeout.
const BUCKETS_S: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.8, 1.5, 4.0];

/// The figures on the metrics page.
#[derive(Debug)]
pub struct HookFigures {
    pub(super) roster: Live<Roster>,
    pub(super) events: Arc<EventFigures>,
}

impl Collector for HookFigures {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let roster = self.roster.get();
        if roster.backends().next().is_none() {
            return Ok(());
        }
        let help = "Questions to back ends by how they ended; endings never seen are left out.";
        let mut family = encoder.encode_descriptor("hooks", help, None, MetricType::Counter)?;
        for backend in roster.backends() {
            let backend = &backend.figures;
            for (ending, count) in ENDINGS.iter().zip(&backend.endings) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    let labels = [("hook", backend.name.as_ref()), ("result", *ending)];
                    family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
                }
            }
        }
        let help = "Time of requests to back ends, in seconds.";
        let mut family = encoder.encode_descriptor("hook_seconds", help, None, MetricType::Histogram)?;
        for backend in roster.backends() {
            let backend = &backend.figures;
            backend.seconds.encode(family.encode_family(&[("hook", backend.name.as_ref())])?)?;
        }
        let help = "Requests to back ends that are under way.";
        let mut family = encoder.encode_descriptor("hook_requests", help, None, MetricType::Gauge)?;
        for backend in roster.backends() {
            let backend = &backend.figures;
            let count = backend.under_way.load(Ordering::Relaxed);
            family.encode_family(&[("hook", backend.name.as_ref())])?.encode_gauge(&count)?;
        }
        let help = "Breaker of a back end: 0 closed, 1 half open, 2 open.";
        let mut family = encoder.encode_descriptor("hook_breaker", help, None, MetricType::Gauge)?;
        for backend in roster.backends() {
            let state: u64 = match backend.state() {
                State::Closed => 0,
                State::HalfOpen => 1,
                State::Open => 2,
            };
            family.encode_family(&[("hook", backend.figures.name.as_ref())])?.encode_gauge(&state)?;
        }
        if roster.events.is_some() { self.encode_events(&mut encoder) } else { Ok(()) }
    }
}

impl HookFigures {
    fn encode_events(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let events = &self.events;
        let figures = [
            ("hook_events_sent", "Events that a back end has taken.", &events.sent),
            (
                "hook_events_dropped",
                "Events that were given up: too many waited, or no attempt succeeded.",
                &events.dropped,
            ),
            ("hook_events_retries", "Attempts of batches after the first.", &events.retries),
        ];
        for (name, help, count) in figures {
            let count = count.load(Ordering::Relaxed);
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            metric.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        Ok(())
    }
}
