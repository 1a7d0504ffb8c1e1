//! CPU time and memory of one process, all its threads together.

use super::{SampleError, kilobytes, text};
use rustix::param::clock_ticks_per_second;
use std::collections::HashMap;
use std::ffi::OsString;

/// CPU time since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTime {
    pub user_ns: u64,
    pub system_ns: u64,
}

impl CpuTime {
    pub fn since(self, earlier: Self) -> Self {
        Self {
            user_ns: self.user_ns.saturating_sub(earlier.user_ns),
            system_ns: self.system_ns.saturating_sub(earlier.system_ns),
        }
    }

    pub fn total_ns(self) -> u64 {
        self.user_ns + self.system_ns
    }
}

/// User memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    pub rss: u64,
    /// Shared pages counted in proportion.
    pub pss: u64,
    /// Pages of this process alone.
    pub private: u64,
}

/// What the scheduler gave a thread, and kept from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    /// On a CPU.
    pub running_ns: u64,
    /// Ready to run, while others had the CPU.
    pub waiting_ns: u64,
}

impl Turns {
    /// Of the calling process's first thread.
    pub fn own() -> Self {
        text("/proc/self/schedstat")
            .ok()
            .and_then(|schedstat| parse_schedstat(&schedstat))
            .unwrap_or_default()
    }

    pub fn since(self, earlier: Self) -> Self {
        Self {
            running_ns: self.running_ns.saturating_sub(earlier.running_ns),
            waiting_ns: self.waiting_ns.saturating_sub(earlier.waiting_ns),
        }
    }
}

/// Turns by thread: finer than the ticks of the process, but without the threads that have ended.
#[derive(Clone, Debug)]
pub struct Threads(HashMap<OsString, Turns>);

impl Threads {
    /// All threads together.
    pub fn since(&self, earlier: &Self) -> Turns {
        let mut sum = Turns::default();
        for (id, now) in &self.0 {
            let turns = now.since(earlier.0.get(id).copied().unwrap_or_default());
            sum.running_ns += turns.running_ns;
            sum.waiting_ns += turns.waiting_ns;
        }
        sum
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Process {
    pid: u32,
}

impl Process {
    /// Fails when there is no such process or it may not be read.
    pub fn new(pid: u32) -> Result<Self, SampleError> {
        let process = Self { pid };
        process.cpu()?;
        process.memory()?;
        Ok(process)
    }

    /// From `stat`: it counts in ticks (usually 10 ms), for user and system apart, ended threads included.
    pub fn cpu(self) -> Result<CpuTime, SampleError> {
        let path = format!("/proc/{}/stat", self.pid);
        let stat = text(&path)?;
        let ticks = parse_stat(&stat);
        let (user, system) = ticks.ok_or(SampleError { path, reason: "unexpected form".into() })?;
        let tick_ns = 1_000_000_000 / clock_ticks_per_second().max(1);
        Ok(CpuTime { user_ns: user * tick_ns, system_ns: system * tick_ns })
    }

    /// Running and waiting time of each thread, to the nanosecond.
    pub fn threads(self) -> Result<Threads, SampleError> {
        let path = format!("/proc/{}/task", self.pid);
        let tasks = std::fs::read_dir(&path)
            .map_err(|error| SampleError { path: path.clone(), reason: error.to_string() })?;
        let running = |task: std::fs::DirEntry| {
            let schedstat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            Some((task.file_name(), parse_schedstat(&schedstat)?))
        };
        Ok(Threads(tasks.flatten().filter_map(running).collect()))
    }

    /// Walks the page tables of the process: for the ends of a measurement, not for its middle.
    pub fn memory(self) -> Result<Memory, SampleError> {
        let path = format!("/proc/{}/smaps_rollup", self.pid);
        parse_rollup(&text(&path)?).ok_or(SampleError { path, reason: "unexpected form".into() })
    }

    /// Resident bytes, cheaply.
    pub fn rss(self) -> Result<u64, SampleError> {
        let path = format!("/proc/{}/statm", self.pid);
        let pages = text(&path)?.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
        let pages = pages.ok_or(SampleError { path, reason: "unexpected form".into() })?;
        Ok(pages * rustix::param::page_size() as u64)
    }
}

fn parse_schedstat(schedstat: &str) -> Option<Turns> {
    let mut fields = schedstat.split_whitespace();
    Some(Turns { running_ns: fields.next()?.parse().ok()?, waiting_ns: fields.next()?.parse().ok()? })
}

/// utime and stime. The name of the program may hold anything, so counting starts behind its closing parenthesis.
fn parse_stat(stat: &str) -> Option<(u64, u64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn parse_rollup(rollup: &str) -> Option<Memory> {
    let private = kilobytes(rollup, "Private_Clean")? + kilobytes(rollup, "Private_Dirty")?;
    Some(Memory { rss: kilobytes(rollup, "Rss")?, pss: kilobytes(rollup, "Pss")?, private })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_figures_can_be_read() {
        let process = Process::new(std::process::id()).unwrap();
        let memory = process.memory().unwrap();
        assert!(memory.rss >= memory.private && memory.private > 0);
        assert!(process.rss().unwrap() > 0);
        let threads = process.threads().unwrap();
        assert_eq!(threads.since(&threads), Turns::default());
        assert!(threads.since(&Threads(HashMap::new())).running_ns > 0);
        assert!(Turns::own().running_ns > 0);
    }

    #[test]
    fn a_program_name_with_spaces_and_parentheses_does_not_confuse() {
        let stat = "42 (a b) c) S 1 42 42 0 -1 4194560 1 2 3 4 77 33 0 0 20 0 1 0 9";
        assert_eq!(parse_stat(stat), Some((77, 33)));
    }

    #[test]
    fn nobody_cannot_be_sampled() {
        assert!(Process::new(u32::MAX).is_err());
    }
}
