//! The grammar of `Sec-WebSocket-Extensions`. RFC 6455 section 9.1.
//! Invariant: one pass, no backtracking: an unterminated quotation costs as much as a good one.
//! What the one extension that is spoken here makes of an offer is in `compression`; others are declined by not being
//! answered.

/// Whether the value is a list of `token *( ";" token [ "=" ( token | quoted-string ) ] )`; empty elements are ignored
/// (RFC 9110 section 5.6.1).
pub(super) fn are_well_formed(value: &str) -> bool {
    let mut rest = value;
    loop {
        rest = skip_space(rest);
        if !rest.starts_with(',') && !rest.is_empty() {
            match skip_extension(rest) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None => return rest.is_empty(),
        }
    }
}

pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// RFC 9110 section 5.6.2.
const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

fn skip_extension(text: &str) -> Option<&str> {
    let mut rest = skip_space(skip_token(text)?);
    while let Some(parameter) = rest.strip_prefix(';') {
        rest = skip_space(skip_token(skip_space(parameter))?);
        if let Some(value) = rest.strip_prefix('=') {
            let value = skip_space(value);
            let after = match value.strip_prefix('"') {
                Some(quoted) => skip_quoted(quoted)?,
                None => skip_token(value)?,
            };
            rest = skip_space(after);
        }
    }
    Some(rest)
}

/// "When using the quoted-string syntax variant, the value after quoted-string unescaping MUST conform to the 'token'
/// ABNF" (section 9.1).
fn skip_quoted(text: &str) -> Option<&str> {
    let mut escaped = false;
    let mut is_empty = true;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' if !escaped => return if is_empty { None } else { text.get(at + 1..) },
            b'\\' if !escaped => escaped = true,
            byte if is_token_byte(byte) => (escaped, is_empty) = (false, false),
            _ => return None,
        }
    }
    None
}

fn skip_token(text: &str) -> Option<&str> {
    let end = text.bytes().position(|byte| !is_token_byte(byte)).unwrap_or(text.len());
    if end == 0 { None } else { text.get(end..) }
}

fn skip_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_of_real_clients_are_well_formed() {
        for value in [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_max_window_bits=10, permessage-deflate",
            "x-webkit-deflate-frame",
            "foo; bar=\"10\"; baz = \"a\\b\" , constructor, __proto__",
            ", a,, b ,",
            "",
        ] {
            assert!(are_well_formed(value), "{value}");
        }
        assert!(are_well_formed(&"foo, ".repeat(1_000)));
    }

    #[test]
    fn malformed_offers_are_refused() {
        for value in [
            "a b",
            "a;",
            "a;;b",
            "a=1",
            "a;b=",
            "a;b=\"",
            "a;b=\"\"",
            "a;b=\"c d\"",
            "a;b=\"c\\\"",
            "a;b=\"c\"d",
            ";",
            "a;b=c=d",
            "(",
            "a\u{e9}",
            "a;b=\"\\c\\c\\c\\c",
        ] {
            assert!(!are_well_formed(value), "{value}");
        }
    }
}
