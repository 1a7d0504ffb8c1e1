//! Loads the server API of a node over kept connections and says what a request costs the thread that serves it.
//!
//! Closed loop with a fixed number of requests under way, because cost is the question and not latency. The targets take
//! turns within each round, and every cost is also given as a ratio to `/livez` of the same round: a shared machine drifts.
//! Invariant: every response is read whole and must be a 200 without an error in it.

use rustix::thread::CpuSet;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

#[derive(clap::Parser)]
#[command(version, about)]
struct Arguments {
    /// Internal port of the node
    #[arg(long)]
    internal: SocketAddr,
    /// Process of the node, for the CPU time of its thread `control`
    #[arg(long)]
    pid: u32,
    #[arg(long, default_value = "")]
    key: String,
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Requests under way on each connection
    #[arg(long, default_value_t = 1)]
    depth: usize,
    /// CPU to load from
    #[arg(long)]
    cpu: Option<usize>,
}

struct Target {
    name: &'static str,
    request: Vec<u8>,
    /// Publications in one request.
    publications: u32,
}

#[derive(Clone, Copy)]
struct Figures {
    requests: u64,
    seconds: f64,
    cpu_seconds: f64,
}

#[derive(Debug)]
enum Failure {
    Io(io::Error),
    Answer(String),
    NoThread,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Answer(answer) => write!(f, "the node answers {answer}"),
            Self::NoThread => f.write_str("the process has no thread `control`"),
        }
    }
}

fn main() -> ExitCode {
    let arguments = <Arguments as clap::Parser>::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("ringway-bench-api: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(cpu) = arguments.cpu {
        let mut set = CpuSet::new();
        set.set(cpu);
        rustix::thread::sched_setaffinity(None, &set).map_err(io::Error::from)?;
    }
    let targets = targets(&arguments.key);
    let mut all: Vec<Vec<Figures>> = vec![Vec::new(); targets.len()];
    for _ in 0..arguments.rounds {
        for (target, figures) in targets.iter().zip(&mut all) {
            figures.push(measure(arguments, target)?);
        }
    }
    println!(
        "{:<12} {:>12} {:>16} {:>14} {:>22} {:>14}",
        "target",
        "requests/s",
        "publications/s",
        "CPU us/request",
        "publications/CPU second",
        "ratio to livez"
    );
    let base = all.first().cloned().unwrap_or_default();
    for (target, figures) in targets.iter().zip(&all) {
        let of = |value: fn(&Figures) -> f64| median(figures.iter().map(value).collect());
        let rate = of(|one| one.requests as f64 / one.seconds);
        let cost = of(|one| one.cpu_seconds / one.requests as f64);
        let ratios = figures.iter().zip(&base).map(|(one, base)| cost_of(one) / cost_of(base)).collect();
        let publications = f64::from(target.publications);
        println!(
            "{:<12} {rate:>12.0} {:>16.0} {:>14.2} {:>22.0} {:>14.2}",
            target.name,
            rate * publications,
            cost * 1e6,
            publications / cost,
            median(ratios),
        );
    }
    Ok(())
}

fn cost_of(figures: &Figures) -> f64 {
    figures.cpu_seconds / figures.requests as f64
}

fn targets(key: &str) -> [Target; 4] {
    const DATA: &str =
        r#"{"text":"a message of about one hundred bytes, as a chat or a feed would publish it all day"}"#;
    let publish = format!(r#"{{"channel":"bench","data":{DATA}}}"#);
    let commands = |count: usize| vec![format!("{{\"publish\":{publish}}}"); count].join(",");
    let post = |path: &str, body: &str| {
        format!(
            "POST /api/{path} HTTP/1.1\r\nHost: bench\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    };
    let target = |name, request, publications| Target { name, request, publications };
    [
        target("livez", b"GET /livez HTTP/1.1\r\nHost: bench\r\n\r\n".to_vec(), 0),
        target("publish", post("publish", &publish), 1),
        target("batch-100", post("batch", &format!("{{\"commands\":[{}]}}", commands(100))), 100),
        target(
            "parallel-100",
            post("batch", &format!("{{\"commands\":[{}],\"parallel\":true}}", commands(100))),
            100,
        ),
    ]
}

fn measure(arguments: &Arguments, target: &Target) -> Result<Figures, Failure> {
    let mut connections = Vec::with_capacity(arguments.connections);
    for _ in 0..arguments.connections {
        let stream = TcpStream::connect(arguments.internal)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        connections.push(Connection { stream, received: Vec::with_capacity(64 * 1024) });
    }
    let burst = target.request.repeat(arguments.depth);
    let begun = ringway::sys::clock::now();
    let cpu_begun = control_cpu_ns(arguments.pid)?;
    let mut requests = 0;
    while ringway::sys::clock::now().since(begun) < Duration::from_secs(arguments.seconds) {
        for connection in &mut connections {
            connection.stream.write_all(&burst)?;
        }
        for connection in &mut connections {
            for _ in 0..arguments.depth {
                connection.response()?;
                requests += 1;
            }
        }
    }
    let cpu_ns = control_cpu_ns(arguments.pid)? - cpu_begun;
    let seconds = ringway::sys::clock::now().since(begun).as_secs_f64();
    Ok(Figures { requests, seconds, cpu_seconds: cpu_ns as f64 / 1e9 })
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    /// Reads one response to its last byte.
    fn response(&mut self) -> Result<(), Failure> {
        loop {
            if let Some(end) = self.whole() {
                let response = self.received.get(..end).unwrap_or_default();
                let is_good = response.starts_with(b"HTTP/1.1 200")
                    && memchr::memmem::find(response, b"\"error\"").is_none();
                if !is_good {
                    return Err(Failure::Answer(String::from_utf8_lossy(response).into_owned()));
                }
                self.received.drain(..end);
                return Ok(());
            }
            let mut chunk = [0; 16 * 1024];
            let count = self.stream.read(&mut chunk)?;
            if count == 0 {
                return Err(Failure::Io(io::ErrorKind::UnexpectedEof.into()));
            }
            self.received.extend_from_slice(chunk.get(..count).unwrap_or_default());
        }
    }

    /// Where the first response ends, once it is here.
    fn whole(&self) -> Option<usize> {
        let head_end = memchr::memmem::find(&self.received, b"\r\n\r\n")? + 4;
        let head = self.received.get(..head_end)?;
        let at = memchr::memmem::find(head, b"content-length: ")? + 16;
        let digits = head.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit());
        let length = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
        (self.received.len() >= head_end + length).then_some(head_end + length)
    }
}

/// CPU time of the thread that serves the API.
fn control_cpu_ns(pid: u32) -> Result<u64, Failure> {
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let path = thread?.path();
        if std::fs::read_to_string(path.join("comm"))?.trim_end() == "control" {
            let line = std::fs::read_to_string(path.join("schedstat"))?;
            return line.split(' ').next().and_then(|ns| ns.parse().ok()).ok_or(Failure::NoThread);
        }
    }
    Err(Failure::NoThread)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
