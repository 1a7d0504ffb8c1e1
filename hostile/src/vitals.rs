//! What an attack leaves behind in the server: its figures, its descriptors, its memory.
//! Each part is looked at only if it is told where to look.

use crate::clock;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

#[derive(Clone, Debug, Default)]
pub struct Vitals {
    /// Host and port of Ringway's metrics, without `http://` and path.
    metrics: Option<String>,
    path: String,
    pid: Option<u32>,
    connections: u64,
    panics: u64,
    descriptors: usize,
}

impl Vitals {
    /// Takes the baseline: only the canary is connected.
    pub fn new(metrics: Option<&str>, pid: Option<u32>) -> Result<Self, String> {
        let rest = metrics
            .map(|url| url.strip_prefix("http://").ok_or(format!("{url:?} does not begin with http://")));
        let rest = rest.transpose()?.map(|rest| rest.split_once('/').unwrap_or((rest, "metrics")));
        let mut vitals = Self {
            metrics: rest.map(|(host, _)| host.to_owned()),
            path: rest.map_or(String::new(), |(_, path)| path.to_owned()),
            pid,
            ..Self::default()
        };
        if vitals.metrics.is_some() || pid.is_some() {
            // The page opens what it opens lazily, and figures are published a few times a second.
            vitals.page()?;
            clock::pause(SETTLES);
        }
        if vitals.metrics.is_some() {
            vitals.connections = vitals.figure("connections")?;
            vitals.panics = vitals.figure("panics_total")?;
        }
        if let Some(pid) = pid {
            vitals.descriptors = descriptor_count(pid)?;
        }
        Ok(vitals)
    }

    /// A figure of Ringway over all its cores and labels.
    pub fn figure(&self, name: &str) -> Result<u64, String> {
        let page = self.page()?;
        let full = format!("ringway_{name}");
        let values = page.lines().filter_map(|line| {
            let rest = line.strip_prefix(&full)?;
            if !rest.starts_with(['{', ' ']) {
                return None;
            }
            rest.rsplit(' ').next()?.parse::<u64>().ok()
        });
        let values: Vec<u64> = values.collect();
        if values.is_empty() {
            Err(format!("no figure {full} on the metrics page"))
        } else {
            Ok(values.iter().sum())
        }
    }

    /// The values of counters before a row; none without a page.
    pub fn counters(&self, names: &[String]) -> Result<Vec<u64>, String> {
        if self.metrics.is_none() {
            return Ok(Vec::new());
        }
        names.iter().map(|name| self.figure(name)).collect()
    }

    /// Waits until every counter has moved, and connections and descriptors are where they were.
    pub fn settle(&self, names: &[String], before: &[u64], patience: Duration) -> Result<(), String> {
        let deadline = clock::now() + patience;
        loop {
            let Some(complaint) = self.complaint(names, before)? else { return Ok(()) };
            if clock::left(deadline).is_none() {
                return Err(complaint);
            }
            clock::pause(LOOKS);
        }
    }

    fn complaint(&self, names: &[String], before: &[u64]) -> Result<Option<String>, String> {
        if self.metrics.is_some() {
            for (name, before) in names.iter().zip(before) {
                if self.figure(name)? <= *before {
                    return Ok(Some(format!("{name} did not move")));
                }
            }
            let connections = self.figure("connections")?;
            if connections > self.connections {
                return Ok(Some(format!(
                    "{connections} connections stay, {} were there before",
                    self.connections
                )));
            }
            if self.figure("panics_total")? > self.panics {
                return Ok(Some("the bytes tripped an assertion of the server (panics_total)".into()));
            }
        }
        if let Some(pid) = self.pid {
            let count = descriptor_count(pid)?;
            if count > self.descriptors {
                return Ok(Some(format!("{count} descriptors stay open, {} were before", self.descriptors)));
            }
        }
        Ok(None)
    }

    fn page(&self) -> Result<String, String> {
        let Some(host) = &self.metrics else { return Ok(String::new()) };
        let gone = |error: std::io::Error| format!("the metrics page does not answer: {error}");
        let mut stream = TcpStream::connect(host).map_err(gone)?;
        stream.set_read_timeout(Some(PAGE_PATIENCE)).map_err(gone)?;
        let head = format!("GET /{} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n", self.path);
        stream.write_all(head.as_bytes()).map_err(gone)?;
        let mut page = String::new();
        stream.read_to_string(&mut page).map_err(gone)?;
        Ok(page)
    }

    /// Runs something and gives the most by which resident memory grew meanwhile; none without a process id.
    pub fn growth<T>(&self, work: impl FnOnce() -> T) -> (T, Option<u64>) {
        let Some(pid) = self.pid else { return (work(), None) };
        let before = resident_bytes(pid);
        let (over, peak) = (AtomicBool::new(false), AtomicU64::new(before));
        let result = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    peak.fetch_max(resident_bytes(pid), Ordering::Relaxed);
                    clock::pause(LOOKS);
                }
            });
            let result = work();
            peak.fetch_max(resident_bytes(pid), Ordering::Relaxed);
            over.store(true, Ordering::Relaxed);
            result
        });
        (result, Some(peak.load(Ordering::Relaxed).saturating_sub(before)))
    }
}

fn descriptor_count(pid: u32) -> Result<usize, String> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd"));
    entries.map(Iterator::count).map_err(|error| format!("process {pid}: {error}"))
}

/// Zero once the process has gone: the canary says so better.
fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}

const LOOKS: Duration = Duration::from_millis(20);
const SETTLES: Duration = Duration::from_secs(1);
const PAGE_PATIENCE: Duration = Duration::from_secs(20);
