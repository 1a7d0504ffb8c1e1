//! info and reload: what this node is and what it carries, and reading its configuration again.
//! Invariant: a user is counted once, however many cores carry a connection of theirs.

use super::Api;
use super::error::ApiError;
use crate::proto::Object;
use crate::shard::call::{Call, Outcome};
use crate::stats::{FIGURES, Published};
use crate::sys::clock;
use crate::time::Moment;
use std::collections::HashSet;
use std::sync::Arc;

/// What does not change while the node runs, and where its figures are.
#[derive(Debug)]
pub(in crate::control) struct NodeFacts {
    /// Another one with every start.
    pub(in crate::control) uid: String,
    pub(in crate::control) name: String,
    pub(in crate::control) version: &'static str,
    pub(in crate::control) started: Moment,
    /// One per core.
    pub(in crate::control) published: Vec<Arc<Published>>,
}

#[derive(Default)]
struct Census {
    clients: u64,
    users: HashSet<u64>,
    subscriptions: u64,
    channels: u64,
}

impl Api {
    pub(super) async fn info(&self, _params: &[u8], out: &mut Vec<u8>) -> Result<(), ApiError> {
        let mut census = Census::default();
        for outcome in self.cores.ask_all(|| Call::Info).await {
            let Outcome::Info { clients, users, subscriptions, channels } = outcome else {
                return Err(ApiError::of(&outcome));
            };
            census.clients += u64::from(clients);
            census.users.extend(users);
            census.subscriptions += u64::from(subscriptions);
            census.channels += u64::from(channels);
        }
        let uptime = clock::now().since(self.facts.started).as_secs();
        let mut object = Object::open(out);
        object.objects("nodes", &[&self.facts], |facts, to| {
            to.text_always("uid", &facts.uid);
            to.text_always("name", &facts.name);
            to.text_always("version", facts.version);
            to.number_always("num_clients", census.clients);
            to.number_always("num_users", census.users.len() as u64);
            to.number_always("num_subs", census.subscriptions);
            to.number_always("num_channels", census.channels);
            to.number("uptime", uptime);
            to.object("metrics", |to| facts.metrics(uptime, to));
        });
        object.close();
        Ok(())
    }
}

impl Api {
    pub(super) async fn reload(&self, _params: &[u8], out: &mut Vec<u8>) -> Result<(), ApiError> {
        let reload = self.reload.as_ref().ok_or(ApiError::NotAvailable)?;
        let report = match Arc::clone(reload).spawn().await {
            None => return Err(ApiError::Internal),
            Some(Err(problems)) => return Err(ApiError::Refused(problems.join("; "))),
            Some(Ok(report)) => report,
        };
        let mut object = Object::open(out);
        object.texts("changed", report.changed.iter().map(String::as_str));
        object.texts("pending", report.pending.iter().copied());
        object.texts("warnings", report.warnings.iter().map(String::as_str));
        object.close();
        Ok(())
    }
}

impl NodeFacts {
    /// The figures of the metrics page over all cores, since the start.
    fn metrics(&self, uptime: u64, to: &mut Object<'_>) {
        to.number("interval", uptime);
        to.object("items", |to| {
            let cores: Vec<Vec<u64>> =
                self.published.iter().map(|published| published.values().collect()).collect();
            for (index, (name, _, _)) in FIGURES.iter().enumerate() {
                let sum: u64 = cores.iter().filter_map(|values| values.get(index)).sum();
                to.number_always(name, sum);
            }
        });
    }
}
