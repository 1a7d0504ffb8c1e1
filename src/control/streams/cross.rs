//! Requests from pages of other origins: who may, and what a browser has to be told. Fetch standard, section 3.2.
//!
//! Invariant: an origin is named in an answer only if the policy allows it; credentials are never allowed to `*`.

use super::refusal::Refusal;
use crate::http::OriginPolicy;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, HOST, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

/// The origin that was allowed; none: no browser asked, or one that did not say.
#[derive(Debug)]
pub(super) struct Cross(Option<HeaderValue>);

impl Cross {
    pub(super) fn check(policy: &OriginPolicy, headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else { return Ok(Self(None)) };
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let text = origin.to_str().map_err(|_| Refusal::Forbidden)?;
        if origins.next().is_some() || !policy.allows(Some(text), host) {
            return Err(Refusal::Forbidden);
        }
        Ok(Self(Some(origin.clone())))
    }

    /// Lets the page read the answer.
    pub(super) fn sign(&self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        // Also without an origin: a cache must not give this answer to a page.
        headers.append(VARY, HeaderValue::from_static("Origin"));
        if let Self(Some(origin)) = self {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        response
    }

    /// The answer to a browser that asks before it sends.
    pub(super) fn preflight(&self, request: &HeaderMap, methods: &'static str) -> Response {
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
        headers.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_S);
        if let Some(wanted) = request.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        self.sign(response)
    }
}

/// Five minutes: the shortest of what browsers allow is two hours, and a policy may change.
const PREFLIGHT_S: HeaderValue = HeaderValue::from_static("300");

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn policy() -> OriginPolicy {
        OriginPolicy::new(&[String::from("https://good.com")]).unwrap()
    }

    #[test]
    fn an_allowed_page_may_read_the_answer_with_credentials() {
        let cross = Cross::check(&policy(), &headers(&[("origin", "https://good.com")])).unwrap();
        let answer = cross.sign(StatusCode::OK.into_response());
        assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "https://good.com");
        assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        assert_eq!(answer.headers()[VARY], "Origin");
    }

    #[test]
    fn a_star_in_the_policy_never_reaches_an_answer() {
        let policy = OriginPolicy::new(&[String::from("*")]).unwrap();
        let cross = Cross::check(&policy, &headers(&[("origin", "null")])).unwrap();
        let answer = cross.sign(StatusCode::OK.into_response());
        assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "null");
    }

    #[test]
    fn other_pages_and_two_origins_are_refused() {
        for fields in [
            &[("origin", "https://evil.com")][..],
            &[("origin", "https://good.com"), ("origin", "https://good.com")],
            &[("origin", "null")],
        ] {
            assert_eq!(Cross::check(&policy(), &headers(fields)).unwrap_err(), Refusal::Forbidden);
        }
    }

    #[test]
    fn without_an_origin_no_page_is_named() {
        let answer = Cross::check(&policy(), &headers(&[])).unwrap().sign(StatusCode::OK.into_response());
        assert!(!answer.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
        assert_eq!(answer.headers()[VARY], "Origin");
    }

    #[test]
    fn a_preflight_allows_the_headers_that_were_asked_for() {
        let request = headers(&[
            ("origin", "https://good.com"),
            ("access-control-request-headers", "content-type,x-a"),
        ]);
        let answer = Cross::check(&policy(), &request).unwrap().preflight(&request, "POST");
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_HEADERS], "content-type,x-a");
        assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_METHODS], "POST");
    }
}
