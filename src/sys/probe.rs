//! Whether io_uring works here, tried out before the executors start: glommio cannot explain a refusal, we can.
//!
//! Invariant: what `RingFeatures` says was seen to happen in this process a moment ago, not derived from a version
//! number; distributions backport, containers filter. A trial takes about a millisecond and leaves nothing behind.

use super::probe::trial::Trial;
use io_uring::{IoUring, Probe, opcode};
use rustix::io::Errno;
use std::fmt::Write as _;
use std::io;

mod trial;

#[cfg(test)]
mod tests;

/// What the rings of this process can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingFeatures {
    /// Release of the running kernel.
    pub kernel: String,
    /// Completions run when the core asks for them (6.1). Without: `coop_taskrun`.
    pub defer_taskrun: bool,
    /// Completions run at the next system call instead of by an interrupt (5.19).
    pub coop_taskrun: bool,
    /// The kernel need not lock against other submitters (6.0).
    pub single_issuer: bool,
    /// A bad entry does not hold up those behind it (5.18).
    pub submit_all: bool,
    /// One indirection less in the submission queue (6.6).
    pub no_sqarray: bool,
    /// Entering a ring without looking its descriptor up (5.18).
    pub registered_ring_fd: bool,
    /// Receive buffers provided as a ring (5.19).
    pub buffer_ring: bool,
    /// One request for all connections of a listener (5.19).
    pub multishot_accept: bool,
    /// One request for all data of a connection (6.0).
    pub multishot_recv: bool,
    /// One request for all wake-ups of an idle connection (5.13).
    pub multishot_poll: bool,
}

/// Why there is no ring for us.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("the administrator has switched it off (kernel.io_uring_disabled = {0})")]
    Disabled(u8),
    #[error("a seccomp filter forbids it, as the default profiles of container runtimes do")]
    Filtered,
    #[error("kernel {kernel} has no io_uring")]
    Absent { kernel: String },
    #[error("kernel {kernel} lacks {missing}")]
    Lacking { kernel: String, missing: String },
    #[error("the kernel has no memory for a ring, or RLIMIT_MEMLOCK is too low")]
    Memory,
    #[error("no descriptor is left for a ring")]
    Descriptors,
    #[error("{attempt}: {source}")]
    Failed { attempt: &'static str, source: io::Error },
}

impl Refusal {
    /// For figures.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Disabled(_) => "disabled",
            Self::Filtered => "seccomp",
            Self::Absent { .. } => "absent",
            Self::Lacking { .. } => "lacking",
            Self::Memory => "memory",
            Self::Descriptors => "descriptors",
            Self::Failed { .. } => "failed",
        }
    }

    /// A filter may let the set-up pass and refuse what comes after it.
    fn named(self) -> Self {
        if let Self::Failed { source, .. } = &self
            && let Some(Errno::PERM | Errno::ACCESS | Errno::NOSYS) = Errno::from_io_error(source)
            && is_filtered()
        {
            return Self::Filtered;
        }
        self
    }

    /// What to do about it, with the command where there is one.
    pub fn fix(&self) -> String {
        match self {
            Self::Disabled(1) => "run `sysctl --write kernel.io_uring_disabled=0`, or let the group of the service in \
                with `sysctl --write kernel.io_uring_group=GID`"
                .to_owned(),
            Self::Disabled(_) => "run `sysctl --write kernel.io_uring_disabled=0`; \
                `tuning/apply` does it and keeps what was there"
                .to_owned(),
            Self::Filtered => "allow io_uring_setup, io_uring_enter and io_uring_register: for Docker \
                `--security-opt seccomp=tuning/seccomp-ringway.json`, for systemd SystemCallFilter=@aio"
                .to_owned(),
            Self::Absent { .. } | Self::Lacking { .. } => {
                "run on Linux 6.1 or later: `uname --kernel-release` names the running kernel".to_owned()
            }
            Self::Memory => "run `ulimit -l 65536` before, or set LimitMEMLOCK=64M in the systemd unit".to_owned(),
            Self::Descriptors => {
                "run `ulimit -n 1048576` before, or set LimitNOFILE=1048576 in the systemd unit".to_owned()
            }
            Self::Failed { .. } => {
                "run `ringway doctor`; if it finds nothing, `strace -f -e trace=/io_uring` shows the refused call".to_owned()
            }
        }
    }
}

/// Builds a ring as the driver will, and accepts, polls, receives and cancels on it.
pub fn probe() -> Result<RingFeatures, Refusal> {
    try_out().map_err(Refusal::named)
}

fn try_out() -> Result<RingFeatures, Refusal> {
    let kernel = kernel_release();
    let (ring, flags) = build(&kernel)?;
    let missing = missing_operations(&ring)?;
    if !missing.is_empty() {
        return Err(Refusal::Lacking { kernel, missing: missing.join(", ") });
    }
    let registered_ring_fd = ring.submitter().register_ring_fd().is_ok();
    let mut trial = Trial::new(ring)?;
    let features = RingFeatures {
        defer_taskrun: flags.defer_taskrun,
        coop_taskrun: flags.coop_taskrun,
        single_issuer: flags.single_issuer,
        submit_all: flags.submit_all,
        no_sqarray: accepts_no_sqarray(),
        registered_ring_fd,
        buffer_ring: trial.provide_buffers(),
        multishot_accept: trial.accept()?,
        multishot_poll: trial.poll()?,
        multishot_recv: trial.receive()?,
        kernel,
    };
    trial.cancel()?;
    let missing = features.missing();
    if missing.is_empty() { Ok(features) } else { Err(Refusal::Lacking { kernel: features.kernel, missing }) }
}

