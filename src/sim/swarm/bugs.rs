//! Bugs of ours that some worlds have: work that panics now and then, until the faults stop.
//! Invariant: a panic costs the connection that it is about, with 1011, or the subscribers of the channel that it is about,
//! with insufficient state. Everybody else is judged as in any world.

use crate::failpoint::{FailPoints, Point};
use crate::sim::dice::Dice;
use std::panic;
use std::sync::Once;

/// What can panic in a core.
const POINTS: [Point; 8] = [
    Point::Command,
    Point::FanOut,
    Point::Letter,
    Point::Deadline,
    Point::Join,
    Point::Leave,
    Point::Flush,
    Point::Drop,
];

/// From how many passes of a point one panics.
const EVERY: [u32; 4] = [2, 10, 50, 200];

/// Of a sixth of the worlds, some of the points.
pub(super) fn plan(seed: u64) -> FailPoints {
    // Dice of their own: a world with bugs is otherwise the one that it would be without.
    let mut dice = Dice::new(!seed);
    let mut plan = FailPoints::default();
    if dice.percent(16) {
        hush();
        for point in POINTS {
            let every = EVERY[dice.below(EVERY.len())];
            if dice.percent(40) {
                plan = plan.with(point, "", every);
            }
        }
    }
    plan
}

/// What is planned is no news.
fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !info.payload_as_str().is_some_and(|text| text.starts_with("fail point")) {
                tell(info);
            }
        }));
    });
}
