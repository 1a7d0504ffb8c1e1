//! Fail-fast validation of text that arrives in pieces. RFC 6455 section 8.1, RFC 3629.
//! Invariant: a byte that no continuation can make valid is refused as soon as it is in; a sequence that is merely cut
//! off by the end of the bytes waits for the rest.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotText;

pub(super) fn is_text(bytes: &[u8]) -> bool {
    simdutf8::basic::from_utf8(bytes).is_ok()
}

/// Given that `bytes[..checked]` is whole text, how far that holds now. Up to three bytes at the end may stay
/// unchecked: the start of a sequence. They are looked at again with the next piece, hence the work stays linear.
///
/// ```text
/// "...text" e2 82        checked = 7, two bytes wait
/// "...text" e2 82 ac     checked = 10
/// ```
pub(super) fn advance(bytes: &[u8], checked: usize) -> Result<usize, NotText> {
    let fresh = bytes.get(checked..).unwrap_or_default();
    match simdutf8::compat::from_utf8(fresh) {
        Ok(_) => Ok(bytes.len()),
        Err(cut) if cut.error_len().is_none() => Ok(checked + cut.valid_up_to()),
        Err(_) => Err(NotText),
    }
}