/// As `uname --kernel-release` prints it.
pub fn kernel_release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

impl RingFeatures {
    /// What the driver cannot do without, as a list for people.
    fn missing(&self) -> String {
        let mut text = String::new();
        let needs = [
            (self.buffer_ring, "provided buffer rings"),
            (self.multishot_accept, "multishot accept"),
            (self.multishot_poll, "multishot poll"),
            (self.multishot_recv, "multishot receive"),
        ];
        for (_, name) in needs.iter().filter(|(has, _)| !has) {
            let comma = if text.is_empty() { "" } else { ", " };
            let _ = write!(text, "{comma}{name}");
        }
        text
    }
}

/// Small: a trial has at most three requests in flight.
const TRIAL_ENTRIES: u32 = 8;

/// The set-up flags of one attempt.
#[derive(Clone, Copy, Default)]
struct Flags {
    defer_taskrun: bool,
    coop_taskrun: bool,
    single_issuer: bool,
    submit_all: bool,
}

/// From the flags that we want to those that the oldest kernel with multishot receive has.
const ATTEMPTS: [Flags; 3] = [
    Flags { defer_taskrun: true, coop_taskrun: false, single_issuer: true, submit_all: true },
    Flags { defer_taskrun: false, coop_taskrun: true, single_issuer: true, submit_all: true },
    Flags { defer_taskrun: false, coop_taskrun: true, single_issuer: false, submit_all: true },
];

fn build(kernel: &str) -> Result<(IoUring, Flags), Refusal> {
    for flags in ATTEMPTS {
        let mut builder = IoUring::builder();
        if flags.defer_taskrun {
            builder.setup_defer_taskrun();
        }
        if flags.coop_taskrun {
            builder.setup_coop_taskrun();
        }
        if flags.single_issuer {
            builder.setup_single_issuer();
        }
        if flags.submit_all {
            builder.setup_submit_all();
        }
        match builder.build(TRIAL_ENTRIES) {
            // An unknown flag is EINVAL: try fewer.
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {}
            Err(error) => return Err(refusal(error, kernel)),
            // What DEFER_TASKRUN replaces is there as well; the kernel had it first.
            Ok(ring) => return Ok((ring, Flags { coop_taskrun: true, ..flags })),
        }
    }
    Err(Refusal::Lacking { kernel: kernel.to_owned(), missing: "cooperative task running".to_owned() })
}

fn accepts_no_sqarray() -> bool {
    let ring: io::Result<IoUring> = IoUring::builder().setup_no_sqarray().build(TRIAL_ENTRIES);
    ring.is_ok()
}

/// One arm an errno of io_uring_setup.
fn refusal(error: io::Error, kernel: &str) -> Refusal {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        // The sysctl and seccomp share EPERM; only the first can be asked.
        Some(Errno::PERM | Errno::ACCESS) => match disabled() {
            Some(level @ 1..) => Refusal::Disabled(level),
            Some(0) | None => Refusal::Filtered,
        },
        // Some runtimes answer ENOSYS to what they filter. No kernel since 5.1 is that old.
        Some(Errno::NOSYS) if is_filtered() => Refusal::Filtered,
        Some(Errno::NOSYS) => Refusal::Absent { kernel: kernel.to_owned() },
        Some(Errno::NOMEM) => Refusal::Memory,
        Some(Errno::MFILE | Errno::NFILE) => Refusal::Descriptors,
        _ => Refusal::Failed { attempt: "io_uring_setup", source: error },
    }
}

/// `kernel.io_uring_disabled`; kernels before 6.6 do not have it.
fn disabled() -> Option<u8> {
    std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok()?.trim().parse().ok()
}

/// Whether a seccomp filter is installed on this thread.
fn is_filtered() -> bool {
    std::fs::read_to_string("/proc/thread-self/status")
        .is_ok_and(|status| status.lines().any(|line| line.starts_with("Seccomp:") && line.ends_with('2')))
}

fn missing_operations(ring: &IoUring) -> Result<Vec<&'static str>, Refusal> {
    let mut probe = Probe::new();
    ring.submitter()
        .register_probe(&mut probe)
        .map_err(|source| Refusal::Failed { attempt: "asking for the operations of the ring", source })?;
    Ok(OPERATIONS.iter().filter(|(_, code)| !probe.is_supported(*code)).map(|(name, _)| *name).collect())
}

/// Every operation that the driver submits.
const OPERATIONS: [(&str, u8); 10] = [
    ("ACCEPT", opcode::Accept::CODE),
    ("ASYNC_CANCEL", opcode::AsyncCancel::CODE),
    ("CLOSE", opcode::Close::CODE),
    ("POLL_ADD", opcode::PollAdd::CODE),
    ("POLL_REMOVE", opcode::PollRemove::CODE),
    ("READ", opcode::Read::CODE),
    ("RECV", opcode::Recv::CODE),
    ("SEND", opcode::Send::CODE),
    ("SENDMSG", opcode::SendMsg::CODE),
    ("TIMEOUT", opcode::Timeout::CODE),
];
