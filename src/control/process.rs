//! What the kernel says about this process, from `/proc/self` (proc(5)).
//! Invariant: a file that is absent or odd costs its figure alone; a scrape never fails for it.

use std::fs;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Process {
    pub(super) cpu_user_seconds: Option<f64>,
    pub(super) cpu_system_seconds: Option<f64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) descriptor_count: Option<u64>,
    pub(super) descriptor_count_max: Option<u64>,
    pub(super) thread_count: Option<u64>,
}

impl Process {
    pub(super) fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let page_bytes = rustix::param::page_size() as u64;
        let pages =
            |index| Some(statm.split_ascii_whitespace().nth(index)?.parse::<u64>().ok()? * page_bytes);
        Self {
            cpu_user_seconds: stat_field(&stat, 14).map(|count| count as f64 / ticks),
            cpu_system_seconds: stat_field(&stat, 15).map(|count| count as f64 / ticks),
            thread_count: stat_field(&stat, 20),
            virtual_bytes: pages(0),
            resident_bytes: pages(1),
            descriptor_count: descriptor_count(),
            descriptor_count_max: descriptor_count_max(&limits),
        }
    }
}

/// Fields count from 1. The second is the command in parentheses and may itself hold spaces and parentheses.
fn stat_field(stat: &str, number: usize) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(number - 3)?.parse().ok()
}

/// Since Linux 6.2 the size of the directory is the count; walking a million entries would stall the scrape.
fn descriptor_count() -> Option<u64> {
    let size = fs::metadata("/proc/self/fd").ok()?.len();
    if size > 0 {
        return Some(size);
    }
    Some(fs::read_dir("/proc/self/fd").ok()?.count() as u64)
}

/// The soft limit; "unlimited" has no number.
fn descriptor_count_max(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) (b c)) S 1 2 3 4 5 6 7 8 9 10 140 150 16 17 18 19 20";
        assert_eq!(stat_field(stat, 14), Some(140));
        assert_eq!(stat_field(stat, 15), Some(150));
        assert_eq!(stat_field("", 14), None);
    }

    #[test]
    fn the_soft_limit_is_read_and_unlimited_is_no_number() {
        assert_eq!(
            descriptor_count_max(
                "Max open files            20000                524288               files\n"
            ),
            Some(20_000)
        );
        assert_eq!(descriptor_count_max("Max open files            unlimited            unlimited\n"), None);
    }

    #[test]
    fn this_process_has_memory_threads_and_descriptors() {
        let process = Process::read();
        assert!(process.resident_bytes.unwrap() > 100_000);
        assert!(process.thread_count.unwrap() >= 1);
        assert!(process.descriptor_count.unwrap() >= 3);
        assert!(process.cpu_user_seconds.is_some());
    }
}
