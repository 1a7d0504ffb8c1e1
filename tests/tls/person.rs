//! A client with the TLS of rustls, and the WebSocket of tungstenite above it.

use crate::authority::Authority;
use crate::support::server::Server;
use crate::support::wait::PATIENCE;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use std::net::TcpStream;
use std::sync::Arc;
use tungstenite::WebSocket;

pub type Stream = StreamOwned<ClientConnection, TcpStream>;

pub fn config(authority: &Authority, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.roots_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Connected; the handshake happens with the first read or write.
pub fn connect(server: &Server, config: &Arc<ClientConfig>, name: &'static str) -> Stream {
    let socket = TcpStream::connect_timeout(&server.public, PATIENCE).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    let name = name.try_into().unwrap();
    StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), socket)
}

pub fn upgrade(stream: Stream, path: &str) -> WebSocket<Stream> {
    tungstenite::client(format!("wss://localhost{path}"), stream).expect("an upgrade").0
}
