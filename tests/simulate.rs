//! Thousands of random worlds, one seed each. A failure prints the command that lives through the same world again.

use ringway::sim::swarm;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU64, Ordering};

/// Worlds of an ordinary run; `RINGWAY_SEEDS` asks for more.
const SEEDS: u64 = 3000;

#[test]
fn random_worlds_keep_every_promise() {
    if let Some(seed) = number("RINGWAY_SEED") {
        return swarm::run(seed);
    }
    let count = number("RINGWAY_SEEDS").unwrap_or(SEEDS);
    // Other worlds than last time, unless the first one is given.
    let first = number("RINGWAY_FIRST_SEED").unwrap_or(0);
    let next = AtomicU64::new(first);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    if catch_unwind(|| swarm::run(seed)).is_err() {
                        eprintln!(
                            "SEED={seed}: RINGWAY_SEED={seed} cargo test --test simulate -- --nocapture"
                        );
                        next.store(first + count, Ordering::Relaxed);
                        panic!("seed {seed} broke a promise");
                    }
                }
            });
        }
    });
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
