//! From when until when a certificate is valid. RFC 5280 section 4.1.2.5, read with just enough DER (X.690) to get there.
//! Only our own certificates are read here; those of peers are rustls' business.

/// Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub from: i64,
    pub until: i64,
}

impl Validity {
    /// None: this is not a certificate as RFC 5280 has it.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let (certificate, _) = element(certificate, SEQUENCE)?;
        let (mut inside, _) = element(certificate, SEQUENCE)?;
        if let Some((_, rest)) = element(inside, VERSION) {
            inside = rest;
        }
        // Serial number, signature algorithm, issuer.
        for tag in [INTEGER, SEQUENCE, SEQUENCE] {
            (_, inside) = element(inside, tag)?;
        }
        let (validity, _) = element(inside, SEQUENCE)?;
        let (from, rest) = time(validity)?;
        let (until, _) = time(rest)?;
        Some(Self { from, until })
    }
}

/// Content of the element with this tag that begins here, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, short], rest) = bytes.split_first_chunk::<2>()?;
    if found != tag {
        return None;
    }
    if short < LONG_LENGTH {
        return rest.split_at_checked(usize::from(short));
    }
    let (digits, rest) = rest.split_at_checked(usize::from(short - LONG_LENGTH))?;
    let len = digits
        .iter()
        .try_fold(0_usize, |len, &digit| len.checked_mul(256)?.checked_add(usize::from(digit)))?;
    rest.split_at_checked(len)
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn time(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (text, rest) = element(bytes, UTC_TIME).or_else(|| element(bytes, GENERALIZED_TIME))?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest_of_text) = text.split_at_checked(text.len().checked_sub(10)?)?;
    let year: i64 = match (year.len(), year.parse().ok()?) {
        (2, short @ 50..) => 1900 + short,
        (2, short) => 2000 + short,
        (_, long) => long,
    };
    let mut parts = [0_i64; 5];
    for (at, part) in parts.iter_mut().enumerate() {
        *part = rest_of_text.get(at * 2..at * 2 + 2)?.parse().ok()?;
    }
    let [month, day, hour, minute, second] = parts;
    Some((days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second, rest))
}

/// Days since 1970, in the proleptic Gregorian calendar: years that begin in March have their leap day last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// From here on a length tells how many bytes the length has.
const LONG_LENGTH: u8 = 0x80;
const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0] EXPLICIT`
const VERSION: u8 = 0xa0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_1970() {
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(2000, 2, 29), 11_016);
        assert_eq!(days(2026, 11, 26), 20_783);
    }

    #[test]
    fn the_validity_of_a_certificate_is_found() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 2);
        params.not_after = rcgen::date_time_ymd(2051, 3, 4);
        let certificate = params.self_signed(&key).unwrap();
        let found = Validity::of(certificate.der()).unwrap();
        assert_eq!(found, Validity { from: days(2020, 1, 2) * 86_400, until: days(2051, 3, 4) * 86_400 });
        let der = certificate.der();
        assert_eq!(Validity::of(&der[..40]), None);
        assert_eq!(Validity::of(b""), None);
    }
}
