//! The listener of the internal port.
//! Invariant: never gives up. Running out of descriptors pauses accepting and is over when descriptors come back.

use super::http::Server;
use super::wire::Wire;
use crate::limits::ACCEPT_PAUSE_MS_MAX;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::sleep;

/// Binds at once, so that a taken port is an error of the start. Needs the reactor's context.
pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = StdListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

pub(super) async fn run(listener: &TcpListener, server: &Server) -> std::convert::Infallible {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers to requests in a row would wait 40 ms for each other's acknowledgement. A refusal costs only that.
                let _ = stream.set_nodelay(true);
                server.take(Wire::Plain(stream), Vec::new());
            }
            Err(_) => sleep(Duration::from_millis(ACCEPT_PAUSE_MS_MAX)).await,
        }
    }
}
