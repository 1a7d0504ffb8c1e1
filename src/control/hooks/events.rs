//! Tells a back end what has happened, in batches.
//!
//! Invariant: events arrive in the order in which they came, at least once or not at all; those that are given up are
//! counted. Whoever has something to tell never waits: beyond the queue it is dropped. What a reload says about batches
//! and back end holds from the next attempt on.

use super::backend::Judged;
use super::figures::{Ending, EventFigures};
use super::question::raw;
use super::roster::{Audience, Roster};
use crate::control::live::Live;
use crate::shard::ask::Event;
use crate::sys::clock;
use axum::body::Bytes;
use axum::http::Response;
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

pub(super) struct Teller {
    roster: Live<Roster>,
    figures: Arc<EventFigures>,
    /// Events in the queue, which may be as long as the roster says.
    waiting: AtomicUsize,
}

/// An event and when it was heard of.
struct Dated {
    event: Event,
    time_ms: u64,
}

#[derive(Serialize)]
struct Batch<'a> {
    events: Vec<Entry<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Entry<'a> {
    Disconnect {
        time_ms: u64,
        client: String,
        transport: &'a str,
        protocol: &'a str,
        user: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        meta: Option<&'a RawValue>,
        code: u16,
        reason: &'a str,
    },
    Occupied {
        time_ms: u64,
        channel: &'a str,
    },
    Vacated {
        time_ms: u64,
        channel: &'a str,
    },
}

impl Teller {
    pub(super) fn new(roster: Live<Roster>, figures: Arc<EventFigures>) -> Self {
        Self { roster, figures, waiting: AtomicUsize::new(0) }
    }

    /// Until nobody can send any more and all has been told.
    pub(super) async fn run(&self, events: mpsc::UnboundedReceiver<Event>) {
        let (queue, waiting) = mpsc::unbounded_channel();
        tokio::join!(self.collect(events, queue), self.tell(waiting));
    }

    /// Takes events as they come, and hands them on as far as there is room.
    async fn collect(&self, mut events: mpsc::UnboundedReceiver<Event>, queue: mpsc::UnboundedSender<Dated>) {
        while let Some(event) = events.recv().await {
            let room = self.audience().map_or(0, |audience| audience.options.queue_count_max);
            let dated = Dated { event, time_ms: clock::wall().as_millis() as u64 };
            if self.waiting.load(Ordering::Relaxed) >= room || queue.send(dated).is_err() {
                self.drop_count(1);
            } else {
                self.waiting.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Sends batches until the queue has ended and is empty.
    async fn tell(&self, mut queue: mpsc::UnboundedReceiver<Dated>) {
        let mut batch = Vec::new();
        while let Some(first) = queue.recv().await {
            batch.push(first);
            let (count_max, delay) = self.audience().map_or((1, Duration::ZERO), |audience| {
                (audience.options.batch_count_max, audience.options.batch_delay)
            });
            let due = Instant::now() + delay;
            while batch.len() < count_max {
                match timeout_at(due, queue.recv()).await {
                    Ok(Some(event)) => batch.push(event),
                    Ok(None) | Err(_) => break,
                }
            }
            self.waiting.fetch_sub(batch.len(), Ordering::Relaxed);
            self.send(&batch).await;
            batch.clear();
        }
    }

    async fn send(&self, batch: &[Dated]) {
        let mut pause = RETRY_PAUSE_MIN;
        let mut attempt = 0;
        while let Some(audience) = self.audience().filter(|to| attempt <= to.options.retry_count_max) {
            if attempt > 0 {
                self.figures.retries.fetch_add(1, Ordering::Relaxed);
            }
            if audience.take(batch).await {
                self.figures.sent.fetch_add(batch.len() as u64, Ordering::Relaxed);
                return;
            }
            attempt += 1;
            if attempt <= audience.options.retry_count_max {
                sleep(pause).await;
                pause = (pause * 2).min(RETRY_PAUSE_MAX);
            }
        }
        self.drop_count(batch.len());
    }

    /// None: events are told to nobody, since the last reload.
    fn audience(&self) -> Option<Arc<Audience>> {
        self.roster.get().events.clone()
    }

    fn drop_count(&self, count: usize) {
        self.figures.dropped.fetch_add(count as u64, Ordering::Relaxed);
    }
}

impl Audience {
    /// Whether the back end has taken it.
    async fn take(&self, batch: &[Dated]) -> bool {
        let Some(room) = self.backend.enter() else { return false };
        let entries = batch.iter().map(|dated| dated.entry(self.options.backend.include_meta)).collect();
        let body = serde_json::to_vec(&Batch { events: entries }).map(Bytes::from).unwrap_or_default();
        self.backend.ask(room, &[], body, is_taken).await.is_some()
    }
}

impl Dated {
    fn entry(&self, include_meta: bool) -> Entry<'_> {
        let time_ms = self.time_ms;
        match &self.event {
            Event::Disconnected { who, code, reason } => Entry::Disconnect {
                time_ms,
                client: who.client.to_string(),
                transport: who.transport,
                protocol: who.protocol,
                user: &who.user,
                meta: who.meta.as_deref().filter(|_| include_meta).and_then(raw),
                code: *code,
                reason,
            },
            Event::Occupied { channel } => Entry::Occupied { time_ms, channel },
            Event::Vacated { channel } => Entry::Vacated { time_ms, channel },
        }
    }
}

/// Any status of success will do, whatever the body says.
fn is_taken(response: &Response<Bytes>) -> Judged<()> {
    if response.status().is_success() {
        Judged { ending: Ending::Ok, value: Some(()) }
    } else {
        Judged { ending: Ending::Status, value: None }
    }
}

/// Between attempts; doubled each time.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(200);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(5);
