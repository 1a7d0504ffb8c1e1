//! From the request of a stream to its response.
//!
//! Invariant: whatever is refused has left nothing behind: no place, no session, no stream on a core.

use super::body::{Line, StreamBody};
use super::cross::Cross;
use super::figures::Route;
use super::parameter::parameter;
use super::places::{Full, Place};
use super::refusal::Refusal;
use super::sessions::Seat;
use super::{Streams, random_id};
use crate::control::cores::Outputs;
use crate::control::tenure::{Tenure, Ticket};
use crate::ids::{ClientId, CoreId};
use crate::limits::STREAM_REQUEST_MS_MAX;
use crate::shard::stream::{Opening, StreamInput, StreamKind};
use crate::stats::FIGURES;
use crate::sys::clock;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, EXPIRES, PRAGMA, X_CONTENT_TYPE_OPTIONS};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

impl Streams {
    pub(super) async fn serve(self: &Arc<Self>, kind: StreamKind, request: Request) -> Response {
        let refuse = |refusal: Refusal| {
            self.figures.count_refused(Route::Stream(kind), refusal);
            refusal.into_response()
        };
        let (head, body) = request.into_parts();
        let cross = match Cross::check(&self.options.origins.get(), &head.headers) {
            Ok(cross) => cross,
            Err(refusal) => return refuse(refusal),
        };
        if head.method == Method::OPTIONS {
            return cross.preflight(&head.headers, methods(kind));
        }
        let response = self.open(kind, &head, body).await.unwrap_or_else(refuse);
        cross.sign(response)
    }

    async fn open(self: &Arc<Self>, kind: StreamKind, head: &Parts, body: Body) -> Result<Response, Refusal> {
        let is_event = is_event(kind);
        let is_query = is_event && head.method == Method::GET;
        if !is_query && head.method != Method::POST {
            return Err(Refusal::Method { allow: methods(kind) });
        }
        let mut first = if is_query {
            parameter(head.uri.query().unwrap_or_default(), "cf_connect").unwrap_or_default()
        } else {
            self.read(body).await?.to_vec()
        };
        if first.is_empty() {
            // Who has nothing to say in a ConnectRequest may leave it out.
            first = if is_bidirectional(kind) { return Err(NO_CONNECT) } else { b"{}".to_vec() };
        }
        let is_protobuf = kind == StreamKind::HttpStream && is_binary(&head.headers);
        let place = self.place(head)?;
        let core = self.choose().ok_or(Refusal::Overloaded)?;
        let session = random_id();
        let opening = Opening {
            kind,
            is_protobuf,
            session,
            node: self.node,
            headers: self.forwarded(&head.headers),
            first,
        };
        let body = self.begin(core, opening, place, head)?;
        let mut response = Body::new(body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(is_event, is_protobuf)));
        for (name, value) in NEVER_HELD {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Ok(response)
    }

    /// Gives the stream to its core.
    fn begin(
        self: &Arc<Self>,
        core: CoreId,
        opening: Opening,
        place: Place,
        head: &Parts,
    ) -> Result<StreamBody, Refusal> {
        let Opening { kind, session, .. } = opening;
        let (stream, Outputs { outputs, open }) = self.cores.open_stream();
        let seat = Seat { core, stream };
        if is_bidirectional(kind) {
            // Before the core can name it to anybody.
            self.sessions.insert(session, seat);
        }
        if !self.cores.stream(core, stream, StreamInput::Open(Box::new(opening))) {
            self.cores.close_stream(stream);
            self.sessions.remove(session);
            return Err(Refusal::Overloaded);
        }
        let line = Arc::new(Line::new(self, seat, kind, session));
        let ticket: Ticket = Box::new(place);
        if let Some(tenure) = head.extensions.get::<Arc<Tenure>>() {
            tenure.stream(ticket, open);
        }
        let greeting: &[u8] = if is_event(kind) { b"\r\n" } else { b"" };
        Ok(StreamBody::new(greeting, outputs, line))
    }

