//! What the server says, and how it ends, when the machine refuses something at start. It must never hang.

#![expect(unsafe_code, reason = "a seccomp filter is installed between fork and exec")]
#![expect(clippy::unwrap_used, reason = "a test that cannot start the server has failed")]

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::thread;

/// On ports that the kernel chooses, so that only the refusal under test can happen.
const SERVE: [&str; 7] = ["serve", "--listen", "127.0.0.1:0", "--internal", "127.0.0.1:0", "--cores", "1"];

#[test]
fn a_taken_port_is_named_with_the_command_that_finds_its_owner() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--listen", "--internal"] {
        let other = if flag == "--listen" { "--internal" } else { "--listen" };
        let output = finish(server().args(["serve", flag, &address, other, "127.0.0.1:0", "--cores", "1"]));
        refused(&output, 4, &[&address, "is in use", "fix: ", "ss --listening"]);
    }
}

#[test]
fn an_address_of_another_machine_is_told_from_a_taken_one() {
    let output = finish(server().args(["serve", "--listen", "192.0.2.1:1", "--internal", "127.0.0.1:0"]));
    refused(&output, 6, &["192.0.2.1:1 is not an address of this machine", "fix: "]);
}

#[test]
fn a_wrong_flag_is_a_mistake_in_the_configuration() {
    let output = finish(server().args(SERVE).args(["--client.ping_interval", "never"]));
    refused(&output, 2, &["flag --client.ping_interval", "a duration from 1s", "fix: "]);
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let output = finish(server().args(SERVE).args(["--config", "/nowhere/ringway.toml"]));
    refused(&output, 3, &["/nowhere/ringway.toml", "fix: "]);
}

#[test]
fn too_few_descriptors_are_refused_before_the_first_client() {
    let output = finish(limited("ulimit -n 64"));
    refused(&output, 10, &["64 descriptors", "fix: ", "LimitNOFILE"]);
}

#[test]
fn io_uring_behind_a_seccomp_filter_is_explained() {
    for errno in [libc::EPERM, libc::ENOSYS] {
        let mut command = server();
        // SAFETY: between fork and exec the closure makes system calls only; it neither allocates nor locks.
        unsafe { command.pre_exec(move || forbid_io_uring(errno)) };
        let output = finish(command.args(SERVE));
        refused(&output, 8, &["io_uring is refused", "seccomp", "fix: "]);
    }
}

#[test]
fn doctor_fails_where_io_uring_is_forbidden() {
    let mut command = server();
    // SAFETY: as above.
    unsafe { command.pre_exec(|| forbid_io_uring(libc::EPERM)) };
    let output = finish(command.arg("doctor"));
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("FAIL  io_uring: a seccomp filter"), "{text}");
}

fn server() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
    command.env_remove("RINGWAY_CONFIG");
    command
}

/// The server under a limit that a shell sets for it.
fn limited(limit: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{limit} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_ringway")])
        .args(SERVE);
    command
}

/// Runs to its end; a server that starts after all, or hangs, is ended and fails the test by its status.
fn finish(mut command: impl std::borrow::BorrowMut<Command>) -> Output {
    let command = command.borrow_mut().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let id = rustix::process::Pid::from_child(&child);
    let (done, ended) = std::sync::mpsc::channel();
    let waiter = thread::spawn(move || {
        let output = child.wait_with_output();
        let _ = done.send(());
        output
    });
    if ended.recv_timeout(std::time::Duration::from_secs(20)).is_err() {
        let _ = rustix::process::kill_process(id, rustix::process::Signal::KILL);
    }
    waiter.join().unwrap().unwrap()
}

fn refused(output: &Output, code: i32, parts: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.starts_with("error: "), "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

/// Answers `errno` to io_uring_setup, as the default profile of a container runtime would.
fn forbid_io_uring(errno: i32) -> std::io::Result<()> {
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let answer = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut program = [
        step(load, 0, 0, 0),
        step(equal, 0, 1, libc::SYS_io_uring_setup as u32),
        step(answer, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32),
        step(answer, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: takes numbers only.
    let first = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the program lives until the call returns, and the kernel copies it.
    let second = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) };
    if first == 0 && second == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}
