//! Dates for names and reports, in UTC.

use std::time::Duration;

struct Date {
    year: i64,
    month: i64,
    day: i64,
    hour: u64,
    minute: u64,
    second: u64,
}

/// `2026-11-21T01:02:03Z`.
pub fn rfc3339(since_epoch: Duration) -> String {
    let Date { year, month, day, hour, minute, second } = date(since_epoch);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// `20261121T010203Z`: sorts by time, and fits a file name.
pub fn compact(since_epoch: Duration) -> String {
    rfc3339(since_epoch).replace(['-', ':'], "")
}

/// Days to civil date, after Howard Hinnant's algorithm: years begin in March, so that leap days come last.
fn date(since_epoch: Duration) -> Date {
    let seconds = since_epoch.as_secs();
    let days = (seconds / 86_400).cast_signed() + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    Date {
        year: year_of_era + era * 400 + i64::from(month <= 2),
        month,
        day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
        hour: seconds / 3_600 % 24,
        minute: seconds / 60 % 60,
        second: seconds % 60,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_have_their_dates() {
        let at = |seconds| rfc3339(Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_709_251_199), "2024-02-29T23:59:59Z");
        assert_eq!(at(1_795_222_923), "2026-11-21T01:02:03Z");
        assert_eq!(compact(Duration::from_secs(1_795_222_923)), "20261121T010203Z");
    }
}
