//! A request head, parsed and checked. RFC 9112 sections 3, 5 and 6, RFC 9110 sections 5 and 7.2.
//!
//! Invariant: a `Head` has exactly one plausible `Host` and at most one, unambiguous, statement of its body's length, so
//! that no proxy in front of us can have understood the request differently.

use super::Refusal;
use super::authority::Authority;
use crate::limits::HEADER_COUNT_MAX;

/// Borrows the bytes of the head. Header names are compared without regard to case.
#[derive(Debug)]
pub struct Head<'a> {
    method: &'a str,
    /// Path and query, or `*`.
    target: &'a str,
    host: &'a str,
    origin: Option<&'a str>,
    has_body: bool,
    fields: [httparse::Header<'a>; HEADER_COUNT_MAX],
    field_count: usize,
}

impl<'a> Head<'a> {
    /// Takes the bytes that `Scan` found to be a head, to the end of the blank line.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let mut fields = [httparse::EMPTY_HEADER; HEADER_COUNT_MAX];
        let mut request = httparse::Request::new(&mut fields);
        match request.parse(bytes) {
            Ok(httparse::Status::Complete(len)) if len == bytes.len() => {}
            Ok(httparse::Status::Complete(_)) => return Err(Refusal::BadRequest("bytes behind the head")),
            Ok(httparse::Status::Partial) => return Err(Refusal::BadRequest("the head is not whole")),
            Err(error) => return Err(refuse(error)),
        }
        let (Some(method), Some(target)) = (request.method, request.path) else {
            return Err(Refusal::BadRequest("this is not an HTTP request line"));
        };
        if request.version != Some(1) {
            return Err(Refusal::HttpVersion);
        }
        let field_count = request.headers.len();
        let mut head =
            Self { method, target: "", host: "", origin: None, has_body: false, fields, field_count };
        head.host = head.checked_host()?;
        head.origin = head.checked_origin()?;
        head.has_body = head.checked_body()?;
        head.set_target(target)?;
        Ok(head)
    }

    pub fn method(&self) -> &'a str {
        self.method
    }

    /// Without the query.
    pub fn path(&self) -> &'a str {
        self.target.split_once('?').map_or(self.target, |(path, _)| path)
    }

    /// Without its question mark.
    pub fn query(&self) -> Option<&'a str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// The value of a field that appears once and is text; None when it is absent, repeated or not ASCII.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let mut values = self.raw(name);
        match (values.next(), values.next()) {
            (Some(value), None) => text(value),
            _ => None,
        }
    }

    /// The values of all fields of that name that are text.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.raw(name).filter_map(text)
    }

    /// With the port, as it was sent.
    pub fn host(&self) -> &'a str {
        self.host
    }

    pub fn origin(&self) -> Option<&'a str> {
        self.origin
    }

    /// Whether this asks for a WebSocket, well or badly.
    pub fn wants_upgrade(&self) -> bool {
        self.has_item("upgrade", "websocket")
    }

    pub fn has_body(&self) -> bool {
        self.has_body
    }

    /// Whether a comma-separated field has that item.
    pub(super) fn has_item(&self, name: &str, item: &str) -> bool {
        self.headers(name)
            .flat_map(|value| value.split(','))
            .any(|part| trim(part).eq_ignore_ascii_case(item))
    }

    /// The field's values as they are; `Err` when there is more than one.
    pub(super) fn single(&self, name: &str, repeated: &'static str) -> Result<Option<&'a [u8]>, Refusal> {
        let mut values = self.raw(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(Refusal::BadRequest(repeated)),
        }
    }

    fn raw(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let fields = self.fields.get(..self.field_count).unwrap_or_default();
        fields
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value.trim_ascii())
    }

    /// "A server MUST respond with a 400 status code to any HTTP/1.1 request message that lacks a Host header field and
    /// to any request message that contains more than one or [an] invalid field value" (RFC 9112 section 3.2).
    fn checked_host(&self) -> Result<&'a str, Refusal> {
        let value = self.single("host", "more than one Host")?.ok_or(Refusal::BadRequest("no Host"))?;
        let host = text(value).filter(|host| Authority::parse(host).is_some());
        host.ok_or(Refusal::BadRequest("Host is not a host"))
    }

    fn checked_origin(&self) -> Result<Option<&'a str>, Refusal> {
        let value = self.single("origin", "more than one Origin")?;
        value.map(|value| text(value).ok_or(Refusal::BadRequest("Origin is not ASCII"))).transpose()
    }

    /// What smuggling lives on is refused, also where the RFC would let us guess (RFC 9112 section 6).
    fn checked_body(&self) -> Result<bool, Refusal> {
        let length = self.single("content-length", "more than one Content-Length")?;
        let coding = self.single("transfer-encoding", "more than one Transfer-Encoding")?;
        match (length, coding) {
            (Some(_), Some(_)) => Err(Refusal::BadRequest("both Content-Length and Transfer-Encoding")),
            (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") => Ok(true),
            (None, Some(_)) => Err(Refusal::BadRequest("Transfer-Encoding is not chunked")),
            (Some(length), None) => {
                // Nineteen digits always fit 64 bits.
                let legal = (1..=19).contains(&length.len()) && length.iter().all(u8::is_ascii_digit);
                if legal {
                    Ok(length.iter().any(|&digit| digit != b'0'))
                } else {
                    Err(Refusal::BadRequest("Content-Length is not a number"))
                }
            }
            (None, None) => Ok(false),
        }
    }

    /// The four forms of a target (RFC 9112 section 3.2). The absolute form overrides `Host`.
    fn set_target(&mut self, target: &'a str) -> Result<(), Refusal> {
        // A tunnel is never made here, whatever the target.
        if self.method == "CONNECT" {
            return Err(Refusal::MethodNotAllowed);
        }
        if target.contains('#') {
            return Err(Refusal::BadRequest("a fragment in the target"));
        }
        if target.starts_with('/') || (target == "*" && self.method == "OPTIONS") {
            self.target = target;
            return Ok(());
        }
        let absolute = ["http://", "https://"].iter().find_map(|&scheme| {
            target.get(..scheme.len()).filter(|start| start.eq_ignore_ascii_case(scheme))?;
            target.get(scheme.len()..)
        });
        let Some(rest) = absolute else { return Err(Refusal::BadRequest("the target is not a path")) };
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        Authority::parse(host).ok_or(Refusal::BadRequest("the target has no host"))?;
        self.host = host;
        self.target = if path.is_empty() { "/" } else { path };
        Ok(())
    }
}

