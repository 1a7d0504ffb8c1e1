//! One back end: turns, breaker, request, verdict.
//!
//! Invariant: a question ends within the patience of the breaker's state, whatever the back end does: `timeout` when it is
//! closed, `probe_timeout` for a probe, `open_timeout` when it is open. Never more requests are under way than
//! `concurrency`, never more questions wait than `queue`. Nothing is sent twice.

use super::breaker::{Breaker, Outcome, Pass, State, Verdict, Wait};
use super::figures::{BackendFigures, Ending};
use super::options::BackendOptions;
use crate::control::client::{Client, RequestBounds, RequestError};
use crate::sys::clock;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, Request, Response};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

pub(super) struct Backend {
    pub(super) options: BackendOptions,
    client: Client,
    breaker: Mutex<Breaker>,
    /// Of the breaker: whoever waits for a change waits here.
    state: watch::Sender<State>,
    turns: Semaphore,
    /// Questions that wait or are under way.
    room: Arc<Semaphore>,
    pub(super) figures: Arc<BackendFigures>,
}

/// Room for one question.
pub(super) struct Room(#[expect(dead_code, reason = "given back with its drop")] OwnedSemaphorePermit);

/// What an answer says, as far as the breaker and the figures want to know.
pub(super) struct Judged<T> {
    pub(super) ending: Ending,
    /// None: it says nothing.
    pub(super) value: Option<T>,
}

impl Backend {
    pub(super) fn new(name: &str, options: BackendOptions, client: Client) -> Arc<Self> {
        Self::with(options, client, Arc::new(BackendFigures::new(name)))
    }

    /// The same back end with other options: nothing that was learnt of it holds any more, but the figures go on.
    pub(super) fn succeeding(old: &Self, options: BackendOptions) -> Arc<Self> {
        Self::with(options, old.client.clone(), Arc::clone(&old.figures))
    }

    fn with(options: BackendOptions, client: Client, figures: Arc<BackendFigures>) -> Arc<Self> {
        let room = options.concurrency.saturating_add(options.queue) as usize;
        Arc::new(Self {
            client,
            breaker: Mutex::new(Breaker::new(options.breaker)),
            state: watch::Sender::new(State::Closed),
            turns: Semaphore::new(options.concurrency as usize),
            room: Arc::new(Semaphore::new(room.min(Semaphore::MAX_PERMITS))),
            figures,
            options,
        })
    }

    pub(super) fn state(&self) -> State {
        *self.state.borrow()
    }

    /// Room for a question, or none: too many wait.
    pub(super) fn enter(&self) -> Option<Room> {
        let room = Arc::clone(&self.room).try_acquire_owned().ok().map(Room);
        if room.is_none() {
            self.figures.count(Ending::Crowded);
        }
        room
    }

    /// Asks. None: there is no answer that says anything, whatever the reason.
    pub(super) async fn ask<T>(
        &self,
        _room: Room,
        headers: &[(Box<str>, Box<str>)],
        body: Bytes,
        judge: impl FnOnce(&Response<Bytes>) -> Judged<T>,
    ) -> Option<T> {
        let begun = Instant::now();
        let (turn, pass) = match self.turn(begun).await {
            Ok(turn) => turn,
            Err(ending) => {
                self.figures.count(ending);
                return None;
            }
        };
        let left = self.options.timeout.saturating_sub(begun.elapsed());
        let time_max = if pass.is_probe { self.options.probe_timeout } else { left };
        let bounds = RequestBounds { time_max, body_bytes_max: self.options.answer_bytes_max };
        let attempt = Attempt { backend: self, pass: Some(pass), begun: Instant::now() };
        self.figures.began();
        let judged = match self.client.request(self.request(headers, body), bounds).await {
            Ok(response) => judge(&response),
            Err(error) => Judged { ending: ending_of(&error), value: None },
        };
        attempt.end(judged.ending);
        drop(turn);
        judged.value
    }

    /// A turn, and leave of the breaker.
    async fn turn(&self, begun: Instant) -> Result<(SemaphorePermit<'_>, Pass), Ending> {
        let last = begun + self.options.timeout;
        let mut state = self.state.subscribe();
        // From the first time that the breaker is found open.
        let mut patience = None;
        loop {
            self.wait_for_breaker(&mut state, last, &mut patience).await?;
            let turn = tokio::select! {
                biased;
                turn = self.turns.acquire() => turn.map_err(|_| Ending::Crowded)?,
                // Who waits for a turn must not wait longer than an open breaker is waited for.
                _ = state.changed() => continue,
                () = sleep_until(last) => return Err(Ending::Crowded),
            };
            let verdict = self.change(|breaker| breaker.admit(clock::now()));
            if let Verdict::Go(pass) = verdict {
                return Ok((turn, pass));
            }
        }
    }

    /// Waits a little while the breaker lets nothing through: it may be about to close.
    async fn wait_for_breaker(
        &self,
        state: &mut watch::Receiver<State>,
        last: Instant,
        patience: &mut Option<Instant>,
    ) -> Result<(), Ending> {
        loop {
            state.borrow_and_update();
            let Some(wait) = self.breaker().refuses(clock::now()) else { return Ok(()) };
            let now = Instant::now();
            let last = *patience.get_or_insert_with(|| (now + self.options.open_timeout).min(last));
            if now >= last {
                return Err(Ending::Open);
            }
            // A little more, because timers may be early by their grain.
            let due = match wait {
                Wait::Due(wait) => (now + wait + TIMER_GRAIN).min(last),
                Wait::Probes => last,
            };
            let _ = timeout_at(due, state.changed()).await;
        }
    }

    fn request(&self, headers: &[(Box<str>, Box<str>)], body: Bytes) -> Request<Bytes> {
        let mut request = Request::new(body);
        *request.method_mut() = axum::http::Method::POST;
        // An address that is none is refused by the client; the configuration has checked it before.
        *request.uri_mut() = self.options.endpoint.parse().unwrap_or_default();
        let ours = request.headers_mut();
        for (name, value) in headers {
            let is_wanted = self.options.headers.iter().any(|wanted| wanted == name);
            let pair = (HeaderName::try_from(&**name), HeaderValue::try_from(&**value));
            if let ((Ok(name), Ok(value)), true) = (pair, is_wanted) {
                ours.append(name, value);
            }
        }
        for (name, value) in &self.options.static_headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                ours.insert(name, value);
            }
        }
        ours.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request
    }

    /// Lets the breaker judge, and tells those who wait.
    fn change<T>(&self, change: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut breaker = self.breaker();
        let before = breaker.state();
        let result = change(&mut breaker);
        let after = breaker.state();
        drop(breaker);
        if before != after {
            self.state.send_replace(after);
        }
        result
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way. Dropped without an end, it frees its place among the probes.
struct Attempt<'a> {
    backend: &'a Backend,
    pass: Option<Pass>,
    begun: Instant,
}

