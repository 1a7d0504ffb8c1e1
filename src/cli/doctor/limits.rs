//! The limits of the process, and how many connections they allow. Hard limits count: the server raises the soft ones.

use super::Finding;
use crate::config::{Config, Driver};
use crate::limits::reserved_descriptors;
use crate::sys::rlimit;

pub fn examine(config: &Config) -> Vec<Finding> {
    vec![
        descriptors(rlimit::descriptors().hard, config.cores.len()),
        locked_memory(config.driver, rlimit::locked_memory().hard, config.cores.len() as u64),
    ]
}

fn descriptors(hard: u64, cores: usize) -> Finding {
    const FIX: &str =
        "`ulimit -n 1048576` in the shell that starts it, or LimitNOFILE=1048576 in the systemd unit";
    let connections = hard.saturating_sub(reserved_descriptors(cores));
    let said = format!("{hard} allowed, enough for {connections} connections");
    if hard == u64::MAX {
        Finding::ok("descriptors", "unlimited")
    } else if connections == 0 {
        Finding::fail("descriptors", said, FIX)
    } else if hard < DESCRIPTOR_COUNT_PLENTY {
        Finding::warn("descriptors", said, FIX)
    } else {
        Finding::ok("descriptors", said)
    }
}

fn locked_memory(driver: Driver, hard: u64, cores: u64) -> Finding {
    const FIX: &str =
        "`ulimit -l 65536` in the shell that starts it, or LimitMEMLOCK=64M in the systemd unit";
    let need = rlimit::LOCKED_MEMORY_BYTES_MIN.max(cores * LOCKED_BYTES_PER_CORE);
    if hard == u64::MAX {
        return Finding::ok("locked memory", "unlimited");
    }
    let said = format!("{} KiB allowed, {} KiB wanted for {cores} cores", hard / 1024, need / 1024);
    if hard < rlimit::LOCKED_MEMORY_BYTES_MIN {
        Finding::lack(driver, "locked memory", &said, FIX)
    } else if hard < need && driver != Driver::Epoll {
        Finding::warn("locked memory", said, FIX)
    } else {
        Finding::ok("locked memory", said)
    }
}

/// Below this a busy evening needs a restart: ask for more while nobody is connected.
const DESCRIPTOR_COUNT_PLENTY: u64 = 65_536;
/// What an executor registers on its three rings (64 KiB each), and the table of our buffer ring.
const LOCKED_BYTES_PER_CORE: u64 = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn descriptors_are_counted_as_connections() {
        assert_eq!(descriptors(100, 1).verdict, Verdict::Fail);
        let few = descriptors(20_000, 1);
        assert_eq!(few.verdict, Verdict::Warn);
        assert!(few.text.contains("19872 connections"));
        assert_eq!(descriptors(1_048_576, 1).verdict, Verdict::Ok);
        assert_eq!(descriptors(u64::MAX, 1).verdict, Verdict::Ok);
    }

    #[test]
    fn locked_memory_must_suffice_for_every_core() {
        let verdict = |driver, hard, cores| locked_memory(driver, hard, cores).verdict;
        assert_eq!(verdict(Driver::Uring, 64 * 1024, 1), Verdict::Fail);
        assert_eq!(verdict(Driver::Auto, 64 * 1024, 1), Verdict::Warn);
        assert_eq!(verdict(Driver::Epoll, 64 * 1024, 1), Verdict::Ok);
        assert_eq!(verdict(Driver::Auto, 8 << 20, 2), Verdict::Ok);
        assert_eq!(verdict(Driver::Auto, 8 << 20, 64), Verdict::Warn);
        assert_eq!(verdict(Driver::Epoll, 8 << 20, 64), Verdict::Ok);
        assert_eq!(verdict(Driver::Auto, u64::MAX, 64), Verdict::Ok);
    }
}
