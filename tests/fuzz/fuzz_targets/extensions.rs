//! Any offer of extensions is answered or refused, and never answered with more than was offered.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringway_fuzz::extensions::run(data));
