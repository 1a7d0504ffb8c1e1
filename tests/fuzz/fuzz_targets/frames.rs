//! Any bytes are events or one violation, and cutting them differently changes nothing. Peer bytes never panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringway_fuzz::frames::run(data));
