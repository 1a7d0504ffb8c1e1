//! CPUs, clock, memory and ports: what the server shares with everything else on the machine.

use super::Finding;
use crate::config::{Config, show_cores};
use crate::limits::reserved_descriptors;
use crate::sys::rlimit;
use std::fs::read_to_string;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

pub fn examine(config: &Config) -> Vec<Finding> {
    let cores = Finding::ok("cores", format!("{} (CPUs {})", config.cores.len(), show_cores(&config.cores)));
    let quota = quota().map(|cpus| cpu_quota(cpus, config.cores.len()));
    let clock = read_to_string(CLOCK_SOURCE).ok().map(|name| clock(name.trim()));
    let memory = read_to_string("/proc/meminfo").ok().and_then(|text| memory(&text));
    let ports = [("public port", config.listen.public), ("internal port", config.listen.internal)];
    let ports = ports.map(|(name, address)| port(name, address));
    [Some(cores), quota, clock, memory].into_iter().flatten().chain(ports).collect()
}

/// CPUs that the control group grants, if it limits them (cgroup v2, as seen from inside of a container).
fn quota() -> Option<f64> {
    let text = read_to_string("/sys/fs/cgroup/cpu.max").ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
}

fn cpu_quota(cpus: f64, cores: usize) -> Finding {
    let said = format!("the control group grants {cpus:.1} CPUs to {cores} pinned executors");
    if cpus < cores as f64 {
        let fix = format!("set cores = {}, or raise the CPU limit of the container", (cpus as usize).max(1));
        Finding::warn(
            "CPU quota",
            format!("{said}: beyond it, all of them stop for the rest of a period"),
            fix,
        )
    } else {
        Finding::ok("CPU quota", said)
    }
}

fn clock(name: &str) -> Finding {
    let slow = ["acpi_pm", "hpet", "jiffies", "refined-jiffies"].contains(&name);
    if slow {
        let fix = format!("`echo tsc > {CLOCK_SOURCE}` if available_clocksource beside it lists tsc");
        Finding::warn("clock source", format!("{name}: reading the time takes a system call"), fix)
    } else {
        Finding::ok("clock source", name)
    }
}

fn memory(meminfo: &str) -> Option<Finding> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let available_kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    let connections = available_kib * 1024 / CONNECTION_BYTES;
    let allowed = rlimit::descriptors().hard.saturating_sub(reserved_descriptors(1));
    let said =
        format!("{} MiB available, enough for about {connections} idle connections", available_kib / 1024);
    Some(if connections < allowed.min(CONNECTION_COUNT_PLENTY) {
        Finding::warn(
            "memory",
            said,
            "set client.connection_limit, so that memory is not what refuses clients",
        )
    } else {
        Finding::ok("memory", said)
    })
}

fn port(name: &str, address: SocketAddr) -> Finding {
    let said = |what: &str| format!("{address} {what}");
    match TcpListener::bind(address) {
        Ok(_) => Finding::ok(name, said("is free")),
        // Perhaps by a server of ours that runs well, so this is no failure.
        Err(error) if error.kind() == ErrorKind::AddrInUse => Finding::warn(
            name,
            said("is in use"),
            format!("`ss --listening --tcp --processes 'sport = :{}'` names the process", address.port()),
        ),
        Err(error) => {
            let fatal = crate::fatal::Fatal::listen(address, error);
            Finding::fail(name, fatal.to_string(), fatal.fix())
        }
    }
}

const CLOCK_SOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
/// Of the kernel and of ours together, measured on Linux 6.18: 3.8 KB for the socket, 0.25 KB for its poll, ours.
const CONNECTION_BYTES: u64 = 4_700;
/// Nobody is warned for lack of memory beyond this.
const CONNECTION_COUNT_PLENTY: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_port_in_use_is_a_warning_that_names_the_port() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let finding = port("public port", address);
        assert_eq!(finding.verdict, Verdict::Warn);
        assert!(finding.fix.unwrap().contains(&format!(":{}'", address.port())));
    }

    #[test]
    fn an_address_of_another_machine_is_a_failure() {
        assert_eq!(port("public port", "192.0.2.1:0".parse().unwrap()).verdict, Verdict::Fail);
    }

    #[test]
    fn a_quota_below_the_number_of_executors_is_warned_about() {
        assert_eq!(cpu_quota(1.5, 2).verdict, Verdict::Warn);
        assert_eq!(cpu_quota(2.0, 2).verdict, Verdict::Ok);
    }

    #[test]
    fn slow_clocks_are_known_by_name() {
        assert_eq!(clock("hpet").verdict, Verdict::Warn);
        assert_eq!(clock("tsc").verdict, Verdict::Ok);
        assert_eq!(clock("kvm-clock").verdict, Verdict::Ok);
    }

    #[test]
    fn memory_is_counted_in_connections() {
        let finding = memory("MemTotal: 9 kB\nMemAvailable:     4589844 kB\n").unwrap();
        assert!(finding.text.contains("about 1000"), "{}", finding.text);
        assert!(memory("nothing of the kind").is_none());
        assert_eq!(memory("MemAvailable: 100 kB").unwrap().verdict, Verdict::Warn);
    }
}
