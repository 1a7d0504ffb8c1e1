//! The fuzz targets without a fuzzer: every seed, and some hundred broken copies of each. Runs with any compiler, so a
//! target that does not build, and a bug that was mended, are noticed by everybody. Three targets come in by doors that
//! only a build with debug assertions has.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

#[path = "fuzz/src/lib.rs"]
#[allow(
    clippy::pedantic,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "written for the fuzzer, whose verdict is a panic"
)]
mod fuzz;

use std::path::Path;

/// Copies of each seed.
const COPY_COUNT: u64 = 500;

fn seeds_of(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds").join(target);
    let entries = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{target} has no seeds");
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// A copy that differs in a few places, the same every time: xorshift, Marsaglia 2003.
fn broken(seed: &[u8], other: &[u8], mut state: u64) -> Vec<u8> {
    let mut next = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound.max(1) as u64) as usize
    };
    let mut copy = seed.to_vec();
    for _ in 0..=next(4) {
        let at = next(copy.len());
        match next(6) {
            0 if !copy.is_empty() => copy[at] ^= 1 << next(8),
            1 if !copy.is_empty() => copy[at] = next(256) as u8,
            2 => copy.insert(at, next(256) as u8),
            3 if !copy.is_empty() => drop(copy.remove(at)),
            4 => copy.truncate(at),
            5 => {
                let from = next(other.len());
                let end = other.len().min(from + 1 + next(64));
                copy.splice(at..at, other[from.min(end)..end].iter().copied());
            }
            _ => {}
        }
    }
    copy
}

fn plays(target: &str, run: impl Fn(&[u8])) {
    let seeds = seeds_of(target);
    for (at, seed) in seeds.iter().enumerate() {
        run(seed);
        let other = &seeds[(at + 1) % seeds.len()];
        for copy in 1..=COPY_COUNT {
            run(&broken(seed, other, copy.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1));
        }
    }
}

#[test]
fn commands_hold_for_broken_seeds() {
    plays("commands", fuzz::commands::run);
}

#[cfg(debug_assertions)]
#[test]
fn configurations_hold_for_broken_seeds() {
    plays("config", fuzz::config::run);
}

#[test]
fn connections_hold_for_broken_seeds() {
    plays("connections", fuzz::connections::run);
}

#[cfg(debug_assertions)]
#[test]
fn the_driver_holds_for_broken_seeds() {
    plays("driver", fuzz::driver::run);
}

#[test]
fn extensions_hold_for_broken_seeds() {
    plays("extensions", fuzz::extensions::run);
}

#[test]
fn frames_hold_for_broken_seeds() {
    plays("frames", fuzz::frames::run);
}

#[test]
fn heads_hold_for_broken_seeds() {
    plays("head", fuzz::head::run);
}

#[test]
fn the_hub_holds_for_broken_seeds() {
    plays("hub", fuzz::hub::run);
}

#[cfg(debug_assertions)]
#[test]
fn records_hold_for_broken_seeds() {
    plays("records", fuzz::records::run);
}

#[test]
fn tokens_hold_for_broken_seeds() {
    plays("tokens", fuzz::tokens::run);
}
