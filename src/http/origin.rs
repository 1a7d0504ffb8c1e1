//! Which pages may open a connection. RFC 6455 sections 4.2.2 and 10.2, RFC 6454.
//!
//! Invariant: origins are compared as (scheme, host, port), never as text; what does not parse matches nothing but `*`.
//! A request without an `Origin` is not a browser's: it is allowed, since anybody else could write any header anyway.

use super::authority::Authority;

/// Checked once at start, then only compared.
#[derive(Clone, Debug)]
pub enum OriginPolicy {
    /// The pattern `*`.
    Any,
    /// No pattern at all: the page must come from the host that it connects to.
    SameHost,
    /// One of these, whatever the host.
    Listed(Vec<Pattern>),
}

/// `scheme://host[:port]`, where a whole label of the host may be `*`.
#[derive(Clone, Debug)]
pub struct Pattern {
    scheme: String,
    host: String,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an origin pattern: write `scheme://host[:port]`, where a `*` stands for one whole label of the host"
)]
pub struct OriginPatternError(pub String);

impl OriginPolicy {
    pub fn new(patterns: &[String]) -> Result<Self, OriginPatternError> {
        if patterns.is_empty() {
            return Ok(Self::SameHost);
        }
        if patterns.iter().any(|pattern| pattern == "*") {
            return Ok(Self::Any);
        }
        patterns.iter().map(|pattern| Pattern::new(pattern)).collect::<Result<_, _>>().map(Self::Listed)
    }

    /// `host` is the value of the request's `Host`.
    pub fn allows(&self, origin: Option<&str>, host: &str) -> bool {
        let Some(origin) = origin else { return true };
        match self {
            Self::Any => true,
            Self::SameHost => is_same_host(origin, host),
            Self::Listed(patterns) => Origin::parse(origin)
                .is_some_and(|origin| patterns.iter().any(|pattern| pattern.matches(&origin))),
        }
    }
}

impl Pattern {
    fn new(text: &str) -> Result<Self, OriginPatternError> {
        // A star is no legal byte of a host, so the check is done with a label in its place.
        let parse = || {
            let (scheme, rest) = text.split_once("://")?;
            let host = rest.split(':').next()?;
            let stars_are_labels = host.split('.').all(|label| label == "*" || !label.contains('*'));
            let plain = text.replace('*', "x");
            let origin = Origin::parse(&plain).filter(|_| stars_are_labels && !scheme.contains('*'))?;
            let host = if text.contains('*') { host } else { origin.host };
            Some(Self { scheme: scheme.to_owned(), host: host.to_owned(), port: origin.port })
        };
        parse().ok_or_else(|| OriginPatternError(text.to_owned()))
    }

    fn matches(&self, origin: &Origin<'_>) -> bool {
        self.port == origin.port
            && self.scheme.eq_ignore_ascii_case(origin.scheme)
            && self.host.split('.').count() == origin.host.split('.').count()
            && self
                .host
                .split('.')
                .zip(origin.host.split('.'))
                .all(|(pattern, label)| pattern == "*" || pattern.eq_ignore_ascii_case(label))
    }
}

