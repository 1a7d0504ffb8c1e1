//! Thousands of random worlds, one seed each, and every conversation script in worlds of several seeds. A failure prints
//! the command that lives through the same world again. `scripts/sim` looks for failures without an end.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a world that breaks a promise has to be heard of")]

use ringway::sim::script::{Script, Simulated, play};
use ringway::sim::tls::Authority;
use ringway::sim::{swarm, trial};
use ringway::sys::clock;
use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

/// Worlds of an ordinary run; `RINGWAY_SEEDS` asks for more.
const SEEDS: u64 = 6000;
/// What clients must have heard by then, or the worlds are too kind to prove anything: statuses, errors, unsubscribes, closes.
const CODES: [u32; 19] = [
    100, 105, 108, 408, 503, 1000, 1002, 1007, 1008, 1011, 1012, 2500, 3001, 3008, 3012, 3501, 3502, 3508,
    1009,
];
/// Trials of an ordinary run.
const TRIAL_SEEDS: u64 = 2000;
/// What members must have heard by then. Below 100: nothing missed, recovered, lost; the latest from the cache, a position
/// alone, subscriptions of the server with the connection and later, a refresh of either kind. Then errors, unsubscribes,
/// closes.
const TRIAL_CODES: [u32; 23] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 103, 105, 109, 1000, 2000, 2500, 2501, 3005, 3006, 3010, 3500, 3503, 3507,
    3012,
];
/// Worlds that each script is played in.
const SCRIPT_SEEDS: u64 = 24;
/// Between two words of a search that has found nothing.
const WORD_INTERVAL: Duration = Duration::from_secs(10);

/// For worlds with TLS.
static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    // One that is drawn has now and then a byte less, and every world of it is another.
    params.serial_number = Some(rcgen::SerialNumber::from(1_u64));
    let cert = params.self_signed(&key).unwrap();
    Authority::new(&cert.pem(), &key.serialize_pem()).unwrap()
});

#[test]
fn random_worlds_keep_every_promise() {
    let heard = live_through(SEEDS, |seed| swarm::run(seed, &AUTHORITY).codes);
    judge(&heard, &CODES, SEEDS);
}

#[test]
fn channels_that_remember_keep_every_promise() {
    let heard = live_through(TRIAL_SEEDS, |seed| trial::run(seed, &AUTHORITY).codes);
    judge(&heard, &TRIAL_CODES, TRIAL_SEEDS);
}

/// Of `scripts/sim`: until `RINGWAY_MINUTES` are over, or for ever.
#[test]
#[ignore = "has no end of its own: scripts/sim runs it"]
fn no_world_breaks_a_promise() {
    live_through(u64::MAX, |seed| {
        let mut codes = swarm::run(seed, &AUTHORITY).codes;
        codes.extend(trial::run(seed, &AUTHORITY).codes);
        codes
    });
}

/// Lives through `count` worlds, or as the environment says, on every core. Returns what was heard.
fn live_through(
    count: u64,
    live: impl Fn(u64) -> BTreeSet<u32> + Sync + std::panic::RefUnwindSafe,
) -> BTreeSet<u32> {
    if let Some(seed) = number("RINGWAY_SEED") {
        return live(seed);
    }
    let first = number("RINGWAY_FIRST_SEED").unwrap_or(0);
    let end = first.saturating_add(number("RINGWAY_SEEDS").unwrap_or(count));
    let limit = number("RINGWAY_MINUTES").map(|minutes| Duration::from_secs(60 * minutes));
    let (next, done) = (AtomicU64::new(first), AtomicU64::new(0));
    let (heard, begin, word) = (Mutex::new(BTreeSet::new()), clock::now(), Mutex::new(clock::now()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end || limit.is_some_and(|limit| clock::now().since(begin) >= limit) {
                return;
            }
            let Ok(codes) = catch_unwind(|| live(seed)) else {
                next.store(end, Ordering::Relaxed);
                panic!("SEED={seed}, again with: scripts/sim --seed {seed}");
            };
            heard.lock().unwrap().extend(codes);
            let count = done.fetch_add(1, Ordering::Relaxed) + 1;
            let mut last = word.lock().unwrap();
            if clock::now().since(*last) >= WORD_INTERVAL {
                *last = clock::now();
                println!("{count} seeds in {} s", clock::now().since(begin).as_secs());
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    println!("{} seeds from {first} in {} s", done.into_inner(), clock::now().since(begin).as_secs());
    heard.into_inner().unwrap()
}

/// Fewer worlds than usual may be too kind.
fn judge(heard: &BTreeSet<u32>, due: &[u32], count: u64) {
    let lived = if number("RINGWAY_SEED").is_some() { 1 } else { number("RINGWAY_SEEDS").unwrap_or(count) };
    let unheard: Vec<&u32> = due.iter().filter(|code| !heard.contains(code)).collect();
    assert!(lived < count || unheard.is_empty(), "no world provoked {unheard:?}");
}

#[test]
fn a_seed_is_all_that_a_world_depends_on() {
    for seed in 0..20 {
        assert_eq!(swarm::run(seed, &AUTHORITY), swarm::run(seed, &AUTHORITY));
        assert_eq!(trial::run(seed, &AUTHORITY), trial::run(seed, &AUTHORITY));
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
