//! What the streams of this node have done, for the metrics page.
//! Invariant: `open` goes up and down once a stream; everything else only up.

use super::refusal::Refusal;
use crate::ids::CoreId;
use crate::shard::stream::StreamKind;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug)]
pub(super) struct Figures {
    /// Open streams by core.
    cores: Vec<AtomicU64>,
    open: [AtomicU64; KINDS.len()],
    opened: [AtomicU64; KINDS.len()],
    /// By route, which is a kind or the emulation endpoint.
    refused: [[AtomicU64; Refusal::NAMES.len()]; ROUTES.len()],
    emulated: AtomicU64,
}

/// Where a request went.
#[derive(Clone, Copy, Debug)]
pub(super) enum Route {
    Stream(StreamKind),
    Emulation,
}

impl Figures {
    pub(super) fn new(core_count: usize) -> Self {
        Self {
            cores: (0..core_count).map(|_| AtomicU64::new(0)).collect(),
            open: Default::default(),
            opened: Default::default(),
            refused: Default::default(),
            emulated: AtomicU64::new(0),
        }
    }

    /// Streams that are open on a core.
    pub(super) fn on(&self, core: CoreId) -> u64 {
        self.cores.get(core.index()).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    pub(super) fn count_open(&self, core: CoreId, kind: StreamKind) {
        self.opened[index(kind)].fetch_add(1, Ordering::Relaxed);
        self.open[index(kind)].fetch_add(1, Ordering::Relaxed);
        if let Some(count) = self.cores.get(core.index()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn count_over(&self, core: CoreId, kind: StreamKind) {
        self.open[index(kind)].fetch_sub(1, Ordering::Relaxed);
        if let Some(count) = self.cores.get(core.index()) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(super) fn count_emulated(&self) {
        self.emulated.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_refused(&self, route: Route, refusal: Refusal) {
        let route = match route {
            Route::Stream(kind) => index(kind),
            Route::Emulation => KINDS.len(),
        };
        self.refused[route][refusal.index()].fetch_add(1, Ordering::Relaxed);
    }
}

const fn index(kind: StreamKind) -> usize {
    match kind {
        StreamKind::HttpStream => 0,
        StreamKind::Sse => 1,
        StreamKind::UniHttpStream => 2,
        StreamKind::UniSse => 3,
    }
}

/// By `index`.
const KINDS: [&str; 4] = ["http_stream", "sse", "uni_http_stream", "uni_sse"];
const ROUTES: [&str; 5] = ["http_stream", "sse", "uni_http_stream", "uni_sse", "emulation"];

/// The figures on the metrics page.
#[derive(Debug)]
pub struct StreamFigures(pub(super) Arc<Figures>);

impl Collector for StreamFigures {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let figures = &self.0;
        let help = "HTTP streams and event streams that are open.";
        let mut family = encoder.encode_descriptor("streams", help, None, MetricType::Gauge)?;
        for (kind, count) in KINDS.iter().zip(&figures.open) {
            family.encode_family(&[("kind", *kind)])?.encode_gauge(&count.load(Ordering::Relaxed))?;
        }
        let help = "HTTP streams and event streams that a core was given.";
        let mut family = encoder.encode_descriptor("streams_opened", help, None, MetricType::Counter)?;
        for (kind, count) in KINDS.iter().zip(&figures.opened) {
            let count = count.load(Ordering::Relaxed);
            family.encode_family(&[("kind", *kind)])?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        let help = "Requests of streams and of the emulation endpoint that were refused; reasons never seen are left out.";
        let mut family = encoder.encode_descriptor("streams_refused", help, None, MetricType::Counter)?;
        for (kind, counts) in ROUTES.iter().zip(&figures.refused) {
            for (reason, count) in Refusal::NAMES.iter().zip(counts) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    let labels = [("kind", *kind), ("reason", *reason)];
                    family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
                }
            }
        }
        let help = "Requests of the emulation endpoint that a core was given.";
        let count = figures.emulated.load(Ordering::Relaxed);
        encoder
            .encode_descriptor("emulation_requests", help, None, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, u64>(&count, None)
    }
}
