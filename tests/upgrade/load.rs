//! Clients that connect without a pause, and what becomes of each attempt.

use crate::support::client::upgrade_head;
use crate::support::server::Server;
use crate::support::session::OPEN;
use crate::support::wait::{PATIENCE, pause, wait_until};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const QUICK: &str = "[shutdown]\ndrain_window = \"1s\"\n";

#[derive(Debug, Default)]
struct Attempts {
    answered: AtomicU64,
    /// Answered with 503 and Retry-After.
    turned_away: AtomicU64,
    refused: AtomicU64,
    /// Ended without an answer.
    reset: AtomicU64,
    is_over: AtomicBool,
}

impl Attempts {
    fn run(&self, address: SocketAddr) {
        while !self.is_over.load(Ordering::Relaxed) {
            let Ok(mut stream) = TcpStream::connect_timeout(&address, PATIENCE) else {
                self.refused.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            let head = format!("{}\r\n", upgrade_head("/connection/websocket"));
            let counter = match stream.write_all(head.as_bytes()).and_then(|()| status(&mut stream)) {
                Ok(101) => &self.answered,
                Ok(503) => &self.turned_away,
                Ok(other) => panic!("answered with {other}"),
                Err(_) => &self.reset,
            };
            counter.fetch_add(1, Ordering::Relaxed);
            // Some hundred connections a second from all threads together.
            pause(Duration::from_millis(5));
        }
    }

    fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }
}

fn status(stream: &mut TcpStream) -> std::io::Result<u16> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut start = [0; 12];
    stream.read_exact(&mut start)?;
    let text = std::str::from_utf8(&start).unwrap();
    Ok(text.strip_prefix("HTTP/1.1 ").and_then(|status| status.parse().ok()).unwrap())
}

/// One core, then two, then one again: a listener that is one too many is accepted from all the same.
#[test]
fn nobody_is_refused_or_reset_while_three_processes_take_over_one_after_the_other() {
    let config = |cores: usize| format!("cores = \"{}\"\n{OPEN}{QUICK}", cores.min(Server::core_count(2)));
    upgrades_under_load(Server::start_by_file(&config(1)), &[config(2), config(1), config(2)]);
}

/// They share the listeners meanwhile, and want different things of them.
#[test]
fn nobody_is_refused_or_reset_while_a_successor_uses_another_driver() {
    let config = |driver: &str| format!("driver = \"{driver}\"\ncores = \"1\"\n{OPEN}{QUICK}");
    let server = Server::start_by_file_alone(&config("epoll"));
    upgrades_under_load(server, &[config("uring"), config("epoll"), config("uring")]);
}

#[track_caller]
fn upgrades_under_load(mut server: Server, configs: &[String]) {
    const THREADS: usize = 6;
    const ENOUGH: u64 = 200;
    let (attempts, address) = (Attempts::default(), server.public);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| attempts.run(address));
        }
        let upgrades = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for config in configs {
                let before = attempts.answered();
                wait_until("clients come in", || attempts.answered() > before + ENOUGH);
                server.rewrite(config);
                server.upgrade();
                assert_eq!(server.metrics().figure("accept_pauses_total"), 0);
                server.wait_for_predecessor();
            }
            let before = attempts.answered();
            wait_until("clients come in", || attempts.answered() > before + ENOUGH);
        }));
        attempts.is_over.store(true, Ordering::Relaxed);
        if let Err(cause) = upgrades {
            std::panic::resume_unwind(cause);
        }
    });
    assert_eq!(attempts.refused.load(Ordering::Relaxed), 0, "{attempts:?}");
    assert_eq!(attempts.reset.load(Ordering::Relaxed), 0, "{attempts:?}");
    // A client that sleeps for a second between connection and request meets a drain.
    assert!(attempts.turned_away.load(Ordering::Relaxed) * 50 <= attempts.answered(), "{attempts:?}");
    assert_eq!(server.metrics().figure("panics_total"), 0);
}
