//! Any bytes are commands or one refusal, in either codec. What a client sends never panics.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringway_fuzz::commands::run(data));
