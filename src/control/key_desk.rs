//! Where cores ask for keys that tokens name and nobody has, and where known key sets are kept fresh.
//!
//! Invariant: an answer follows the settings that carry the new keys, on the same way to the core. Whatever comes of the
//! wish, the core hears of it once: it looks at the token again and decides by what is there. An address has at most one
//! task, however many tokens wait for it.

use super::client::Client;
use super::cores::{Cores, KeyAsk};
use super::jwks::{Jwks, JwksBounds};
use super::live_settings::LiveSettings;
use super::unwinding::{caught, caught_now};
use crate::shard::Settings;
use crate::shard::ask::{Answer, AskId};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, watch};

/// Clones share everything.
#[derive(Clone)]
pub(super) struct KeyDesk(Arc<Inner>);

struct Inner {
    cores: Arc<Cores>,
    live: Arc<LiveSettings>,
    jwks: Jwks,
    /// Who waits for which address.
    waiting: Mutex<HashMap<Box<str>, Vec<AskId>>>,
}

impl KeyDesk {
    pub(super) fn new(client: Client, cores: Arc<Cores>, live: Arc<LiveSettings>) -> Self {
        let publisher = Arc::clone(&live);
        let publish = move |sets| {
            publisher.change(|settings| settings.auth = Arc::new(settings.auth.with_sets(&sets)));
        };
        let jwks = Jwks::new(client, JwksBounds::default(), publish);
        Self(Arc::new(Inner { cores, live, jwks, waiting: Mutex::default() }))
    }

    pub(super) fn figures(&self) -> AuthFigures {
        AuthFigures(Arc::clone(&self.0))
    }

    /// Serves cores and clock until it is dropped.
    pub(super) async fn run(&self, mut asks: mpsc::UnboundedReceiver<KeyAsk>) {
        let serve = async {
            while let Some(ask) = asks.recv().await {
                let _ = caught_now(|| self.serve(ask));
            }
            // Nobody can ask any more; sets still grow old.
            std::future::pending::<()>().await;
        };
        tokio::join!(serve, self.keep_fresh());
    }

    fn serve(&self, KeyAsk { id, kid, address }: KeyAsk) {
        if let Some(waiting) = self.waiting().get_mut(&address) {
            return waiting.push(id);
        }
        self.waiting().insert(address.clone(), vec![id]);
        let this = self.clone();
        tokio::spawn(async move {
            // Whatever comes of it, whoever waits is answered.
            let _ = caught(this.0.jwks.renew(&address, &kid)).await;
            let waiting = this.waiting().remove(&address).unwrap_or_default();
            for id in waiting {
                this.0.cores.answer(id, Answer::Keys);
            }
        });
    }

    /// The addresses of the configuration in force.
    async fn keep_fresh(&self) {
        let mut newest = self.0.live.follow();
        loop {
            let addresses = fixed_addresses(&newest.borrow_and_update());
            let fixed: Vec<&str> = addresses.iter().map(String::as_str).collect();
            tokio::select! {
                () = self.0.jwks.keep_fresh(&fixed) => {}
                () = other_addresses(&mut newest, &addresses) => {}
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Box<str>, Vec<AskId>>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns when a reload has changed them.
async fn other_addresses(newest: &mut watch::Receiver<Arc<Settings>>, addresses: &[String]) {
    let changed = newest.wait_for(|settings| fixed_addresses(settings) != addresses).await.is_ok();
    if !changed {
        // Nobody changes settings any more.
        std::future::pending::<()>().await;
    }
}

fn fixed_addresses(settings: &Settings) -> Vec<String> {
    settings.auth.fixed_addresses().into_iter().map(str::to_owned).collect()
}

/// Key sets and revocations, for the metrics page.
pub(super) struct AuthFigures(Arc<Inner>);

impl Collector for AuthFigures {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let figures = self.0.jwks.figures();
        let help = "Requests for key sets of token issuers, by result.";
        let mut family = encoder.encode_descriptor("key_set_requests", help, None, MetricType::Counter)?;
        for (result, count) in [("fetched", figures.fetched), ("failed", figures.failed)] {
            let labels = [("result", result)];
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        let gauges = [
            ("key_sets", "Key sets of token issuers that are known.", self.0.jwks.sets().len()),
            (
                "revocations",
                "Revoked tokens, users with invalidated tokens and blocked users that are kept.",
                self.0.live.current().auth.revocations.count(),
            ),
        ];
        for (name, help, value) in gauges {
            encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&(value as u64))?;
        }
        Ok(())
    }
}

impl fmt::Debug for AuthFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AuthFigures").field(&self.0.jwks).finish()
    }
}
