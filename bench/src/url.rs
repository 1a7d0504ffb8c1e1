//! `ws://host:port/path` or `wss://`, taken apart and resolved.

use std::net::{SocketAddr, ToSocketAddrs};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// As it stands in the `Host` header.
    pub host: String,
    pub path: String,
    pub address: SocketAddr,
    pub is_tls: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("{0:?} is not a WebSocket address: it should look like ws://127.0.0.1:8080/echo")]
    Scheme(String),
    #[error("cannot resolve {0:?}: {1}")]
    Resolve(String, String),
}

const DEFAULT_PORT: u16 = 80;
const DEFAULT_TLS_PORT: u16 = 443;

impl Url {
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let (is_tls, rest) = match (text.strip_prefix("ws://"), text.strip_prefix("wss://")) {
            (Some(rest), _) => (false, rest),
            (None, Some(rest)) => (true, rest),
            (None, None) => return Err(UrlError::Scheme(text.to_owned())),
        };
        let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if host.is_empty() || host.contains(char::is_whitespace) || path.contains(char::is_whitespace) {
            return Err(UrlError::Scheme(text.to_owned()));
        }
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let port = if is_tls { DEFAULT_TLS_PORT } else { DEFAULT_PORT };
        let authority = if has_port { host.to_owned() } else { format!("{host}:{port}") };
        let unresolved = |reason: String| UrlError::Resolve(host.to_owned(), reason);
        let mut addresses = authority.to_socket_addrs().map_err(|error| unresolved(error.to_string()))?;
        let address = addresses.next().ok_or_else(|| unresolved("no address".into()))?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { host: host.to_owned(), path, address, is_tls })
    }

    /// The host without its port, as a certificate has it.
    pub fn name(&self) -> &str {
        let host = self.host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
        host.map_or(self.host.as_str(), |(host, _)| host).trim_matches(['[', ']'])
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
        let url = Url::parse("wss://[::1]/echo").unwrap();
        assert_eq!((url.name(), url.address.port(), url.is_tls), ("::1", DEFAULT_TLS_PORT, true));
        assert_eq!(Url::parse("wss://127.0.0.1:8443/").unwrap().name(), "127.0.0.1");
    }

    #[test]
    fn what_cannot_be_used_is_explained() {
        assert!(matches!(Url::parse("http://127.0.0.1/"), Err(UrlError::Scheme(_))));
        assert!(matches!(Url::parse("ws:///echo"), Err(UrlError::Scheme(_))));
        assert!(matches!(Url::parse("ws://127.0.0.1:99999/"), Err(UrlError::Resolve(..))));
    }
}
