//! The sockets of a core on a kernel that is played.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringway_fuzz::driver::run(data));
