//! What the environment refuses at start. Each refusal names its cause, the command that mends it and an exit code of
//! its own, so that a supervisor can tell them apart.
//! Invariant: nothing here is caused by a peer, and nothing here happens after the server listens.

use crate::store::StoreError;
use crate::sys::probe::Refusal;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    #[error("the configuration has {}\n  {}", counted(problems.len()), problems.join("\n  "))]
    Config { file: Option<PathBuf>, problems: Vec<String> },
    #[error("cannot read the configuration {}: {source}", path.display())]
    ConfigUnreadable { path: PathBuf, source: io::Error },
    #[error("{address} is in use by another process")]
    AddressInUse { address: SocketAddr },
    #[error("this process may not listen on {address}: ports below 1024 are privileged")]
    AddressForbidden { address: SocketAddr },
    #[error("{address} is not an address of this machine")]
    AddressUnknown { address: SocketAddr },
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("io_uring is refused: {0}")]
    Ring(Refusal),
    #[error("at most {have_bytes} bytes of memory may be locked, and {need_bytes} are needed")]
    LockedMemory { have_bytes: u64, need_bytes: u64 },
    #[error("at most {have} descriptors may be open, and {need} are needed before the first client")]
    Descriptors { have: u64, need: u64 },
    #[error("CPU {cpu} is outside of the mask of this process ({allowed})")]
    Cpu { cpu: usize, allowed: String },
    #[error("the executor on CPU {cpu} did not start: {cause}")]
    Core { cpu: usize, cause: String },
    #[error("the control plane did not start: {cause}")]
    Control { cause: String },
    #[error("durable history cannot be kept: {0}")]
    Store(StoreError),
    #[error("the descriptor \"{name}\" that was left to this process cannot be used: {cause}")]
    Inherited { name: String, cause: String },
    #[error("cannot write the ready file {}: {source}", path.display())]
    ReadyFile { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}", path.display())]
    Unwritable { path: PathBuf, source: io::Error },
}

impl Fatal {
    /// Gives a refused bind or listen its name.
    pub fn listen(address: SocketAddr, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::AddrInUse {
            Self::AddressInUse { address }
        } else if source.kind() == io::ErrorKind::PermissionDenied {
            Self::AddressForbidden { address }
        } else if source.kind() == io::ErrorKind::AddrNotAvailable {
            Self::AddressUnknown { address }
        } else {
            Self::Listen { address, source }
        }
    }

    /// The status that the process ends with. 1 is a verdict of `doctor`, 101 a panic.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Config { .. } => 2,
            Self::ConfigUnreadable { .. } => 3,
            Self::AddressInUse { .. } => 4,
            Self::AddressForbidden { .. } => 5,
            Self::AddressUnknown { .. } => 6,
            Self::Listen { .. } => 7,
            Self::Ring(_) => 8,
            Self::LockedMemory { .. } => 9,
            Self::Descriptors { .. } => 10,
            Self::Cpu { .. } => 11,
            Self::Core { .. } => 12,
            Self::Control { .. } => 13,
            Self::ReadyFile { .. } => 14,
            Self::Store(_) => 15,
            Self::Unwritable { .. } => 16,
            Self::Inherited { .. } => 17,
        }
    }

    /// What to do about it: a sentence, with the command where there is one.
    pub fn fix(&self) -> String {
        match self {
            Self::Config { file, .. } => {
                let file = file.as_ref().map(|path| format!(" {}", path.display())).unwrap_or_default();
                format!("correct the lines above, then run `ringway check-config{file}`")
            }
            Self::ConfigUnreadable { path, .. } => {
                format!("check the path and who may read it: `ls -l {}`", path.display())
            }
            Self::AddressInUse { address } => format!(
                "find the process with `ss --listening --tcp --processes 'sport = :{0}'`, \
                 or choose another port with --listen or --internal",
                address.port()
            ),
            Self::AddressForbidden { .. } => "use a port from 1024 up, or allow low ports with \
                `setcap cap_net_bind_service=+ep $(command -v ringway)` or AmbientCapabilities=CAP_NET_BIND_SERVICE"
                .to_owned(),
            Self::AddressUnknown { .. } => {
                "list the addresses with `ip -brief address`, or listen on 0.0.0.0".to_owned()
            }
            Self::Listen { .. } | Self::Core { .. } | Self::Control { .. } => {
                "run `ringway doctor`; it names what this machine lacks".to_owned()
            }
            Self::Ring(refusal) => refusal.fix(),
            Self::LockedMemory { need_bytes, .. } => format!(
                "run `ulimit -l {}` before, or set LimitMEMLOCK=64M in the systemd unit",
                need_bytes.div_ceil(1024)
            ),
            Self::Descriptors { .. } => {
                "run `ulimit -n 1048576` before, or set LimitNOFILE=1048576 in the systemd unit".to_owned()
            }
            Self::Cpu { allowed, .. } => {
                format!("choose among the CPUs {allowed} with --cores, or widen the mask of the process (taskset, cpuset)")
            }
            Self::Store(error) => error.fix(),
            Self::Unwritable { path, .. } => {
                format!("choose a place that is free and can be written: `ls -ld {}`", path.display())
            }
            Self::Inherited { .. } => "let the socket unit listen with ListenStream= (see tuning/ringway.socket), or unset \
                LISTEN_FDS: `env --unset LISTEN_FDS ringway serve`"
                .to_owned(),
            Self::ReadyFile { path, .. } => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                format!("check that its folder exists and can be written: `ls -ld {}`", folder.map_or_else(|| ".".into(), |folder| folder.display().to_string()))
            }
        }
    }
}