fn refuse(error: httparse::Error) -> Refusal {
    match error {
        httparse::Error::HeaderName => Refusal::BadRequest("a header name is not a token"),
        httparse::Error::HeaderValue => Refusal::BadRequest("a header value has a forbidden character"),
        httparse::Error::NewLine => Refusal::BadRequest("a line end is broken"),
        httparse::Error::Status => Refusal::BadRequest("this is a response"),
        httparse::Error::Token => Refusal::BadRequest("this is not an HTTP request line"),
        httparse::Error::TooManyHeaders => Refusal::HeadersTooLarge,
        httparse::Error::Version => Refusal::HttpVersion,
    }
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|value| value.is_ascii())
}

/// Optional white space (RFC 9110 section 5.6.3).
pub(super) fn trim(value: &str) -> &str {
    value.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Scan;

    fn parse(head: &[u8]) -> Result<Head<'_>, Refusal> {
        match Scan::default().advance(head)? {
            Some(len) => Head::parse(&head[..len]),
            None => Err(Refusal::BadRequest("not whole")),
        }
    }

    fn with(fields: &str) -> Vec<u8> {
        format!("GET /ws?a=b HTTP/1.1\r\nHost: a\r\n{fields}\r\n").into_bytes()
    }

    #[track_caller]
    fn refused(head: &[u8], status: u16) {
        assert_eq!(parse(head).unwrap_err().status(), status, "{:?}", String::from_utf8_lossy(head));
    }

    #[test]
    fn a_head_is_taken_apart() {
        let bytes = b"GET /chat/x?token=1?2 HTTP/1.1\r\nHOST: a.example:8080\r\nx-one: \t 1 \t\r\nX-Two: a\r\nx-two:b\r\n\
            Origin: https://b\r\nUpgrade: h2c,  WebSocket\r\n\r\n";
        let head = parse(bytes).unwrap();
        assert_eq!((head.method(), head.path(), head.query()), ("GET", "/chat/x", Some("token=1?2")));
        assert_eq!((head.host(), head.origin()), ("a.example:8080", Some("https://b")));
        assert_eq!(
            (head.header("X-ONE"), head.header("x-two"), head.header("x-three")),
            (Some("1"), None, None)
        );
        assert_eq!(head.headers("x-two").collect::<Vec<_>>(), ["a", "b"]);
        assert!(head.wants_upgrade() && !head.has_body());
    }

    /// RFC 9112 section 3.2.
    #[test]
    fn the_forms_of_a_target() {
        let head = |line: &str| format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
        let bytes = head("GET http://b:80/ws?x");
        let absolute = parse(&bytes).unwrap();
        assert_eq!((absolute.path(), absolute.query(), absolute.host()), ("/ws", Some("x"), "b:80"));
        assert_eq!(parse(&head("GET HTTP://b")).unwrap().path(), "/");
        assert_eq!(parse(&head("OPTIONS *")).unwrap().path(), "*");
        for target in ["*", "ws", "a:80", "http:///ws", "http://u@b/", "ftp://b/", "/a#b", "http://b?x"] {
            refused(&head(&format!("GET {target}")), 400);
        }
        refused(&head("CONNECT a:443"), 405);
        refused(&head("CONNECT /ws"), 405);
    }

    /// RFC 9112 section 3.2.
    #[test]
    fn there_is_exactly_one_plausible_host() {
        refused(b"GET / HTTP/1.1\r\n\r\n", 400);
        refused(&with("Host: a\r\n"), 400);
        for host in ["", "a b", "u@a", "a/b", "a:b", "a,b", "\u{e9}"] {
            refused(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes(), 400);
        }
    }

    /// RFC 9112 sections 5.1 and 5.2, RFC 9110 section 5.6.2.
    #[test]
    fn broken_fields_are_refused() {
        for field in ["X : a\r\n", "X\t: a\r\n", ": a\r\n", "X\r\n", "X(: a\r\n", "\u{e9}: a\r\n", "X a\r\n"]
        {
            refused(&with(field), 400);
        }
        assert!(parse(&with("X:\r\nY: \u{e9}\r\n")).is_ok());
        refused(&with("Origin: http://a\r\norigin: http://a\r\n"), 400);
        refused(&with("Origin: http://\u{e9}\r\n"), 400);
    }

    /// RFC 9112 section 6.3.
    #[test]
    fn the_length_of_a_body_is_beyond_doubt_or_refused() {
        for fields in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: -5\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length: 5 5\r\n",
            "Content-Length:\r\n",
            "Content-Length: 111111111111111111111\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding:\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        ] {
            refused(&with(fields), 400);
        }
        for (fields, has_body) in [
            ("Content-Length: 5\r\n", true),
            ("Content-Length: 000\r\n", false),
            ("transfer-encoding: Chunked\r\n", true),
            ("", false),
        ] {
            assert_eq!(parse(&with(fields)).unwrap().has_body(), has_body, "{fields}");
        }
    }
}
