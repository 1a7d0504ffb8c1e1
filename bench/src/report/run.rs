//! `run.json`: everything that a run found out. `results/README.md` documents every field; a test holds the two together.
//!
//! Units stand in the names: `_s` seconds, `_ns` nanoseconds, `_us` microseconds, `_bytes`. A figure for which there were
//! too few samples, or that was not asked for, is null.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub const SCHEMA: &str = "ringway-bench/run";
/// Raised when a field changes its meaning or goes; new fields do not raise it.
pub const VERSION: u32 = 1;

#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct Run {
    pub schema: String,
    pub version: u32,
    pub id: String,
    pub label: String,
    pub started: String,
    pub started_ms: u64,
    pub command: Vec<String>,
    pub setup: Setup,
    pub environment: Environment,
    pub connect: Connect,
    pub storm: Option<Storm>,
    pub load: Option<Load>,
    pub latency: Option<Latency>,
    pub delivery: Option<Delivery>,
    pub failures: Failures,
    pub server: Option<Server>,
    pub memory: Option<MemoryReport>,
    pub generator: Generator,
    pub series: Vec<Point>,
    pub verdict: Verdict,
}

/// What was asked for.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct Setup {
    pub scenario: String,
    pub protocol: String,
    /// `none`, `single` or `takeover`; runs of earlier versions do not say.
    #[serde(default)]
    pub compression: String,
    pub url: String,
    pub connections: u32,
    pub groups: u32,
    pub members: u32,
    pub publishers: u32,
    pub size_bytes: u32,
    pub binary: bool,
    /// `silent`, `closed` or `open`.
    pub pace: String,
    pub pipeline: Option<u32>,
    /// Messages per second of each publisher.
    pub rate_per_publisher: Option<f64>,
    pub warmup_s: f64,
    pub duration_s: f64,
    pub connect_rate: u32,
    pub server_pid: Option<u32>,
    pub seed: u64,
}

#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct Environment {
    pub bench_version: String,
    pub git_commit: Option<String>,
    pub git_dirty: Option<bool>,
    pub kernel: String,
    pub cpu_model: Option<String>,
    pub cores_online: u32,
    pub memory_bytes: Option<u64>,
    pub governor: Option<String>,
    pub descriptor_limit: u64,
    /// Settings of the kernel that matter here, by their sysctl names.
    pub tuning: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct Connect {
    pub established: u32,
    pub attempts: u64,
    pub retries: u64,
    pub elapsed_s: f64,
    pub rate_per_s: f64,
    pub latency: Option<Latency>,
    /// Attempts that the kernel of this machine dropped because an accept queue was full.
    pub dropped: Option<u64>,
    pub reasons: BTreeMap<String, u64>,
}

#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct Storm {
    pub back: u32,
    pub all_back_s: Option<f64>,
    pub retries: u64,
    /// From the storm, not from the attempt.
    pub latency: Option<Latency>,
    pub dropped: Option<u64>,
    pub reasons: BTreeMap<String, u64>,
}

/// Rates over the measured part.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct Load {
    pub sent: u64,
    pub received: u64,
    pub sent_per_s: f64,
    pub received_per_s: f64,
    pub sent_bytes: u64,
    pub received_bytes: u64,
}

#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct Latency {
    pub count: u64,
    pub min_ns: Option<u64>,
    pub mean_ns: Option<f64>,
    pub p50_ns: Option<u64>,
    pub p75_ns: Option<u64>,
    pub p90_ns: Option<u64>,
    pub p95_ns: Option<u64>,
    pub p99_ns: Option<u64>,
    pub p999_ns: Option<u64>,
    pub p9999_ns: Option<u64>,
    pub max_ns: Option<u64>,
    /// Quantile and value in nanoseconds, for plots.
    pub spectrum: Vec<(f64, u64)>,
}

/// The proof, over the whole run.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct Delivery {
    pub published: u64,
    pub expected: u64,
    pub delivered: u64,
    pub lost: u64,
    pub duplicated: u64,
    pub reordered: u64,
    pub stray: u64,
    pub unsent: u64,
}

#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct Failures {
    pub never_connected: u32,
    pub disconnects: BTreeMap<String, u64>,
    pub error_replies: BTreeMap<String, u64>,
}

/// CPU of the server's process in the measured part.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct Server {
    pub pid: u32,
    pub window_s: f64,
    pub cpu_user_s: f64,
    pub cpu_system_s: f64,
    /// 1 is one core.
    pub cpu_cores: f64,
    /// Per delivery to a client.
    pub cpu_per_delivery_us: Option<f64>,
    pub cpu_user_per_delivery_us: Option<f64>,
    pub cpu_system_per_delivery_us: Option<f64>,
    /// Per message that a client sent.
    pub cpu_per_message_us: Option<f64>,
    /// Time that its threads were ready to run while others had the CPU, over the window.
    pub waiting_share: f64,
    /// The whole machine, generator included.
    pub machine_cpu_cores: Option<f64>,
}