    fn place(&self, head: &Parts) -> Result<Place, Refusal> {
        if !self.lifecycle.is_ready() {
            return Err(Refusal::Overloaded);
        }
        let address = head.extensions.get::<Arc<Tenure>>().and_then(|tenure| tenure.address());
        let permit = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Refusal::Connections)?;
        let place = Place::take(&self.options.places, address, permit).map_err(|full| match full {
            Full::Node => Refusal::Connections,
            Full::Address => Refusal::Addresses,
        })?;
        // Who is refused anyway takes no part of the rate.
        if self.options.tallies.admit(self.limits().handshake_rate, clock::now()) {
            Ok(place)
        } else {
            Err(Refusal::Arrivals)
        }
    }

    /// The core with the least to do. What cores publish is a moment old, so our own streams are counted beside it.
    fn choose(&self) -> Option<CoreId> {
        let at = FIGURES.iter().position(|(name, ..)| *name == "connections").unwrap_or_default();
        let load = |core: CoreId| {
            let published = self.published.get(core.index()).and_then(|core| core.values().nth(at));
            published.unwrap_or_default() + self.figures.on(core)
        };
        (0..self.cores.count()).map(CoreId).min_by_key(|core| load(*core))
    }

    /// The whole body, within its size, which is that of a message, and its time.
    pub(super) async fn read(&self, body: Body) -> Result<Bytes, Refusal> {
        let whole = Limited::new(body, self.limits().message_bytes_max as usize).collect();
        match timeout(Duration::from_millis(STREAM_REQUEST_MS_MAX), whole).await {
            Ok(Ok(whole)) => Ok(whole.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
            Ok(Err(_)) => Err(Refusal::BadRequest("the body is broken")),
            Err(_) => Err(Refusal::Timeout),
        }
    }

    fn forwarded(&self, headers: &HeaderMap) -> Arc<[(Box<str>, Box<str>)]> {
        let kept = self.options.headers.get();
        let named = kept.iter().filter_map(|name| {
            // Twice is ambiguous: a proxy that sets one may not have removed the client's own.
            let mut values = headers.get_all(name.as_ref()).iter();
            let value = values.next().filter(|_| values.next().is_none())?;
            Some((name.clone(), Box::from(value.to_str().ok()?)))
        });
        named.collect()
    }
}

/// Whether the client speaks Protobuf.
pub(super) fn is_binary(headers: &HeaderMap) -> bool {
    let named = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    named.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(BINARY)
}

const fn is_event(kind: StreamKind) -> bool {
    match kind {
        StreamKind::Sse | StreamKind::UniSse => true,
        StreamKind::HttpStream | StreamKind::UniHttpStream => false,
    }
}

const fn is_bidirectional(kind: StreamKind) -> bool {
    match kind {
        StreamKind::HttpStream | StreamKind::Sse => true,
        StreamKind::UniHttpStream | StreamKind::UniSse => false,
    }
}

const fn methods(kind: StreamKind) -> &'static str {
    if is_event(kind) { "GET, POST" } else { "POST" }
}

const fn content_type(is_event: bool, is_protobuf: bool) -> &'static str {
    match (is_event, is_protobuf) {
        (true, _) => "text/event-stream",
        (false, true) => BINARY,
        (false, false) => "application/x-ndjson",
    }
}

const BINARY: &str = "application/octet-stream";
const NO_CONNECT: Refusal = Refusal::BadRequest("the connect command is missing");

/// So that nobody on the way keeps, gathers or rewrites what should arrive at once. The response is the last of its
/// connection.
const NEVER_HELD: [(HeaderName, &str); 6] = [
    (CACHE_CONTROL, "private, no-cache, no-store, must-revalidate, max-age=0, no-transform"),
    (PRAGMA, "no-cache"),
    (EXPIRES, "0"),
    (HeaderName::from_static("x-accel-buffering"), "no"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (CONNECTION, "close"),
];

/// A session as a client writes it.
pub(super) fn parse_id(text: &str) -> Result<ClientId, Refusal> {
    ClientId::parse(text).ok_or(Refusal::UnknownSession)
}
