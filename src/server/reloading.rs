//! A reload: the same file, environment and flags as at the start, read again and put in force as far as possible.
//!
//! Invariant: what is in force has been checked as a whole, together with the options that wait for the next start.

use super::hooks::hook_options;
use crate::cli;
use crate::config::{Config, Flag};
use crate::control::{ApiAccess, HookPlan, Live, LiveSettings, Report};
use crate::driver::Admissions;
use crate::fatal::Fatal;
use crate::http::OriginPolicy;
use crate::shard::Settings;
use crate::sys::clock;
use std::mem;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Where the configuration of this process came from, beside the environment.
#[derive(Clone, Debug)]
pub struct Sources {
    pub file: PathBuf,
    pub flags: Vec<Flag>,
}

pub(super) struct Reloading {
    pub sources: Sources,
    /// What is in force: of the start where an option cannot change, of the last reload otherwise.
    pub running: Mutex<Config>,
    pub live: Arc<LiveSettings>,
    pub admissions: Arc<Admissions>,
    /// Connections that the descriptors of this process allow.
    pub room: u32,
    pub dials: Dials,
}

/// What a reload changes beside the settings of the cores.
pub(super) struct Dials {
    pub access: Live<ApiAccess>,
    pub origins: Live<OriginPolicy>,
    /// Request headers of streams that are kept.
    pub headers: Live<Vec<Box<str>>>,
    pub hooks: HookPlan,
}

impl Dials {
    pub(super) fn new(config: &Config, settings: &Settings) -> Self {
        Self {
            access: Live::new(super::api_access(config)),
            origins: Live::new(settings.origins.clone()),
            headers: Live::new(kept_headers(config)),
            hooks: HookPlan::new(hook_options(config)),
        }
    }

    fn set(&self, config: &Config, settings: &Settings) {
        self.origins.set(settings.origins.clone());
        self.access.set(super::api_access(config));
        self.headers.set(kept_headers(config));
        self.hooks.change(hook_options(config));
    }
}

/// Request headers of streams that somebody wants to see, in lower case.
fn kept_headers(config: &Config) -> Vec<Box<str>> {
    let (hooks, user) = (config.hooks.told(), config.client.user_id_http_header.to_ascii_lowercase());
    hooks.headers.into_iter().chain((!user.is_empty()).then(|| Box::from(user))).collect()
}

impl Reloading {
    pub(super) fn reload(&self) -> Result<Report, Vec<String>> {
        let Sources { file, flags } = &self.sources;
        let (new, warnings) =
            Config::load(Some(file), cli::environment(), flags.iter().cloned()).map_err(lines)?;
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = running.restarts(&new);
        let new = new.keeping(&running)?;
        let regressions = new.tls.regressions(&running.tls, clock::wall());
        if !regressions.is_empty() {
            return Err(regressions);
        }
        let settings = new.settings().map_err(lines)?;
        // Before the cores hear of it, so that whoever they ask is there.
        self.dials.set(&new, &settings);
        self.live.change(|current| {
            let auth = Arc::new(settings.auth.succeeding(&current.auth));
            // Tickets outlive a new certificate: they do not depend on it.
            let tls = settings.tls.map(|tls| tls.succeeding(current.tls.as_ref()));
            *current = Settings { auth, tls, ..settings };
        });
        self.admissions.set_limit(super::connection_limit(&new, self.room));
        self.admissions.addresses.set_limit(new.client.address_connection_limit);
        let old = mem::replace(&mut *running, new);
        Ok(Report {
            changed: old.changes(&running),
            pending,
            warnings: warnings.iter().map(ToString::to_string).collect(),
        })
    }
}

fn lines(fatal: Fatal) -> Vec<String> {
    if let Fatal::Config { problems, .. } = fatal {
        return problems;
    }
    vec![fatal.to_string()]
}
