//! The figures of a server, from its metrics page and from the kernel.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// One scrape.
#[derive(Debug)]
pub struct Metrics(String);

impl Metrics {
    pub fn scrape(internal: SocketAddr) -> Self {
        let page = get(internal, "/metrics");
        assert!(page.starts_with("HTTP/1.1 200"), "{page}");
        Self(page)
    }

    /// A figure of `stats::FIGURES` by its name on the page, without prefix, over all cores.
    #[track_caller]
    pub fn figure(&self, name: &str) -> u64 {
        let values = self.values(&format!("ringway_{name}{{"));
        assert!(!values.is_empty(), "no figure ringway_{name}");
        values.iter().sum()
    }

    /// The same of one core.
    #[track_caller]
    pub fn of_core(&self, name: &str, core: usize) -> u64 {
        let values = self.values(&format!("ringway_{name}{{core=\"{core}\""));
        assert_eq!(values.len(), 1, "ringway_{name} of core {core}");
        values[0]
    }

    /// A figure of the node with all of its labels, without prefix.
    #[track_caller]
    pub fn labelled(&self, name: &str) -> u64 {
        let values = self.values(&format!("ringway_{name} "));
        assert_eq!(values.len(), 1, "ringway_{name}");
        values[0]
    }

    /// The same for one that may not have been seen yet.
    pub fn seen(&self, name: &str) -> u64 {
        self.values(&format!("ringway_{name} ")).iter().sum()
    }

    /// The page as it is.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Connections closed with this code.
    pub fn closes(&self, code: u16) -> u64 {
        self.values(&format!("ringway_closes_total{{code=\"{code}\"")).iter().sum()
    }

    fn values(&self, start: &str) -> Vec<u64> {
        let lines = self.0.lines().filter(|line| line.starts_with(start));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect()
    }
}

/// The answer of the internal port, head and body.
pub fn get(internal: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(internal).expect("the internal port listens");
    stream.set_read_timeout(Some(super::wait::PATIENCE)).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("the internal port answers");
    page
}

/// Descriptors that a process holds.
pub fn descriptor_count(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// Resident memory of a process.
pub fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// CPU time of all threads of a process in nanoseconds.
pub fn cpu_ns(pid: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let times = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("schedstat")).ok());
    times.map(|times| times.split(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// How often the threads of a process have run so far, by thread: a thread that sleeps on is not switched to.
pub fn switch_counts(pid: u32) -> BTreeMap<String, u64> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(Result::unwrap);
    let counts = threads.map(|thread| {
        let status = fs::read_to_string(thread.path().join("status")).unwrap();
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
        let count = |name: &str| field(name).parse::<u64>().unwrap();
        let id = thread.file_name().into_string().unwrap();
        let switches = count("voluntary_ctxt_switches:") + count("nonvoluntary_ctxt_switches:");
        (format!("{} {id}", field("Name:")), switches)
    });
    counts.collect()
}
