//! The hub against a model that is too simple to be wrong: a map of sets.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringway_fuzz::hub::run(data));
