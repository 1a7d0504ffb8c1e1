//! Which back ends there are, and how a reload changes them.
//!
//! Invariant: a back end with the options that it had stays the same one, with its breaker, its turns and those who wait
//! for them; one with other options starts with a closed breaker and keeps its figures. Questions that are under way
//! end where they began.

use super::backend::Backend;
use super::options::{BackendOptions, EventOptions, HookOptions};
use super::question::Topic;
use crate::control::client::Client;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

#[derive(Default)]
pub(super) struct Roster {
    backends: HashMap<Desk, Arc<Backend>>,
    /// Removed by the last reload. A core that has not heard of it yet may still ask them.
    retired: HashMap<Desk, Arc<Backend>>,
    /// None: nobody is told of events.
    pub(super) events: Option<Arc<Audience>>,
}

/// Which back end is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Desk {
    /// Of a topic, where nobody chose another.
    Default(&'static str),
    Named(Box<str>),
    Events,
}

/// Who is told of events, and how.
pub(super) struct Audience {
    pub(super) backend: Arc<Backend>,
    pub(super) options: EventOptions,
}

impl Roster {
    /// What comes after this one.
    pub(super) fn succeeded_by(&self, options: HookOptions, client: &Client) -> Self {
        let HookOptions {
            connect,
            refresh,
            subscribe,
            publish,
            sub_refresh,
            cache_empty,
            rpc,
            named,
            events,
        } = options;
        let defaults = [
            (Topic::Connect, connect),
            (Topic::Refresh, refresh),
            (Topic::Subscribe, subscribe),
            (Topic::Publish, publish),
            (Topic::SubRefresh, sub_refresh),
            (Topic::CacheEmpty, cache_empty),
            (Topic::Rpc, rpc),
        ];
        let mut backends = HashMap::new();
        for (topic, options) in defaults {
            let Some(options) = options else { continue };
            let desk = Desk::Default(topic.name());
            backends.insert(desk.clone(), self.backend(&desk, topic.name(), options, client));
        }
        for (name, options) in named {
            let desk = Desk::Named(name.clone());
            backends.insert(desk.clone(), self.backend(&desk, &name, options, client));
        }
        let events = events.map(|options| {
            let backend = self.backend(&Desk::Events, "events", options.backend.clone(), client);
            backends.insert(Desk::Events, Arc::clone(&backend));
            Arc::new(Audience { backend, options })
        });
        let gone = self.backends.iter().filter(|(desk, _)| !backends.contains_key(desk));
        let retired = gone.map(|(desk, backend)| (desk.clone(), Arc::clone(backend))).collect();
        Self { backends, retired, events }
    }

    pub(super) fn find(&self, desk: &Desk) -> Option<&Arc<Backend>> {
        self.backends.get(desk).or_else(|| self.retired.get(desk))
    }

    /// Those that are configured.
    pub(super) fn backends(&self) -> impl Iterator<Item = &Backend> {
        self.backends.values().map(|backend| &**backend)
    }

    fn backend(&self, desk: &Desk, name: &str, options: BackendOptions, client: &Client) -> Arc<Backend> {
        match self.find(desk) {
            Some(same) if same.options == options => Arc::clone(same),
            Some(other) => Backend::succeeding(other, options),
            None => Backend::new(name, options, client.clone()),
        }
    }
}

impl fmt::Debug for Roster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roster").field("backends", &self.backends.keys()).finish_non_exhaustive()
    }
}