#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct MemoryReport {
    pub steps: Vec<MemoryStep>,
    /// Memory did not grow with the connections: the server had room left over from earlier ones.
    pub warm: bool,
    /// Slopes from the first to the last step of the ramp.
    pub rss_per_connection_bytes: Option<f64>,
    pub pss_per_connection_bytes: Option<f64>,
    pub private_per_connection_bytes: Option<f64>,
    pub slab_per_connection_bytes: Option<f64>,
    pub slab_unreclaimable_per_connection_bytes: Option<f64>,
    /// The same from the first step to the one after the burst.
    pub rss_per_connection_after_burst_bytes: Option<f64>,
    pub private_per_connection_after_burst_bytes: Option<f64>,
}

#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct MemoryStep {
    /// `baseline`, `connected`, `after-load` or `after-burst`.
    pub name: String,
    pub connections: u32,
    pub rss_bytes: u64,
    pub pss_bytes: u64,
    pub private_bytes: u64,
    pub slab_bytes: Option<u64>,
    pub slab_unreclaimable_bytes: Option<u64>,
    /// CPU of the server while this step was held.
    pub idle_cpu_cores: Option<f64>,
}

#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct Generator {
    pub processes: u32,
    pub cores: Vec<Option<u32>>,
    pub sources: u32,
    /// Of the busiest process; 1 is one core.
    pub cpu_cores_max: Option<f64>,
    pub cpu_per_delivery_us: Option<f64>,
    /// Time that a process was ready to run while others had the CPU, over the window; of the one that waited longest.
    pub waiting_share: Option<f64>,
    /// How late sends left.
    pub lateness: Option<Latency>,
    /// Share of deliveries that were read from a full batch of events.
    pub crowded_share: Option<f64>,
    /// Why the figures may show the generator rather than the server.
    pub warnings: Vec<String>,
}

/// One second of the measured part.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct Point {
    pub second: u32,
    pub sent: u64,
    pub received: u64,
    pub p50_ns: Option<u64>,
    pub p99_ns: Option<u64>,
    pub max_ns: Option<u64>,
    pub server_cpu_user_cores: Option<f64>,
    pub server_cpu_system_cores: Option<f64>,
    pub server_rss_bytes: Option<u64>,
}

#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct Verdict {
    pub ok: bool,
    pub reasons: Vec<String>,
}

#[cfg(test)]
mod tests {
    use crate::report::sample;
    use serde_json::Value;
    use std::collections::BTreeSet;

    const README: &str = include_str!("../../../results/README.md");
    /// Fields whose value is a latency object; it is described once.
    const LATENCIES: [&str; 3] = ["connect.latency", "storm.latency", "generator.lateness"];
    /// Fields whose keys are free.
    const MAPS: [&str; 5] = [
        "connect.reasons",
        "environment.tuning",
        "failures.disconnects",
        "failures.error_replies",
        "storm.reasons",
    ];

    fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
        if LATENCIES.contains(&path) {
            assert!(value["p99_ns"].is_u64(), "{path} is described as a latency object");
            found.insert(path.to_owned());
            return;
        }
        match value {
            Value::Object(fields) if MAPS.contains(&path) => {
                assert!(!fields.is_empty(), "the sample says nothing about {path}");
                found.insert(format!("{path}.*"));
            }
            Value::Object(fields) => {
                for (name, value) in fields {
                    let dot = if path.is_empty() { "" } else { "." };
                    paths(value, &format!("{path}{dot}{name}"), found);
                }
            }
            Value::Array(values) if values.first().is_some_and(Value::is_object) => {
                paths(&values[0], &format!("{path}[]"), found);
            }
            Value::Array(_) => {
                found.insert(format!("{path}[]"));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                found.insert(path.to_owned());
            }
        }
    }

    #[test]
    fn the_readme_describes_every_field_and_no_other() {
        let mut written = BTreeSet::new();
        paths(&serde_json::to_value(sample::run()).unwrap(), "", &mut written);
        let (_, schema) = README.split_once("## run.json").unwrap();
        let rows = schema.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
        let described: BTreeSet<String> = rows.map(|(field, _)| field.to_owned()).collect();
        let missing: Vec<_> = written.difference(&described).collect();
        let gone: Vec<_> = described.difference(&written).collect();
        assert!(missing.is_empty() && gone.is_empty(), "not described: {missing:?}; not written: {gone:?}");
    }

    #[test]
    fn a_run_survives_its_file() {
        let value = serde_json::to_value(sample::run()).unwrap();
        let read: super::Run = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), value);
    }
}
