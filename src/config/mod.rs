//! What an operator can choose, in three steps: `table` names every option once, `raw` gathers settings from the file,
//! the environment and the flags (in that rising order), `checked` turns them into a `Config`.
//!
//! Invariant: a `Config` satisfies every range and relation of the table; the command line help, the reference in the
//! README and the checks all come from that table. Nothing below `server` ever sees a `Config`.

mod checked;
mod problem;
mod raw;
pub mod reference;
pub mod table;
mod value;
mod warning;

#[cfg(test)]
mod tests;

pub use problem::{Origin, Problem};
pub use raw::Flag;
pub use value::{Driver, show_cores};
pub use warning::Warning;

use crate::fatal::Fatal;
use crate::sys::affinity;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything that the server is told at start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    pub listen: Listen,
    /// Numbers of the CPUs that get a shard each, ascending, within the mask of the process.
    pub cores: Vec<usize>,
    pub driver: Driver,
    pub routes: Routes,
    pub client: Client,
    pub websocket: WebSocket,
    pub channel: Channel,
    pub shutdown: Shutdown,
    /// No file was given: everything is allowed, on the loopback address.
    pub development: bool,
    /// Where to announce that the server listens; a matter of one process, not of its configuration.
    pub ready_file: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    pub public: SocketAddr,
    pub internal: SocketAddr,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    pub echo: bool,
    pub pages: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    pub allow_anonymous_connect_without_token: bool,
    /// Patterns that `OriginPolicy` accepts.
    pub allowed_origins: Vec<String>,
    pub ping_interval: Duration,
    pub pong_timeout: Duration,
    pub stale_close_delay: Duration,
    pub channel_limit: u32,
    pub queue_max_size: u32,
    /// Of this node; zero is no limit.
    pub connection_limit: u32,
    /// Of this node, per second; zero is no limit.
    pub connection_rate_limit: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebSocket {
    pub message_size_limit: u32,
    pub handshake_timeout: Duration,
    pub message_timeout: Duration,
    pub close_timeout: Duration,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channel {
    pub max_length: u32,
    pub without_namespace: ChannelOptions,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelOptions {
    pub presence: bool,
    pub allow_subscribe_for_client: bool,
    pub allow_subscribe_for_anonymous: bool,
    pub allow_publish_for_client: bool,
    pub allow_publish_for_subscriber: bool,
    pub allow_publish_for_anonymous: bool,
    pub allow_presence_for_client: bool,
    pub allow_presence_for_subscriber: bool,
    pub allow_presence_for_anonymous: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shutdown {
    pub timeout: Duration,
    pub drain_window: Duration,
}

/// Which defaults apply. A file, even an empty one, means production.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Development,
    Production,
}

impl Config {
    /// What runs when nothing is configured: open to everybody on this machine, closed to all others.
    pub fn development() -> Self {
        Self::defaults(Mode::Development, &allowed_cores())
    }

    /// What a file starts from: nothing anonymous, nothing published by clients, no echo.
    pub fn production() -> Self {
        Self::defaults(Mode::Production, &allowed_cores())
    }

    /// Later sources win: defaults, `file`, `env`, `flags`. Every mistake is reported, not only the first.
    pub fn load(
        file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
        flags: impl IntoIterator<Item = Flag>,
    ) -> Result<(Self, Vec<Warning>), Fatal> {
        let mut raw = raw::Raw::default();
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .map_err(|source| Fatal::ConfigUnreadable { path: path.to_owned(), source })?;
            raw.file(path, &text);
        }
        raw.environment(env);
        raw.flags(flags);
        let mode = if file.is_some() { Mode::Production } else { Mode::Development };
        checked::check(raw, mode, &allowed_cores()).map_err(|problems| Fatal::Config {
            file: file.map(Path::to_owned),
            problems: problems.iter().map(ToString::to_string).collect(),
        })
    }

    /// Options that are not at the default of their mode, with the value as a file would have it.
    pub fn differences(&self) -> Vec<(&'static table::Entry, String)> {
        let mode = if self.development { Mode::Development } else { Mode::Production };
        let (mut ours, mut defaults) = (self.clone(), Self::defaults(mode, &allowed_cores()));
        let differs = |entry: &&table::Entry| entry.field.show(&mut ours) != entry.field.show(&mut defaults);
        let changed: Vec<&table::Entry> = table::OPTIONS.iter().filter(differs).collect();
        changed.into_iter().map(|entry| (entry, entry.field.toml(&mut ours))).collect()
    }

    fn defaults(mode: Mode, allowed: &[usize]) -> Self {
        let mut config = Self { development: mode == Mode::Development, ..Self::default() };
        for entry in table::OPTIONS {
            entry.field.reset(&mut config, mode, allowed);
        }
        config
    }
}

impl Default for Listen {
    fn default() -> Self {
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        Self { public: nowhere, internal: nowhere }
    }
}

/// A process always has a CPU to run on; when the kernel does not say which, the first will do.
fn allowed_cores() -> Vec<usize> {
    affinity::allowed().unwrap_or_else(|_| vec![0])
}
