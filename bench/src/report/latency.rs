//! From a histogram to the figures of a report.

use super::run::Latency;
use crate::record::Durations;

impl Latency {
    /// `None` without samples.
    pub fn of(durations: &Durations) -> Option<Self> {
        durations.max().map(|max| Self {
            count: durations.count(),
            min_ns: durations.min(),
            mean_ns: durations.mean(),
            p50_ns: durations.quantile(0.50),
            p75_ns: durations.quantile(0.75),
            p90_ns: durations.quantile(0.90),
            p95_ns: durations.quantile(0.95),
            p99_ns: durations.quantile(0.99),
            p999_ns: durations.quantile(0.999),
            p9999_ns: durations.quantile(0.999_9),
            max_ns: Some(max),
            spectrum: durations.spectrum(),
        })
    }
}
