//! Any offer of extensions is answered or refused, and never answered with more than was offered.

use ringway::http::{Head, Scan, Terms, Upgrade};

pub const TERMS: Terms = Terms { takeover: true, takeover_window_bits: 12 };

pub fn run(data: &[u8]) {
    let head = [
        &b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
           Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
           Sec-WebSocket-Extensions: "[..],
        data,
        b"\r\n\r\n",
    ]
    .concat();
    let Ok(Some(len)) = Scan::default().advance(&head) else { return };
    let Ok(head) = Head::parse(&head[..len]) else { return };
    let Ok(upgrade) = Upgrade::check(&head) else { return };
    let response = upgrade.response(None, upgrade.compression(TERMS));
    let response = String::from_utf8(response).expect("a response is text");
    assert!(response.starts_with("HTTP/1.1 101 ") && response.ends_with("\r\n\r\n"));
    if let Some((_, answer)) = response.split_once("Sec-WebSocket-Extensions: ") {
        let answer = answer.split("\r\n").next().expect("a line");
        let offer = String::from_utf8_lossy(data).to_ascii_lowercase();
        for word in answer.split([';', ',']).map(|part| part.split('=').next().expect("a name").trim()) {
            // What a server may add of its own accord (RFC 7692 section 7.1).
            let own = ["server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits"];
            let own = own.contains(&word);
            assert!(own || offer.contains(&word.to_ascii_lowercase()), "{word:?} was not offered");
        }
    }
}
