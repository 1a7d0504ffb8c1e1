//! What an operator can choose, in three steps: `table` names every option once, `raw` gathers settings from the file,
//! the environment and the flags (in that rising order), `checked` turns them into a `Config`. `settings` makes of it
//! what cores may be told while they run.
//!
//! Invariant: a `Config` satisfies every range and relation of the table; the command line help, the reference and the
//! checks all come from that table. Nothing below `server` ever sees a `Config`.

mod checked;
pub mod list;
pub mod option;
mod problem;
mod raw;
pub mod reference;
mod relations;
mod settings;
pub mod table;
mod tls;
mod value;
mod warning;

#[cfg(test)]
mod tests;

pub use crate::auth::Secret;
pub use problem::{Origin, Problem};
pub use raw::Flag;
pub use table::api::{HttpApi, Rpc};
pub use table::channel::{Channel, ChannelOptions};
pub use table::client::Client;
pub use table::hooks::{Backend, Hooks};
pub use table::memory::Memory;
pub use table::server::{Listen, Routes, Shutdown};
pub use table::store::Store;
pub use table::tls::Tls;
pub use table::tokens::{SubscriptionToken, Token};
pub use table::transforms::{Transform, TransformTo};
pub use table::transports::Transports;
pub use table::websocket::WebSocket;
pub use value::{Driver, Shape, parse_duration, show_cores, show_duration};
pub use warning::Warning;

use crate::fatal::Fatal;
use crate::sys::affinity;
use option::Change;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use table::channel::development_namespaces;

/// Everything that the server is told at start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    pub listen: Listen,
    pub tls: Tls,
    /// Numbers of the CPUs that get a shard each, ascending, within the mask of the process.
    pub cores: Vec<usize>,
    pub driver: Driver,
    pub routes: Routes,
    pub client: Client,
    pub websocket: WebSocket,
    pub transports: Transports,
    pub channel: Channel,
    pub store: Store,
    pub memory: Memory,
    pub http_api: HttpApi,
    pub rpc: Rpc,
    pub hooks: Hooks,
    pub shutdown: Shutdown,
    /// No file was given: everything is allowed, on the loopback address.
    pub development: bool,
    /// Where to announce that the server listens; a matter of one process, not of its configuration.
    pub ready_file: Option<PathBuf>,
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

    /// A file's text alone, with the mistakes in it: the fuzzer's door.
    #[cfg(debug_assertions)]
    pub fn of_text(text: &str) -> Result<Self, Vec<String>> {
        let mut raw = raw::Raw::default();
        raw.file(Path::new("ringway.toml"), text);
        let checked = checked::check(raw, Mode::Production, &[0]);
        checked
            .map(|(config, _)| config)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    /// Options that are not at the default of their mode, with the value as a file would have it.
    pub fn differences(&self) -> Vec<(String, String)> {
        let mode = if self.development { Mode::Development } else { Mode::Production };
        let (mut ours, mut defaults) = (self.clone(), Self::defaults(mode, &allowed_cores()));
        let mut changed = Vec::new();
        for entry in table::options() {
            if entry.field.show(&mut ours) != entry.field.show(&mut defaults) {
                changed.push((entry.key.to_owned(), entry.field.toml(&mut ours)));
            }
        }
        for list in table::lists() {
            let given = list.differences(&mut defaults);
            for (name, options) in
                list.differences(&mut ours).into_iter().filter(|item| !given.contains(item))
            {
                changed.push((format!("{}.{name}", list.key()), String::from("{}")));
                changed.extend(
                    options.into_iter().map(|(key, value)| (format!("{}.{name}.{key}", list.key()), value)),
                );
            }
        }
        changed
    }

    /// Options whose new value needs another start.
    pub fn restarts(&self, new: &Self) -> Vec<&'static str> {
        let options = self.differing(new).filter(|entry| entry.change == Change::Restart);
        options.map(|entry| entry.key).collect()
    }

    /// Options and items of lists whose value differs.
    pub fn changes(&self, new: &Self) -> Vec<String> {
        let mut changed: Vec<String> = self.differing(new).map(|entry| entry.key.to_owned()).collect();
        let (mut ours, mut theirs) = (self.clone(), new.clone());
        for list in table::lists() {
            let (before, after) = (list.differences(&mut ours), list.differences(&mut theirs));
            let names: BTreeSet<&String> = before.iter().chain(&after).map(|(name, _)| name).collect();
            let of = |items: &[(String, _)], name| items.iter().find(|(found, _)| found == name).cloned();
            for name in names {
                let (before, after): (Option<Item>, Option<Item>) = (of(&before, name), of(&after, name));
                if before != after || !list.is_same(&mut ours, &mut theirs, name) {
                    changed.push(format!("{}.{name}", list.key()));
                }
            }
        }
        changed
    }

    /// This configuration as far as it can be in force without another start: the rest is as in `running`.
    pub fn keeping(mut self, running: &Self) -> Result<Self, Vec<String>> {
        let (mut running, cores) = (running.clone(), running.cores.clone());
        for entry in table::options().filter(|entry| entry.change == Change::Restart) {
            let carried = entry.field.carry(&mut running, &mut self, &cores);
            carried.map_err(|unfit| vec![format!("`{}` must be {}", entry.key, unfit.0)])?;
        }
        let broken = relations::relations(&self);
        let waits = |broken: relations::Broken| {
            format!("`{}` must be {}, as long as the node is not started again", broken.key, broken.relation)
        };
        if broken.is_empty() { Ok(self) } else { Err(broken.into_iter().map(waits).collect()) }
    }

    fn differing(&self, new: &Self) -> impl Iterator<Item = &'static option::Entry> {
        let (mut ours, mut theirs) = (self.clone(), new.clone());
        table::options().filter(move |entry| !entry.field.is_same(&mut ours, &mut theirs))
    }

    /// Whether a hook of that kind (`subscribe_proxy`, ...) and name can be asked: a namespace that counts on one that
    /// is not there must not start.
    fn has_channel_hook(&self, kind: &str, name: &str) -> bool {
        self.hooks.backend(kind, name).is_some()
    }

    fn defaults(mode: Mode, allowed: &[usize]) -> Self {
        let mut config = Self { development: mode == Mode::Development, ..Self::default() };
        for entry in table::options() {
            entry.field.reset(&mut config, mode, allowed);
        }
        if config.development {
            config.channel.namespaces = development_namespaces();
        }
        config
    }
}

/// A name, and the options of it that are not at their default.
type Item = (String, Vec<(&'static str, String)>);

/// A process always has a CPU to run on; when the kernel does not say which, the first will do.
fn allowed_cores() -> Vec<usize> {
    affinity::allowed().unwrap_or_else(|_| vec![0])
}
