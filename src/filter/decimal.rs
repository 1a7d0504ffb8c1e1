//! Decimal numbers as they are written: exact, of any length, compared without an allocation.
//! Invariant: equal numbers have equal parts; zero has no sign. Form: sign, digits, and a point between digits if any.

use std::cmp::Ordering;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Decimal {
    is_negative: bool,
    /// Without leading zeros.
    whole: Box<str>,
    /// Without trailing zeros.
    fraction: Box<str>,
}

impl Decimal {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let Parts { is_negative, whole, fraction } = Parts::of(text)?;
        Some(Self { is_negative, whole: Box::from(whole), fraction: Box::from(fraction) })
    }

    /// How the number in `text` compares with this one. None: there is none.
    pub(super) fn order_of(&self, text: &str) -> Option<Ordering> {
        let own = Parts { is_negative: self.is_negative, whole: &self.whole, fraction: &self.fraction };
        Some(Parts::of(text)?.order(own))
    }
}

#[derive(Clone, Copy)]
struct Parts<'a> {
    is_negative: bool,
    whole: &'a str,
    fraction: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (minus, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(fraction) {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let is_zero = whole.is_empty() && fraction.is_empty();
        Some(Self { is_negative: minus && !is_zero, whole, fraction })
    }

    fn order(self, other: Self) -> Ordering {
        match (self.is_negative, other.is_negative) {
            (false, false) => self.order_of_size(other),
            (true, true) => other.order_of_size(self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }

    fn order_of_size(self, other: Self) -> Ordering {
        let whole = self.whole.len().cmp(&other.whole.len()).then_with(|| self.whole.cmp(other.whole));
        // Without trailing zeros, a fraction that goes on is the greater one: the order of texts.
        whole.then_with(|| self.fraction.cmp(other.fraction))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_digits_with_a_sign_and_a_point_between_them_are_a_number() {
        for good in ["0", "-0", "+1", "007", "1.50", "-0.001", "99999999999999999999999999.9"] {
            assert!(Decimal::parse(good).is_some(), "{good}");
        }
        for bad in [
            "", "-", "+", ".", ".5", "5.", "1e3", "0x1", " 1", "1 ", "1_000", "1,5", "--1", "1.2.3", "NaN",
            "٣",
        ] {
            assert_eq!(Decimal::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_compare_by_value_however_they_are_written_and_however_long_they_are() {
        let order = |a: &str, b: &str| Decimal::parse(b).unwrap().order_of(a).unwrap();
        assert_eq!(order("42.00000001", "42"), Ordering::Greater);
        assert_eq!(order("41.99999999", "42"), Ordering::Less);
        assert_eq!(order("-0.0", "0"), Ordering::Equal);
        assert_eq!(order("-10", "-9"), Ordering::Less);
        assert_eq!(order("10", "9.99"), Ordering::Greater);
        assert_eq!(order("-0.1", "0.1"), Ordering::Less);
        assert_eq!(order("9007199254740993", "9007199254740992"), Ordering::Greater, "no floating point");
        assert_eq!(Decimal::parse("+01.50"), Decimal::parse("1.5"));
        assert_eq!(Decimal::parse("-0"), Decimal::parse("0.000"));
    }

    proptest! {
        #[test]
        fn decimals_order_like_integers(a in -100_000_i64..100_000, b in -100_000_i64..100_000, pad in "0{0,3}") {
            // Thousandths, written as decimals.
            let text = |value: i64| {
                let sign = if value < 0 { "-" } else { "" };
                format!("{sign}{pad}{}.{:03}{pad}", value.abs() / 1000, value.abs() % 1000)
            };
            let order = Decimal::parse(&text(b)).unwrap().order_of(&text(a));
            prop_assert_eq!(order, Some(a.cmp(&b)));
            let (one, other) = (Decimal::parse(&text(a)), Decimal::parse(&text(b)));
            prop_assert_eq!(one == other, a == b);
        }
    }
}
