//! A peer that sends any bytes and reads strictly.

use super::frame::{CLOSE, Frame, PACKED, masked};
use super::server::Server;
use super::wait::PATIENCE;
use ringway::sys::clock;
use ringway::time::Moment;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, SockRef, Socket, Type};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// A well-formed request for an upgrade, without the blank line that ends it.
pub fn upgrade_head(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: ringway.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    )
}

#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    received: Vec<u8>,
    /// Compression was agreed on.
    pub deflate: bool,
}

/// The head of an answer.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    head: String,
}

impl Response {
    /// The value of a field that must appear at most once.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.head.lines().skip(1).filter_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then_some(value.trim())
        });
        let value = values.next();
        assert!(values.next().is_none(), "{name} twice in {}", self.head);
        value
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect_timeout(&address, PATIENCE).expect("the server accepts"))
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, received: Vec::new(), deflate: false }
    }

    /// With so little room for what it has not read that the server's sends end short. The window is chosen when the
    /// connection begins, so the size must be too.
    pub fn connect_narrow(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect_timeout(&address.into(), PATIENCE).expect("the server accepts");
        Self::over(socket.into())
    }

    /// Connected and upgraded.
    pub fn upgraded(server: &Server, path: &str) -> Self {
        Self::connect(server.public).upgrade(path)
    }

    /// Asks for an upgrade and gets it.
    #[track_caller]
    pub fn upgrade(mut self, path: &str) -> Self {
        self.ask_upgrade(path);
        let response = self.response();
        assert_eq!(response.status, 101);
        self
    }

    /// Asks for an upgrade, whatever the answer.
    pub fn ask_upgrade(&mut self, path: &str) {
        self.send(format!("{}\r\n", upgrade_head(path)).as_bytes());
    }

    pub fn echo(server: &Server) -> Self {
        Self::upgraded(server, "/echo")
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("the server reads");
    }

    /// For bytes that the server may refuse to read.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// One segment each, as far as anybody can choose that.
    pub fn send_slowly(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.send(&[*byte]);
        }
    }

    /// The head of the next answer; what follows it stays.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        loop {
            if let Some(end) = self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8(self.received.drain(..end + 4).collect()).unwrap();
                let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
                return Response { status: status.expect("a status line"), head };
            }
            assert!(self.fill(), "the connection ended without an answer");
        }
    }

    /// The status, given that the server then closes.
    #[track_caller]
    pub fn refused(&mut self) -> Response {
        let response = self.response();
        let connection = response.field("connection").unwrap_or_default();
        assert!(connection.split(',').any(|option| option.trim() == "close"), "it will close, so it says so");
        self.ended();
        response
    }

    /// The next frame.
    #[track_caller]
    pub fn frame(&mut self) -> Frame {
        self.next_frame().expect("a frame, not the end")
    }

    /// The next frame, none at the end of the connection.
    #[track_caller]
    pub fn next_frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = Frame::take(&mut self.received) {
                assert!(self.deflate || frame.first & PACKED == 0, "nothing was agreed on (section 5.2)");
                return Some(frame);
            }
            if !self.fill() {
                assert!(self.received.is_empty(), "the connection ended inside a frame");
                return None;
            }
        }
    }

    #[track_caller]
    pub fn expect(&mut self, first: u8, payload: &[u8]) {
        let frame = self.frame();
        assert_eq!(frame.first, first, "{frame:?}");
        assert!(frame.payload == payload, "payload of {} bytes differs", payload.len());
    }

    /// The server's close frame is the next thing, and the last.
    #[track_caller]
    pub fn closed(&mut self, code: u16) -> Frame {
        let frame = self.frame();
        assert_eq!(frame.first, CLOSE, "a close frame with {code}, not {frame:?}");
        assert_eq!(frame.close_code(), Some(code), "{}", frame.reason());
        self.ended();
        frame
    }

    /// The server's close frame is the next thing; it is answered as RFC 6455 section 5.5.1 asks, and then the server
    /// ends.
    #[track_caller]
    pub fn parts(&mut self, code: u16) -> Frame {
        let frame = self.frame();
        assert_eq!(frame.first, CLOSE, "a close frame with {code}, not {frame:?}");
        assert_eq!(frame.close_code(), Some(code), "{}", frame.reason());
        self.send(&masked(CLOSE, &frame.payload));
        self.ended();
        frame
    }

    /// Nothing more comes but the end, and it comes as FIN: a reset could have cut our last words off.
    #[track_caller]
    pub fn ended(&mut self) {
        while self.fill() {}
        let rest = std::mem::take(&mut self.received);
        // The body of a refusal is one line; behind a close frame nothing may follow.
        let is_text = rest.ends_with(b"\n") && rest.len() < 300 && rest.is_ascii();
        assert!(rest.is_empty() || is_text, "{} bytes too many: {rest:?}", rest.len());
    }

    /// Half-closes: no more bytes from us.
    pub fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Ends with RST instead of FIN.
    pub fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Few bytes wait here for a client that does not read.
    pub fn set_receive_buffer(&self, bytes: usize) {
        SockRef::from(&self.stream).set_recv_buffer_size(bytes).unwrap();
    }

    /// So much is taken from us at once, whether or not the server reads.
    pub fn set_send_buffer(&self, bytes: usize) {
        SockRef::from(&self.stream).set_send_buffer_size(bytes).unwrap();
    }

    /// False at the end.
    #[track_caller]
    fn fill(&mut self) -> bool {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(0) => false,
            Ok(len) => {
                self.received.extend_from_slice(&chunk[..len]);
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("the server neither answers nor closes; so far: {:x?}", self.received)
            }
            Err(error) => panic!("{error} after {:x?}", self.received),
        }
    }
}

/// When each client has something to read for the first time from now on, in the order of the clients.
#[track_caller]
pub fn arrivals<'c>(clients: impl Iterator<Item = &'c Client>) -> Vec<Moment> {
    let clients: Vec<&Client> = clients.collect();
    let mut arrived: Vec<Option<Moment>> = clients.iter().map(|_| None).collect();
    let end = clock::now() + PATIENCE;
    loop {
        let waiting: Vec<usize> = (0..clients.len()).filter(|&at| arrived[at].is_none()).collect();
        if waiting.is_empty() {
            return arrived.into_iter().flatten().collect();
        }
        let rest = end.since(clock::now());
        assert!(!rest.is_zero(), "{} of {} clients hear nothing", waiting.len(), clients.len());
        let mut fds: Vec<PollFd<'_>> =
            waiting.iter().map(|&at| PollFd::new(&clients[at].stream, PollFlags::IN)).collect();
        let limit = Timespec { tv_sec: rest.as_secs().cast_signed() + 1, tv_nsec: 0 };
        poll(&mut fds, Some(&limit)).unwrap();
        let now = clock::now();
        let ready = waiting.iter().zip(&fds).filter(|(_, fd)| !fd.revents().is_empty());
        ready.for_each(|(&at, _)| arrived[at] = Some(now));
    }
}
