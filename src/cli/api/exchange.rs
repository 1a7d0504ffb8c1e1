//! One HTTP request and its answer on a connection of their own, blocking. RFC 9112.
//! Invariant: waits at most `WAIT` for every step, and holds at most `ANSWER_BYTES_MAX`.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Where a node serves its API.
#[derive(Debug, PartialEq, Eq)]
pub struct Address {
    /// Host and port.
    authority: String,
    /// In front of `/api`, without a slash at its end.
    prefix: String,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// What is wrong with a bad request.
    pub reason: Option<String>,
    pub body: String,
}

#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("{0} is no address of a node: it must look like http://127.0.0.1:9080")]
    Address(String),
    #[error("no node answers at {0}: {1}; say where it is with --url or --config")]
    Connect(String, io::Error),
    #[error("the exchange broke off: {0}")]
    Broken(#[from] io::Error),
    #[error("the answer is no HTTP")]
    Malformed,
}

impl Address {
    /// An address that a node listens on: the unspecified one is reached over the loopback.
    pub fn of(listen: SocketAddr) -> Self {
        let ip = match listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            IpAddr::V4(_) | IpAddr::V6(_) => listen.ip(),
        };
        Self { authority: SocketAddr::new(ip, listen.port()).to_string(), prefix: String::new() }
    }

    pub fn parse(url: &str) -> Result<Self, CallError> {
        let rest = url.strip_prefix("http://").unwrap_or(url);
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if rest.contains("://") || authority.is_empty() || !is_plain(rest) {
            return Err(CallError::Address(url.to_owned()));
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        let path = path.trim_end_matches('/');
        let path = path.strip_suffix("api").unwrap_or(path).trim_end_matches('/');
        let prefix = if path.is_empty() { String::new() } else { format!("/{path}") };
        Ok(Self { authority, prefix })
    }
}

pub fn call(address: &Address, method: &str, key: &str, body: &str) -> Result<Answer, CallError> {
    let Address { authority, prefix } = address;
    if !method.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(CallError::Address(format!("{authority}{prefix}/api/{method}")));
    }
    let mut stream = connect(authority).map_err(|error| CallError::Connect(authority.clone(), error))?;
    stream.set_read_timeout(Some(WAIT))?;
    stream.set_write_timeout(Some(WAIT))?;
    // A key that holds a line break would forge a header.
    let key: String = key.chars().filter(|c| !c.is_control()).collect();
    let shown = if key.is_empty() { String::new() } else { format!("X-API-Key: {key}\r\n") };
    let head = format!(
        "POST {prefix}/api/{method} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n{shown}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat())?;
    let mut bytes = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes)?;
    parse(&bytes).ok_or(CallError::Malformed)
}

fn connect(authority: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in authority.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, WAIT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The node closes after its answer, so the body goes to the end.
fn parse(bytes: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let reason = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("x-ringway-reason").then(|| value.trim().to_owned())
    });
    Some(Answer { status, reason, body: body.to_owned() })
}

/// Longer than the node itself takes for any call.
const WAIT: Duration = Duration::from_secs(15);
/// Presence of a very large channel; nobody reads more.
const ANSWER_BYTES_MAX: u64 = 256 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_url_or_a_host_and_port() {
        let address = |authority: &str, prefix: &str| Address {
            authority: authority.to_owned(),
            prefix: prefix.to_owned(),
        };
        for (url, expected) in [
            ("http://127.0.0.1:9080", address("127.0.0.1:9080", "")),
            ("localhost:9080/", address("localhost:9080", "")),
            ("http://node/ringway/api/", address("node:80", "/ringway")),
            ("http://[::1]:9/api", address("[::1]:9", "")),
        ] {
            assert_eq!(Address::parse(url).unwrap(), expected, "{url}");
        }
        for url in ["", "https://a:1", "http://", "http://a b", "http://a\r\nX: y"] {
            assert!(Address::parse(url).is_err(), "{url:?}");
        }
    }

    #[test]
    fn a_node_on_every_address_is_called_on_the_loopback() {
        assert_eq!(Address::of("0.0.0.0:9080".parse().unwrap()).authority, "127.0.0.1:9080");
        assert_eq!(Address::of("[::]:9080".parse().unwrap()).authority, "[::1]:9080");
        assert_eq!(Address::of("10.0.0.1:9080".parse().unwrap()).authority, "10.0.0.1:9080");
    }

    #[test]
    fn an_answer_is_its_status_and_its_body() {
        let answer = parse(b"HTTP/1.1 200 OK\r\nX-Ringway-Reason: why\r\n\r\n{}\r\n\r\n").unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "{}\r\n\r\n"));
        assert_eq!(answer.reason.as_deref(), Some("why"));
        assert!(parse(b"SSH-2.0-x\r\n\r\n").is_none());
        assert!(parse(b"").is_none());
    }
}
