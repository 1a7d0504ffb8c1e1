//! Any bytes are a head, the start of one, or a refusal, and cutting them differently changes nothing.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringway_fuzz::head::run(data));
