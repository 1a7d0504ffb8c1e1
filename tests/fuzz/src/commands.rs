//! Any bytes are commands or one refusal, in either codec. What a client sends never panics.

use ringway::limits::COMMANDS_PER_MESSAGE_MAX;
use ringway::proto::{Codec, Request};

pub fn run(data: &[u8]) {
    for codec in [Codec::Json, Codec::Protobuf] {
        let results: Vec<_> = codec.decode(data).collect();
        assert!((1..=COMMANDS_PER_MESSAGE_MAX as usize + 1).contains(&results.len()));
        assert!(results[..results.len() - 1].iter().all(Result::is_ok), "decoding ends with the first error");
        for command in results.into_iter().flatten() {
            match command.request {
                Request::Pong => assert_eq!(command.id, 0),
                Request::Publish(publish) if codec == Codec::Json => {
                    assert!(!publish.data.line().expect("JSON came in").contains(&b'\n'));
                }
                _ => {}
            }
        }
        let _ = codec.decode_connect(data);
        if let Ok(emulation) = codec.decode_emulation(data) {
            let _ = codec.decode(&emulation.data).count();
        }
    }
}
