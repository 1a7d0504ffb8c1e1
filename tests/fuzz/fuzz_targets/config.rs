//! Any text is a configuration or a list of mistakes, each with its place; what is accepted stays accepted.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringway_fuzz::config::run(data));
