//! What the server says, and how it ends, when the machine refuses something at start. It must never hang.

#![expect(unsafe_code, reason = "a seccomp filter is installed between fork and exec")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot start the server has failed"
)]

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each suite uses its part")]
mod support;

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::thread;
use support::client::Client;
use support::frame::{TEXT, masked};
use support::server::Server;

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
    let output = finish(shell("ulimit -n 64").args(SERVE));
    refused(&output, 10, &["64 descriptors", "fix: ", "LimitNOFILE"]);
}

#[test]
fn who_insists_on_io_uring_behind_a_seccomp_filter_is_told_why_not() {
    for errno in [libc::EPERM, libc::ENOSYS] {
        let mut command = server();
        confine(&mut command, &refusing(libc::SYS_io_uring_setup, errno));
        let output = finish(command.args(SERVE).args(["--driver", "uring"]));
        refused(&output, 8, &["io_uring is refused", "seccomp", "fix: "]);
    }
}

/// whichever of the calls is refused, and however.
#[test]
fn without_io_uring_the_epoll_driver_serves_and_says_why() {
    for call in [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register] {
        for errno in [libc::EPERM, libc::ENOSYS] {
            let mut command = server();
            confine(&mut command, &refusing(call, errno));
            serves_on_epoll(command, "auto", "seccomp", &["NO IO_URING", "seccomp", "--security-opt"]);
        }
    }
}

#[test]
fn with_too_little_lockable_memory_the_epoll_driver_serves() {
    serves_on_epoll(
        shell("ulimit -l 64"),
        "auto",
        "memlock",
        &["NO IO_URING", "65536 bytes", "LimitMEMLOCK"],
    );
    let output = finish(shell("ulimit -l 64").args(SERVE).args(["--driver", "uring"]));
    refused(&output, 9, &["65536 bytes", "fix: ", "LimitMEMLOCK"]);
}

#[test]
fn the_epoll_driver_serves_where_it_is_configured() {
    serves_on_epoll(server(), "epoll", "configured", &["epoll        as configured"]);
}

/// Says so in the log and in the figures, echoes, and ends when it is told to.
fn serves_on_epoll(command: Command, driver: &str, reason: &str, said: &[&str]) {
    let mut node = Server::start_as(driver, command, "[routes]\necho = true\n");
    for part in said {
        node.says(part);
    }
    let series = format!("driver{{driver=\"epoll\",reason=\"{reason}\"}}");
    assert_eq!(node.metrics().labelled(&series), 1);
    let mut client = Client::echo(&node);
    client.send(&masked(TEXT, b"hello"));
    client.expect(TEXT, b"hello");
    drop(client);
    node.settled();
    node.signal(rustix::process::Signal::TERM);
    assert!(node.wait_for_exit().success());
}

/// The real profile on the real server: what it leaves out, neither driver needs.
#[test]
fn the_profile_for_containers_is_enough_for_either_driver() {
    let Some(program) = container_profile() else {
        eprintln!("SKIPPED: without the headers of the C library nobody knows the numbers of system calls");
        return;
    };
    for driver in ["uring", "epoll"] {
        let mut command = server();
        confine(&mut command, &program);
        let mut node = Server::start_as(driver, command, "[routes]\necho = true\n");
        let mut client = Client::echo(&node);
        client.send(&masked(TEXT, b"hello"));
        client.expect(TEXT, b"hello");
        drop(client);
        node.settled();
        node.signal(rustix::process::Signal::TERM);
        assert!(node.wait_for_exit().success(), "{}", node.log());
    }
}

