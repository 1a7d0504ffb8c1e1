//! The opening handshake, server side. RFC 6455 section 4.2, RFC 7692 section 5.
//! Invariant: an `Upgrade` answers a request that obeyed every MUST of section 4.2.1; nothing else gets a 101.

use super::compression::{self, Agreement, Offer, Terms};
use super::extensions::{are_well_formed, is_token};
use super::head::trim;
use super::{Head, Refusal};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

#[derive(Debug)]
pub struct Upgrade<'a> {
    key: &'a [u8],
    protocols: Vec<&'a str>,
    compressions: Vec<Offer>,
}

impl<'a> Upgrade<'a> {
    pub fn check(head: &Head<'a>) -> Result<Self, Refusal> {
        if head.method() != "GET" {
            return Err(Refusal::MethodNotAllowed);
        }
        // A body here could only be meant to be read as frames, or as a second request.
        if head.has_body() {
            return Err(Refusal::BadRequest("an upgrade has no body"));
        }
        if !head.wants_upgrade() || !head.has_item("connection", "upgrade") {
            return Err(Refusal::UpgradeRequired);
        }
        check_version(head)?;
        let key = head.single("sec-websocket-key", "more than one Sec-WebSocket-Key")?;
        let key = key.filter(|key| is_key(key));
        let key = key.ok_or(Refusal::BadRequest("Sec-WebSocket-Key is not 16 bytes in base64"))?;
        let protocols = offered_protocols(head)?;
        if !head.headers("sec-websocket-extensions").all(are_well_formed) {
            return Err(Refusal::BadRequest("Sec-WebSocket-Extensions is malformed"));
        }
        let compressions = head.headers("sec-websocket-extensions").flat_map(compression::offers).collect();
        Ok(Self { key, protocols, compressions })
    }

    /// The subprotocols that the client offers, most wanted first.
    pub fn protocols(&self) -> impl Iterator<Item = &'a str> {
        self.protocols.iter().copied()
    }

    /// What of the offered compression can be had on these terms.
    pub fn compression(&self, terms: Terms) -> Option<Agreement> {
        compression::agree(&self.compressions, terms)
    }

    /// The 101; `protocol` is one of those offered, or none, and so is `compression`.
    pub fn response(&self, protocol: Option<&str>, compression: Option<Agreement>) -> Vec<u8> {
        let accept = accept(self.key);
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
        );
        out.extend_from_slice(accept.as_bytes());
        if let Some(protocol) = protocol {
            out.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
            out.extend_from_slice(protocol.as_bytes());
        }
        if let Some(compression) = compression {
            out.extend_from_slice(b"\r\nSec-WebSocket-Extensions: ");
            compression.append(&mut out);
        }
        out.extend_from_slice(b"\r\n\r\n");
        out
    }
}

/// A list is refused as well as a repetition: it is one field with two values (section 11.3.5).
fn check_version(head: &Head<'_>) -> Result<(), Refusal> {
    let repeated = "more than one Sec-WebSocket-Version";
    match head.single("sec-websocket-version", repeated)? {
        Some(b"13") => Ok(()),
        Some(list) if list.contains(&b',') => Err(Refusal::BadRequest(repeated)),
        Some(_) | None => Err(Refusal::VersionRequired),
    }
}

/// "a base64-encoded [...] value that, when decoded, is 16 bytes in length" (section 4.2.1). It is never decoded: the
/// answer is made from its text.
fn is_key(key: &[u8]) -> bool {
    match key.strip_suffix(b"==") {
        Some(digits) => {
            digits.len() == 22
                && digits.iter().all(|&digit| digit.is_ascii_alphanumeric() || matches!(digit, b'+' | b'/'))
        }
        None => false,
    }
}

/// "The elements that comprise this value MUST be non-empty strings [...] and MUST all be unique" (section 4.1).
fn offered_protocols<'a>(head: &Head<'a>) -> Result<Vec<&'a str>, Refusal> {
    let mut protocols = Vec::new();
    for protocol in head.headers("sec-websocket-protocol").flat_map(|value| value.split(',')).map(trim) {
        if !is_token(protocol) || protocols.contains(&protocol) {
            return Err(Refusal::BadRequest("Sec-WebSocket-Protocol is malformed"));
        }
        protocols.push(protocol);
    }
    Ok(protocols)
}

