//! Who may call: whoever shows the key, in a header or in the query.
//! Invariant: the time that a comparison takes says nothing about the key but its length; the key is printed nowhere.

use super::error::ErrorMode;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::http::header::{AUTHORIZATION, ORIGIN};
use axum::http::{HeaderMap, HeaderValue};
use std::fmt;

/// Who is let in, and how errors show.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ApiAccess {
    /// Empty: there is none, and nobody can show it.
    pub key: String,
    /// Everybody may do everything, but for web pages: browsers let any page of the world post to this machine, and say
    /// so with an Origin.
    pub insecure: bool,
    pub error_mode: ErrorMode,
}

impl ApiAccess {
    /// Nobody can call, which an operator will want to know.
    pub fn is_closed(&self) -> bool {
        self.key.is_empty() && !self.insecure
    }

    pub(super) fn admits(&self, headers: &HeaderMap, query: Option<&str>) -> bool {
        if self.insecure && !headers.contains_key(ORIGIN) {
            return true;
        }
        let shown = headers.get("x-api-key").map(HeaderValue::as_bytes);
        let shown = shown.or_else(|| headers.get(AUTHORIZATION).and_then(|value| scheme(value.as_bytes())));
        match (shown, query) {
            (Some(shown), _) => self.is(shown),
            (None, Some(query)) => parameter(query).is_some_and(|shown| self.is(&shown)),
            (None, None) => false,
        }
    }

    fn is(&self, shown: &[u8]) -> bool {
        !self.key.is_empty() && verify_slices_are_equal(self.key.as_bytes(), shown).is_ok()
    }
}

impl fmt::Debug for ApiAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiAccess")
            .field("key", &if self.key.is_empty() { "none" } else { "hidden" })
            .field("insecure", &self.insecure)
            .field("error_mode", &self.error_mode)
            .finish()
    }
}

/// The credentials of `apikey <key>`; names of schemes have no case (RFC 9110 section 11.1).
fn scheme(value: &[u8]) -> Option<&[u8]> {
    let (name, key) = value.split_at_checked(SCHEME.len())?;
    name.eq_ignore_ascii_case(SCHEME).then(|| key.trim_ascii())
}

/// The value of `api_key`, without its percent escapes.
fn parameter(query: &str) -> Option<Vec<u8>> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("api_key="))?;
    let mut bytes = value.bytes();
    let mut out = Vec::with_capacity(value.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let mut digit = || (bytes.next()? as char).to_digit(16);
                (digit()? << 4 | digit()?) as u8
            }
            b'+' => b' ',
            _ => byte,
        });
    }
    Some(out)
}

const SCHEME: &[u8] = b"apikey ";

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    fn access() -> ApiAccess {
        ApiAccess { key: String::from("se+cret"), ..ApiAccess::default() }
    }

    fn admits(access: &ApiAccess, header: Option<(&'static str, &'static str)>, query: Option<&str>) -> bool {
        let headers = header
            .into_iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        access.admits(&headers, query)
    }

    #[test]
    fn the_key_is_shown_in_one_of_three_places() {
        let access = access();
        assert!(admits(&access, Some(("x-api-key", "se+cret")), None));
        assert!(admits(&access, Some(("authorization", "apikey se+cret")), None));
        assert!(admits(&access, Some(("authorization", "APIkey  se+cret")), None));
        assert!(admits(&access, None, Some("a=b&api_key=se%2Bcret")));
    }

    #[test]
    fn anything_else_is_refused() {
        let access = access();
        for header in [("x-api-key", "se+cre"), ("x-api-key", ""), ("authorization", "Bearer se+cret")] {
            assert!(!admits(&access, Some(header), None), "{header:?}");
        }
        for query in ["", "api_key=", "api_key=se%2", "api_key=se%zzcret", "xapi_key=se%2Bcret"] {
            assert!(!admits(&access, None, Some(query)), "{query}");
        }
        assert!(!admits(&access, None, None));
    }

    #[test]
    fn without_a_key_nobody_comes_in_unless_everybody_may() {
        let closed = ApiAccess::default();
        assert!(closed.is_closed());
        assert!(!admits(&closed, Some(("x-api-key", "")), Some("api_key=")));
        let open = ApiAccess { insecure: true, ..ApiAccess::default() };
        assert!(!open.is_closed());
        assert!(admits(&open, None, None));
        assert!(!admits(&open, Some(("origin", "https://evil.example")), None), "a page of somebody else");
    }

    #[test]
    fn the_key_is_not_printed() {
        assert!(!format!("{:?}", access()).contains("cret"));
    }
}
