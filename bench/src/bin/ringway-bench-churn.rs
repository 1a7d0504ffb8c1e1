//! Connections that come and go without end, in every way that a peer may come and go: with and without a request, a
//! handshake, a subscription, a publication; with a close frame, with FIN, with a reset.
//!
//! Works on batches: all of one batch are opened, then all of them are served in turn, so that many are open at one time
//! and one thread does as much as an event loop would. It measures nothing; it asks whether the server gives everything
//! back, which its figures tell afterwards.
//! Invariant: every answer that is owed is waited for, and a refused connection is an error.

use rustix::net::sockopt::{set_socket_linger, set_tcp_nodelay};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect as connect_to, socket_with};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

#[derive(clap::Parser)]
#[command(version, about)]
struct Arguments {
    /// Public port of the node
    #[arg(long)]
    public: SocketAddr,
    /// Connections to open and close
    #[arg(long, default_value_t = 1_000_000)]
    total: u64,
    #[arg(long, default_value_t = 2)]
    threads: u64,
    /// Connections that each thread has open at a time
    #[arg(long, default_value_t = 64)]
    batch: u64,
}

fn main() -> ExitCode {
    let arguments = <Arguments as clap::Parser>::parse();
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let outcome = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..arguments.threads).map(|_| scope.spawn(|| churn(&arguments, &next, &done))).collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread has panicked")))
        })
    });
    let done = done.load(Ordering::Relaxed);
    match outcome {
        Ok(()) => {
            let _ = writeln!(io::stdout(), "{done} connections came and went");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "after {done} connections: {error}");
            ExitCode::FAILURE
        }
    }
}

fn churn(arguments: &Arguments, next: &AtomicU64, done: &AtomicU64) -> io::Result<()> {
    loop {
        let first = next.fetch_add(arguments.batch, Ordering::Relaxed);
        let last = (first + arguments.batch).min(arguments.total);
        if first >= last {
            return Ok(());
        }
        let opened = (first..last).map(|number| Visit::begin(arguments.public, number));
        for visit in opened.collect::<io::Result<Vec<_>>>()? {
            visit.finish()?;
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// How a connection is used.
#[derive(Clone, Copy)]
enum Way {
    Silent,
    HalfHead,
    Upgraded,
    Subscribed,
    Published,
    Page,
    Stream,
    HalfMessage,
}

/// How it ends.
#[derive(Clone, Copy)]
enum End {
    Reset,
    Fin,
    /// With a close frame, and the server's awaited.
    Close,
}

struct Visit {
    stream: TcpStream,
    way: Way,
    end: End,
}

impl Visit {
    fn begin(public: SocketAddr, number: u64) -> io::Result<Self> {
        let (way, end) = match number % 16 {
            0 => (Way::Silent, End::Reset),
            1 => (Way::Silent, End::Fin),
            2 => (Way::HalfHead, End::Reset),
            3 => (Way::Page, End::Fin),
            4 => (Way::Stream, End::Reset),
            5 => (Way::HalfMessage, End::Fin),
            6 => (Way::HalfMessage, End::Reset),
            7 | 8 => (Way::Published, End::Close),
            9 | 10 => (Way::Subscribed, End::Reset),
            11 => (Way::Subscribed, End::Fin),
            12 => (Way::Published, End::Reset),
            _ => (Way::Upgraded, End::Reset),
        };
        let mut stream = connect(public, number)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&opening(way, number))?;
        Ok(Self { stream, way, end })
    }

    fn finish(mut self) -> io::Result<()> {
        match self.way {
            Way::Silent | Way::HalfHead => {}
            Way::Upgraded | Way::HalfMessage => self.wait_for(b"\r\n\r\n")?,
            Way::Page => self.wait_for(b"ok\n")?,
            Way::Stream => self.wait_for(b"\"connect\"")?,
            Way::Subscribed => self.wait_for(b"\"subscribe\"")?,
            Way::Published => self.wait_for(b"\"publish\"")?,
        }
        match self.end {
            End::Reset => set_socket_linger(&self.stream, Some(Duration::ZERO))?,
            End::Fin => {}
            End::Close => {
                self.stream.write_all(&frame(CLOSE, &1000_u16.to_be_bytes()))?;
                while self.stream.read(&mut [0; 4096])? > 0 {}
            }
        }
        Ok(())
    }

    /// Reads until this has come.
    fn wait_for(&mut self, needle: &[u8]) -> io::Result<()> {
        let mut received = Vec::new();
        while memchr::memmem::find(&received, needle).is_none() {
            let mut chunk = [0; 4096];
            let len = self.stream.read(&mut chunk)?;
            if len == 0 {
                let text = String::from_utf8_lossy(&received).into_owned();
                return Err(io::Error::other(format!("ended without an answer: {text}")));
            }
            received.extend_from_slice(&chunk[..len]);
        }
        Ok(())
    }
}

/// From one of many addresses, because a port that was used is not free at once.
fn connect(public: SocketAddr, number: u64) -> io::Result<TcpStream> {
    let family = if public.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    if public.ip().is_loopback() && public.is_ipv4() {
        let source = Ipv4Addr::new(127, 0, 0, 2 + (number / 16 % SOURCE_COUNT) as u8);
        bind(&socket, &SocketAddr::from((source, 0)))?;
    }
    connect_to(&socket, &public)?;
    set_tcp_nodelay(&socket, true)?;
    Ok(socket.into())
}

/// What is sent at once: the head, and behind it what the server may read with it.
fn opening(way: Way, number: u64) -> Vec<u8> {
    let channel = format!("churn-{}", number % CHANNEL_COUNT);
    let connect = "{\"id\":1,\"connect\":{}}".to_owned();
    let subscribe = format!("{{\"id\":2,\"subscribe\":{{\"channel\":\"{channel}\"}}}}");
    let publish = format!("{{\"id\":3,\"publish\":{{\"channel\":\"{channel}\",\"data\":{number}}}}}");
    let messages = |texts: &[&String]| texts.iter().flat_map(|text| frame(TEXT, text.as_bytes())).collect();
    let frames: Vec<u8> = match way {
        Way::Silent => return Vec::new(),
        Way::HalfHead => return UPGRADE[..UPGRADE.len() / 2].to_vec(),
        Way::Page => return b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_vec(),
        Way::Stream => {
            let head = "GET /connection/sse?cf_connect=%7B%22id%22%3A1%2C%22connect%22%3A%7B%7D%7D HTTP/1.1\r\nHost: a\r\n\r\n";
            return head.as_bytes().to_vec();
        }
        Way::Upgraded => Vec::new(),
        Way::HalfMessage => frame(TEXT, connect.as_bytes())[..10].to_vec(),
        Way::Subscribed => messages(&[&connect, &subscribe]),
        Way::Published => messages(&[&connect, &subscribe, &publish]),
    };
    [UPGRADE, &frames].concat()
}

/// A masked frame of a short message (RFC 6455 section 5.2).
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut out = vec![first, 0x80 | payload.len().min(125) as u8];
    out.extend(KEY);
    out.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const UPGRADE: &[u8] =
    b"GET /connection/websocket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
/// Source addresses in turn.
const SOURCE_COUNT: u64 = 100;
/// Channels that are made and forgotten again and again.
const CHANNEL_COUNT: u64 = 1_000;
/// For an answer, on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(30);
