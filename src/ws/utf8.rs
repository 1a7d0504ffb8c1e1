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

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks piece by piece; gives how many bytes were in when a piece was refused.
    fn refused_after(bytes: &[u8], ends: impl Iterator<Item = usize>) -> Option<usize> {
        let mut checked = 0;
        for end in ends {
            match advance(&bytes[..end], checked) {
                Ok(further) => checked = further,
                Err(NotText) => return Some(end),
            }
        }
        None
    }

    /// The byte at which std, looking at ever longer prefixes, is sure that this is not text.
    fn first_bad(bytes: &[u8]) -> Option<usize> {
        (0..=bytes.len())
            .find(|&end| std::str::from_utf8(&bytes[..end]).is_err_and(|error| error.error_len().is_some()))
    }

    /// Sequences of every length, and the twins of each that overlong forms, surrogates and the end of Unicode forbid,
    /// around the edges of vector registers.
    #[test]
    fn the_verdict_is_that_of_std_at_every_split_and_block_edge() {
        let sequences: [&[u8]; 20] = [
            b"a",
            b"\xc2\x80",
            b"\xdf\xbf",
            b"\xe0\xa0\x80",
            b"\xed\x9f\xbf",
            b"\xef\xbf\xbf",
            b"\xf0\x90\x80\x80",
            b"\xf4\x8f\xbf\xbf",
            b"\xc0\xaf",
            b"\xc1\xbf",
            b"\x80",
            b"\xe0\x9f\xbf",
            b"\xed\xa0\x80",
            b"\xed\xbf\xbf",
            b"\xf0\x8f\xbf\xbf",
            b"\xf4\x90\x80\x80",
            b"\xf8\x88\x80\x80\x80",
            b"\xff",
            b"\xe2\x82a",
            b"\xf0\x9f\x98",
        ];
        for edge in [16_usize, 32, 64, 128] {
            for sequence in sequences {
                for before in edge - 5..=edge {
                    let bytes = [&b"x".repeat(before), sequence, &b"y".repeat(9)].concat();
                    let bad = first_bad(&bytes);
                    assert_eq!(is_text(&bytes), std::str::from_utf8(&bytes).is_ok());
                    assert_eq!(refused_after(&bytes, 1..=bytes.len()), bad, "byte by byte");
                    for cut in before.saturating_sub(1)..=bytes.len() {
                        let refused = refused_after(&bytes, [cut, bytes.len()].into_iter());
                        let expected = bad.map(|bad| if bad <= cut { cut } else { bytes.len() });
                        assert_eq!(refused, expected, "{sequence:x?} after {before}, cut at {cut}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_sequence_that_is_cut_off_waits() {
        let text = "Grüße, 世界 😀";
        let mut checked = 0;
        for end in 0..=text.len() {
            checked = advance(&text.as_bytes()[..end], checked).unwrap();
            assert_eq!(checked, text.floor_char_boundary(end));
        }
    }
}
