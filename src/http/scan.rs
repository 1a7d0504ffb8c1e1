//! Watches a head arrive: finds its end, and refuses it on the first byte that cannot belong to one. RFC 9112.
//!
//! Invariant: each byte is looked at once, in order; the verdict depends on the bytes alone, never on how they were cut.
//! Everything that a line can break by itself is checked here; what takes several fields to see is `Head`'s affair.

use super::Refusal;
use crate::limits::{HEAD_BYTES_MAX, HEADER_COUNT_MAX, HEADER_LINE_BYTES_MAX, REQUEST_LINE_BYTES_MAX};

/// Small, so that it fits into a connection's state; it resumes where it stopped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scan {
    scanned: u32,
    line_start: u32,
    /// Complete lines: the request line, then header fields.
    line_count: u16,
    /// The last byte was a carriage return.
    returned: bool,
}

impl Scan {
    /// Takes all bytes that were received so far, from the first one on. Gives the length of the head with its blank
    /// line once that is in.
    pub fn advance(&mut self, bytes_so_far: &[u8]) -> Result<Option<usize>, Refusal> {
        for (at, &byte) in bytes_so_far.iter().enumerate().skip(self.scanned as usize) {
            let at = at as u32;
            if at == HEAD_BYTES_MAX {
                return Err(Refusal::HeadersTooLarge);
            }
            if byte == b'\n' {
                if !self.returned {
                    return Err(Refusal::BadRequest("a line feed without a carriage return"));
                }
                let line = bytes_so_far.get(self.line_start as usize..at as usize - 1).unwrap_or_default();
                if self.end_line(line, at)? {
                    return Ok(Some(at as usize + 1));
                }
            } else {
                self.check_byte(byte, at)?;
                self.returned = byte == b'\r';
            }
            self.scanned = at + 1;
        }
        Ok(None)
    }

    fn in_request_line(&self) -> bool {
        self.line_count == 0
    }

    fn check_byte(&self, byte: u8, at: u32) -> Result<(), Refusal> {
        // "A recipient of such a bare CR MUST consider that element to be invalid" (RFC 9112 section 2.2).
        if self.returned {
            return Err(Refusal::BadRequest("a carriage return without a line feed"));
        }
        if byte == b'\r' {
            return Ok(());
        }
        let line_len = at - self.line_start;
        if self.in_request_line() {
            // What speaks another protocol by mistake (a TLS hello starts with 0x16) is refused on its first bytes.
            let legal = if line_len == 0 { byte.is_ascii_alphabetic() } else { matches!(byte, b' '..=b'~') };
            return match (legal, line_len < REQUEST_LINE_BYTES_MAX) {
                (true, true) => Ok(()),
                (true, false) => Err(Refusal::UriTooLong),
                (false, _) => Err(Refusal::BadRequest("this is not an HTTP request line")),
            };
        }
        match byte {
            // "A sender MUST NOT generate a message that includes line folding" (RFC 9112 section 5.2).
            b' ' | b'\t' if line_len == 0 => {
                Err(Refusal::BadRequest("a header line starts with white space"))
            }
            b'\t' | b' '..=b'~' | 0x80.. if line_len < HEADER_LINE_BYTES_MAX => Ok(()),
            b'\t' | b' '..=b'~' | 0x80.. => Err(Refusal::HeadersTooLarge),
            0x00..=0x1f | 0x7f => Err(Refusal::BadRequest("a control character in a header line")),
        }
    }

    /// True when the line is the blank one that ends the head.
    fn end_line(&mut self, line: &[u8], at: u32) -> Result<bool, Refusal> {
        if self.in_request_line() {
            check_request_line(line)?;
        } else if line.is_empty() {
            return Ok(true);
        } else if usize::from(self.line_count) > HEADER_COUNT_MAX {
            return Err(Refusal::HeadersTooLarge);
        }
        self.line_count += 1;
        self.line_start = at + 1;
        self.returned = false;
        Ok(false)
    }
}

/// Three words, the last of them HTTP/1.1 (RFC 9112 section 3). Anything else is told at once, not after its headers.
fn check_request_line(line: &[u8]) -> Result<(), Refusal> {
    let mut words = line.split(|&byte| byte == b' ');
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some(_), Some([_, ..]), Some(b"HTTP/1.1"), None) => Ok(()),
        (Some(_), Some([_, ..]), Some(version), None) if is_http_version(version) => {
            Err(Refusal::HttpVersion)
        }
        _ => Err(Refusal::BadRequest("this is not an HTTP request line")),
    }
}