fn counted(problems: usize) -> String {
    if problems == 1 { "a problem".to_owned() } else { format!("{problems} problems") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn one_of_each() -> Vec<Fatal> {
        let address = "127.0.0.1:80".parse().unwrap();
        let source = || io::Error::other("reason");
        let path = PathBuf::from("/etc/ringway.toml");
        vec![
            Fatal::Config { file: Some(path.clone()), problems: vec!["wrong".to_owned()] },
            Fatal::ConfigUnreadable { path: path.clone(), source: source() },
            Fatal::AddressInUse { address },
            Fatal::AddressForbidden { address },
            Fatal::AddressUnknown { address },
            Fatal::Listen { address, source: source() },
            Fatal::Ring(Refusal::Filtered),
            Fatal::LockedMemory { have_bytes: 65_536, need_bytes: 524_288 },
            Fatal::Descriptors { have: 64, need: 128 },
            Fatal::Cpu { cpu: 9, allowed: "0-1".to_owned() },
            Fatal::Core { cpu: 1, cause: "reason".to_owned() },
            Fatal::Control { cause: "reason".to_owned() },
            Fatal::Store(StoreError::Full { path: path.clone() }),
            Fatal::Inherited { name: "public".to_owned(), cause: "it is not a listening socket".to_owned() },
            Fatal::ReadyFile { path: path.clone(), source: source() },
            Fatal::Unwritable { path, source: source() },
        ]
    }

    fn one_of_each_refusal() -> Vec<Refusal> {
        let kernel = || "5.10.0".to_owned();
        vec![
            Refusal::Disabled(1),
            Refusal::Disabled(2),
            Refusal::Filtered,
            Refusal::Absent { kernel: kernel() },
            Refusal::Lacking { kernel: kernel(), missing: "multishot receive".to_owned() },
            Refusal::Memory,
            Refusal::Descriptors,
            Refusal::Failed { attempt: "accepting", source: io::Error::other("reason") },
        ]
    }

    #[test]
    fn every_fatal_error_names_a_cause_and_a_fix_with_something_to_do() {
        let rings = one_of_each_refusal().into_iter().map(Fatal::Ring);
        for fatal in one_of_each().into_iter().chain(rings) {
            let (cause, fix) = (fatal.to_string(), fatal.fix());
            assert!(cause.len() > 20 && fix.len() > 20, "{fatal:?}: {cause} / {fix}");
            assert!(fix.contains('`') || fix.contains("--"), "a command or a flag: {fix}");
            assert!(!fix.contains("  ") && !cause.trim_end().ends_with('.'), "{cause} / {fix}");
        }
    }

    #[test]
    fn every_fatal_error_has_an_exit_code_of_its_own_that_means_nothing_else() {
        let codes: Vec<u8> = one_of_each().iter().map(Fatal::exit_code).collect();
        assert_eq!(codes.iter().collect::<HashSet<_>>().len(), codes.len());
        // 1 is a verdict of the doctor, 101 a panic, 126 and up belong to the shell.
        assert!(codes.iter().all(|code| (2..101).contains(code)));
    }

    #[test]
    fn a_refused_address_is_told_from_a_taken_one() {
        let address = "192.0.2.1:80".parse().unwrap();
        let of = |kind: io::ErrorKind| Fatal::listen(address, kind.into());
        assert!(matches!(of(io::ErrorKind::AddrInUse), Fatal::AddressInUse { .. }));
        assert!(matches!(of(io::ErrorKind::PermissionDenied), Fatal::AddressForbidden { .. }));
        assert!(matches!(of(io::ErrorKind::AddrNotAvailable), Fatal::AddressUnknown { .. }));
        assert!(matches!(of(io::ErrorKind::OutOfMemory), Fatal::Listen { .. }));
    }
}
