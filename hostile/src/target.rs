//! The server under test: where it is, what is known of it, what it offers.

use crate::conn::{Conn, DEFLATE_OFFER, Opening};
use crate::frame::{self, Event, Form};
use crate::tls::{self, Trust};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone)]
pub struct Target {
    /// As it was given.
    pub url: String,
    /// As it stands in the `Host` header.
    pub host: String,
    pub path: String,
    pub address: SocketAddr,
    /// Present for `wss`.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// Every row is played over permessage-deflate.
    pub deflate: bool,
    /// What nobody can find out from outside.
    pub known: Known,
    pub offers: Offers,
}

/// Limits that rows need, as they were given.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub message_bytes: Option<u64>,
    pub handshake: Option<Duration>,
    pub message: Option<Duration>,
    /// From the upgrade to the connect command of the client protocol.
    pub stale: Option<Duration>,
    /// Path of the client protocol of Centrifugo.
    pub client_path: Option<String>,
}

/// What a look at the target has shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offers {
    pub deflate: bool,
    pub client_protocol: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    #[error("{0:?} is not an address such as ws://127.0.0.1:8080/echo or wss://example.com/echo")]
    Url(String),
    #[error("cannot resolve {host:?}: {cause}")]
    Resolve { host: String, cause: String },
    #[error("cannot open a WebSocket on {url}: {cause}")]
    Unreachable { url: String, cause: String },
    #[error("{url} is no echo server: {cause}")]
    NoEcho { url: String, cause: String },
    #[error("{0} does not agree to permessage-deflate: turn it on there, or leave out --deflate")]
    NoDeflate(String),
}

impl Target {
    /// Takes the address apart and resolves it.
    pub fn new(url: &str, trust: &Trust, known: Known) -> Result<Self, TargetError> {
        let malformed = || TargetError::Url(url.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(malformed)?;
        let (is_secure, default_port) = match scheme {
            "ws" => (false, 80),
            "wss" => (true, 443),
            _ => return Err(malformed()),
        };
        let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if host.is_empty() || url.contains(|c: char| c.is_whitespace() || c == '"') {
            return Err(malformed());
        }
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port { host.to_owned() } else { format!("{host}:{default_port}") };
        let unresolved = |cause: String| TargetError::Resolve { host: host.to_owned(), cause };
        let mut addresses = authority.to_socket_addrs().map_err(|error| unresolved(error.to_string()))?;
        let address = addresses.next().ok_or_else(|| unresolved("it has no address".into()))?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let tls = is_secure.then(|| tls::config(trust)).transpose().map_err(unresolved)?;
        Ok(Self {
            url: url.to_owned(),
            host: host.to_owned(),
            path,
            address,
            tls,
            deflate: false,
            known,
            offers: Offers::default(),
        })
    }

    /// The name that TLS asks for.
    pub fn server_name(&self) -> &str {
        let name = match self.host.rsplit_once(':') {
            Some((name, port)) if port.parse::<u16>().is_ok() => name,
            _ => self.host.as_str(),
        };
        name.trim_start_matches('[').trim_end_matches(']')
    }

    /// Makes sure that it echoes, and finds out what else it can do.
    pub fn probe(&mut self, patience: Duration) -> Result<(), TargetError> {
        let unreachable = |cause: String| TargetError::Unreachable { url: self.url.clone(), cause };
        let mut conn = Conn::upgraded(self, &self.path, "", patience).map_err(unreachable)?;
        conn.write(&frame::encode(0x81, b"echo?", &Form::default()), patience);
        let event = conn.event(patience).map_err(unreachable)?;
        if event != Ok(Event::Message(frame::TEXT, b"echo?".to_vec())) {
            let cause = "a text message did not come back".to_owned();
            return Err(TargetError::NoEcho { url: self.url.clone(), cause });
        }
        let deflate =
            Conn::upgraded(self, &self.path, DEFLATE_OFFER, patience).is_ok_and(|conn| conn.compresses());
        if self.deflate && !deflate {
            return Err(TargetError::NoDeflate(self.url.clone()));
        }
        self.offers = Offers { deflate, client_protocol: self.speaks_client_protocol(patience) };
        Ok(())
    }

    /// An echo server sends the command back; one that speaks the protocol answers with an id for the client.
    fn speaks_client_protocol(&self, patience: Duration) -> bool {
        let Some(path) = &self.known.client_path else { return false };
        let Ok(mut conn) = Conn::upgraded(self, path, "", patience) else { return false };
        conn.write(&frame::encode(0x81, b"{\"id\":1,\"connect\":{}}", &Form::default()), patience);
        let Ok(Ok(Event::Message(_, reply))) = conn.event(patience) else { return false };
        String::from_utf8_lossy(&reply).contains("\"client\"")
    }

    /// Why rows with this need cannot be run; none if they can.
    pub fn lacks(&self, need: &str) -> Option<String> {
        let missing = match need {
            "plain" => self.tls.is_some().then_some("is about the plain port"),
            "tls" => self.tls.is_none().then_some("is about TLS: give a wss:// target"),
            "no-deflate" => self.deflate.then_some("is about connections without permessage-deflate"),
            "deflate" => (!self.offers.deflate).then_some("the target does not offer permessage-deflate"),
            "client-protocol" => {
                (!self.offers.client_protocol).then_some("the target does not speak the client protocol")
            }
            "message-limit" => self.known.message_bytes.is_none().then_some("needs --message-limit"),
            "handshake-timeout" => self.known.handshake.is_none().then_some("needs --handshake-timeout"),
            "message-timeout" => self.known.message.is_none().then_some("needs --message-timeout"),
            "stale-timeout" => self.known.stale.is_none().then_some("needs --stale-timeout"),
            _ => Some("has a need that this version does not know"),
        };
        missing.map(str::to_owned)
    }

    /// What must be granted on top of the usual patience for rows with this need.
    pub fn delay(&self, need: &str) -> Duration {
        let delay = match need {
            "handshake-timeout" => self.known.handshake,
            "message-timeout" => self.known.message,
            "stale-timeout" => self.known.stale,
            _ => None,
        };
        delay.unwrap_or_default()
    }

    pub fn open(&self, opening: &Opening, patience: Duration) -> Result<Conn, String> {
        Conn::open(self, opening, patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_an_address_are_found() {
        let target = Target::new("ws://127.0.0.1:8080/echo?x=1", &Trust::Machine, Known::default()).unwrap();
        assert_eq!((target.host.as_str(), target.path.as_str()), ("127.0.0.1:8080", "/echo?x=1"));
        assert_eq!(target.server_name(), "127.0.0.1");
        let target = Target::new("ws://[::1]:9", &Trust::Machine, Known::default()).unwrap();
        assert_eq!((target.server_name(), target.path.as_str()), ("::1", "/"));
        for url in ["127.0.0.1", "http://a", "ws://", "ws://a b/"] {
            assert!(
                matches!(Target::new(url, &Trust::Machine, Known::default()), Err(TargetError::Url(_))),
                "{url}"
            );
        }
    }
}
