//! Figures of the whole machine: kernel memory, CPU, and what a result has to be read with.

use super::{kilobytes, text};
use rustix::param::clock_ticks_per_second;

/// Kernel slab memory of the whole machine. On loopback it holds both ends of each connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slab {
    pub total: u64,
    pub unreclaimable: u64,
}

pub fn slab() -> Option<Slab> {
    let meminfo = text("/proc/meminfo").ok()?;
    Some(Slab { total: kilobytes(&meminfo, "Slab")?, unreclaimable: kilobytes(&meminfo, "SUnreclaim")? })
}

pub fn memory_total() -> Option<u64> {
    kilobytes(&text("/proc/meminfo").ok()?, "MemTotal")
}

/// CPU time that was not idle, of all CPUs together, since the start of the machine.
pub fn busy_ns() -> Option<u64> {
    let ticks = parse_busy(&text("/proc/stat").ok()?)?;
    Some(ticks * (1_000_000_000 / clock_ticks_per_second().max(1)))
}

/// All times but idle and iowait; guest time is contained in user time.
fn parse_busy(stat: &str) -> Option<u64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_whitespace().map_while(|field| field.parse().ok()).collect();
    let idle = ticks.get(3)? + ticks.get(4)?;
    Some(ticks.iter().take(8).sum::<u64>() - idle)
}

/// Connection attempts that were dropped because an accept queue was full, on this machine, since its start.
pub fn accept_drops() -> Option<u64> {
    parse_netstat(&text("/proc/net/netstat").ok()?, "TcpExt:", "ListenDrops")
}

/// Names stand on one line and figures on the next.
fn parse_netstat(netstat: &str, table: &str, name: &str) -> Option<u64> {
    let mut lines = netstat.lines().filter(|line| line.starts_with(table));
    let (names, figures) = (lines.next()?, lines.next()?);
    let at = names.split_whitespace().position(|other| other == name)?;
    figures.split_whitespace().nth(at)?.parse().ok()
}

/// First line of a file in /proc or /sys.
pub fn line(path: &str) -> Option<String> {
    Some(text(path).ok()?.lines().next()?.trim().to_owned())
}

pub fn cpu_model() -> Option<String> {
    let cpuinfo = text("/proc/cpuinfo").ok()?;
    let (_, model) = cpuinfo.lines().find(|line| line.starts_with("model name"))?.split_once(':')?;
    Some(model.trim().to_owned())
}

/// First and last port that the kernel gives to connecting sockets.
pub fn local_ports() -> (u32, u32) {
    let range = line("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut ports = range.split_whitespace().filter_map(|port| port.parse().ok());
    (ports.next().unwrap_or(32_768), ports.next().unwrap_or(60_999))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_leaves_idle_and_guest_out() {
        assert_eq!(parse_busy("cpu  10 1 5 1000 7 2 3 4 9 9\ncpu0 1 1\n"), Some(10 + 1 + 5 + 2 + 3 + 4));
    }

    #[test]
    fn network_counters_are_found_by_the_name_above_them() {
        let netstat = "TcpExt: A ListenDrops B\nTcpExt: 1 2 3\nIpExt: ListenDrops\nIpExt: 9\n";
        assert_eq!(parse_netstat(netstat, "TcpExt:", "ListenDrops"), Some(2));
        assert_eq!(parse_netstat(netstat, "TcpExt:", "C"), None);
    }

    #[test]
    fn this_machine_can_be_read() {
        assert!(accept_drops().is_some());
        assert!(slab().unwrap().total > 0);
        assert!(busy_ns().unwrap() > 0);
        assert!(memory_total().unwrap() > 0);
        let (first, last) = local_ports();
        assert!(first < last);
    }
}
