//! What every Rust peer shares: the flags `--listen ADDR --mode echo|broadcast [--threads N]`, and for those on
//! tokio the runtime, the listener and the broadcast hub. Knows nothing of WebSocket.

use std::net::SocketAddr;
use std::process::exit;

#[cfg(feature = "tokio")]
mod hub;
#[cfg(feature = "tokio")]
pub use hub::Hub;

/// What the server does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It goes back to its sender.
    Echo,
    /// It goes to every connection, the sender included.
    Broadcast,
}

/// The flags of a peer.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub listen: SocketAddr,
    pub mode: Mode,
    pub threads: usize,
}

impl Options {
    /// Reads the command line, or ends the process with the usage.
    pub fn from_args() -> Self {
        Self::parse(std::env::args().skip(1)).unwrap_or_else(|reason| {
            eprintln!("{reason}\nusage: --listen ADDR --mode echo|broadcast [--threads N]");
            exit(2)
        })
    }

    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options =
            Self { listen: SocketAddr::from(([127, 0, 0, 1], 0)), mode: Mode::Echo, threads: 1 };
        while let Some(flag) = args.next() {
            let value = args.next().ok_or_else(|| format!("{flag} needs a value"))?;
            match (flag.as_str(), value.as_str()) {
                ("--listen", addr) => {
                    options.listen = addr.parse().map_err(|error| format!("--listen {addr}: {error}"))?;
                }
                ("--mode", "echo") => options.mode = Mode::Echo,
                ("--mode", "broadcast") => options.mode = Mode::Broadcast,
                ("--threads", count) => {
                    options.threads = count.parse().map_err(|error| format!("--threads {count}: {error}"))?;
                }
                _ => return Err(format!("unknown: {flag} {value}")),
            }
        }
        Ok(options)
    }

    /// One thread: the current-thread runtime, which both libraries' benchmarks use. More: the work-stealing one.
    #[cfg(feature = "tokio")]
    pub fn runtime(&self) -> std::io::Result<tokio::runtime::Runtime> {
        if self.threads == 1 {
            tokio::runtime::Builder::new_current_thread().enable_io().build()
        } else {
            tokio::runtime::Builder::new_multi_thread().worker_threads(self.threads).enable_io().build()
        }
    }

    /// Binds, and says where on standard output. The backlog holds a burst of thousands of connects.
    #[cfg(feature = "tokio")]
    pub fn listener(&self) -> std::io::Result<tokio::net::TcpListener> {
        let socket = match self.listen {
            SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4(),
            SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6(),
        }?;
        socket.set_reuseaddr(true)?;
        socket.bind(self.listen)?;
        let listener = socket.listen(4096)?;
        println!("listening on {}", listener.local_addr()?);
        Ok(listener)
    }
}
