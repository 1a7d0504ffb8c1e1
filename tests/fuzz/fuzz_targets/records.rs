//! Any bytes behind a good checksum are a record or none: a disk that lies cannot bring the server down.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringway_fuzz::records::run(data));