fn is_http_version(word: &[u8]) -> bool {
    matches!(word, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        Scan::default().advance(bytes)
    }

    /// The verdict when the bytes drip in one by one, and how many were in when it fell.
    fn dripped(bytes: &[u8]) -> (Result<Option<usize>, Refusal>, usize) {
        let mut scan = Scan::default();
        for len in 0..=bytes.len() {
            let verdict = scan.advance(&bytes[..len]);
            if verdict != Ok(None) {
                return (verdict, len);
            }
        }
        (Ok(None), bytes.len())
    }

    #[track_caller]
    fn refused(bytes: &[u8], status: u16, after: usize) {
        let (verdict, len) = dripped(bytes);
        assert_eq!(verdict.unwrap_err().status(), status);
        assert_eq!(len, after, "refused late or early");
        assert_eq!(whole(bytes), verdict);
    }

    #[test]
    fn a_head_ends_with_its_blank_line_and_what_follows_is_not_looked_at() {
        let head = b"GET /ws HTTP/1.1\r\nHost: a\r\nX: \xc3\xa9\t.\r\n\r\n";
        assert_eq!(dripped(head), (Ok(Some(head.len())), head.len()));
        assert_eq!(whole(&[head, &b"\x81\x00\n\r"[..]].concat()), Ok(Some(head.len())));
        assert_eq!(whole(b"GET / HTTP/1.1\r\n\r\n"), Ok(Some(18)));
    }

    #[test]
    fn other_protocols_are_refused_on_their_first_bytes() {
        refused(b"\x16\x03\x01\x02\x00\x01", 400, 1); // TLS ClientHello
        refused(b"\0\0\0\x0bping", 400, 1);
        refused(b"\r\nGET / HTTP/1.1\r\n\r\n", 400, 2); // an empty line is no request line
        refused(b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n", 400, 30);
        refused(b"GET /ws\r\n", 400, 9); // HTTP/0.9
        refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, 16);
        refused(b"GET /ws HTTP/1.0\r\n", 505, 18);
        refused(b"GET /ws HTTP/1.2\r\n", 505, 18);
        refused(b"GET /ws HTTP/1.10\r\n", 400, 19);
        refused(b"GET  /ws HTTP/1.1\r\n", 400, 19);
        refused(b"GET /ws HTTP/1.1 \r\n", 400, 19);
        refused(b"GET /w\xc3\xa9", 400, 7);
        refused(b"GET /\t", 400, 6);
    }

    /// RFC 9112 sections 2.2 and 5.2, RFC 9110 section 5.5.
    #[test]
    fn bad_bytes_are_refused_where_they_stand() {
        refused(b"GET / HTTP/1.1\nHost: a\r\n", 400, 15);
        refused(b"GET / HTTP/1.1\rHost: a\r\n", 400, 16);
        refused(b"GET / HTTP/1.1\r\nHost: a\n", 400, 24);
        refused(b"GET / HTTP/1.1\r\nHost: a\rb", 400, 25);
        refused(b"GET / HTTP/1.1\r\nHost: a\r\r\n", 400, 25);
        refused(b"GET / HTTP/1.1\r\n Host: a\r\n", 400, 17);
        refused(b"GET / HTTP/1.1\r\nX: a\r\n\tb\r\n", 400, 23);
        for control in (0..0x20).chain([0x7f]).filter(|byte| !b"\t\r\n".contains(byte)) {
            refused(&[b"GET / HTTP/1.1\r\nX: ".as_slice(), &[control]].concat(), 400, 20);
        }
    }

    #[test]
    fn every_limit_is_exact() {
        let line = |len: u32| format!("GET /{} HTTP/1.1\r\n", "a".repeat(len as usize - 14));
        assert_eq!(whole(line(REQUEST_LINE_BYTES_MAX).as_bytes()), Ok(None));
        refused(line(REQUEST_LINE_BYTES_MAX + 1).as_bytes(), 414, REQUEST_LINE_BYTES_MAX as usize + 1);

        let start = "GET / HTTP/1.1\r\n";
        let field = |len: u32| format!("{start}X: {}\r\n", "a".repeat(len as usize - 3));
        assert_eq!(whole(field(HEADER_LINE_BYTES_MAX).as_bytes()), Ok(None));
        refused(
            field(HEADER_LINE_BYTES_MAX + 1).as_bytes(),
            431,
            start.len() + HEADER_LINE_BYTES_MAX as usize + 1,
        );

        let many = |count: usize| format!("{start}{}\r\n", "!!: x\r\n".repeat(count));
        assert!(whole(many(HEADER_COUNT_MAX).as_bytes()).unwrap().is_some());
        refused(many(HEADER_COUNT_MAX + 1).as_bytes(), 431, start.len() + 7 * (HEADER_COUNT_MAX + 1));

        let fill = format!("X: {}\r\n", "a".repeat(1019)); // 1 KiB
        let total = |rest: usize| format!("{start}{}Y: {}\r\n\r\n", fill.repeat(15), "b".repeat(rest));
        let rest = HEAD_BYTES_MAX as usize - total(0).len();
        assert_eq!(whole(total(rest).as_bytes()), Ok(Some(HEAD_BYTES_MAX as usize)));
        refused(total(rest + 1).as_bytes(), 431, HEAD_BYTES_MAX as usize + 1);
    }
}
