//! The two clocks of the process. The only file that may ask for the time.

use crate::time::Moment;
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::time::Duration;

/// `CLOCK_MONOTONIC`: for deadlines and latencies; comparable between processes of one host.
pub fn now() -> Moment {
    let now = clock_gettime(ClockId::Monotonic);
    Moment::from_nanos(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
}

/// Keeps this thread from everything else: for tests of what others do meanwhile.
pub fn stall(time: Duration) {
    let request = Timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: time.subsec_nanos().into() };
    let _ = rustix::thread::nanosleep(&request);
}

/// Time since the Unix epoch: for people and for tokens, never for deadlines.
pub fn wall() -> Duration {
    let now = clock_gettime(ClockId::Realtime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
