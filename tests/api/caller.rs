//! A back end: one connection, kept for all its calls.

use super::KEY;
use crate::support::client::Client;
use crate::support::frame::TEXT;
use crate::support::server::Server;
use crate::support::session::Session;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

pub struct Caller(BufReader<TcpStream>);

/// An answer as it came.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Caller {
    pub fn of(server: &Server) -> Self {
        Self::at(server.internal)
    }

    pub fn at(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the port listens");
        stream.set_read_timeout(Some(crate::support::wait::PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    /// The JSON that a method answers with 200.
    #[track_caller]
    pub fn call(&mut self, method: &str, params: &str) -> String {
        let answer =
            self.post(&format!("/api/{method}"), &format!("X-API-Key: {KEY}\r\n"), params.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.head.to_lowercase().contains("content-type: application/json\r\n"), "{answer:?}");
        answer.body
    }

    /// The same, read.
    #[track_caller]
    pub fn value(&mut self, method: &str, params: &str) -> Value {
        serde_json::from_str(&self.call(method, params)).expect("the answer is JSON")
    }

    #[track_caller]
    pub fn post(&mut self, path: &str, headers: &str, body: &[u8]) -> Answer {
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        self.send(&[head.as_bytes(), body].concat());
        self.answer()
    }

    /// A server that has answered may close before it has read everything.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.get_ref().write_all(bytes);
    }

    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(
                self.0.read_line(&mut head).expect("an answer"),
                0,
                "closed within the head: {head:?}"
            );
        }
        let field = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(':'));
            lines.find_map(|(found, value)| found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned()))
        };
        let length = field("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        let status = head[9..12].parse().unwrap();
        Answer { status, body: String::from_utf8(body).expect("UTF-8"), head }
    }

    /// Whether the server has ended the connection.
    pub fn is_over(&mut self) -> bool {
        self.0.read(&mut [0]).map_or(true, |count| count == 0)
    }
}

/// A client that is connected, with its id.
#[track_caller]
pub fn connected(server: &Server) -> (Session, String) {
    let mut session = Session::over(Client::upgraded(server, crate::support::session::PATH));
    let id = session.connect();
    (session, id)
}

/// The next message to a client, whatever it is.
#[track_caller]
pub fn message(session: &mut Session) -> Value {
    let frame = session.client.frame();
    assert_eq!(frame.first, TEXT, "{frame:?}");
    serde_json::from_slice(&frame.payload).expect("one message")
}

pub const BAD_REQUEST: &str = r#"{"error":{"code":107,"message":"bad request"}}"#;
pub const NOT_AVAILABLE: &str = r#"{"error":{"code":108,"message":"not available"}}"#;
pub const UNKNOWN_CHANNEL: &str = r#"{"error":{"code":102,"message":"unknown channel"}}"#;
