//! The listener of the internal port.
//! Invariant: never gives up, unless another process has taken our place. Running out of descriptors pauses accepting and is over when descriptors come back.

use super::http::Server;
use super::lifecycle::Phase;
use super::wire::Wire;
use crate::limits::ACCEPT_PAUSE_MS_MAX;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;

/// Binds at once, so that a taken port is an error of the start. Needs the reactor's context.
pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = StdListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// A listener that was left to us, with what waits in its queue. Needs the reactor's context.
pub(super) fn adopt(listener: OwnedFd) -> io::Result<TcpListener> {
    let listener = StdListener::from(listener);
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// From the phase `from` on, until another process answers in our place.
pub(super) async fn run(
    listener: &TcpListener,
    server: &Server,
    follow: &watch::Receiver<Phase>,
    from: Phase,
) -> std::convert::Infallible {
    // The sender lives as long as the control plane.
    let _ = follow.clone().wait_for(|phase| *phase >= from).await;
    let mut follow = follow.clone();
    let replaced = async {
        // What it gives holds a lock: it must not outlive the wait.
        let _ = follow.wait_for(|phase| *phase >= Phase::Replaced).await;
    };
    tokio::select! {
        never = accept(listener, server) => match never {},
        () = replaced => std::future::pending().await,
    }
}

async fn accept(listener: &TcpListener, server: &Server) -> std::convert::Infallible {
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