fn accept(key: &[u8]) -> String {
    const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Scan;

    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";
    const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n";

    /// The status, and on 101 the whole answer without a protocol.
    fn answer_to(method: &str, fields: &[&str]) -> (u16, String) {
        let bytes = format!("{method} /ws HTTP/1.1\r\nHost: a\r\n{}\r\n", fields.concat());
        let len = Scan::default().advance(bytes.as_bytes()).unwrap().unwrap();
        let head = Head::parse(&bytes.as_bytes()[..len]);
        match head.and_then(|head| Upgrade::check(&head).map(|upgrade| upgrade.response(None, None))) {
            Ok(response) => (101, String::from_utf8(response).unwrap()),
            Err(refusal) => (refusal.status(), String::from_utf8(refusal.response()).unwrap()),
        }
    }

    #[track_caller]
    fn answered(fields: &[&str], status: u16) {
        assert_eq!(answer_to("GET", fields).0, status, "{fields:?}");
    }

    /// RFC 6455 section 1.3.
    #[test]
    fn the_example_of_the_rfc_gets_its_answer() {
        let (_, response) = answer_to("GET", &[UPGRADE, KEY, VERSION]);
        assert_eq!(
            response,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        );
    }

    /// RFC 6455 section 4.2.1.
    #[test]
    fn what_real_clients_vary_is_accepted() {
        answered(&["upgrade:  WebSocket \r\nCONNECTION: keep-alive, UPGRADE\r\n", KEY, VERSION], 101);
        answered(
            &["Upgrade: h2c\r\nUpgrade: websocket\r\nConnection: x\r\nConnection: upgrade\r\n", KEY, VERSION],
            101,
        );
        answered(&[UPGRADE, KEY, VERSION, "Content-Length: 0\r\n"], 101);
        answered(
            &[UPGRADE, KEY, VERSION, "Sec-WebSocket-Extensions: permessage-deflate, constructor\r\n"],
            101,
        );
    }

    #[test]
    fn without_an_upgrade_one_is_asked_for() {
        answered(&[], 426);
        answered(&[KEY, VERSION], 426);
        answered(&["Upgrade: websocket\r\n", KEY, VERSION], 426);
        answered(&["Upgrade: websockets\r\nConnection: upgrade\r\n", KEY, VERSION], 426);
    }

    #[test]
    fn only_get_opens_a_websocket() {
        for method in ["POST", "HEAD", "PUT", "get", "CONNECT"] {
            let (status, response) = answer_to(method, &[UPGRADE, KEY, VERSION]);
            assert_eq!(status, 405, "{method}");
            assert!(response.contains("\r\nAllow: GET\r\n"));
        }
    }

    /// RFC 6455 sections 4.2.1 (5) and 11.3.1.
    #[test]
    fn the_key_is_one_and_16_bytes_long() {
        answered(&[UPGRADE, VERSION], 400);
        answered(&[UPGRADE, VERSION, KEY, KEY], 400);
        for key in [
            "",
            "test",
            "AAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAA=",
            "AAAAAAAAAAAAAAAAAAAAAAAA",
            "dGhlIHNhbXBsZSBub25j_Q==",
            "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
            "dGhlIHNhbXBsZSBub25jZQ=\u{e9}",
        ] {
            answered(&[UPGRADE, VERSION, &format!("Sec-WebSocket-Key: {key}\r\n")], 400);
        }
    }

    /// RFC 6455 sections 4.4 and 11.3.5.
    #[test]
    fn another_version_is_told_ours() {
        answered(&[UPGRADE, KEY, VERSION, VERSION], 400);
        answered(&[UPGRADE, KEY, "Sec-WebSocket-Version: 13, 8\r\n"], 400);
        answered(&[UPGRADE, KEY], 426);
        for version in ["8", "0", "14", "013", "13abc", ""] {
            let (status, response) =
                answer_to("GET", &[UPGRADE, KEY, &format!("Sec-WebSocket-Version: {version}\r\n")]);
            assert_eq!(status, 426, "{version}");
            assert!(response.contains("\r\nSec-WebSocket-Version: 13\r\n"));
        }
    }

    #[test]
    fn an_upgrade_has_no_body() {
        answered(&[UPGRADE, KEY, VERSION, "Content-Length: 5\r\n"], 400);
        answered(&[UPGRADE, KEY, VERSION, "Transfer-Encoding: chunked\r\n"], 400);
    }

    #[test]
    fn malformed_offers_are_refused() {
        answered(&[UPGRADE, KEY, VERSION, "Sec-WebSocket-Extensions: a;b=\"\\c\\c\r\n"], 400);
        for offer in ["", "a,,b", "a b", "a,a", "a/b", "\"a\""] {
            answered(&[UPGRADE, KEY, VERSION, &format!("Sec-WebSocket-Protocol: {offer}\r\n")], 400);
        }
    }

    /// RFC 6455 section 4.2.2 (5).
    #[test]
    fn offered_protocols_come_in_order_and_the_chosen_one_is_answered() {
        let bytes = format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{UPGRADE}{KEY}{VERSION}Sec-WebSocket-Protocol: b, a\r\n\
             Sec-WebSocket-Protocol: c\r\n\r\n"
        );
        let head = Head::parse(bytes.as_bytes()).unwrap();
        let upgrade = Upgrade::check(&head).unwrap();
        assert_eq!(upgrade.protocols().collect::<Vec<_>>(), ["b", "a", "c"]);
        let response = String::from_utf8(upgrade.response(Some("a"), None)).unwrap();
        assert!(response.ends_with("\r\nSec-WebSocket-Protocol: a\r\n\r\n"));
    }
}
