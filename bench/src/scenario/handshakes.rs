//! TLS handshakes and nothing else: how many a second a server does, and what it does with those too many.
//!
//! Threads with blocking sockets, each with a part of the rate: a handshake is a few round trips, and what the generator
//! spends on one is much more than a thread. Open loop as far as there are threads: an attempt that begins late has been
//! offered late, which the rate that was reached tells.
//! Invariant: every attempt is counted once, as done, as refused before the server has said a word, or as failed.

use super::ScenarioError;
use crate::cli::flags::HandshakesFlags;
use crate::record::Durations;
use crate::tls::Tls;
use crate::url::Url;
use ringway::sys::clock;
use ringway::sys::source::bind_source;
use rustix::fd::{AsFd, OwnedFd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};
use rustls::{ClientConnection, HandshakeKind};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::thread;
use std::time::Duration;

pub fn run(flags: &HandshakesFlags) -> Result<bool, ScenarioError> {
    let url = Url::parse(&flags.url)?;
    if !url.is_tls {
        return Err(ScenarioError::Flags("handshakes need a wss:// address".into()));
    }
    let trust = super::session::trust(&flags.trust, &url)?;
    let wrong = |error: rustls::Error| ScenarioError::Flags(error.to_string());
    let tls = trust.as_ref().map(Tls::new).transpose().map_err(wrong)?;
    let Some(mut tls) = tls else {
        return Err(ScenarioError::Flags("handshakes need a wss:// address".into()));
    };
    if flags.resume {
        tls.resume();
    }
    let begin = clock::now();
    let caller = Caller { url, tls, flags, begin_ns: begin.as_nanos() };
    let mut sum = Tally::default();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..flags.threads.max(1))
            .map(|number| {
                let caller = &caller;
                scope.spawn(move || caller.call(number))
            })
            .collect();
        for thread in threads {
            if let Ok(tally) = thread.join() {
                sum.add(tally);
            }
        }
    });
    let seconds = clock::now().since(begin).as_secs_f64();
    report(&sum, seconds, flags.json)?;
    Ok(sum.failed.is_empty())
}

struct Caller<'f> {
    url: Url,
    tls: Tls,
    flags: &'f HandshakesFlags,
    begin_ns: u64,
}

#[derive(Default)]
struct Tally {
    offered: u64,
    done: u64,
    resumed: u64,
    refused: u64,
    /// From the first byte to the end of the handshake.
    latency: Durations,
    failed: BTreeMap<String, u64>,
}

enum Outcome {
    Done { is_resumed: bool },
    Refused,
    Failed(String),
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.offered += other.offered;
        self.done += other.done;
        self.resumed += other.resumed;
        self.refused += other.refused;
        self.latency.add(&other.latency);
        for (reason, count) in other.failed {
            *self.failed.entry(reason).or_default() += count;
        }
    }
}

impl Caller<'_> {
    /// One thread's part of the attempts: every `threads`th.
    fn call(&self, number: u32) -> Tally {
        let mut tally = Tally::default();
        let until = self.begin_ns + self.flags.duration.as_nanos() as u64;
        for attempt in (u64::from(number)..).step_by(self.flags.threads.max(1) as usize) {
            let after = (attempt * SECOND_NS).checked_div(u64::from(self.flags.rate)).unwrap_or_default();
            let due = self.begin_ns + after;
            let now = clock::now().as_nanos();
            if now.max(due) >= until {
                break;
            }
            thread::park_timeout(Duration::from_nanos(due.saturating_sub(now)));
            let start = clock::now();
            tally.offered += 1;
            match self.attempt(attempt).unwrap_or_else(|error| Outcome::Failed(error.to_string())) {
                Outcome::Done { is_resumed } => {
                    tally.done += 1;
                    tally.resumed += u64::from(is_resumed);
                    tally.latency.record(clock::now().since(start).as_nanos() as u64);
                }
                Outcome::Refused => tally.refused += 1,
                Outcome::Failed(reason) => *tally.failed.entry(reason).or_default() += 1,
            }
        }
        tally
    }

    fn attempt(&self, number: u64) -> io::Result<Outcome> {
        let mut stream = self.dial(number)?;
        let mut connection = self.tls.connect().map_err(io::Error::other)?;
        let mut has_heard = false;
        while connection.is_handshaking() {
            if let Err(outcome) = step(&mut connection, &mut stream, &mut has_heard) {
                return Ok(outcome);
            }
        }
        // Our last word; tickets come behind the server's.
        while connection.wants_write() {
            connection.write_tls(&mut stream)?;
        }
        if self.flags.resume {
            let _ = step(&mut connection, &mut stream, &mut has_heard);
        }
        Ok(Outcome::Done { is_resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed) })
    }

    /// From one of many addresses, and to be ended by a reset: a port that was used is free at once.
    fn dial(&self, number: u64) -> io::Result<TcpStream> {
        let address = self.url.address;
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket: OwnedFd = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        if let IpAddr::V4(host) = address.ip()
            && host.is_loopback()
        {
            bind_source(socket.as_fd(), Ipv4Addr::new(127, 0, 1, 1 + (number % SOURCE_COUNT) as u8))?;
        }
        connect(&socket, &address)?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }
}