/// A parsed origin; a port that is the default of its scheme is filled in.
struct Origin<'a> {
    scheme: &'a str,
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Origin<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let legal = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
        let Authority { host, port } = Authority::parse(authority).filter(|_| legal)?;
        Some(Self { scheme, host, port: port.or(default_port(scheme)) })
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme.to_ascii_lowercase().as_str() {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// TLS may end in front of us, so both schemes of the web are fine; a `Host` without a port means the default of the
/// scheme that the page was loaded with.
fn is_same_host(origin: &str, host: &str) -> bool {
    let (Some(origin), Some(host)) = (Origin::parse(origin), Authority::parse(host)) else { return false };
    let default = default_port(origin.scheme);
    default.is_some() && origin.host.eq_ignore_ascii_case(host.host) && origin.port == host.port.or(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(patterns: &[&str]) -> OriginPolicy {
        OriginPolicy::new(&patterns.iter().map(|&pattern| pattern.to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_request_without_an_origin_is_not_a_browsers() {
        for patterns in [&[][..], &["*"], &["https://good.com"]] {
            assert!(policy(patterns).allows(None, "a"));
        }
    }

    #[test]
    fn without_patterns_only_the_same_host_is_allowed() {
        let policy = policy(&[]);
        for (origin, host) in [
            ("http://chat.example", "chat.example"),
            ("https://chat.example", "chat.example"),
            ("https://chat.example", "chat.example:443"),
            ("https://chat.example:443", "chat.example"),
            ("http://CHAT.example:80", "chat.EXAMPLE"),
            ("http://localhost:8080", "localhost:8080"),
            ("http://[::1]:8080", "[::1]:8080"),
        ] {
            assert!(policy.allows(Some(origin), host), "{origin} to {host}");
        }
        for (origin, host) in [
            ("http://localhost:3000", "localhost:8080"),
            ("https://chat.example", "chat.example:80"),
            ("https://evil.example", "chat.example"),
            ("https://chat.example.evil.com", "chat.example"),
            ("ftp://chat.example", "chat.example"),
            ("null", "chat.example"),
            ("", ""),
            ("chat.example", "chat.example"),
            ("http://", ""),
        ] {
            assert!(!policy.allows(Some(origin), host), "{origin} to {host}");
        }
    }

    /// The list of attacks that text comparison, suffixes and regular expressions fell for elsewhere.
    #[test]
    fn a_listed_origin_matches_by_scheme_host_and_port() {
        let policy = policy(&["https://good.com", "http://dev.good.com:3000"]);
        for origin in
            ["https://good.com", "https://good.com:443", "HTTPS://GOOD.com", "http://dev.good.com:3000"]
        {
            assert!(policy.allows(Some(origin), "any.host"), "{origin}");
        }
        for origin in [
            "null",
            "",
            "https://good.com.evil.com",
            "https://good.com@evil",
            "https://evil@good.com",
            "https://goodXcom",
            "https://good.com.",
            "https://good.com/",
            "https://good.com:8443",
            "https://good.com:",
            "https://good.com:0443x",
            "http://good.com",
            "http://a:b",
            "http://dev.good.com",
            "https://sub.good.com",
            " https://good.com",
            "https://good.com https://evil.com",
            "https://any.host",
        ] {
            assert!(!policy.allows(Some(origin), "any.host"), "{origin}");
        }
    }

    #[test]
    fn a_wildcard_stands_for_exactly_one_label() {
        let policy = policy(&["https://*.example.com"]);
        assert!(policy.allows(Some("https://a.example.com"), ""));
        assert!(policy.allows(Some("https://B-2.EXAMPLE.com:443"), ""));
        for origin in [
            "https://example.com",
            "https://a.b.example.com",
            "https://.example.com",
            "https://a.example.com.evil.com",
            "https://evil.com/.example.com",
            "http://a.example.com",
        ] {
            assert!(!policy.allows(Some(origin), ""), "{origin}");
        }
    }

    #[test]
    fn a_star_allows_everything() {
        let policy = policy(&["https://good.com", "*"]);
        assert!(policy.allows(Some("null"), "a") && policy.allows(Some("https://evil.com"), "a"));
    }

    #[test]
    fn what_is_no_pattern_is_an_error() {
        for pattern in [
            "",
            "good.com",
            "https://",
            "https://a*.com",
            "https://*a.com",
            "*://a",
            "https://a:*",
            "https://a/",
            "**",
        ] {
            assert!(OriginPolicy::new(&[pattern.to_owned()]).is_err(), "{pattern}");
        }
        assert!(
            OriginPolicy::new(&["http://[::1]:8080".to_owned(), "capacitor://localhost".to_owned()]).is_ok()
        );
    }
}
