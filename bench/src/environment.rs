//! What a result has to be read with: the machine, the kernel, its settings, the commit.

use crate::report::run::Environment;
use crate::sampler::machine;
use rustix::system::uname;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Kernel settings that change results.
const SYSCTLS: [&str; 16] = [
    "fs.file-max",
    "fs.nr_open",
    "kernel.io_uring_disabled",
    "net.core.netdev_max_backlog",
    "net.core.somaxconn",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_autocorking",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_max_tw_buckets",
    "net.ipv4.tcp_mem",
    "net.ipv4.tcp_notsent_lowat",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.tcp_wmem",
];

pub fn environment(descriptor_limit: u64) -> Environment {
    let status = git(&["status", "--porcelain", "--untracked-files=no"]);
    Environment {
        bench_version: env!("CARGO_PKG_VERSION").to_owned(),
        git_commit: git(&["rev-parse", "HEAD"]),
        git_dirty: status.map(|status| !status.is_empty()),
        kernel: kernel(),
        cpu_model: machine::cpu_model(),
        cores_online: cores_online(),
        memory_bytes: machine::memory_total(),
        governor: machine::line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        descriptor_limit,
        tuning: tuning(),
    }
}

pub fn cores_online() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| count.get() as u32).max(online_by_sysfs())
}

/// All CPUs, whatever this process is pinned to.
fn online_by_sysfs() -> u32 {
    let list = machine::line("/sys/devices/system/cpu/online").unwrap_or_default();
    crate::cli::units::cores(&list).map_or(1, |cores| cores.0.len() as u32)
}

fn kernel() -> String {
    let name = uname();
    format!("{} {}", name.sysname().to_string_lossy(), name.release().to_string_lossy())
}

fn tuning() -> BTreeMap<String, String> {
    let value = |name: &str| machine::line(&format!("/proc/sys/{}", name.replace('.', "/")));
    SYSCTLS.iter().filter_map(|name| Some(((*name).to_owned(), value(name)?.replace('\t', " ")))).collect()
}

/// Asks the checkout that this program was built from; without one there is no answer.
fn git(arguments: &[&str]) -> Option<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("git").current_dir(source).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
