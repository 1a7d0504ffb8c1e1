//! Reading the configuration again while the node runs: on SIGHUP, or when the server API asks for it.
//!
//! Invariant: a configuration is taken whole or not at all. One that is refused is loud, in the log and in the metrics,
//! and changes nothing: the node stays ready with what it has.

use crate::sys::{clock, journal};
use crate::time::Moment;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Options that have another value from now on.
    pub changed: Vec<String>,
    /// Options whose new value waits for the next start.
    pub pending: Vec<&'static str>,
    pub warnings: Vec<String>,
}

/// Reads, checks and puts in force; in the error each line is one mistake.
pub type Source = dyn Fn() -> Result<Report, Vec<String>> + Send + Sync;

pub struct Reload {
    source: Box<Source>,
    /// Held during a reload, so that the last one read is the last one in force. The time of the last success.
    succeeded: Mutex<Moment>,
    accepted: AtomicU64,
    refused: AtomicU64,
}

impl Reload {
    pub fn new(source: Box<Source>) -> Arc<Self> {
        Arc::new(Self {
            source,
            succeeded: Mutex::new(clock::now()),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        })
    }

    /// Reads files, so not on a thread that has something to wait for: see `spawn`.
    pub fn run(&self) -> Result<Report, Vec<String>> {
        let mut succeeded = self.succeeded.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = (self.source)();
        match &outcome {
            Ok(report) => {
                self.accepted.fetch_add(1, Ordering::Relaxed);
                *succeeded = clock::now();
                tell(report);
            }
            Err(problems) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                for problem in problems {
                    say(problem);
                }
                say("the new configuration is REFUSED for what stands above; the old one stays in force");
            }
        }
        outcome
    }

    /// On a thread for such things. None: it panicked, which its hook has reported.
    pub async fn spawn(self: Arc<Self>) -> Option<Result<Report, Vec<String>>> {
        tokio::task::spawn_blocking(move || self.run()).await.ok()
    }
}

fn tell(report: &Report) {
    let changed =
        if report.changed.is_empty() { "nothing changed".to_owned() } else { report.changed.join(", ") };
    say(&format!("configuration reloaded: {changed}"));
    if !report.pending.is_empty() {
        say(&format!("these take effect with the next start: {}", report.pending.join(", ")));
    }
    for warning in &report.warnings {
        say(&format!("warning: {warning}"));
    }
}

fn say(line: &str) {
    journal::tell(format!("ringway: {line}"));
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reload").field("accepted", &self.accepted).finish_non_exhaustive()
    }
}

/// For the metrics page.
#[derive(Debug)]
pub(super) struct ReloadFigures(pub Option<Arc<Reload>>);

impl Collector for ReloadFigures {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Some(reload) = &self.0 else { return Ok(()) };
        let help = "Reloads of the configuration, by result.";
        let mut family = encoder.encode_descriptor("config_reload", help, None, MetricType::Counter)?;
        for (result, count) in [("accepted", &reload.accepted), ("refused", &reload.refused)] {
            let count = count.load(Ordering::Relaxed);
            let labels = [("result", result)];
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        // A reload that is under way answers the next scrape.
        if let Ok(succeeded) = reload.succeeded.try_lock() {
            let age = clock::now().since(*succeeded).as_secs_f64();
            let help = "Time since the configuration in force was read.";
            encoder
                .encode_descriptor("config_age_seconds", help, None, MetricType::Gauge)?
                .encode_gauge(&age)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_counted_and_handed_on() {
        let turns = AtomicU64::new(0);
        let reload = Reload::new(Box::new(move || match turns.fetch_add(1, Ordering::Relaxed) {
            0 => Ok(Report { changed: vec!["a".to_owned()], ..Report::default() }),
            _ => Err(vec!["wrong".to_owned()]),
        }));
        assert_eq!(reload.run().unwrap().changed, ["a"]);
        assert_eq!(reload.run().unwrap_err(), ["wrong"]);
        let mut registry = prometheus_client::registry::Registry::default();
        registry.register_collector(Box::new(ReloadFigures(Some(reload))));
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &registry).unwrap();
        assert!(page.contains("config_reload_total{result=\"accepted\"} 1\n"), "{page}");
        assert!(page.contains("config_reload_total{result=\"refused\"} 1\n"), "{page}");
        assert!(page.contains("config_age_seconds 0."), "{page}");
    }
}
