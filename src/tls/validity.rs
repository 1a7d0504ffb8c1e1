//! From when until when a certificate is valid (RFC 5280 section 4.1.2.5), and what else people ask about it: names, issuer.
//! Read with just enough DER (X.690) to get there.
//! Only our own certificates are read here; those of peers are rustls' business.

use std::net::IpAddr;

/// Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub from: i64,
    pub until: i64,
}

impl Validity {
    pub const DAY_S: i64 = 24 * 60 * 60;
    /// Seconds before the end from which people are told: renewing takes them and their calendars.
    pub const NOTICE_S: i64 = 7 * Self::DAY_S;
}

/// What people look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    pub validity: Validity,
    /// Of hosts and addresses, as section 4.2.1.6 has them; nobody looks anywhere else for them.
    pub names: Vec<String>,
    issuer: Box<[u8]>,
    subject: Box<[u8]>,
}

impl Outline {
    /// None: this is not a certificate as RFC 5280 has it.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let (certificate, _) = element(certificate, SEQUENCE)?;
        let (mut inside, _) = element(certificate, SEQUENCE)?;
        if let Some((_, rest)) = element(inside, VERSION) {
            inside = rest;
        }
        // Serial number, signature algorithm.
        for tag in [INTEGER, SEQUENCE] {
            (_, inside) = element(inside, tag)?;
        }
        let (issuer, inside) = element(inside, SEQUENCE)?;
        let (validity, inside) = element(inside, SEQUENCE)?;
        let (subject, inside) = element(inside, SEQUENCE)?;
        let (from, rest) = time(validity)?;
        let (until, _) = time(rest)?;
        Some(Self {
            validity: Validity { from, until },
            names: names(inside).unwrap_or_default(),
            issuer: Box::from(issuer),
            subject: Box::from(subject),
        })
    }

    /// Whether the other one may have signed it, as far as names tell.
    pub fn is_issued_by(&self, other: &Self) -> bool {
        self.issuer == other.subject
    }
}

impl Validity {
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        Outline::of(certificate).map(|outline| outline.validity)
    }
}

/// From what follows the subject: its key, perhaps two identifiers, the extensions.
fn names(behind_subject: &[u8]) -> Option<Vec<String>> {
    let (_, mut rest) = element(behind_subject, SEQUENCE)?;
    for tag in [ISSUER_ID, SUBJECT_ID] {
        if let Some((_, after)) = element(rest, tag) {
            rest = after;
        }
    }
    let (extensions, _) = element(rest, EXTENSIONS)?;
    let (mut extensions, _) = element(extensions, SEQUENCE)?;
    while let Some((extension, after)) = element(extensions, SEQUENCE) {
        extensions = after;
        let (kind, mut value) = element(extension, OBJECT_ID)?;
        if kind != SUBJECT_ALT_NAME {
            continue;
        }
        if let Some((_, after)) = element(value, BOOLEAN) {
            value = after;
        }
        let (value, _) = element(value, OCTET_STRING)?;
        let (mut list, _) = element(value, SEQUENCE)?;
        let mut names = Vec::new();
        while let Some(&tag) = list.first() {
            let (name, after) = element(list, tag)?;
            list = after;
            names.extend(shown(tag, name));
        }
        return Some(names);
    }
    None
}

fn shown(tag: u8, name: &[u8]) -> Option<String> {
    let address =
        <[u8; 4]>::try_from(name).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(name).map(IpAddr::from));
    match tag {
        DNS_NAME => std::str::from_utf8(name).ok().map(str::to_owned),
        IP_ADDRESS => address.ok().map(|address| address.to_string()),
        _ => None,
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
const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0] EXPLICIT`
const VERSION: u8 = 0xa0;
const ISSUER_ID: u8 = 0x81;
const SUBJECT_ID: u8 = 0x82;
/// `[3] EXPLICIT`
const EXTENSIONS: u8 = 0xa3;
/// 2.5.29.17
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;

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

    #[test]
    fn names_and_issuer_of_a_certificate_are_found() {
        use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "somebody else");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let names = ["a.example", "*.b.example", "127.0.0.1", "::1"].map(str::to_owned);
        let params = CertificateParams::new(names.to_vec()).unwrap();
        let certificate = params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        let (found, above) = (Outline::of(certificate.der()).unwrap(), Outline::of(issuer.der()).unwrap());
        assert_eq!(found.names, names);
        assert!(found.is_issued_by(&above) && above.is_issued_by(&above) && !above.is_issued_by(&found));
        assert!(above.names.is_empty());
    }
}
