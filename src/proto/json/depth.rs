//! How deeply a JSON text nests: one pass, no stack, whatever the bytes.
//! Invariant: exact for valid JSON; validity itself is serde_json's business.

/// Whether no place of `text` lies inside more than `limit` arrays and objects.
pub(super) fn within(text: &[u8], limit: u32) -> bool {
    let mut depth = 0_u32;
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                if depth > limit {
                    return false;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    true
}

/// Moves behind the closing quote.
fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(at) = memchr::memchr2(b'"', b'\\', bytes.as_slice()) {
        let closed = bytes.as_slice().get(at) == Some(&b'"');
        // A backslash takes the byte behind it along, which may be a quote.
        let step = if closed { at } else { at + 1 };
        if bytes.nth(step).is_none() || closed {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn arrays_and_objects_count_alike_and_siblings_do_not_add_up() {
        assert!(within(b"1", 0));
        assert!(within(b"[1]", 1) && !within(b"[1]", 0));
        assert!(within(br#"{"a":[{}],"b":[[]]}"#, 3) && !within(br#"{"a":[{}],"b":[[]]}"#, 2));
        assert!(within(b"[[],[],[],[]]", 2));
    }

    #[test]
    fn brackets_inside_strings_do_not_count() {
        assert!(within(br#""[[[[""#, 0));
        assert!(within(br#"["\"[[[[", "\\", "[["]"#, 1));
        assert!(!within(br#"["\\", [[1]]]"#, 2), "an escaped backslash does not escape the quote behind it");
    }

    #[test]
    fn unbalanced_and_unterminated_texts_are_walked_to_their_end() {
        assert!(within(b"]]]]", 0));
        assert!(within(br#"["abc"#, 1));
        assert!(within(br#""abc\"#, 1));
    }
}
