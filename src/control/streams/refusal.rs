//! Why a request of these routes is not served, with the one answer to each.

use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The page's origin is not allowed.
    Forbidden,
    Method {
        allow: &'static str,
    },
    BadRequest(&'static str),
    TooLarge,
    /// The body took too long.
    Timeout,
    /// Nobody has this session, or not here.
    UnknownSession,
    /// The node has as many connections as it may have.
    Connections,
    /// So has the address.
    Addresses,
    /// Connections come faster than they may.
    Arrivals,
    /// No core that takes it, or the node stops.
    Overloaded,
}

impl Refusal {
    const COUNT: usize = 10;
    /// Labels on the metrics page, by `index`.
    pub(super) const NAMES: [&'static str; Self::COUNT] = [
        "forbidden",
        "method",
        "bad_request",
        "too_large",
        "timeout",
        "unknown_session",
        "overloaded",
        "connection_limit",
        "address_connection_limit",
        "connection_rate_limit",
    ];

    pub(super) const fn index(self) -> usize {
        match self {
            Self::Forbidden => 0,
            Self::Method { .. } => 1,
            Self::BadRequest(_) => 2,
            Self::TooLarge => 3,
            Self::Timeout => 4,
            Self::UnknownSession => 5,
            Self::Overloaded => 6,
            Self::Connections => 7,
            Self::Addresses => 8,
            Self::Arrivals => 9,
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::UnknownSession => StatusCode::NOT_FOUND,
            Self::Connections | Self::Addresses | Self::Arrivals | Self::Overloaded => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Forbidden => "pages of this origin may not connect",
            Self::Method { .. } => "method not allowed",
            Self::BadRequest(what) => what,
            Self::TooLarge => "the body is too large",
            Self::Timeout => "the body took too long",
            Self::UnknownSession => "no such session",
            Self::Connections => "too many connections",
            Self::Addresses => "too many connections from this address",
            Self::Arrivals => "connections come too fast",
            Self::Overloaded => "overloaded",
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let headers = [
            (CONTENT_TYPE, "text/plain; charset=utf-8"),
            (CACHE_CONTROL, "no-store"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        let mut response = (self.status(), headers, format!("{}\n", self.text())).into_response();
        match self {
            Self::Method { allow } => {
                response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
            }
            Self::Connections | Self::Addresses | Self::Arrivals | Self::Overloaded => {
                response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_S);
            }
            Self::Forbidden | Self::BadRequest(_) | Self::TooLarge | Self::Timeout | Self::UnknownSession => {
            }
        }
        response
    }
}

/// Short, because clients spread their attempts themselves.
const RETRY_AFTER_S: HeaderValue = HeaderValue::from_static("1");
