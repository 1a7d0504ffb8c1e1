//! What is answered where: the public port's plain requests, and the internal port.
//!
//! Invariant: every route of this file answers GET and HEAD alone (405 otherwise), reads no body and answers at once, so
//! nothing here can be made to wait. Routes that do more bring their own bounds.

use super::NodeView;
use super::api::{self, Api};
use super::http::Reused;
use super::lifecycle::Phase;
use super::metrics::{CONTENT_TYPE as METRICS_TYPE, Metrics};
use super::pages::{Page, SDK_PATH};
use super::unwinding::caught;
use crate::failpoint::{FailPoints, Point};
use axum::Router;
use axum::extract::{Extension, Request};
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, UPGRADE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::body::Incoming;
use std::sync::Arc;
use tower_service::Service;

/// Everything that a port serves.
#[derive(Debug)]
pub(super) struct Site {
    pages: Router,
    /// Where the server API is served; it goes past the router, which would cost more than a publication.
    api: Option<Arc<Api>>,
    fail: FailPoints,
}

impl Site {
    pub(super) fn new(pages: Router, api: Option<Arc<Api>>, fail: FailPoints) -> Self {
        Self { pages, api, fail }
    }

    /// A bug of ours costs the request that meets it.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response {
        if let Ok(response) = caught(self.serve(request)).await {
            return response;
        }
        let answer = line(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n");
        ([(CONNECTION, "close")], answer).into_response()
    }

    async fn serve(&self, request: Request<Incoming>) -> Response {
        self.fail.hit(Point::Request, request.uri().path());
        match &self.api {
            Some(api) if api::owns(request.uri().path()) => api.serve(request).await,
            Some(_) | None => self.pages.clone().call(request).await.unwrap_or_else(|never| match never {}),
        }
    }
}

/// Plain requests to the public port.
pub(super) fn public(pages: bool, streams: Router) -> Router {
    let mut router = streams.route("/livez", get(alive));
    if pages {
        let chat = Arc::new(Page::chat());
        router = router.route("/", get(async move |headers: HeaderMap| chat.answer(&headers)));
        let sdk = Arc::new(Page::sdk());
        router = router.route(SDK_PATH, get(async move |headers: HeaderMap| sdk.answer(&headers)));
    }
    bounded(router).layer(from_fn(refuse_upgrade))
}

/// Requests of the operator's tools.
pub(super) fn internal(view: NodeView, metrics: Metrics) -> Router {
    let metrics = Arc::new(metrics);
    let router = Router::new()
        .route("/", get(async || line(StatusCode::OK, INDEX)))
        .route("/livez", get(alive))
        .route("/readyz", get(async move || readiness(&view)))
        .route("/metrics", get(async move || scrape(&metrics)));
    bounded(router)
}

fn bounded(router: Router) -> Router {
    router
        .fallback(async || line(StatusCode::NOT_FOUND, "not found\n"))
        .method_not_allowed_fallback(async || line(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n"))
}

async fn alive() -> Response {
    line(StatusCode::OK, "ok\n")
}

fn readiness(view: &NodeView) -> Response {
    match view.lifecycle.phase() {
        // Whoever connected now might come to the core that does not answer.
        Phase::Ready if view.is_stalled() => {
            line(StatusCode::SERVICE_UNAVAILABLE, "degraded: a core is stalled\n")
        }
        Phase::Ready => line(StatusCode::OK, "ready\n"),
        Phase::Starting => line(StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        Phase::Draining => line(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        Phase::Replaced => line(StatusCode::SERVICE_UNAVAILABLE, "replaced\n"),
        Phase::Stopped => line(StatusCode::SERVICE_UNAVAILABLE, "stopped\n"),
    }
}

fn scrape(metrics: &Metrics) -> Response {
    match metrics.render() {
        Ok(text) => ([(CONTENT_TYPE, METRICS_TYPE), (CACHE_CONTROL, "no-store")], text).into_response(),
        Err(_) => line(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written\n"),
    }
}

/// A WebSocket handshake on a connection that has already carried plain HTTP. Clients open a connection of their own for it
/// (RFC 6455 section 4.1), but a proxy may reuse one that it kept. The cores do not take sockets back, so the request was
/// directed at a connection that cannot serve it: 421 invites a retry on a fresh one (RFC 9110 section 15.5.20), where 426
/// would tell a client to do what it just did. The close keeps frames that were sent early from being read as a request.
///
/// On a fresh connection the cores have seen the handshake first and found no WebSocket at its path: a plain request.
async fn refuse_upgrade(Extension(reused): Extension<Reused>, request: Request, next: Next) -> Response {
    let mut upgrades = request.headers().get_all(UPGRADE).iter();
    if !reused.0 || !upgrades.any(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket")) {
        return next.run(request).await;
    }
    let refusal = line(StatusCode::MISDIRECTED_REQUEST, "open a new connection for a WebSocket\n");
    ([(CONNECTION, "close")], refusal).into_response()
}

fn line(status: StatusCode, text: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, text).into_response()
}

const INDEX: &str = "Ringway, internal port\n\
    \n\
    /livez    200 while the process runs\n\
    /readyz   200 while the node takes new connections, 503 while it starts, drains or is degraded\n\
    /metrics  OpenMetrics 1.0 text\n\
    /api      server API: POST /api/info, /api/publish, /api/batch ..\n";
