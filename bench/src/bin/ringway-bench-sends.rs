//! What a send costs by itself: a call each, against a ring that takes a thousand at once. No server is involved, so what
//! the two differ by here is the kernel's share of the difference between the drivers.
//!
//! Rounds of both alternate on one thread, and count its CPU time alone. With peers that read, and without: who reads
//! sleeps in between, and being woken is on the bill of the sender, more or less often as they happen to keep pace. What the
//! kernel leaves to its interrupt thread of that CPU is on nobody's bill, and of a long call it leaves more: told apart.
//! Invariant: both send the same bytes to the same sockets, and every send is done when a round is over.

use ringway::payload::Payload;
use ringway::sys::doorbell::Doorbell;
use ringway::sys::epoll::{Epoll, Notice, Patience};
use ringway::sys::ring::{Completion, Ring, RingOptions, Token};
use ringway::sys::{affinity, clock, socket};
use rustix::fd::{AsFd, AsRawFd};
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

#[derive(clap::Parser)]
#[command(version, about)]
struct Arguments {
    /// Rounds of each kind
    #[arg(long, default_value_t = 200)]
    rounds: usize,
    #[arg(long, default_value_t = 1000)]
    sockets: u32,
    /// Bytes of a send
    #[arg(long, default_value_t = 180)]
    size: usize,
}

fn main() -> ExitCode {
    let arguments = <Arguments as clap::Parser>::parse();
    let outcome = measure(&arguments, false).and_then(|unread| Ok((unread, measure(&arguments, true)?)));
    let text = match outcome {
        Ok((unread, read)) => {
            format!(r#"{{"unread":{},"read":{}}}"#, unread.to_json(), read.to_json())
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            return ExitCode::FAILURE;
        }
    };
    let _ = writeln!(io::stdout(), "{text}");
    ExitCode::SUCCESS
}

/// Nanoseconds of CPU for a send, round by round.
#[derive(Default)]
struct Costs {
    calls: Vec<f64>,
    calls_left: Vec<f64>,
    ring: Vec<f64>,
    ring_left: Vec<f64>,
}

impl Costs {
    fn to_json(&self) -> String {
        let Self { calls, calls_left, ring, ring_left } = self;
        format!(
            r#"{{"call_ns":{calls:?},"call_left_ns":{calls_left:?},"ring_ns":{ring:?},"ring_left_ns":{ring_left:?}}}"#
        )
    }
}

fn measure(arguments: &Arguments, is_read: bool) -> io::Result<Costs> {
    let (senders, readers) = pairs(arguments.sockets)?;
    let cpus = affinity::allowed()?;
    let [own, other] = [cpus.first(), cpus.last()].map(|cpu| cpu.copied().unwrap_or_default());
    let keeper = thread::spawn(move || if is_read { read_all(&readers, other) } else { keep(&readers) });
    affinity::pin(own)?;
    let bell = Doorbell::new()?;
    let options = RingOptions {
        submissions: arguments.sockets.next_power_of_two(),
        completions: 4 * arguments.sockets.next_power_of_two(),
        buffers: 8,
        buffer_bytes: 4096,
    };
    let mut ring = Ring::new(options, bell.as_fd())?;
    let payload = Payload::new(vec![7; arguments.size]);
    let (mut costs, thread, count) = (Costs::default(), interrupt_thread(own), senders.len() as f64);
    for _ in 0..arguments.rounds {
        clock::stall(PAUSE);
        let (before, begun) = (left_to(thread.as_ref()), spent());
        for sender in &senders {
            if socket::send(sender.as_fd(), payload.bytes())? != Some(arguments.size) {
                return Err(io::Error::other("a socket takes no more: fewer rounds"));
            }
        }
        costs.calls.push((spent() - begun) / count);
        clock::stall(PAUSE);
        costs.calls_left.push((left_to(thread.as_ref()) - before) / count);
        let (before, begun) = (left_to(thread.as_ref()), spent());
        for (at, sender) in senders.iter().enumerate() {
            ring.send(sender.as_raw_fd(), Token::new(at as u64), payload.clone(), 0);
        }
        let mut done = 0;
        while done < senders.len() {
            ring.submit()?;
            while let Some(completion) = ring.reap() {
                done += usize::from(matches!(completion, Completion::Sent { result: Ok(_), .. }));
            }
        }
        costs.ring.push((spent() - begun) / count);
        clock::stall(PAUSE);
        costs.ring_left.push((left_to(thread.as_ref()) - before) / count);
    }
    drop(senders);
    keeper.join().map_err(|_| io::Error::other("the reader has panicked"))??;
    Ok(costs)
}

fn pairs(count: u32) -> io::Result<(Vec<TcpStream>, Vec<TcpStream>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let mut both = (Vec::new(), Vec::new());
    for _ in 0..count {
        both.1.push(TcpStream::connect(address)?);
        let sender = listener.accept()?.0;
        sender.set_nodelay(true)?;
        both.0.push(sender);
    }
    Ok(both)
}

/// Until the senders have gone.
fn keep(readers: &[TcpStream]) -> io::Result<()> {
    let mut epoll = Epoll::new(1)?;
    if let Some(last) = readers.last() {
        epoll.watch_socket(last.as_fd(), 0)?;
    }
    loop {
        epoll.wait(clock::now(), Patience::Endless)?;
        if let Some(Notice::Socket { change, .. }) = epoll.notice(0)
            && change.is_ending
        {
            return Ok(());
        }
    }
}

fn read_all(readers: &[TcpStream], cpu: usize) -> io::Result<()> {
    affinity::pin(cpu)?;
    let mut epoll = Epoll::new(1024)?;
    for (at, reader) in readers.iter().enumerate() {
        epoll.watch_socket(reader.as_fd(), at as u64)?;
    }
    let (mut left, mut buffer) = (readers.len(), vec![0; 4096]);
    while left > 0 {
        epoll.wait(clock::now(), Patience::Endless)?;
        for at in 0..epoll.count() {
            let Some(Notice::Socket { number, change }) = epoll.notice(at) else { continue };
            let Some(reader) = readers.get(number as usize).filter(|_| change.is_readable) else { continue };
            while let Some(len) = socket::receive(reader.as_fd(), &mut buffer)? {
                if len == 0 {
                    left -= 1;
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Figures of the thread that takes interrupts over on this CPU, if it can be seen.
fn interrupt_thread(cpu: usize) -> Option<PathBuf> {
    let name = format!("ksoftirqd/{cpu}");
    let processes = fs::read_dir("/proc").ok()?.flatten().map(|entry| entry.path());
    let is_it = |path: &PathBuf| fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim() == name);
    processes.into_iter().find(is_it).map(|path| path.join("schedstat"))
}

/// CPU time that it has spent, in nanoseconds.
fn left_to(thread: Option<&PathBuf>) -> f64 {
    let figures = thread.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    figures.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default()
}

/// CPU time of this thread in nanoseconds.
fn spent() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// The readers have caught up, as they have between two publications.
const PAUSE: Duration = Duration::from_millis(10);
