//! Transports of clients that cannot open a WebSocket: HTTP streams, server-sent events, and the emulation endpoint that
//! carries their commands.
//!
//! The sessions are the shards'; this speaks HTTP for them. Invariant: each stream that was opened on a core is left
//! there exactly once, by the core's `End` or by our `Gone`, and its place is given back when its connection has ended.
//! Knows no command and no reply: bytes go through as they are.

mod body;
mod cross;
mod emulation;
mod figures;
mod opening;
mod parameter;
mod places;
mod refusal;
mod sessions;

pub use places::{Full, Places};

use super::Line;
use super::cores::Cores;
use super::lifecycle::Lifecycle;
use super::live::Live;
use super::live_settings::LiveSettings;
use crate::http::OriginPolicy;
use crate::ids::ClientId;
use crate::shard::Tallies;
use crate::shard::settings::Limits;
use crate::shard::stream::StreamKind;
use crate::stats::Published;
use crate::sys::entropy;
use axum::Router;
use axum::extract::Request;
use axum::routing::any;
use figures::{Figures, StreamFigures};
use sessions::Sessions;
use std::sync::Arc;
use tokio::sync::Semaphore;

#[derive(Clone, Debug)]
pub struct StreamOptions {
    pub http_stream: bool,
    pub sse: bool,
    pub uni_http_stream: bool,
    pub uni_sse: bool,
    /// Streams open at one time: as many as the descriptors of this process allow. Beyond: 503.
    pub count_max: u32,
    pub origins: Live<OriginPolicy>,
    /// Request headers that hooks get, in lower case.
    pub headers: Live<Vec<Box<str>>>,
    /// What a stream shares with the sockets of the cores: the limits of connections, and the rate at which they come.
    pub places: Arc<dyn Places>,
    pub tallies: Arc<Tallies>,
}

/// What every request of these routes shares.
pub(super) struct Streams {
    options: StreamOptions,
    cores: Arc<Cores>,
    published: Vec<Arc<Published>>,
    lifecycle: Arc<Lifecycle>,
    live: Arc<LiveSettings>,
    /// Names this process to the emulation endpoint.
    node: ClientId,
    sessions: Sessions,
    places: Arc<Semaphore>,
    figures: Arc<Figures>,
}

impl Streams {
    pub(super) fn new(
        options: StreamOptions,
        line: &Line,
        published: Vec<Arc<Published>>,
        lifecycle: Arc<Lifecycle>,
    ) -> Arc<Self> {
        let core_count = published.len();
        Arc::new(Self {
            places: Arc::new(Semaphore::new(options.count_max as usize)),
            options,
            cores: Arc::clone(&line.cores),
            published,
            lifecycle,
            live: Arc::clone(&line.live),
            node: random_id(),
            sessions: Sessions::default(),
            figures: Arc::new(Figures::new(core_count)),
        })
    }

    pub(super) fn figures(&self) -> StreamFigures {
        StreamFigures(Arc::clone(&self.figures))
    }

    /// Those in force now.
    fn limits(&self) -> Limits {
        self.live.current().limits
    }

    /// Waits until the last connection with a stream has gone.
    pub(super) async fn finish(&self) {
        let _ = self.places.acquire_many(self.options.count_max).await;
    }

    /// The routes of what is switched on.
    pub(super) fn routes(self: &Arc<Self>) -> Router {
        let kinds = [
            (self.options.http_stream, "/connection/http_stream", StreamKind::HttpStream),
            (self.options.sse, "/connection/sse", StreamKind::Sse),
            (self.options.uni_http_stream, "/connection/uni_http_stream", StreamKind::UniHttpStream),
            (self.options.uni_sse, "/connection/uni_sse", StreamKind::UniSse),
        ];
        let mut router = Router::new();
        for (_, path, kind) in kinds.into_iter().filter(|(is_on, ..)| *is_on) {
            let streams = Arc::clone(self);
            router =
                router.route(path, any(async move |request: Request| streams.serve(kind, request).await));
        }
        if self.options.http_stream || self.options.sse {
            let streams = Arc::clone(self);
            router =
                router.route("/emulation", any(async move |request: Request| streams.emulate(request).await));
        }
        router
    }
}

fn random_id() -> ClientId {
    let mut bytes = [0; 16];
    let (one, other) = bytes.split_at_mut(8);
    one.copy_from_slice(&entropy::seed().to_ne_bytes());
    other.copy_from_slice(&entropy::seed().to_ne_bytes());
    ClientId::from_random(bytes)
}