#[test]
fn the_profile_for_containers_has_the_ring_and_refuses_what_it_does_not_name() {
    let profile = profile();
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    let rules = profile["syscalls"].as_array().unwrap();
    let names = |action: &str| -> Vec<&str> {
        let rules = rules.iter().filter(|rule| rule["action"] == action);
        rules.flat_map(|rule| rule["names"].as_array().unwrap()).map(|name| name.as_str().unwrap()).collect()
    };
    let allowed = names("SCMP_ACT_ALLOW");
    for name in ["io_uring_setup", "io_uring_enter", "io_uring_register", "epoll_pwait", "accept4", "execve"]
    {
        assert!(allowed.contains(&name), "{name} is not allowed");
    }
    for name in ["mount", "bpf", "ptrace", "keyctl", "kexec_load", "init_module", "setns", "unshare"] {
        assert!(!allowed.contains(&name), "{name} is allowed");
    }
    let distinct: std::collections::HashSet<_> = allowed.iter().collect();
    assert_eq!(distinct.len(), allowed.len(), "a name stands there twice");
}

#[test]
fn doctor_warns_where_io_uring_is_forbidden_and_fails_where_it_is_insisted_upon() {
    for (driver, code, verdict) in [("auto", 0, "WARN"), ("uring", 1, "FAIL")] {
        let mut command = server();
        confine(&mut command, &refusing(libc::SYS_io_uring_setup, libc::EPERM));
        command.env("RINGWAY_DRIVER", driver).env("RINGWAY_LISTEN_PUBLIC", "127.0.0.1:0");
        let output = finish(command.env("RINGWAY_LISTEN_INTERNAL", "127.0.0.1:0").arg("doctor"));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(&format!("{verdict}  io_uring: a seccomp filter")), "{text}");
        assert_eq!(text.contains("the epoll driver serves instead"), driver == "auto", "{text}");
        assert_eq!(output.status.code(), Some(code), "{text}");
    }
}

fn server() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
    command.env_remove("RINGWAY_CONFIG");
    command
}

/// The server under a limit that a shell sets for it.
fn shell(limit: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{limit} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_ringway")]);
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

/// A filter of system calls, as a container runtime installs one.
type Filter = Vec<libc::sock_filter>;

/// Answers `errno` to one call.
fn refusing(call: libc::c_long, errno: i32) -> Filter {
    filter(&[(call as u32, libc::SECCOMP_RET_ERRNO | errno as u32)], libc::SECCOMP_RET_ALLOW)
}

/// Looks the number of the call up and answers what stands beside it.
fn filter(answers: &[(u32, u32)], default: u32) -> Filter {
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut program = vec![step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    for &(call, answer) in answers {
        program.push(step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, call));
        program.push(step(libc::BPF_RET | libc::BPF_K, 0, 0, answer));
    }
    program.push(step(libc::BPF_RET | libc::BPF_K, 0, 0, default));
    program
}

/// Installs the filter in the process that the command will be.
fn confine(command: &mut Command, filter: &Filter) {
    let mut filter = filter.clone();
    let install = move || {
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        // SAFETY: takes numbers only.
        let first = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        // SAFETY: the program lives until the call returns, and the kernel copies it.
        let second = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) };
        if first == 0 && second == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: between fork and exec the closure makes system calls only; it neither allocates nor locks.
    unsafe { command.pre_exec(install) };
}

fn profile() -> serde_json::Value {
    serde_json::from_str(include_str!("../tuning/seccomp-ringway.json")).unwrap()
}

/// The profile as a filter; conditions on arguments are left out. None: the numbers are not known here.
fn container_profile() -> Option<Filter> {
    let numbers = ["/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"]
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok())?;
    let number = |name: &str| {
        let line = numbers.lines().find_map(|line| line.strip_prefix(&format!("#define __NR_{name} ")));
        line.map(|number| number.trim().parse::<u32>().unwrap())
    };
    let mut answers = Vec::new();
    for rule in profile()["syscalls"].as_array().unwrap() {
        let answer = match rule["action"].as_str().unwrap() {
            "SCMP_ACT_ALLOW" => libc::SECCOMP_RET_ALLOW,
            _ => libc::SECCOMP_RET_ERRNO | rule["errnoRet"].as_u64().unwrap() as u32,
        };
        let names = rule["names"].as_array().unwrap().iter();
        answers.extend(names.filter_map(|name| Some((number(name.as_str().unwrap())?, answer))));
    }
    Some(filter(&answers, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32))
}
