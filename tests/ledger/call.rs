//! A caller of the server API that may fail: one connection, and a new one after each failure.

use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

#[derive(Debug)]
pub struct Caller {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Caller {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    /// The answer, whatever it says; an error when there is none, and then nobody knows what became of the call.
    pub fn call(&mut self, method: &str, params: &Value) -> io::Result<Value> {
        let answer = self.exchange(method, params);
        if answer.is_err() {
            self.stream = None;
        }
        answer
    }

    fn exchange(&mut self, method: &str, params: &Value) -> io::Result<Value> {
        let stream = if let Some(stream) = &mut self.stream {
            stream
        } else {
            let stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            stream.set_nodelay(true)?;
            self.stream.insert(BufReader::new(stream))
        };
        let body = params.to_string();
        let head =
            format!("POST /api/{method} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.get_mut().write_all([head.as_bytes(), body.as_bytes()].concat().as_slice())?;
        let (mut status, mut length) = (String::new(), 0);
        stream.read_line(&mut status)?;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        if !status.starts_with("HTTP/1.1 200") {
            return Err(io::Error::other(status));
        }
        serde_json::from_slice(&body).map_err(io::Error::other)
    }

    /// Where a channel stands, with everything that it has kept if `limit` is -1.
    pub fn history(&mut self, channel: &str, limit: i64) -> io::Result<Value> {
        self.call("history", &json!({ "channel": channel, "limit": limit }))
    }
}

/// Longer than any fault pauses a process.
const PATIENCE: Duration = Duration::from_secs(4);
