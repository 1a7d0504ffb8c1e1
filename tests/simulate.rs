//! Thousands of random worlds, one seed each, and every conversation script in worlds of several seeds. A failure prints
//! the command that lives through the same world again.

use ringway::sim::script::{Script, Simulated, play};
use ringway::sim::{swarm, trial};
use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Worlds of an ordinary run; `RINGWAY_SEEDS` asks for more.
const SEEDS: u64 = 6000;
/// What clients must have heard by then, or the worlds are too kind to prove anything: statuses, errors, unsubscribes, closes.
const CODES: [u32; 18] =
    [100, 105, 108, 408, 503, 1000, 1002, 1007, 1008, 1012, 2500, 3001, 3008, 3012, 3501, 3502, 3508, 1009];
/// Worlds that each script is played in.
const SCRIPT_SEEDS: u64 = 24;

#[test]
fn random_worlds_keep_every_promise() {
    if let Some(seed) = number("RINGWAY_SEED") {
        swarm::run(seed);
        return;
    }
    let first = number("RINGWAY_FIRST_SEED").unwrap_or(0);
    let end = first + number("RINGWAY_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(first);
    let heard = Mutex::new(BTreeSet::new());
    let live = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return;
            }
            let Ok(legacy) = catch_unwind(|| swarm::run(seed)) else {
                next.store(end, Ordering::Relaxed);
                panic!("SEED={seed}: RINGWAY_SEED={seed} cargo test --test simulate random_worlds");
            };
            heard.lock().unwrap().extend(legacy.codes);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(live))));
    let heard = heard.into_inner().unwrap();
    let unheard: Vec<&u32> = CODES.iter().filter(|code| !heard.contains(code)).collect();
    assert!(end - first < SEEDS || unheard.is_empty(), "no world provoked {unheard:?}");
}

/// Trials of an ordinary run; `RINGWAY_SEEDS` asks for more.
const TRIAL_SEEDS: u64 = 1000;
/// What members must have heard by then. Below 100: nothing missed, recovered, lost; the latest from the cache, a position
/// alone, subscriptions of the server with the connection and later, a refresh of either kind. Then errors, unsubscribes,
/// closes.
const TRIAL_CODES: [u32; 23] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 103, 105, 109, 1000, 2000, 2500, 2501, 3005, 3006, 3010, 3500, 3503, 3507,
    3012,
];

#[test]
fn channels_that_remember_keep_every_promise() {
    if let Some(seed) = number("RINGWAY_SEED") {
        trial::run(seed);
        return;
    }
    let first = number("RINGWAY_FIRST_SEED").unwrap_or(0);
    let end = first + number("RINGWAY_SEEDS").unwrap_or(TRIAL_SEEDS);
    let heard = Mutex::new(BTreeSet::new());
    let next = AtomicU64::new(first);
    let live = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return;
            }
            let Ok(report) = catch_unwind(|| trial::run(seed)) else {
                next.store(end, Ordering::Relaxed);
                panic!("SEED={seed}: RINGWAY_SEED={seed} cargo test --test simulate channels_that_remember");
            };
            heard.lock().unwrap().extend(report.codes);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(live))));
    let heard = heard.into_inner().unwrap();
    let unheard: Vec<&u32> = TRIAL_CODES.iter().filter(|code| !heard.contains(code)).collect();
    assert!(end - first < TRIAL_SEEDS || unheard.is_empty(), "no trial provoked {unheard:?}");
}

#[test]
fn a_seed_is_all_that_a_world_depends_on() {
    for seed in 0..20 {
        assert_eq!(swarm::run(seed), swarm::run(seed));
        assert_eq!(trial::run(seed), trial::run(seed));
    }
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
        if let Some((seed, error)) = seeds.clone().find_map(failed) {
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
