//! Fetches the key sets that issuers publish, and keeps them fresh. RFC 7517.
//!
//! Invariant: one address is asked by one request at a time and at most once in `KEY_SET_REFETCH_MS_MIN`, however many
//! tokens name keys that nobody has; a failure of any kind keeps the set that was there. Addresses come from
//! `auth::Endpoint`, which fixed the host; redirects to another are not followed. Knows no token.

use super::client::{Client, RequestBounds, RequestError, Roots};
use crate::auth::{KeySet, KeySetError, KeySets};
use crate::limits::{
    KEY_SET_ADDRESS_COUNT_MAX, KEY_SET_BYTES_MAX, KEY_SET_FETCH_MS_MAX, KEY_SET_LIFE_MS,
    KEY_SET_REFETCH_MS_MIN,
};
use crate::sys::clock;
use crate::time::Moment;
use axum::http::header::ACCEPT;
use axum::http::{HeaderValue, Request, StatusCode};
use hyper::body::Bytes;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::runtime::Builder;
use tokio::sync::{Mutex as Gate, Notify};
use tokio::time::sleep;

/// Clones share everything.
#[derive(Clone)]
pub struct Jwks(Arc<Inner>);

/// What became of the wish for a key.
#[derive(Debug)]
pub enum Renewal {
    /// The set is new, or somebody else has just fetched one that has the key. It was published before this.
    Renewed,
    /// It was asked for a moment ago; nothing is new.
    TooSoon,
    /// Too many other addresses are being asked for.
    Crowded,
    Failed(FetchError),
}

