//! `host[:port]`, as `Host` and `Origin` carry it. RFC 3986 section 3.2, RFC 9110 section 7.2.
//! Invariant: what parses has no user information, no empty label and no byte that a name or address cannot have.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Authority<'a> {
    /// As it was sent: compare without regard to case.
    pub host: &'a str,
    pub port: Option<u16>,
}

impl<'a> Authority<'a> {
    pub fn parse(text: &'a str) -> Option<Self> {
        let (host, port) = split_port(text)?;
        let legal = match host.strip_prefix('[') {
            Some(address) => address.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().is_ok(),
            None => host.split('.').all(is_label),
        };
        legal.then_some(Self { host, port })
    }
}

fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    // The colons inside of brackets belong to the address.
    let name_end = text.rfind(']').map_or(0, |bracket| bracket + 1);
    match text.get(name_end..)?.find(':') {
        None => Some((text, None)),
        Some(colon) => {
            let (host, port) = text.split_at_checked(name_end + colon)?;
            let port = port.strip_prefix(':')?;
            let legal = (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
            if legal { Some((host, Some(port.parse().ok()?))) } else { None }
        }
    }
}

/// Underscores are no host names by the letter, but container networks are full of them.
fn is_label(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_split_from_their_port() {
        for (text, host, port) in [
            ("example.com", "example.com", None),
            ("example.com:8080", "example.com", Some(8080)),
            ("127.0.0.1:80", "127.0.0.1", Some(80)),
            ("[::1]", "[::1]", None),
            ("[::1]:65535", "[::1]", Some(65535)),
            ("my_service-1", "my_service-1", None),
        ] {
            assert_eq!(Authority::parse(text), Some(Authority { host, port }), "{text}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "", ":80", "a b", "user@a", "a/b", "a:", "a:b", "a:65536", "a:+80", "a:80:80", "a..b", ".a",
            "a.", "[::1", "::1", "[::1]x", "[g::]", "a,b", "a?b", "a#b", "a%41", "x[::1]",
        ] {
            assert_eq!(Authority::parse(text), None, "{text}");
        }
    }
}
