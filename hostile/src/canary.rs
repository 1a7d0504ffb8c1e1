//! An honest client beside the attacks: it must not notice.
//! Invariant: a lap is judged only after echoes that began when the attack was over.

use crate::clock;
use crate::conn::{Conn, DEFLATE_OFFER};
use crate::frame::{self, Event, Form};
use crate::target::Target;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

pub struct Canary {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    lap: Mutex<Times>,
}

#[derive(Default)]
struct Times {
    latencies: Vec<Duration>,
    dead: Option<String>,
}

/// How an honest client fared during one row.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Lap {
    pub echoes: usize,
    pub p50_us: u64,
    pub p99_us: u64,
}

impl Canary {
    pub fn start(target: &Target, patience: Duration) -> Result<Self, String> {
        let offer = if target.deflate { DEFLATE_OFFER } else { "" };
        let conn = Conn::upgraded(target, &target.path, offer, patience)?;
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || sing(conn, &for_thread, patience));
        Ok(Self { shared, thread: Some(thread) })
    }

    /// What came before does not count.
    pub fn begin_lap(&self) {
        self.lap().latencies.clear();
    }

    /// Waits for a few more echoes; an error says how it died.
    pub fn end_lap(&self, patience: Duration) -> Result<Lap, String> {
        let deadline = clock::now() + 2 * patience;
        let least = self.lap().latencies.len() + ECHOES_AFTER;
        loop {
            let lap = self.lap();
            if let Some(cause) = &lap.dead {
                return Err(cause.clone());
            }
            if lap.latencies.len() >= least {
                let mut latencies = lap.latencies.clone();
                latencies.sort_unstable();
                let micros = |at: usize| latencies.get(at).map_or(0, |latency| latency.as_micros() as u64);
                let count = latencies.len();
                return Ok(Lap {
                    echoes: count,
                    p50_us: micros(count / 2),
                    p99_us: micros((count * 99).div_ceil(100) - 1),
                });
            }
            drop(lap);
            if clock::left(deadline).is_none() {
                return Err("it is not answered any more".into());
            }
            clock::pause(INTERVAL);
        }
    }

    fn lap(&self) -> std::sync::MutexGuard<'_, Times> {
        self.shared.lap.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn sing(mut conn: Conn, shared: &Shared, patience: Duration) {
    while !shared.stop.load(Ordering::Relaxed) {
        let begin = clock::now();
        let outcome = echo(&mut conn, patience);
        let mut lap = shared.lap.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(()) => lap.latencies.push(begin.elapsed()),
            Err(cause) => {
                lap.dead = Some(cause);
                return;
            }
        }
        drop(lap);
        clock::pause(INTERVAL);
    }
}

fn echo(conn: &mut Conn, patience: Duration) -> Result<(), String> {
    let tweet = if conn.compresses() {
        frame::packed(0x81, b"tweet")
    } else {
        frame::encode(0x81, b"tweet", &Form::default())
    };
    conn.write(&tweet, patience);
    loop {
        match conn.event(patience)? {
            Ok(Event::Message(frame::TEXT, payload)) if payload == b"tweet" => return Ok(()),
            Ok(Event::Ping(payload)) => {
                conn.write(&frame::encode(0x8a, &payload, &Form::default()), patience);
            }
            Ok(event) => return Err(format!("it got {event:?} in place of its echo")),
            Err(seen) => return Err(format!("waiting for its echo: {seen}")),
        }
    }
}

/// Between two echoes: often enough to notice a stall, seldom enough to be no load.
const INTERVAL: Duration = Duration::from_millis(5);
/// Begun after the attack, so that a server which has just stopped is found out.
const ECHOES_AFTER: usize = 3;
