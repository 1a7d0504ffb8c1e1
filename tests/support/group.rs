//! Control groups with a limit of memory. Only where groups of version 1 can be made, which takes root and a machine that
//! still has them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Debug)]
pub struct Group(PathBuf);

impl Group {
    /// None: this machine does not let us.
    pub fn new(limit_bytes: u64) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let own = groups.lines().find_map(|line| Some(line.split_once(":memory:/")?.1)).unwrap_or_default();
        let name = format!("ringway-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let group = Self(Path::new("/sys/fs/cgroup/memory").join(own).join(name));
        fs::create_dir(&group.0).ok()?;
        fs::write(group.0.join("memory.limit_in_bytes"), limit_bytes.to_string()).ok()?;
        Some(group)
    }

    /// What a shell has to say to get in, with whatever it becomes.
    pub fn enter(&self) -> String {
        format!("echo $$ >{}/cgroup.procs", self.0.display())
    }

    /// Processes that the kernel has ended because the group had no memory left.
    pub fn killed_count(&self) -> u64 {
        let control = fs::read_to_string(self.0.join("memory.oom_control")).unwrap_or_default();
        let count = control.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok());
        count.expect("the kernel counts them")
    }
}

impl Drop for Group {
    /// Its processes have ended.
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}
