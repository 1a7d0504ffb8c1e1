//! Figures for people: three digits and the unit that fits.

/// 1.23 ms.
pub fn nanos(nanos: f64) -> String {
    let (value, unit) = match nanos {
        n if n < 1e3 => (n, "ns"),
        n if n < 1e6 => (n / 1e3, "us"),
        n if n < 1e9 => (n / 1e6, "ms"),
        n => (n / 1e9, "s"),
    };
    format!("{} {unit}", three(value))
}

/// 12.3 k.
pub fn count(count: f64) -> String {
    match count {
        c if c < 1e4 => format!("{c:.0}"),
        c if c < 1e6 => format!("{} k", three(c / 1e3)),
        c => format!("{} M", three(c / 1e6)),
    }
}

/// 1.5 KiB.
pub fn bytes(bytes: f64) -> String {
    match bytes.abs() {
        b if b < 1024.0 => format!("{bytes:.0} B"),
        b if b < 1024.0 * 1024.0 => format!("{} KiB", three(bytes / 1024.0)),
        b if b < 1024.0 * 1024.0 * 1024.0 => format!("{} MiB", three(bytes / 1024.0 / 1024.0)),
        _ => format!("{} GiB", three(bytes / 1024.0 / 1024.0 / 1024.0)),
    }
}

/// Three significant digits.
pub fn three(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_their_unit() {
        assert_eq!(nanos(950.0), "950 ns");
        assert_eq!(nanos(12_345.0), "12.3 us");
        assert_eq!(nanos(1_234_567.0), "1.23 ms");
        assert_eq!(nanos(60e9), "60.0 s");
        assert_eq!(count(9_999.0), "9999");
        assert_eq!(count(123_456.0), "123 k");
        assert_eq!(bytes(-200.0), "-200 B");
        assert_eq!(bytes(1536.0), "1.50 KiB");
    }
}
