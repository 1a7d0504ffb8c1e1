//! Any text is a token or a reason why not; without the key nobody makes one, and with it every claim is still checked.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ringway::auth::{Anatomy, Auth, KeyOptions, Keys, Secret};
use ringway::limits::USER_ID_BYTES_MAX;
use std::sync::LazyLock;

const SECRET: &str = "a secret of thirty-two bytes and more";
const NOW: u64 = 1_700_000_000;

static AUTH: LazyLock<Auth> = LazyLock::new(|| {
    let options = KeyOptions { hmac_secret: Secret::new(SECRET), ..KeyOptions::default() };
    Auth { connection: Keys::new(&options).expect("a secret is a key"), ..Auth::default() }
});

/// Signs what the fuzzer wrote, so that it gets past the signature.
fn signed(header: &[u8], claims: &[u8]) -> String {
    let text = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = BASE64.encode(hmac::sign(&key, text.as_bytes()));
    format!("{text}.{signature}")
}

pub fn run(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else { return };
    let token = match choice % 3 {
        0 => match std::str::from_utf8(rest) {
            Ok(text) => {
                // A signature of 256 bits is not found by trying.
                assert!(AUTH.connection(text, NOW).is_err() && AUTH.subscription(text, NOW).is_err());
                text.to_owned()
            }
            Err(_) => return,
        },
        1 => signed(br#"{"alg":"HS256"}"#, rest),
        _ => {
            let cut = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
            signed(&rest[..cut], rest.get(cut + 1..).unwrap_or_default())
        }
    };
    let _ = Anatomy::of(&token);
    if let Ok(claims) = AUTH.connection(&token, NOW) {
        assert!(claims.user.len() <= USER_ID_BYTES_MAX);
    }
    if let Ok(claims) = AUTH.subscription(&token, NOW) {
        assert!(claims.user.len() <= USER_ID_BYTES_MAX && !claims.channel.is_empty());
    }
}
