//! Signals end a process, so each test runs this test binary again as a child and signals that.

use super::{PATIENCE, get, options};
use crate::control::{Lifecycle, NodeView, spawn};
use crate::sys::mailbox::mailbox;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Carries the longest drain to the child, in milliseconds.
const CHILD_STOP_MS: &str = "RINGWAY_TEST_CHILD_STOP_MS";

#[test]
#[ignore = "the child process of the tests below"]
fn child() {
    let Ok(stop_ms) = std::env::var(CHILD_STOP_MS) else { return };
    let (_mailbox, inbox) = mailbox(1).unwrap();
    let lifecycle = Arc::new(Lifecycle::default());
    let view = NodeView {
        published: Vec::new(),
        cpus: Vec::new(),
        driver: "io_uring",
        driver_reason: "works",
        lifecycle: Arc::clone(&lifecycle),
        pressure: Arc::default(),
    };
    let options = options(Duration::from_millis(stop_ms.parse().unwrap()));
    let stop = |_| writeln!(std::io::stdout(), "\nstop").unwrap();
    let control = spawn(options, view, inbox, super::no_cores(), stop).unwrap();
    lifecycle.set_ready();
    writeln!(std::io::stdout(), "\ninternal {}", control.internal).unwrap();
    // The parent's close stands for "every core has ended"; it also ends a child whose parent died.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    control.finish();
}

struct Process {
    child: Child,
    lines: BufReader<ChildStdout>,
    internal: SocketAddr,
}

impl Process {
    fn start(stop_max: Duration) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "control::tests::signals::child", "--ignored", "--nocapture"])
            .env(CHILD_STOP_MS, stop_max.as_millis().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let internal = wait_for_line(&mut lines, "internal ").parse().unwrap();
        Self { child, lines, internal }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn wait_for_stop(&mut self) {
        wait_for_line(&mut self.lines, "stop");
    }

    /// Bounded by the child itself, whose longest drain is `PATIENCE`.
    fn exit(&mut self) -> (ExitStatus, String) {
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        (self.child.wait().unwrap(), errors)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_for_line(lines: &mut impl BufRead, prefix: &str) -> String {
    for line in lines.lines() {
        if let Some(rest) = line.unwrap().strip_prefix(prefix) {
            return String::from(rest);
        }
    }
    panic!("the child ended before it said {prefix:?}");
}

#[test]
fn the_first_signal_ends_readiness_and_asks_the_cores_to_stop() {
    let mut process = Process::start(PATIENCE);
    assert_eq!(get(process.internal, "/readyz").status(), 200);
    process.signal(Signal::TERM);
    process.wait_for_stop();
    let response = get(process.internal, "/readyz");
    assert_eq!((response.status(), response.body.as_str()), (503, "draining\n"));
    assert_eq!(get(process.internal, "/livez").status(), 200);
    // The cores have ended: the process follows, with success.
    drop(process.child.stdin.take());
    assert!(process.exit().0.success());
}

#[test]
fn a_second_signal_ends_the_process_with_its_number() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mut process = Process::start(PATIENCE);
        process.signal(Signal::INT);
        process.wait_for_stop();
        // Signals in quick succession are one wish, so ask until one counts.
        while process.child.try_wait().unwrap().is_none() {
            process.signal(signal);
            let _ = crossbeam_channel::after(Duration::from_millis(20)).recv();
        }
        assert_eq!(process.exit().0.code(), Some(code));
    }
}

#[test]
fn a_drain_that_takes_too_long_ends_with_a_message() {
    let mut process = Process::start(Duration::from_millis(50));
    process.signal(Signal::TERM);
    let (status, errors) = process.exit();
    assert_eq!(status.code(), Some(1));
    assert!(errors.contains("the drain took longer than 0.05 s"), "{errors}");
}

#[test]
fn a_thread_without_work_never_wakes() {
    let process = Process::start(PATIENCE);
    assert_eq!(get(process.internal, "/livez").status(), 200);
    let tasks = format!("/proc/{}/task", process.child.id());
    let control = fs::read_dir(tasks)
        .unwrap()
        .map(|task| task.unwrap().path())
        .find(|task| fs::read_to_string(task.join("comm")).unwrap() == "control\n");
    let status = control.unwrap().join("status");
    let switches = || {
        let status = fs::read_to_string(&status).unwrap();
        status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).map(String::from).unwrap()
    };
    // The first request may still be on its way out; after that, nothing happens.
    let mut before = switches();
    for _ in 0..20 {
        pause();
        let after = switches();
        if before == after {
            return;
        }
        before = after;
    }
    panic!("the thread wakes without a reason");
}

/// Long against any tick, short against any deadline.
fn pause() {
    let (_sender, receiver) = std::sync::mpsc::channel::<()>();
    let _ = receiver.recv_timeout(Duration::from_millis(300));
}
