//! The watchdog is fed while every core turns, and not a moment longer.

#![expect(unsafe_code, reason = "one thread of the server is stopped by ptrace(2)")]

use super::notifications::Receiver;
use crate::support::server::Server;
use crate::support::session::OPEN;
use std::fs;
use std::ptr;
use std::time::Duration;

/// A thread of a child that stands still.
struct Stalled(libc::pid_t);

impl Stalled {
    fn new(thread: libc::pid_t) -> Self {
        for request in [libc::PTRACE_SEIZE, libc::PTRACE_INTERRUPT] {
            // SAFETY: neither request reads or writes memory of this process.
            let result =
                unsafe { libc::ptrace(request, thread, ptr::null_mut::<u8>(), ptr::null_mut::<u8>()) };
            assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
        }
        // SAFETY: a null pointer asks for no status.
        let waited = unsafe { libc::waitpid(thread, ptr::null_mut(), libc::__WALL) };
        assert_eq!(waited, thread);
        Self(thread)
    }
}

impl Drop for Stalled {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.0, ptr::null_mut::<u8>(), ptr::null_mut::<u8>()) };
    }
}

/// The thread of the one core.
fn core(server: &Server) -> libc::pid_t {
    let threads = fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap().map(|task| task.unwrap());
    // The first thread has the name of the binary, which is the same.
    let is_core = |id: &u32| {
        let name = fs::read_to_string(format!("/proc/{}/task/{id}/comm", server.pid())).unwrap();
        name.starts_with("ringway") && *id != server.pid()
    };
    let mut cores = threads.filter_map(|task| task.file_name().to_str()?.parse().ok()).filter(is_core);
    cores.next().expect("a thread by the name of a core").cast_signed()
}

#[test]
fn a_core_that_hangs_starves_the_watchdog_and_idle_ones_do_not() {
    const PATIENCE: Duration = Duration::from_secs(1);
    let (receiver, address) = Receiver::abstract_name("watchdog");
    let usec = PATIENCE.as_micros().to_string();
    let server = Server::start_in(&[("NOTIFY_SOCKET", &address), ("WATCHDOG_USEC", &usec)], OPEN);
    assert!(receiver.message().contains(&"READY=1".to_owned()));
    let fed = || assert_eq!(receiver.message(), ["WATCHDOG=1"]);
    // Without any client: the cores are woken to say that they live.
    (0..5).for_each(|_| fed());
    let stalled = Stalled::new(core(&server));
    // What was on its way when it stopped, and one beat for what it had done since the last.
    while receiver.next(PATIENCE / 2).is_some() {}
    assert_eq!(receiver.next(2 * PATIENCE), None, "fed while a core hangs");
    drop(stalled);
    (0..3).for_each(|_| fed());
}

/// As when the variables of a supervisor leak into a shell that somebody works in.
#[test]
fn a_watchdog_of_another_process_is_not_fed() {
    let (receiver, address) = Receiver::abstract_name("stranger");
    let variables = [("NOTIFY_SOCKET", address.as_str()), ("WATCHDOG_USEC", "100000"), ("WATCHDOG_PID", "1")];
    let server = Server::start_in(&variables, OPEN);
    assert!(receiver.message().contains(&"READY=1".to_owned()));
    assert_eq!(receiver.next(Duration::from_secs(1)), None);
    drop(server);
}
