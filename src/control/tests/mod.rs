//! The control plane on real sockets: a listener and a mailbox stand where a shard would.

mod client;
mod handovers;
mod hooks;
mod jwks;
mod openmetrics;
mod probes;
mod signals;
mod streams;

use super::http::Bounds;
use super::{
    Control, ControlOptions, Cores, Handover, HookOptions, HookPlan, Lifecycle, Line, Live, LiveSettings,
    NodeView, Succession, spawn_bounded,
};
use crate::shard::Settings;
use crate::stats::{Published, Stats};
use crate::sys::mailbox::{Mailbox, mailbox};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// No test waits longer for anything; none depends on how long it takes.
const PATIENCE: Duration = Duration::from_secs(20);

struct Node {
    control: Option<Control>,
    lifecycle: Arc<Lifecycle>,
    published: Vec<Arc<Published>>,
    mailbox: Mailbox<Handover>,
    listener: TcpListener,
}

impl Node {
    fn new() -> Self {
        Self::bounded(Bounds::PUBLIC)
    }

    fn bounded(bounds: Bounds) -> Self {
        Self::with(bounds, options(PATIENCE), no_cores())
    }

    fn with(bounds: Bounds, options: ControlOptions, line: Line) -> Self {
        let (mailbox, inbox) = mailbox(1024).unwrap();
        let lifecycle = Arc::new(Lifecycle::default());
        let published = vec![Arc::new(Published::default()), Arc::new(Published::default())];
        let view = NodeView {
            published: published.clone(),
            cpus: vec![0, 4],
            driver: "io_uring",
            driver_reason: "works",
            lifecycle: Arc::clone(&lifecycle),
            pressure: Arc::default(),
        };
        let control = spawn_bounded(options, view, inbox, line, |_| {}, bounds).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Self { control: Some(control), lifecycle, published, mailbox, listener }
    }

    /// Connects, sends `bytes`, and hands the connection over with the first `read_count` of them already read.
    fn hand_over(&self, bytes: &[u8], read_count: usize) -> Client {
        let client = Client::connect(self.listener.local_addr().unwrap());
        client.send(bytes);
        let (mut socket, _) = self.listener.accept().unwrap();
        let mut received = vec![0; read_count];
        socket.read_exact(&mut received).unwrap();
        self.mailbox.post(Handover { socket: socket.into(), received: received.into() }).unwrap();
        client
    }

    fn request(&self, head: &str) -> Client {
        self.hand_over(head.as_bytes(), head.len())
    }

    fn internal(&self) -> SocketAddr {
        self.control.as_ref().unwrap().internal
    }

    fn publish(&self, core: usize, stats: &Stats) {
        self.published[core].publish(stats);
    }

    fn metrics(&self) -> Response {
        get(self.internal(), "/metrics")
    }

    /// Asks the metrics page until it has this line.
    fn wait_for_metric(&self, line: &str) {
        for _ in 0..10_000 {
            if self.metrics().body.lines().any(|found| found == line) {
                return;
            }
            std::thread::yield_now();
        }
        panic!("never saw {line} in\n{}", self.metrics().body);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(control) = self.control.take() {
            control.finish();
        }
    }
}

fn options(stop_max: Duration) -> ControlOptions {
    ControlOptions {
        internal: (Ipv4Addr::LOCALHOST, 0).into(),
        pages: true,
        stop_max,
        version: "1.2.3",
        streams: streams::options(),
        name: String::from("node"),
        api: Live::default(),
        api_external: false,
        hooks: HookPlan::new(HookOptions::default()),
        fail: crate::failpoint::FailPoints::default(),
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    fn send(&self, bytes: &[u8]) {
        self.0.get_ref().write_all(bytes).unwrap();
    }

    /// The next response; `has_body` is false for an answer to HEAD.
    fn response(&mut self, has_body: bool) -> Response {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.0.read_line(&mut head).unwrap(), 0, "closed within the head: {head:?}");
        }
        let mut response = Response { head, body: String::new() };
        if has_body {
            let length = response.header("content-length").unwrap_or("0").parse().unwrap();
            let mut body = vec![0; length];
            self.0.read_exact(&mut body).unwrap();
            response.body = String::from_utf8(body).unwrap();
        }
        response
    }

    /// True when the peer has closed without another byte; a reset counts as a close.
    fn is_closed(&mut self) -> bool {
        match self.0.read(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

#[derive(Debug)]
struct Response {
    head: String,
    body: String,
}

impl Response {
    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

fn get(address: SocketAddr, path: &str) -> Response {
    let mut client = Client::connect(address);
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes());
    client.response(true)
}

/// A line to no core at all.
fn no_cores() -> Line {
    let (_, memos) = mailbox(1).unwrap();
    let cores = Cores::new(Vec::new(), 0);
    let live = LiveSettings::new(Arc::new(Settings::open()), Arc::clone(&cores));
    Line { cores, memos, live, reload: None, ledger: None, succession: Succession::default() }
}
