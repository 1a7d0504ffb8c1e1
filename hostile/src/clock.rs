//! Time for peers: the one place that reads the clock and sleeps. Knows nothing of sockets.

use std::time::{Duration, Instant};

#[expect(
    clippy::disallowed_methods,
    reason = "a peer lives in real time; this is where it looks at the clock"
)]
pub fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "a peer that is slow on purpose")]
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// What is left until then; none when it has passed.
pub fn left(deadline: Instant) -> Option<Duration> {
    deadline.checked_duration_since(now()).filter(|left| !left.is_zero())
}

/// `250ms`, `3s` or `2m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 =
        number.parse().map_err(|_| format!("{text:?} is not a time such as 250ms, 3s or 2m"))?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(60 * number)),
        _ => Err(format!("{text:?} lacks its unit: ms, s or m")),
    }
}
