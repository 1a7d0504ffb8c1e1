//! Any bytes are a head, the start of one, or a refusal, and cutting them differently changes nothing.

use super::chunk_ends;
use super::extensions::TERMS;
use ringway::http::{Head, OriginPolicy, Refusal, Scan, Upgrade};
use ringway::limits::{HEAD_BYTES_MAX, HEADER_COUNT_MAX};

/// The answer that these bytes get; none while more are needed.
fn answer(bytes: &[u8], ends: impl Iterator<Item = usize>) -> Option<Vec<u8>> {
    let mut scan = Scan::default();
    for end in ends {
        match scan.advance(&bytes[..end]) {
            Ok(Some(len)) => {
                return Some(upgrade(&bytes[..len]).unwrap_or_else(|refusal| refusal.response()));
            }
            Ok(None) => assert!(end <= HEAD_BYTES_MAX as usize, "an endless head"),
            Err(refusal) => return Some(refusal.response()),
        }
    }
    None
}

fn upgrade(bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    assert!(bytes.len() <= HEAD_BYTES_MAX as usize && bytes.ends_with(b"\r\n\r\n"));
    let head = Head::parse(bytes)?;
    assert!(head.path().starts_with('/') || head.path() == "*");
    assert!(!head.host().is_empty());
    assert!(head.headers("host").count() <= HEADER_COUNT_MAX);
    // Must not panic, and must not allow what is no origin at all.
    let allowed = OriginPolicy::SameHost.allows(head.origin(), head.host());
    assert!(!allowed || head.origin().is_none_or(|origin| origin.contains("://")));
    let upgrade = Upgrade::check(&head)?;
    assert!(!head.has_body());
    let protocol = upgrade.protocols().next();
    let compression = upgrade.compression(TERMS);
    let response = upgrade.response(protocol, compression);
    let text = std::str::from_utf8(&response).expect("a response is text");
    // Nothing that a client sent can end a line of the response.
    assert_eq!(
        text.matches("\r\n").count(),
        5 + usize::from(protocol.is_some()) + usize::from(compression.is_some())
    );
    Ok(response)
}

pub fn run(data: &[u8]) {
    let Some((sizes, bytes)) = data.split_first_chunk::<4>() else { return };
    let whole = answer(bytes, std::iter::once(bytes.len()));
    assert_eq!(answer(bytes, chunk_ends(sizes, bytes.len())), whole);
    assert_eq!(answer(bytes, 1..=bytes.len()), whole);
}
