//! The client's side of the upgrade. RFC 6455 sections 4.1 and 4.2.2.
//!
//! The key is the sample of RFC 6455 1.3, so that the right answer is known without computing it per connection; the
//! server has to compute it all the same. Knows no sockets.

/// `Sec-WebSocket-Key` of every request.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// `Sec-WebSocket-Accept` that belongs to it.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// A response head longer than this is not the answer to an upgrade.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Why the server did not switch protocols.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("HTTP status {0} instead of 101")]
    Status(String),
    #[error("the answer is not HTTP")]
    NotHttp,
    #[error("the response head is longer than {HEAD_BYTES_MAX} bytes")]
    TooLong,
    #[error("Sec-WebSocket-Accept is missing or wrong")]
    Accept,
    #[error("no compression is agreed on")]
    Compression,
}

/// The bytes of an upgrade request.
pub fn request(host: &str, path: &str, headers: &[String]) -> Vec<u8> {
    let mut head = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n"
    );
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// Length of the response head; `None` while it is not complete. `packed`: compression was asked for.
pub fn check(bytes: &[u8], packed: bool) -> Result<Option<usize>, Refused> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
        return if bytes.len() > HEAD_BYTES_MAX { Err(Refused::TooLong) } else { Ok(None) };
    };
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    let Some(status) = status.strip_prefix("HTTP/1.1 ") else { return Err(Refused::NotHttp) };
    if !status.starts_with("101") {
        return Err(Refused::Status(status.to_owned()));
    }
    let (mut accepted, mut compressed) = (false, false);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        accepted |= name.eq_ignore_ascii_case("Sec-WebSocket-Accept") && value.trim() == ACCEPT;
        compressed |=
            name.eq_ignore_ascii_case("Sec-WebSocket-Extensions") && value.contains("permessage-deflate");
    }
    match (accepted, compressed == packed) {
        (true, true) => Ok(Some(end + 4)),
        (true, false) => Err(Refused::Compression),
        (false, _) => Err(Refused::Accept),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
                        sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

    #[test]
    fn a_complete_answer_is_accepted_and_what_follows_is_left() {
        let bytes = format!("{GOOD}\u{1}\u{2}");
        assert_eq!(check(bytes.as_bytes(), false), Ok(Some(GOOD.len())));
        for end in 0..GOOD.len() {
            assert_eq!(check(&GOOD.as_bytes()[..end], false), Ok(None));
        }
    }

    #[test]
    fn other_answers_name_what_is_wrong() {
        let status = check(b"HTTP/1.1 503 Service Unavailable\r\nA: b\r\n\r\n", false);
        assert_eq!(status, Err(Refused::Status("503 Service Unavailable".into())));
        assert_eq!(check(b"SSH-2.0-OpenSSH\r\n\r\n", false), Err(Refused::NotHttp));
        assert_eq!(check(GOOD.replace("s3p", "s3q").as_bytes(), false), Err(Refused::Accept));
        assert_eq!(check(&vec![b'x'; HEAD_BYTES_MAX + 1], false), Err(Refused::TooLong));
        let packed = GOOD.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
        assert_eq!(check(packed.as_bytes(), true), Ok(Some(packed.len())));
        assert_eq!(check(GOOD.as_bytes(), true), Err(Refused::Compression));
        assert_eq!(check(packed.as_bytes(), false), Err(Refused::Compression));
    }
}