impl Attempt<'_> {
    fn end(mut self, ending: Ending) {
        self.backend.figures.count(ending);
        let outcome = if is_outage(ending) { Outcome::Failure } else { Outcome::Success };
        if let Some(pass) = self.pass.take() {
            self.backend.change(|breaker| breaker.record(clock::now(), &pass, outcome));
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.backend.figures.took(self.begun.elapsed());
        if let Some(pass) = self.pass.take() {
            self.backend.change(|breaker| breaker.record(clock::now(), &pass, Outcome::Abandoned));
        }
    }
}

/// Whether the back end is not itself. A refusal is an answer; a status without a meaning is not.
const fn is_outage(ending: Ending) -> bool {
    match ending {
        Ending::Ok | Ending::Error | Ending::Disconnect => false,
        Ending::Timeout
        | Ending::Unreachable
        | Ending::Broken
        | Ending::TooLong
        | Ending::Status
        | Ending::Garbage
        | Ending::Open
        | Ending::Crowded => true,
    }
}

const fn ending_of(error: &RequestError) -> Ending {
    match error {
        RequestError::Timeout(_) => Ending::Timeout,
        RequestError::Address | RequestError::Connect(_) => Ending::Unreachable,
        RequestError::Broken(_) => Ending::Broken,
        RequestError::TooLong(_) => Ending::TooLong,
    }
}

const TIMER_GRAIN: Duration = Duration::from_millis(1);
