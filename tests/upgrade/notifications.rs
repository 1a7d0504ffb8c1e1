//! What a supervisor hears: sd_notify(3). The receiver is the socket that systemd would read.

use crate::support::server::Server;
use crate::support::session::OPEN;
use crate::support::wait::PATIENCE;
use rustix::process::Signal;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

/// Reads what arrives at a notify socket.
pub struct Receiver(UnixDatagram);

impl Receiver {
    /// On a name that is in no file system, and as `NOTIFY_SOCKET` spells it.
    pub fn abstract_name(name: &str) -> (Self, String) {
        let name = format!("ringway-{name}-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        (Self::over(socket), format!("@{name}"))
    }

    fn path(name: &str) -> (Self, String) {
        // Short, because the address of such a socket has 108 bytes.
        let path = std::env::temp_dir().join(format!("ringway-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        (Self::over(UnixDatagram::bind(&path).unwrap()), path.to_str().unwrap().to_owned())
    }

    fn over(socket: UnixDatagram) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    /// The next message.
    #[track_caller]
    pub fn message(&self) -> Vec<String> {
        self.next(PATIENCE).expect("a message")
    }

    /// The next message within this time.
    pub fn next(&self, patience: std::time::Duration) -> Option<Vec<String>> {
        self.0.set_read_timeout(Some(patience)).unwrap();
        let mut bytes = [0; 4096];
        let len = self.0.recv(&mut bytes).ok()?;
        Some(String::from_utf8(bytes[..len].to_vec()).unwrap().lines().map(str::to_owned).collect())
    }

    /// The next message has this line.
    #[track_caller]
    fn hears(&self, line: &str) -> Vec<String> {
        let message = self.message();
        assert!(message.iter().any(|found| found == line), "{line}: {message:?}");
        message
    }
}

#[test]
fn ready_reloading_and_stopping_are_said_in_order() {
    for (receiver, address) in [Receiver::abstract_name("life"), Receiver::path("life")] {
        let mut server = Server::start_in(&[("NOTIFY_SOCKET", &address)], OPEN);
        let ready = receiver.hears("READY=1");
        assert!(ready.iter().any(|line| line.starts_with("STATUS=")), "{ready:?}");
        server.signal(Signal::HUP);
        let reloading = receiver.hears("RELOADING=1");
        let time = reloading.iter().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).unwrap();
        assert!(time.parse::<u64>().unwrap() <= ringway::sys::clock::now().as_nanos() / 1_000);
        receiver.hears("READY=1");
        server.signal(Signal::TERM);
        receiver.hears("STOPPING=1");
        assert!(server.wait_for_exit().success());
        let _ = std::fs::remove_file(Path::new(&address));
    }
}

/// A supervisor that takes messages of the main process alone hears of the new one from the old one.
#[test]
fn a_successor_is_introduced_by_its_predecessor() {
    let (receiver, address) = Receiver::abstract_name("heir");
    let mut server = Server::start_in(&[("NOTIFY_SOCKET", &address)], OPEN);
    receiver.hears("READY=1");
    server.rewrite("wrong = 1\n");
    server.signal(Signal::USR2);
    assert!(receiver.message()[0].starts_with("STATUS=an upgrade failed"));
    server.rewrite(OPEN);
    server.upgrade();
    let introduction = format!("MAINPID={}", server.pid());
    let messages = [receiver.message(), receiver.message()];
    assert!(messages.iter().any(|message| message.contains(&introduction)), "{messages:?}");
    assert!(messages.iter().all(|message| message.iter().any(|line| line == "READY=1")), "{messages:?}");
    assert!(server.wait_for_first().success());
    // The predecessor has not said that the service stops.
    server.signal(Signal::TERM);
    receiver.hears("STOPPING=1");
}

#[test]
fn a_supervisor_that_is_not_there_is_named_and_costs_nothing() {
    let server = Server::start_in(&[("NOTIFY_SOCKET", "nonsense")], OPEN);
    server.says("NOTIFY_SOCKET=nonsense cannot be used");
    let absent = Server::start_in(&[("NOTIFY_SOCKET", "@ringway-nobody-is-there")], OPEN);
    absent.settled();
}