/// Says what there is to say and reads an answer. A server that closes without one has refused.
fn step(
    connection: &mut ClientConnection,
    stream: &mut TcpStream,
    has_heard: &mut bool,
) -> Result<(), Outcome> {
    let over = |error: &io::Error, has_heard: bool| {
        let is_closed = matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
        if is_closed && !has_heard {
            return Outcome::Refused;
        }
        let is_late = error.kind() == ErrorKind::WouldBlock;
        Outcome::Failed(if is_late { "no answer in time".into() } else { error.kind().to_string() })
    };
    while connection.wants_write() {
        connection.write_tls(stream).map_err(|error| over(&error, *has_heard))?;
    }
    match connection.read_tls(stream) {
        Ok(0) if *has_heard => return Err(Outcome::Failed("closed amid the handshake".into())),
        Ok(0) => return Err(Outcome::Refused),
        Ok(_) => *has_heard = true,
        Err(error) => return Err(over(&error, *has_heard)),
    }
    connection.process_new_packets().map_err(|error| Outcome::Failed(format!("TLS: {error}")))?;
    Ok(())
}

/// What `--json` prints.
#[derive(Serialize)]
struct Summary<'t> {
    seconds: f64,
    offered: u64,
    offered_per_s: f64,
    done: u64,
    done_per_s: f64,
    resumed: u64,
    refused: u64,
    p50_ns: Option<u64>,
    p99_ns: Option<u64>,
    failed: &'t BTreeMap<String, u64>,
}

fn report(sum: &Tally, seconds: f64, is_json: bool) -> Result<(), ScenarioError> {
    let summary = Summary {
        seconds,
        offered: sum.offered,
        offered_per_s: sum.offered as f64 / seconds,
        done: sum.done,
        done_per_s: sum.done as f64 / seconds,
        resumed: sum.resumed,
        refused: sum.refused,
        p50_ns: sum.latency.quantile(0.50),
        p99_ns: sum.latency.quantile(0.99),
        failed: &sum.failed,
    };
    let millis =
        |nanos: Option<u64>| nanos.map_or("too few".into(), |nanos| format!("{:.1} ms", nanos as f64 / 1e6));
    eprintln!("offered   {} in {seconds:.1} s, {:.0} a second", summary.offered, summary.offered_per_s);
    eprintln!(
        "done      {}, {:.0} a second, {} of them resumed; p50 {}, p99 {}",
        summary.done,
        summary.done_per_s,
        summary.resumed,
        millis(summary.p50_ns),
        millis(summary.p99_ns)
    );
    eprintln!("refused   {}, before the server had said a word", summary.refused);
    for (reason, count) in summary.failed {
        eprintln!("failed    {count}: {reason}");
    }
    if is_json {
        let text =
            serde_json::to_string(&summary).map_err(|error| ScenarioError::Flags(error.to_string()))?;
        println!("{text}");
    }
    Ok(())
}

const SECOND_NS: u64 = 1_000_000_000;
/// Source addresses in turn, on loopback.
const SOURCE_COUNT: u64 = 200;
/// For an answer of a server that has much to do.
const PATIENCE: Duration = Duration::from_secs(10);
