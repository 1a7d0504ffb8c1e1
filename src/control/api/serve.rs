//! The API over HTTP: who calls what, with which body, and how the answer looks.
//!
//! Invariant: method, key and declared length are judged before a byte of the body is read; a body takes at most
//! `API_BODY_MS_MAX` and `API_BODY_BYTES_MAX`. What is refused here is a line of text; what a method answers is JSON.

use super::error::{ApiError, ErrorMode};
use super::method::Method;
use super::{Api, Body};
use crate::limits::{API_BODY_BYTES_MAX, API_BODY_MS_MAX};
use axum::body::Body as ResponseBody;
use axum::extract::Request;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method as HttpMethod, StatusCode};
use axum::response::Response;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Bytes;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// What a path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    One(Method),
    Batch,
    Legacy,
}

/// Why there is no body to read.
enum Unread {
    TooLong,
    TooSlow,
    Broken,
}

/// Whether a path is of the API, known or not.
pub(in crate::control) fn owns(path: &str) -> bool {
    path.strip_prefix(PREFIX).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Api {
    pub(in crate::control) async fn serve<B>(self: &Arc<Self>, request: Request<B>) -> Response
    where
        B: hyper::body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        if request.method() != HttpMethod::POST {
            let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, "the API takes POST\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return response;
        }
        let access = self.access();
        let (head, body) = request.into_parts();
        if !access.admits(&head.headers, head.uri.query()) {
            return refusal(StatusCode::UNAUTHORIZED, "show the key of the API, as X-API-Key\n");
        }
        let Some(route) = Route::of(head.uri.path()) else {
            let names: Vec<&str> = Method::ALL.iter().map(|method| method.name()).collect();
            let text = format!("no such method; there are batch, {}\n", names.join(", "));
            return refusal(StatusCode::NOT_FOUND, text);
        };
        match read(body).await {
            Ok(body) => self.answer(route, &body, mode(access.error_mode, &head.headers)).await,
            Err(Unread::TooLong) => {
                closing(refusal(StatusCode::PAYLOAD_TOO_LARGE, "the body is longer than 1 MiB\n"))
            }
            Err(Unread::TooSlow) => {
                closing(refusal(StatusCode::REQUEST_TIMEOUT, "the body took longer than 10 s\n"))
            }
            Err(Unread::Broken) => closing(refusal(StatusCode::BAD_REQUEST, "the body broke off\n")),
        }
    }

    async fn answer(self: &Arc<Self>, route: Route, body: &Body, mode: ErrorMode) -> Response {
        let mut out = Vec::with_capacity(ANSWER_BYTES);
        let done = match route {
            Route::One(method) => self.reply(method, body, &mut out).await,
            Route::Batch => self.batch(body, &mut out).await,
            Route::Legacy => self.legacy(body, &mut out).await,
        };
        match done {
            Ok(()) => json(StatusCode::OK, out),
            Err(ApiError::Unreadable(why)) => {
                let text = format!("the body is not JSON of the form of this method: {why}\n");
                refusal(StatusCode::BAD_REQUEST, text)
            }
            Err(error) => failure(&error, mode, out),
        }
    }
}

impl Route {
    fn of(path: &str) -> Option<Self> {
        match path.strip_prefix(PREFIX)?.trim_start_matches('/') {
            "" => Some(Self::Legacy),
            "batch" => Some(Self::Batch),
            name => Method::named(name).map(Self::One),
        }
    }
}

/// The whole body, if it is short and comes in time.
async fn read<B>(body: B) -> Result<Body, Unread>
where
    B: hyper::body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    if body.size_hint().lower() > API_BODY_BYTES_MAX as u64 {
        return Err(Unread::TooLong);
    }
    let whole = Limited::new(body, API_BODY_BYTES_MAX).collect();
    match timeout(Duration::from_millis(API_BODY_MS_MAX), whole).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Unread::TooLong),
        Ok(Err(_)) => Err(Unread::Broken),
        Err(_) => Err(Unread::TooSlow),
    }
}

/// A caller may ask for statuses whatever the configuration says.
fn mode(configured: ErrorMode, headers: &HeaderMap) -> ErrorMode {
    let asked = [ERROR_MODE, CENTRIFUGO_ERROR_MODE]
        .iter()
        .any(|name| headers.get(name).is_some_and(|value| value.as_bytes() == b"transport"));
    if asked { ErrorMode::Transport } else { configured }
}

/// `out` holds what a caller gets who looks for errors in the body, unless the method has its own form.
fn failure(error: &ApiError, mode: ErrorMode, mut out: Vec<u8>) -> Response {
    out.clear();
    let status = match mode {
        ErrorMode::Body => {
            error.write_wrapped(&mut out);
            StatusCode::OK
        }
        ErrorMode::Transport => {
            error.write(&mut out);
            error.status()
        }
    };
    let mut response = json(status, out);
    // A reason that no header can carry is in the log at least.
    if let Some(reason) = error.reason().and_then(|reason| HeaderValue::from_str(reason).ok()) {
        response.headers_mut().insert(REASON, reason);
    }
    response
}

fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(ResponseBody::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn refusal(status: StatusCode, text: impl Into<ResponseBody>) -> Response {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// What is left of the body would be read as the next request.
fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

const PREFIX: &str = "/api";
const ERROR_MODE: HeaderName = HeaderName::from_static("x-ringway-error-mode");
/// Clients of Centrifugo's API send this one.
const CENTRIFUGO_ERROR_MODE: HeaderName = HeaderName::from_static("x-centrifugo-error-mode");
/// What is wrong with a bad request, for people.
const REASON: HeaderName = HeaderName::from_static("x-ringway-reason");
/// Room for the answer of a publish.
const ANSWER_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_owns_its_paths_and_no_others() {
        for path in ["/api", "/api/", "/api/publish", "/api/nothing"] {
            assert!(owns(path), "{path}");
        }
        for path in ["/", "/apis", "/livez", "/x/api"] {
            assert!(!owns(path), "{path}");
        }
        assert_eq!(Route::of("/api"), Some(Route::Legacy));
        assert_eq!(Route::of("/api/publish"), Some(Route::One(Method::Publish)));
        assert_eq!(Route::of("/api/batch"), Some(Route::Batch));
        assert_eq!(Route::of("/api/nothing"), None);
    }
}
