//! What a command and a push cost, for whoever changes the codec.

use super::*;

/// `cargo test --release --lib proto:: -- --ignored --nocapture` prints what a publish costs.
#[test]
#[ignore = "a measurement, not a test"]
fn cost_of_a_publish() {
    const ROUNDS: u32 = 1_000_000;
    let line = br#"{"id":17,"publish":{"channel":"chat:room-42","data":{"text":"hello there, everyone","n":12345}}}"#;
    let begin = crate::sys::clock::now();
    for _ in 0..ROUNDS {
        for command in Codec::Json.decode(std::hint::black_box(line)) {
            std::hint::black_box(&command.unwrap());
        }
    }
    eprintln!("decode a publish: {:?}", crate::sys::clock::now().since(begin) / ROUNDS);
    let mut out = Vec::with_capacity(256);
    let begin = crate::sys::clock::now();
    for _ in 0..ROUNDS {
        out.clear();
        let publication = Publication {
            data: raw(r#"{"text":"hello"}"#).into(),
            info: Some(INFO),
            ..Publication::default()
        };
        Codec::Json.encode_push(&Push::Publication { channel: "chat:room-42".into(), publication }, &mut out);
        std::hint::black_box(&out);
    }
    eprintln!("encode its push: {:?}", crate::sys::clock::now().since(begin) / ROUNDS);
}
