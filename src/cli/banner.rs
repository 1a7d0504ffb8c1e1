//! What the server says once it listens: where, on what, how far it reaches, and what to worry about.
//! Invariant: a pure function of its facts, so that a test can hold it to the letter.

use super::paint::Paint;
use crate::config::{Warning, show_cores};
use crate::limits::reserved_descriptors;
use crate::server::Choice;
use crate::sys::probe::{RingFeatures, kernel_release};
use crate::sys::rlimit::Limit;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

#[derive(Debug)]
pub struct BannerFacts<'a> {
    /// As bound: never port 0.
    pub public: SocketAddr,
    pub internal: SocketAddr,
    pub cores: &'a [usize],
    pub choice: &'a Choice,
    pub descriptors: Limit,
    pub tls: bool,
    pub echo: bool,
    pub pages: bool,
    pub warnings: &'a [Warning],
    pub paint: Paint,
}

/// Several lines, each with its newline.
pub fn banner(facts: &BannerFacts<'_>) -> String {
    let public = url_host(facts.public);
    let internal = url_host(facts.internal);
    let title = format!("Ringway {} on Linux {}", env!("CARGO_PKG_VERSION"), kernel(facts.choice));
    let (ws, http) = if facts.tls { ("wss", "https") } else { ("ws", "http") };
    let mut lines = vec![("clients", format!("{ws}://{public}/connection/websocket"))];
    if facts.pages {
        lines.push(("page", format!("{http}://{public}/")));
    }
    if facts.echo {
        lines.push(("echo", format!("{ws}://{public}/echo")));
    }
    lines.push(("internal", format!("http://{internal}/metrics, /livez, /readyz")));
    lines.push(("listening", format!("{} for clients, {} internal", facts.public, facts.internal)));
    lines.push(("cores", cores(facts.cores)));
    lines.push(match facts.choice {
        Choice::Uring(features) => ("io_uring", ring(features)),
        Choice::Epoll => ("epoll", "as configured".to_owned()),
        Choice::Fallback(_) => ("epoll", "because io_uring is refused, see below".to_owned()),
    });
    lines.push(("descriptors", descriptors(facts.descriptors, facts.cores.len())));

    let mut text = format!("{}\n", facts.paint.strong(&title));
    for (name, value) in lines {
        let _ = writeln!(text, "  {name:<12} {value}");
    }
    for warning in facts.warnings {
        let line = format!("warning: {warning}");
        let line = if warning.is_grave() { facts.paint.doubtful(&line) } else { line };
        let _ = writeln!(text, "{line}");
    }
    if let Choice::Fallback(refusal) = facts.choice {
        let line =
            format!("warning: NO IO_URING, the epoll driver serves instead: {refusal}; {}", refusal.fix());
        let _ = writeln!(text, "{}", facts.paint.doubtful(&line));
    }
    text
}

fn kernel(choice: &Choice) -> String {
    match choice {
        Choice::Uring(features) => features.kernel.clone(),
        Choice::Epoll | Choice::Fallback(_) => kernel_release(),
    }
}

/// An address that a browser on this machine can use.
fn url_host(address: SocketAddr) -> String {
    let everywhere = match address.ip() {
        IpAddr::V4(ip) => ip.is_unspecified() || ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_unspecified(),
    };
    if everywhere { format!("localhost:{}", address.port()) } else { address.to_string() }
}

fn cores(cores: &[usize]) -> String {
    let plural = if cores.len() == 1 { "CPU" } else { "CPUs" };
    format!("{} ({plural} {})", cores.len(), show_cores(cores))
}

fn ring(features: &RingFeatures) -> String {
    let names = [
        (features.defer_taskrun, "defer_taskrun"),
        (features.coop_taskrun && !features.defer_taskrun, "coop_taskrun"),
        (features.single_issuer, "single_issuer"),
        (features.registered_ring_fd, "registered ring"),
        (features.buffer_ring, "buffer ring"),
        (features.multishot_accept && features.multishot_recv, "multishot"),
    ];
    names.iter().filter(|(has, _)| *has).map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}

