//! Whole connections of one core under a driver that is late, short and out of order.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringway_fuzz::connections::run(data));
