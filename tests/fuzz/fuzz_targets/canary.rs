//! This one MUST fail: one input in four billion, which a fuzzer that sees the branches taken finds in seconds.
//! `scripts/fuzz` runs it and takes fright when nothing is found: then the others prove nothing either.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if data.len() >= 4 && data[0] == b'r' && data[1] == b'i' && data[2] == b'n' && data[3] == b'g' {
        panic!("the canary sings");
    }
});
