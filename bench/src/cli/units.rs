//! Values with units on the command line: `10s`, `500ms`, `0-3,6`, `1k`.

use std::time::Duration;

/// `10s`, `1.5s`, `500ms`, `2m`; a bare number is seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|char: char| char != '.' && !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "" | "s" => 1.0,
        "ms" => 1e-3,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("unknown unit {unit:?}: use ms, s, m or h, as in 10s")),
    };
    let number: f64 = number.parse().map_err(|_| "a duration looks like 10s or 500ms".to_owned())?;
    Duration::try_from_secs_f64(number * scale).map_err(|error| error.to_string())
}

/// `500`, `10k`, `1m`.
pub fn count(text: &str) -> Result<u32, String> {
    let lower = text.to_ascii_lowercase();
    let (number, scale) = match lower.strip_suffix('k').map(|number| (number, 1e3)) {
        Some(scaled) => scaled,
        None => lower.strip_suffix('m').map_or((lower.as_str(), 1.0), |number| (number, 1e6)),
    };
    let number = number.replace('_', "");
    let number: f64 = number.parse().map_err(|_| "a count looks like 500, 10k or 1m".to_owned())?;
    let count = number * scale;
    if count.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&count) {
        return Err("a count is a whole number".into());
    }
    Ok(count as u32)
}

/// A CPU number of a list; ranges are taken apart by `cores`.
pub fn cores(text: &str) -> Result<Cores, String> {
    let mut cores = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| {
            text.trim().parse::<u32>().map_err(|_| "a list of CPUs looks like 0,2 or 0-3,6".to_owned())
        };
        let (first, last) = (number(first)?, number(last)?);
        if first > last || last >= CPU_COUNT_MAX {
            return Err(format!("{part:?} is no range of CPUs"));
        }
        cores.extend(first..=last);
    }
    Ok(Cores(cores))
}

/// What the kernel's CPU mask holds.
const CPU_COUNT_MAX: u32 = 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cores(pub Vec<u32>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_take_units() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1.5"), Ok(Duration::from_millis(1_500)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2m"), Ok(Duration::from_mins(2)));
        assert!(duration("ten").is_err() && duration("1 day").is_err() && duration("").is_err());
    }

    #[test]
    fn counts_take_suffixes() {
        assert_eq!(count("10k"), Ok(10_000));
        assert_eq!(count("1.5k"), Ok(1_500));
        assert_eq!(count("1M"), Ok(1_000_000));
        assert_eq!(count("10_000"), Ok(10_000));
        assert!(count("1.5").is_err() && count("-1").is_err() && count("many").is_err());
    }

    #[test]
    fn core_lists_take_ranges() {
        assert_eq!(cores("0-2,5"), Ok(Cores(vec![0, 1, 2, 5])));
        assert!(cores("3-1").is_err() && cores("a").is_err() && cores("0-99999").is_err());
    }
}
