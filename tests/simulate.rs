//! Thousands of random worlds, one seed each, and every conversation script in worlds of several seeds. A failure prints
//! the command that lives through the same world again.

use ringway::sim::script::{Script, Simulated, play};
use ringway::sim::swarm;
use std::fs;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU64, Ordering};

/// Worlds of an ordinary run; `RINGWAY_SEEDS` asks for more.
const SEEDS: u64 = 3000;
/// Worlds that each script is played in.
const SCRIPT_SEEDS: u64 = 24;

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

#[test]
fn scripts_hold_in_simulated_worlds() {
    let mut failures = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts")).unwrap() {
        let path = entry.unwrap().path();
        let script = Script::parse(&fs::read_to_string(&path).unwrap());
        let script = script.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let seeds = number("RINGWAY_SEED").map_or(0..SCRIPT_SEEDS, |seed| seed..seed + 1);
        let failed = |seed| Some((seed, play(&script, &mut Simulated::new(&script, seed)).err()?));
        if let Some((seed, error)) = seeds.filter_map(failed).next() {
            failures.push(format!("{}: {error} (SEED={seed})", path.display()));
        }
        count += 1;
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(count >= 12, "the scripts are gone");
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
