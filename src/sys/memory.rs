//! How much memory this process may have, how much it has, and giving back what the allocator keeps.
//!
//! Invariant: a file that is absent or odd costs its figure alone. What the kernel can take back at once (the cache of
//! files) counts for nobody. cgroups(7), proc(5).

#![expect(unsafe_code, reason = "the allocator is asked in C")]

use std::fs;
use std::path::{Path, PathBuf};

/// What bounds this process, and so what is to be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    pub limit_bytes: u64,
    gauge: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Gauge {
    /// Resident memory of this process.
    Process,
    /// What the group has, less what it can give back: usage, statistics, and the name of the latter's line.
    Group { usage: PathBuf, statistics: PathBuf, reclaimable: &'static str },
}

impl Budget {
    /// What the operator has chosen.
    pub fn chosen(limit_bytes: u64) -> Self {
        Self { limit_bytes, gauge: Gauge::Process }
    }

    /// What the group of this process may have, or the machine has. None: nobody says.
    pub fn found() -> Option<Self> {
        let machine = machine_bytes(&fs::read_to_string("/proc/meminfo").ok()?)?;
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let group = group(&groups, Path::new("/sys/fs/cgroup"));
        Some(group.filter(|group| group.limit_bytes < machine).unwrap_or(Self::chosen(machine)))
    }

    /// The most that may be used on purpose. The kernel ends whoever goes beyond the limit of its group, so some of that
    /// is left for what comes between two looks; what an operator has chosen is no such end.
    pub fn usable_bytes(&self) -> u64 {
        match &self.gauge {
            Gauge::Process => self.limit_bytes,
            Gauge::Group { .. } => self.limit_bytes - (self.limit_bytes / SPARE_PART).min(SPARE_BYTES_MAX),
        }
    }

    /// What is used of it.
    pub fn used(&self) -> Option<u64> {
        match &self.gauge {
            Gauge::Process => resident_bytes(),
            Gauge::Group { usage, statistics, reclaimable } => {
                let usage = number(usage)?;
                let statistics = fs::read_to_string(statistics).unwrap_or_default();
                Some(usage.saturating_sub(line(&statistics, reclaimable).unwrap_or_default()))
            }
        }
    }
}

/// Of the limit of a group, a part that is not counted on. Two hundred flooders were seen to go 2 MiB beyond what is; this
/// leaves room for what no core counts: handshakes, compressors, the control plane, buffers of the kernel.
const SPARE_PART: u64 = 8;
const SPARE_BYTES_MAX: u64 = 32 << 20;

/// Gives the free memory that the allocator keeps back to the kernel.
pub fn trim() {
    // SAFETY: malloc_trim(3) may be called by any thread at any time; it touches free memory only.
    unsafe { libc::malloc_trim(0) };
}

/// The nearest limit on the way from this process to the root: version 2 first, then version 1. In a container the path
/// of the group may not be visible, and then the root of what is mounted is the group.
fn group(groups: &str, root: &Path) -> Option<Budget> {
    let path = |prefix: &str| {
        let own = groups.lines().find_map(|line| line.split_once(prefix)).map(|(_, path)| path)?;
        Some(PathBuf::from(own.trim_start_matches('/')))
    };
    let unified = path("0::").and_then(|own| nearest(root, &own, "memory.max"));
    if let Some((folder, limit_bytes)) = unified {
        let (usage, statistics) = (folder.join("memory.current"), folder.join("memory.stat"));
        return Some(Budget {
            limit_bytes,
            gauge: Gauge::Group { usage, statistics, reclaimable: "inactive_file" },
        });
    }
    let root = root.join("memory");
    let own = path(":memory:").unwrap_or_default();
    let (folder, limit_bytes) = nearest(&root, &own, "memory.limit_in_bytes")?;
    let (usage, statistics) = (folder.join("memory.usage_in_bytes"), folder.join("memory.stat"));
    Some(Budget {
        limit_bytes,
        gauge: Gauge::Group { usage, statistics, reclaimable: "total_inactive_file" },
    })
}

/// The smallest limit of a group and those above it.
fn nearest(root: &Path, own: &Path, file: &str) -> Option<(PathBuf, u64)> {
    let folders = own.ancestors().map(|folder| root.join(folder));
    let limits = folders.filter_map(|folder| Some((number(&folder.join(file))?, folder)));
    limits.min_by_key(|(limit, _)| *limit).map(|(limit, folder)| (folder, limit))
}

/// "max" is none.
fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn line(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(found, _)| *found == name)?.1.trim().parse().ok()
}

fn machine_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

fn resident_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_some_of_what_it_may_have() {
        let budget = Budget::found().unwrap();
        let used = budget.used().unwrap();
        assert!(used > 100_000 && used < budget.limit_bytes, "{used} of {}", budget.limit_bytes);
        trim();
    }

    #[test]
    fn the_nearest_limit_of_either_version_holds_and_cache_does_not_count() {
        let root = std::env::temp_dir().join(format!("ringway-groups-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("a/memory.max", "3000\n");
        write("a/memory.current", "2000\n");
        write("a/memory.stat", "anon 5\ninactive_file 500\n");
        write("a/b/memory.max", "max\n");
        let unified = group("0::/a/b\n", &root).unwrap();
        assert_eq!((unified.limit_bytes, unified.used()), (3000, Some(1500)));
        write("memory/c/memory.limit_in_bytes", "900\n");
        write("memory/c/memory.usage_in_bytes", "800\n");
        write("memory/c/memory.stat", "inactive_file 1\ntotal_inactive_file 300\n");
        let first = group("4:memory:/c\n0::/\n", &root).unwrap();
        assert_eq!((first.limit_bytes, first.used()), (900, Some(500)));
        assert_eq!(group("0::/nowhere\n", &root.join("none")), None);
        fs::remove_dir_all(root).unwrap();
    }
}
