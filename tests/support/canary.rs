//! An honest client on the same core as an attack: it must not notice.

use super::client::Client;
use super::frame::{TEXT, masked};
use super::server::Server;
use ringway::sys::clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

#[derive(Debug)]
pub struct Canary {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<Duration>>>,
}

impl Canary {
    /// Echoes until it is asked.
    pub fn start(server: &Server) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut client = Client::echo(server);
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut latencies = Vec::new();
            while latencies.len() < ECHO_COUNT_MIN || !stopped.load(Ordering::Relaxed) {
                let sent = clock::now();
                client.send(&masked(TEXT, b"tweet"));
                client.expect(TEXT, b"tweet");
                latencies.push(clock::now().since(sent));
                super::wait::pause(Duration::from_millis(2));
            }
            latencies
        });
        Self { stop, thread: Some(thread) }
    }

    /// Every echo came back right, and 99 of 100 in time. The budget leaves room for a busy machine: it tells a stalled
    /// loop from a working one.
    #[track_caller]
    pub fn unharmed(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let mut latencies = self.thread.take().unwrap().join().expect("the canary lives");
        latencies.sort_unstable();
        let p99 = latencies[latencies.len() * 99 / 100 - 1];
        assert!(p99 < BUDGET, "p99 of {} echoes is {p99:?}", latencies.len());
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

const BUDGET: Duration = Duration::from_millis(500);
/// So that a percentile means something.
const ECHO_COUNT_MIN: usize = 100;
