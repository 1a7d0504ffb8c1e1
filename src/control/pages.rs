//! The chat page: one embedded file, served so that nothing but its own script and style can run on it.
//!
//! Invariant: the policy is derived from the file, so the two cannot drift apart. The page names no other origin; it may
//! only open WebSockets. Content Security Policy level 3.

use axum::body::Bytes;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

const CHAT: &str = include_str!("pages/chat.html");

/// A page with everything about it that can be worked out once.
pub(super) struct Page {
    body: Bytes,
    headers: HeaderMap,
    tag: String,
}

impl Page {
    pub(super) fn chat() -> Self {
        Self::new(CHAT)
    }

    fn new(text: &'static str) -> Self {
        let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(Sha256::digest(text)));
        let policy = format!(
            "default-src 'none'; script-src {}; style-src {}; img-src data:; connect-src 'self' ws: wss:; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            hashes(text, "script"),
            hashes(text, "style"),
        );
        let headers = [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CONTENT_SECURITY_POLICY, &policy),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
            // Ask every time, answer with 304: a new server version shows at once.
            (CACHE_CONTROL, "no-cache"),
            (ETAG, &tag),
        ];
        let headers = headers
            .into_iter()
            .filter_map(|(name, value)| Some((name, HeaderValue::from_str(value).ok()?)))
            .collect();
        Self { body: Bytes::from_static(text.as_bytes()), headers, tag }
    }

    pub(super) fn answer(&self, request: &HeaderMap) -> Response {
        let known = request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let mut known = known.flat_map(|tags| tags.split(','));
        // A weak tag matches as well: RFC 9110 section 13.1.2.
        if known.any(|tag| tag.trim().trim_start_matches("W/") == self.tag) {
            return (StatusCode::NOT_MODIFIED, self.headers.clone()).into_response();
        }
        (self.headers.clone(), self.body.clone()).into_response()
    }
}

/// The sources that a policy allows for the inline elements of this name: their hashes, or nothing.
fn hashes(text: &str, element: &str) -> String {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let inline = text.split(open.as_str()).skip(1).filter_map(|rest| rest.split(close.as_str()).next());
    let hashes: Vec<_> =
        inline.map(|body| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(body)))).collect();
    if hashes.is_empty() { String::from("'none'") } else { hashes.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_inline_element_is_allowed_by_its_hash() {
        // From the CSP specification's own example: sha256 of "doSomething();" is checked with openssl.
        let text = "<style>a{}</style><script>doSomething();</script>";
        assert_eq!(hashes(text, "script"), "'sha256-RFWPLDbv2BY+rCkDzsE+0fr8ylGr2R2faWMhq4lfEQc='");
        assert!(hashes(text, "style").starts_with("'sha256-"));
        assert_eq!(hashes("<p>", "script"), "'none'");
    }

    #[test]
    fn the_chat_page_needs_nothing_from_elsewhere() {
        for remote in ["src=", "@import", "url(http", "//cdn", " onclick=", " style=", "innerHTML"] {
            assert!(!CHAT.contains(remote), "the page contains {remote}");
        }
        assert_eq!(CHAT.matches("<script").count(), CHAT.matches("<script>").count());
        assert_eq!(CHAT.matches("<style").count(), CHAT.matches("<style>").count());
    }

    #[test]
    fn a_known_version_is_not_sent_again() {
        let page = Page::new("<p>hi");
        let mut request = HeaderMap::new();
        assert_eq!(page.answer(&request).status(), StatusCode::OK);
        let tags = format!("\"other\", W/{}", page.tag);
        request.insert(IF_NONE_MATCH, HeaderValue::from_str(&tags).unwrap());
        assert_eq!(page.answer(&request).status(), StatusCode::NOT_MODIFIED);
    }
}