#[derive(Debug, Error)]
pub enum FetchError {
    #[error("{0}")]
    Request(#[from] RequestError),
    #[error("it answers with status {0}")]
    Status(StatusCode),
    #[error("{0}")]
    Set(#[from] KeySetError),
}

/// How often what was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JwksFigures {
    pub fetched: u64,
    pub failed: u64,
}

#[derive(Clone, Copy, Debug)]
pub struct JwksBounds {
    /// The shortest time between two requests to one address.
    pub pause: Duration,
    /// Age at which a set is fetched again.
    pub life: Duration,
    pub request: RequestBounds,
}

struct Inner {
    client: Client,
    bounds: JwksBounds,
    publish: Box<dyn Fn(KeySets) + Send + Sync>,
    addresses: Mutex<BTreeMap<Box<str>, Arc<Address>>>,
    /// An address has come to be kept fresh.
    grown: Notify,
    fetched: AtomicU64,
    failed: AtomicU64,
}

#[derive(Default)]
struct Address {
    /// Held while it is asked; when that began the last time.
    asked: Gate<Option<Moment>>,
    set: Mutex<Option<Fetched>>,
}

#[derive(Clone)]
struct Fetched {
    at: Moment,
    set: Arc<KeySet>,
}

impl Jwks {
    /// `publish` gets all sets whenever one of them is new.
    pub fn new(
        client: Client,
        bounds: JwksBounds,
        publish: impl Fn(KeySets) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            client,
            bounds,
            publish: Box::new(publish),
            addresses: Mutex::default(),
            grown: Notify::new(),
            fetched: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }))
    }

    /// Fetches the set of an address because a token names a key that is not in it: what `TokenError::UnknownKey` says.
    pub async fn renew(&self, address: &str, kid: &str) -> Renewal {
        let Some(entry) = self.entry(address) else { return Renewal::Crowded };
        let mut asked = entry.asked.lock().await;
        if entry.set().as_ref().is_some_and(|fetched| fetched.set.has(kid)) {
            return Renewal::Renewed;
        }
        if asked.is_some_and(|moment| clock::now().since(moment) < self.0.bounds.pause) {
            return Renewal::TooSoon;
        }
        *asked = Some(clock::now());
        self.fetch(address, &entry).await
    }

    /// Fetches these addresses at once, and every address again before its set grows old. Runs until it is dropped.
    pub async fn keep_fresh(&self, fixed: &[&str]) {
        for address in fixed {
            self.entry(address);
        }
        loop {
            let mut next = None::<Duration>;
            for (address, entry) in self.entries() {
                // An address that no issuer answers at is only asked when a token names it.
                if entry.set().is_none() && !fixed.contains(&&*address) {
                    continue;
                }
                let left = self.refresh(&address, &entry).await;
                next = Some(next.map_or(left, |next| next.min(left)));
            }
            tokio::select! {
                () = self.0.grown.notified() => {}
                () = async { match next { Some(left) => sleep(left).await, None => std::future::pending().await } } => {}
            }
        }
    }

    pub fn sets(&self) -> KeySets {
        let entries = self.entries().into_iter();
        entries.filter_map(|(address, entry)| Some((address, entry.set().clone()?.set))).collect()
    }

    pub fn figures(&self) -> JwksFigures {
        let Inner { fetched, failed, .. } = &*self.0;
        JwksFigures { fetched: fetched.load(Ordering::Relaxed), failed: failed.load(Ordering::Relaxed) }
    }

    /// Asks again if the set is old or missing; returns when to look again.
    async fn refresh(&self, address: &str, entry: &Address) -> Duration {
        let JwksBounds { pause, life, .. } = self.0.bounds;
        let mut asked = entry.asked.lock().await;
        let now = clock::now();
        let fresh = entry.set().as_ref().map(|fetched| life.saturating_sub(now.since(fetched.at)));
        let resting = asked.map(|moment| pause.saturating_sub(now.since(moment)));
        let left = fresh.max(resting).unwrap_or_default();
        if !left.is_zero() {
            return left;
        }
        *asked = Some(clock::now());
        match self.fetch(address, entry).await {
            Renewal::Renewed => life,
            Renewal::TooSoon | Renewal::Crowded | Renewal::Failed(_) => pause,
        }
    }

    async fn fetch(&self, address: &str, entry: &Address) -> Renewal {
        match self.download(address).await {
            Ok(set) => {
                *entry.set() = Some(Fetched { at: clock::now(), set: Arc::new(set) });
                self.0.fetched.fetch_add(1, Ordering::Relaxed);
                (self.0.publish)(self.sets());
                self.0.grown.notify_one();
                Renewal::Renewed
            }
            Err(error) => {
                self.0.failed.fetch_add(1, Ordering::Relaxed);
                Renewal::Failed(error)
            }
        }
    }

    async fn download(&self, address: &str) -> Result<KeySet, FetchError> {
        let request = Request::get(address)
            .header(ACCEPT, HeaderValue::from_static("application/jwk-set+json, application/json"))
            .body(Bytes::new())
            .map_err(|_| RequestError::Address)?;
        let answer = self.0.client.request(request, self.0.bounds.request).await?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        Ok(KeySet::parse(answer.body(), clock::wall().as_secs())?)
    }

    /// None when there is no room. Addresses whose last request failed make room, once they may be asked again anyway.
    fn entry(&self, address: &str) -> Option<Arc<Address>> {
        let mut addresses = self.addresses();
        if let Some(entry) = addresses.get(address) {
            return Some(Arc::clone(entry));
        }
        if addresses.len() >= KEY_SET_ADDRESS_COUNT_MAX {
            let now = clock::now();
            let is_idle = |entry: &Address| {
                entry
                    .asked
                    .try_lock()
                    .is_ok_and(|asked| asked.is_none_or(|moment| now.since(moment) >= self.0.bounds.pause))
            };
            addresses.retain(|_, entry| entry.set().is_some() || !is_idle(entry));
        }
        (addresses.len() < KEY_SET_ADDRESS_COUNT_MAX)
            .then(|| Arc::clone(addresses.entry(address.into()).or_default()))
    }

    fn entries(&self) -> Vec<(Box<str>, Arc<Address>)> {
        self.addresses().iter().map(|(address, entry)| (address.clone(), Arc::clone(entry))).collect()
    }

    fn addresses(&self) -> MutexGuard<'_, BTreeMap<Box<str>, Arc<Address>>> {
        self.0.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One look at a key set from outside of a running server. The outer error is this machine's.
pub fn fetch_once(address: &str) -> io::Result<Result<KeySet, FetchError>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let client = Client::new(&Roots::System).map_err(io::Error::other)?;
    let jwks = Jwks::new(client, JwksBounds::default(), |_| {});
    Ok(runtime.block_on(jwks.download(address)))
}

impl Address {
    fn set(&self) -> MutexGuard<'_, Option<Fetched>> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for JwksBounds {
    fn default() -> Self {
        Self {
            pause: Duration::from_millis(KEY_SET_REFETCH_MS_MIN),
            life: Duration::from_millis(KEY_SET_LIFE_MS),
            request: RequestBounds {
                time_max: Duration::from_millis(KEY_SET_FETCH_MS_MAX),
                body_bytes_max: KEY_SET_BYTES_MAX as usize,
            },
        }
    }
}

impl fmt::Debug for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwks").field("sets", &self.sets()).finish()
    }
}
