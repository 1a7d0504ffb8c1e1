//! Any text is a token or a reason why not; without the key nobody makes one, and with it every claim is still checked.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringway_fuzz::tokens::run(data));
