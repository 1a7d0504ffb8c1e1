//! The server under test: one place, one pair of ports, and one process after another.

use super::call::Caller;
use crate::support::group::Group;
use crate::support::wait::{pause, wait_until};
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, waitpid};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

#[derive(Debug)]
pub struct Node {
    pub public: SocketAddr,
    pub internal: SocketAddr,
    folder: PathBuf,
    /// The process that serves; none between two of them.
    process: Option<Pid>,
    /// Those that drain, or were told to end.
    old: Vec<Pid>,
    /// Of every process, if memory is to run out.
    group: Option<Group>,
}

impl Node {
    /// Starts the first process. What it writes goes below `folder`.
    pub fn start(folder: &Path, config: &str, group: Option<Group>) -> Self {
        // Processes whose parent has ended are ours to wait for.
        set_child_subreaper(Some(getpid())).unwrap();
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("config.toml"), config).unwrap();
        let [public, internal] = free_addresses();
        let folder = folder.to_owned();
        let mut node = Self { public, internal, folder, process: None, old: Vec::new(), group };
        node.begin();
        node
    }

    /// Starts a process and waits until it is ready.
    #[expect(clippy::zombie_processes, reason = "collected by `has_ended`, as its successors are")]
    fn begin(&mut self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.folder.join("log")).unwrap();
        let ready = self.folder.join("ready.json");
        let _ = fs::remove_file(&ready);
        // The kernel looks for the process that has the most, unless somebody volunteers.
        let enter = self
            .group
            .as_ref()
            .map(|group| format!("{} && echo 1000 >/proc/$$/oom_score_adj && ", group.enter()));
        let enter = enter.unwrap_or_default();
        let limit = format!("{enter}ulimit -n {DESCRIPTOR_COUNT} && exec \"$0\" \"$@\"");
        let child = Command::new("sh")
            .args(["-c", &limit, env!("CARGO_BIN_EXE_ringway"), "serve"])
            .args(["--listen", &self.public.to_string(), "--internal", &self.internal.to_string()])
            .arg("--config")
            .arg(self.folder.join("config.toml"))
            .arg("--ready-file")
            .arg(&ready)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let pid = Pid::from_child(&child);
        self.process = Some(pid);
        wait_until("the server is ready", || {
            assert!(!has_ended(pid), "the server ended: {}", self.log());
            self.announced() == Some(pid)
        });
    }

    pub fn pid(&self) -> Pid {
        self.process.unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// `kill -9`, a moment of nothing, and a new process in the same place.
    pub fn die(&mut self, pause_for: Duration) {
        let pid = self.pid();
        kill_process(pid, Signal::KILL).unwrap();
        wait_until("the process is gone", || has_ended(pid));
        self.process = None;
        pause(pause_for);
        self.begin();
    }

    /// A neighbour in its group takes all memory that there is, until the kernel ends the node, and then the neighbour. What
    /// a supervisor does comes after a moment of nothing.
    pub fn starve(&mut self, pause_for: Duration) {
        let group = self.group.as_ref().expect("a node that can starve has a group");
        let (pid, before) = (self.pid(), group.killed_count());
        // Without a line there is no end to what it has to keep.
        let glutton = format!("{} && exec tail /dev/zero", group.enter());
        let mut glutton = Command::new("sh").args(["-c", &glutton]).stdin(Stdio::null()).spawn().unwrap();
        wait_until("the kernel has ended the node", || has_ended(pid));
        wait_until("and its neighbour", || matches!(glutton.try_wait(), Ok(Some(_)) | Err(_)));
        assert!(group.killed_count() >= before + 2, "{} processes were ended", group.killed_count() - before);
        self.process = None;
        pause(pause_for);
        self.begin();
    }

    /// SIGUSR2. True: another process has taken over. False: it was refused, and this one said so.
    pub fn upgrade(&mut self) -> bool {
        let old = self.pid();
        let before = self.log().matches(FAILED).count();
        self.signal(Signal::USR2);
        wait_until("the upgrade has an outcome", || {
            self.announced() != Some(old) || self.log().matches(FAILED).count() > before
        });
        match self.announced() {
            Some(heir) if heir != old => {
                self.old.push(old);
                self.process = Some(heir);
                true
            }
            Some(_) | None => false,
        }
    }

    pub fn caller(&self) -> Caller {
        Caller::new(self.internal)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn announced(&self) -> Option<Pid> {
        let line = fs::read_to_string(self.folder.join("ready.json")).ok()?;
        let line: serde_json::Value = serde_json::from_str(&line).ok()?;
        Pid::from_raw(i32::try_from(line["pid"].as_i64()?).ok()?)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for pid in self.old.iter().copied().chain(self.process).chain(self.announced()) {
            if !has_ended(pid) {
                let _ = kill_process(pid, Signal::CONT);
                let _ = kill_process(pid, Signal::KILL);
                let _ = waitpid(Some(pid), WaitOptions::empty());
            }
        }
        if std::thread::panicking() {
            eprintln!("-- log of the server --\n{}--", self.log());
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// One that has ended is collected by this; then there is no such child.
fn has_ended(pid: Pid) -> bool {
    match waitpid(Some(pid), WaitOptions::NOHANG) {
        Ok(None) => false,
        Ok(Some(_)) | Err(_) => true,
    }
}

/// Below the ports that the kernel gives to clients, so that none of them takes one while the server is dead.
fn free_addresses() -> [SocketAddr; 2] {
    let first = 20_000 + std::process::id() % 6_000 * 2;
    let mut free = (first..32_000).map(|port| SocketAddr::from(([127, 0, 0, 1], port as u16)));
    let mut next = || free.find(|address| TcpListener::bind(address).is_ok()).expect("a free port");
    [next(), next()]
}

/// What the log says of an upgrade that did not come about.
const FAILED: &str = "the upgrade FAILED";
/// Few enough to be exhausted within a second.
pub const DESCRIPTOR_COUNT: usize = 400;
