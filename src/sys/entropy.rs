//! Randomness of the kernel, for seeds: everything below asks its own generator.

use rustix::rand::{GetRandomFlags, getrandom};

/// Cannot fail for eight bytes once the kernel has booted; then a seed of zero would still be a valid one.
pub fn seed() -> u64 {
    let mut bytes = [0; 8];
    let _ = getrandom(&mut bytes, GetRandomFlags::empty());
    u64::from_ne_bytes(bytes)
}
