//! Waiting in tests: for a condition, with an end.

use ringway::sys::clock;
use std::thread;
use std::time::Duration;

/// How long anything may take that should happen at once. Generous: it is a limit for a busy machine, not a figure.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Looks again and again until `condition` holds; panics with `what` when it never does.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = clock::now() + PATIENCE;
    while !condition() {
        assert!(clock::now() < end, "waited in vain: {what}");
        pause(Duration::from_millis(10));
    }
}

/// For a peer that is slow on purpose.
pub fn pause(duration: Duration) {
    let end = clock::now() + duration;
    loop {
        let rest = end.since(clock::now());
        if rest.is_zero() {
            return;
        }
        thread::park_timeout(rest);
    }
}
