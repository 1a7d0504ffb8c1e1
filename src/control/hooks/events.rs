//! Tells a back end what has happened, in batches.
//!
//! Invariant: events arrive in the order in which they came, at least once or not at all; those that are given up are
//! counted. Whoever has something to tell never waits: beyond the queue it is dropped.

use super::backend::{Backend, Judged};
use super::figures::{Ending, EventFigures};
use super::options::EventOptions;
use super::question::raw;
use crate::shard::ask::Event;
use crate::sys::clock;
use axum::body::Bytes;
use axum::http::Response;
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

pub(super) struct Teller {
    backend: Arc<Backend>,
    options: EventOptions,
    figures: Arc<EventFigures>,
}

/// An event and when it was heard of.
pub(super) struct Dated {
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
    pub(super) fn new(backend: Arc<Backend>, options: EventOptions, figures: Arc<EventFigures>) -> Self {
        Self { backend, options, figures }
    }

    /// Takes events as they come, until nobody can send any more, and hands them on as far as there is room.
    pub(super) async fn collect(
        figures: &EventFigures,
        mut events: mpsc::UnboundedReceiver<Event>,
        queue: mpsc::Sender<Dated>,
    ) {
        while let Some(event) = events.recv().await {
            let dated = Dated { event, time_ms: clock::wall().as_millis() as u64 };
            if queue.try_send(dated).is_err() {
                figures.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Sends batches until the queue has ended and is empty.
    pub(super) async fn tell(&self, mut queue: mpsc::Receiver<Dated>) {
        let mut batch = Vec::with_capacity(self.options.batch_count_max);
        while let Some(first) = queue.recv().await {
            batch.push(first);
            let due = Instant::now() + self.options.batch_delay;
            while batch.len() < self.options.batch_count_max {
                match timeout_at(due, queue.recv()).await {
                    Ok(Some(event)) => batch.push(event),
                    Ok(None) | Err(_) => break,
                }
            }
            self.send(&batch).await;
            batch.clear();
        }
    }

    async fn send(&self, batch: &[Dated]) {
        let entries = batch.iter().map(|dated| self.entry(dated)).collect();
        let body = serde_json::to_vec(&Batch { events: entries }).map(Bytes::from).unwrap_or_default();
        let mut pause = RETRY_PAUSE_MIN;
        for attempt in 0..=self.options.retry_count_max {
            if attempt > 0 {
                self.figures.retries.fetch_add(1, Ordering::Relaxed);
                sleep(pause).await;
                pause = (pause * 2).min(RETRY_PAUSE_MAX);
            }
            let Some(room) = self.backend.enter() else { continue };
            if self.backend.ask(room, &[], body.clone(), is_taken).await.is_some() {
                self.figures.sent.fetch_add(batch.len() as u64, Ordering::Relaxed);
                return;
            }
        }
        self.figures.dropped.fetch_add(batch.len() as u64, Ordering::Relaxed);
    }

    fn entry<'a>(&self, dated: &'a Dated) -> Entry<'a> {
        let time_ms = dated.time_ms;
        match &dated.event {
            Event::Disconnected { who, code, reason } => Entry::Disconnect {
                time_ms,
                client: who.client.to_string(),
                transport: who.transport,
                protocol: who.protocol,
                user: &who.user,
                meta: who.meta.as_deref().filter(|_| self.options.backend.include_meta).and_then(raw),
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
