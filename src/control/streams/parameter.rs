//! One parameter of a query, decoded as browsers encode forms. URL standard, section 5.1.
//! Invariant: anything that is not a whole escape stands for itself; the result is never longer than the query.

/// The first parameter of that name.
pub(super) fn parameter(query: &str, name: &str) -> Option<Vec<u8>> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then(|| decode(value.as_bytes()))
    })
}

fn decode(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, behind)) = rest.split_first() {
        let (byte, next) = match (first, escape(behind)) {
            (b'%', Some(byte)) => (byte, behind.get(2..).unwrap_or_default()),
            (b'+', _) => (b' ', behind),
            (byte, _) => (byte, behind),
        };
        bytes.push(byte);
        rest = next;
    }
    bytes
}

fn escape(behind: &[u8]) -> Option<u8> {
    let digit = |at: usize| (*behind.get(at)? as char).to_digit(16);
    Some((digit(0)? * 16 + digit(1)?) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_found_and_decoded() {
        let query = "a=1&cf_connect=%7B%22id%22%3A1%2C+%22x%22:%22%C3%A9%22%7D&cf_connect=2";
        assert_eq!(parameter(query, "cf_connect").unwrap(), "{\"id\":1, \"x\":\"é\"}".as_bytes());
        assert_eq!(parameter(query, "a").unwrap(), b"1");
        assert_eq!(parameter(query, "cf"), None);
        assert_eq!(parameter("cf_connect", "cf_connect").unwrap(), b"");
    }

    #[test]
    fn broken_escapes_stand_for_themselves() {
        for text in ["%", "%4", "%zz", "%%", "100%"] {
            assert_eq!(decode(text.as_bytes()), text.as_bytes());
        }
        assert_eq!(decode(b"%2"), b"%2");
        assert_eq!(decode(b"%252"), b"%2");
    }
}