fn descriptors(limit: Limit, cores: usize) -> String {
    if limit.soft == u64::MAX {
        return "unlimited".to_owned();
    }
    let connections = limit.soft.saturating_sub(reserved_descriptors(cores));
    format!("{}, enough for {connections} connections", limit.soft)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fatal::Fatal;
    use crate::sys::probe::Refusal;

    fn features() -> RingFeatures {
        RingFeatures {
            kernel: "6.18.1".to_owned(),
            defer_taskrun: true,
            coop_taskrun: true,
            single_issuer: true,
            submit_all: true,
            no_sqarray: true,
            registered_ring_fd: true,
            buffer_ring: true,
            multishot_accept: true,
            multishot_recv: true,
            multishot_poll: true,
        }
    }

    #[test]
    fn a_development_server_says_all_of_this() {
        let text = banner(&BannerFacts {
            public: "127.0.0.1:8080".parse().unwrap(),
            internal: "127.0.0.1:9080".parse().unwrap(),
            cores: &[0, 1],
            choice: &Choice::Uring(features()),
            descriptors: Limit { soft: 20_000, hard: 20_000 },
            tls: false,
            echo: true,
            pages: true,
            warnings: &[Warning::Development],
            paint: Paint::PLAIN,
        });
        let expected = format!(
            "Ringway {} on Linux 6.18.1
  clients      ws://localhost:8080/connection/websocket
  page         http://localhost:8080/
  echo         ws://localhost:8080/echo
  internal     http://localhost:9080/metrics, /livez, /readyz
  listening    127.0.0.1:8080 for clients, 127.0.0.1:9080 internal
  cores        2 (CPUs 0-1)
  io_uring     defer_taskrun, single_issuer, registered ring, buffer ring, multishot
  descriptors  20000, enough for 19862 connections
warning: DEVELOPMENT MODE: anyone on this machine may connect, publish and see who is present; \
             start with --config FILE (an empty one will do) for secure defaults
",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn a_production_server_on_an_older_kernel_says_less() {
        let text = banner(&BannerFacts {
            public: "[2001:db8::1]:80".parse().unwrap(),
            internal: "127.0.0.1:9080".parse().unwrap(),
            cores: &[3],
            choice: &Choice::Uring(RingFeatures { defer_taskrun: false, single_issuer: false, ..features() }),
            descriptors: Limit { soft: u64::MAX, hard: u64::MAX },
            tls: true,
            echo: false,
            pages: false,
            warnings: &[],
            paint: Paint::COLOURED,
        });
        assert!(text.starts_with("\x1b[1mRingway"));
        assert!(text.contains("wss://[2001:db8::1]:80/connection/websocket\n  internal"));
        assert!(text.contains("cores        1 (CPU 3)\n"));
        assert!(text.contains("io_uring     coop_taskrun, registered ring"));
        assert!(text.ends_with("descriptors  unlimited\n"));
    }

    #[test]
    fn a_server_without_io_uring_says_so_last_and_loud() {
        let facts = |choice| BannerFacts {
            public: "127.0.0.1:80".parse().unwrap(),
            internal: "127.0.0.1:9080".parse().unwrap(),
            cores: &[0],
            choice,
            descriptors: Limit { soft: u64::MAX, hard: u64::MAX },
            tls: false,
            echo: false,
            pages: false,
            warnings: &[],
            paint: Paint::PLAIN,
        };
        let text = banner(&facts(&Choice::Fallback(Fatal::Ring(Refusal::Disabled(2)))));
        assert!(text.contains("  epoll        because io_uring is refused, see below\n"), "{text}");
        let last = text.lines().next_back().unwrap();
        assert!(last.starts_with("warning: NO IO_URING"), "{text}");
        assert!(last.contains("kernel.io_uring_disabled = 2") && last.contains("sysctl --write"), "{text}");
        let text = banner(&facts(&Choice::Epoll));
        assert!(text.contains("  epoll        as configured\n") && !text.contains("warning"), "{text}");
    }
}
