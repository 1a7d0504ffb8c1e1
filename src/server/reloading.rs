//! A reload: the same file, environment and flags as at the start, read again and put in force as far as possible.
//!
//! Invariant: what is in force has been checked as a whole, together with the options that wait for the next start.

use crate::cli;
use crate::config::{Config, Flag};
use crate::control::{ApiAccess, Live, LiveSettings, Report};
use crate::driver::Admissions;
use crate::fatal::Fatal;
use crate::http::OriginPolicy;
use crate::shard::Settings;
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
    pub access: Live<ApiAccess>,
    pub origins: Live<OriginPolicy>,
}

impl Reloading {
    pub(super) fn reload(&self) -> Result<Report, Vec<String>> {
        let Sources { file, flags } = &self.sources;
        let (new, warnings) =
            Config::load(Some(file), cli::environment(), flags.iter().cloned()).map_err(lines)?;
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = running.restarts(&new);
        let new = new.keeping(&running)?;
        let settings = new.settings().map_err(lines)?;
        self.origins.set(settings.origins.clone());
        self.access.set(super::api_access(&new));
        self.live.change(|current| {
            let auth = Arc::new(settings.auth.succeeding(&current.auth));
            *current = Settings { auth, ..settings };
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
