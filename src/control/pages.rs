//! The chat page and the one script that it loads, both embedded, served so that nothing else can run on the page.
//!
//! Invariant: the policy is derived from the file, so the two cannot drift apart. The page names no other origin; it
//! may only talk to this server. Content Security Policy level 3.

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
/// The public SDK, as `scripts/vendor-centrifuge` puts it there.
const SDK: &str = include_str!("pages/centrifuge-5.8.0.js");
/// The version is part of the name, so what browsers keep under it can never be another one.
pub(super) const SDK_PATH: &str = "/centrifuge-5.8.0.js";

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

    /// The script that the chat page loads.
    pub(super) fn sdk() -> Self {
        let tag = tag_of(SDK);
        let headers = [
            (CONTENT_TYPE, "text/javascript; charset=utf-8"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
            (CACHE_CONTROL, "public, max-age=31536000, immutable"),
            (ETAG, &tag),
        ];
        Self { body: Bytes::from_static(SDK.as_bytes()), headers: collect(headers), tag }
    }

    fn new(text: &'static str) -> Self {
        let tag = tag_of(text);
        let policy = format!(
            "default-src 'none'; script-src 'self' {}; style-src {}; img-src data:; connect-src 'self' ws: wss:; \
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
        Self { body: Bytes::from_static(text.as_bytes()), headers: collect(headers), tag }
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

fn tag_of(text: &str) -> String {
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(Sha256::digest(text)))
}

fn collect<const N: usize>(headers: [(HeaderName, &str); N]) -> HeaderMap {
    let headers = headers.into_iter();
    headers.filter_map(|(name, value)| Some((name, HeaderValue::from_str(value).ok()?))).collect()
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
        let own = format!("<script src=\"{SDK_PATH}\"></script>");
        assert_eq!(CHAT.matches(&own).count(), 1, "the one script that is not inline");
        let rest = CHAT.replace(&own, "");
        for remote in ["src=", "@import", "url(http", "//cdn", " onclick=", " style=", "innerHTML"] {
            assert!(!rest.contains(remote), "the page contains {remote}");
        }
        assert_eq!(rest.matches("<script").count(), rest.matches("<script>").count());
        assert_eq!(CHAT.matches("<style").count(), CHAT.matches("<style>").count());
    }

    #[test]
    fn the_script_carries_its_licence_and_may_be_kept_for_good() {
        assert!(SDK.starts_with("/*! centrifuge 5.8.0") && SDK.contains("The MIT License (MIT)"));
        let answer = Page::sdk().answer(&HeaderMap::new());
        assert_eq!(answer.headers()[CACHE_CONTROL], "public, max-age=31536000, immutable");
        assert_eq!(answer.headers()[CONTENT_TYPE], "text/javascript; charset=utf-8");
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
