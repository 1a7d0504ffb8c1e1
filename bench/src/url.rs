//! `ws://host:port/path`, taken apart and resolved.

use std::net::{SocketAddr, ToSocketAddrs};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// As it stands in the `Host` header.
    pub host: String,
    pub path: String,
    pub address: SocketAddr,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("{0:?} is not a WebSocket address: it should look like ws://127.0.0.1:8080/echo")]
    Scheme(String),
    #[error("TLS is not supported: measure the server's plain port, or put a TLS terminator in front of it")]
    Tls,
    #[error("cannot resolve {0:?}: {1}")]
    Resolve(String, String),
}

const DEFAULT_PORT: u16 = 80;

impl Url {
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.starts_with("wss:") {
            return Err(UrlError::Tls);
        }
        let rest = text.strip_prefix("ws://").ok_or_else(|| UrlError::Scheme(text.to_owned()))?;
        let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if host.is_empty() || host.contains(char::is_whitespace) || path.contains(char::is_whitespace) {
            return Err(UrlError::Scheme(text.to_owned()));
        }
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port { host.to_owned() } else { format!("{host}:{DEFAULT_PORT}") };
        let unresolved = |reason: String| UrlError::Resolve(host.to_owned(), reason);
        let mut addresses = authority.to_socket_addrs().map_err(|error| unresolved(error.to_string()))?;
        let address = addresses.next().ok_or_else(|| unresolved("no address".into()))?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { host: host.to_owned(), path, address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_found() {
        let url = Url::parse("ws://127.0.0.1:8080/connection/websocket?x=1").unwrap();
        assert_eq!((url.host.as_str(), url.path.as_str()), ("127.0.0.1:8080", "/connection/websocket?x=1"));
        assert_eq!(url.address, SocketAddr::from(([127, 0, 0, 1], 8080)));
        assert_eq!(Url::parse("ws://[::1]:9/").unwrap().address, "[::1]:9".parse::<SocketAddr>().unwrap());
        assert_eq!(Url::parse("ws://127.0.0.1").unwrap().address.port(), DEFAULT_PORT);
        assert_eq!(Url::parse("ws://127.0.0.1:1?a=b").unwrap().path, "/?a=b");
    }

    #[test]
    fn what_cannot_be_used_is_explained() {
        assert_eq!(Url::parse("wss://example.org/"), Err(UrlError::Tls));
        assert!(matches!(Url::parse("http://127.0.0.1/"), Err(UrlError::Scheme(_))));
        assert!(matches!(Url::parse("ws:///echo"), Err(UrlError::Scheme(_))));
        assert!(matches!(Url::parse("ws://127.0.0.1:99999/"), Err(UrlError::Resolve(..))));
    }
}
