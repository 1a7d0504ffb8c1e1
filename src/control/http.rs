//! Serves HTTP/1.1 on one port's sockets: keep-alive, bounded in every direction.
//!
//! Invariant: a connection holds a slot for at most `life` and `end` together, whatever its peer does. One head
//! (and the wait for it) takes at most `head`; there are never more connections than slots. A connection that carries a
//! stream has given its slot back for a ticket of the stream's own, and lives as long as the stream, and `end`.
//! Knows nothing of routes. RFC 9112.

use super::lifecycle::Phase;
use super::replay::Replay;
use super::routes::Site;
use super::tenure::{Tenure, Ticket};
use super::unwinding::caught;
use super::wire::Wire;
use crate::limits::{HANDSHAKE_MS_MAX, HEAD_BYTES_MAX, HEADER_COUNT_MAX};
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;

/// How much of our time and memory the peers of a port get at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Most connections at one time. Beyond: 503.
    pub(super) slot_count: u32,
    /// From the first wait for a head to its last byte; so it also ends an idle keep-alive.
    pub(super) head: Duration,
    /// A connection of this age answers what it is reading and then ends: bounds a reader that drips.
    pub(super) life: Duration,
    /// From the wish to end to a hard close.
    pub(super) end: Duration,
}

impl Bounds {
    /// 512 slots x (16 KiB of head + a page that lies in memory once) is 8 MiB at worst.
    pub(super) const PUBLIC: Self = Self {
        slot_count: 512,
        head: Duration::from_millis(HANDSHAKE_MS_MAX),
        life: Duration::from_mins(1),
        end: Duration::from_secs(5),
    };

    /// A scraper, a few probes, a person, and the pools of back ends, which keep quiet connections for a minute or more
    /// and take it badly when one ends while they write to it. All of them are the operator's own.
    pub(super) const INTERNAL: Self = Self {
        slot_count: 1024,
        head: Duration::from_secs(100),
        life: Duration::from_hours(1),
        end: Duration::from_secs(5),
    };
}

/// Attached to every request: whether its connection has carried another one before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reused(pub(super) bool);

/// What a port has done, for the metrics page.
#[derive(Debug)]
pub(super) struct Traffic {
    slots: Arc<Semaphore>,
    slot_count: u32,
    served: AtomicU64,
    shed: AtomicU64,
}

impl Traffic {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(bounds.slot_count as usize)),
            slot_count: bounds.slot_count,
            served: AtomicU64::new(0),
            shed: AtomicU64::new(0),
        }
    }

    /// Connections that are open now.
    pub(super) fn open(&self) -> u64 {
        u64::from(self.slot_count) - self.slots.available_permits() as u64
    }

    /// Few slots are left: a connection had better not be kept for a next request that may never come.
    fn is_crowded(&self) -> bool {
        self.slots.available_permits() < self.slot_count as usize / CROWDED_PART
    }

    /// Connections that got a slot.
    pub(super) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// Connections that found every slot taken.
    pub(super) fn shed(&self) -> u64 {
        self.shed.load(Ordering::Relaxed)
    }
}

pub(super) struct Server {
    site: Arc<Site>,
    bounds: Bounds,
    traffic: Arc<Traffic>,
    phase: watch::Receiver<Phase>,
    end_phase: Phase,
}

impl Server {
    /// Connections end gracefully once `phase` has come to `end_phase`.
    pub(super) fn new(
        site: Arc<Site>,
        bounds: Bounds,
        traffic: Arc<Traffic>,
        phase: watch::Receiver<Phase>,
        end_phase: Phase,
    ) -> Self {
        Self { site, bounds, traffic, phase, end_phase }
    }

    /// Serves a connection in a task of its own, beginning with the bytes that were already read from it.
    pub(super) fn take(&self, wire: Wire, received: Vec<u8>) {
        let Ok(slot) = Arc::clone(&self.traffic.slots).try_acquire_owned() else {
            self.traffic.shed.fetch_add(1, Ordering::Relaxed);
            return wire.say_once(OVERLOAD);
        };
        self.traffic.served.fetch_add(1, Ordering::Relaxed);
        let slot: Ticket = Box::new(slot);
        let address = wire.peer_addr().ok().map(|peer| peer.ip());
        let tenure = Arc::new(Tenure::new(slot, address));
        let serving = Serving {
            site: Arc::clone(&self.site),
            bounds: self.bounds,
            traffic: Arc::clone(&self.traffic),
            tenure: Arc::clone(&tenure),
            phase: self.phase.clone(),
            end_phase: self.end_phase,
        };
        let socket = Replay::new(wire, received);
        tokio::spawn(async move {
            // A bug of ours costs the connection, and never its slot.
            let _ = caught(serving.serve(socket)).await;
            tenure.end();
        });
    }

    /// Waits until the last connection has gone.
    pub(super) async fn finish(self) {
        let _ = self.traffic.slots.acquire_many(self.traffic.slot_count).await;
    }
}

/// One connection.
struct Serving {
    site: Arc<Site>,
    bounds: Bounds,
    traffic: Arc<Traffic>,
    tenure: Arc<Tenure>,
    phase: watch::Receiver<Phase>,
    end_phase: Phase,
}

impl Serving {
    async fn serve(self, socket: Replay) {
        let Self { site, bounds, traffic, tenure, mut phase, end_phase } = self;
        // A graceful end before the first request would drop that request, so a connection that comes late
        // is told from the start to end after one.
        let keep_alive = *phase.borrow() < end_phase;
        let used = AtomicBool::new(false);
        let service = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(Reused(used.swap(true, Ordering::Relaxed)));
            request.extensions_mut().insert(Arc::clone(&tenure));
            let (site, traffic) = (&site, &traffic);
            async move {
                let mut response = site.answer(request).await;
                if traffic.is_crowded() {
                    response.headers_mut().insert(CONNECTION, CLOSE);
                }
                Ok::<_, Infallible>(response)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(bounds.head)
            .keep_alive(keep_alive)
            .max_headers(HEADER_COUNT_MAX)
            .max_header_size(HEAD_BYTES_MAX as usize)
            .serve_connection(TokioIo::new(socket), service);
        let mut connection = pin!(connection);
        let ending = async {
            // The sender lives as long as the control plane; its loss ends connections as well.
            let _ = phase.wait_for(|phase| *phase >= end_phase).await;
            if !keep_alive {
                std::future::pending::<()>().await;
            }
        };
        // Errors are the peer's: a broken head was answered by hyper, a broken socket has nobody to tell.
        tokio::select! {
            // First, so that bytes already received are a request before an end is considered.
            biased;
            _ = connection.as_mut() => return,
            () = ending => {}
            () = sleep(bounds.life) => {}
        }
        connection.as_mut().graceful_shutdown();
        let grace = async {
            // A stream is ended by its core, also when the node stops; one may have begun in the meantime.
            tenure.stream_over().await;
            sleep(bounds.end).await;
            while tenure.stream_over().await {
                sleep(bounds.end).await;
            }
        };
        tokio::select! {
            biased;
            _ = connection.as_mut() => {}
            () = grace => {}
        }
    }
}

/// Keep-alive ends when fewer than this part of the slots is free.
const CROWDED_PART: usize = 8;

const CLOSE: HeaderValue = HeaderValue::from_static("close");

const OVERLOAD: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    Connection: close\r\n\
    Retry-After: 1\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 11\r\n\
    \r\n\
    overloaded\n";
