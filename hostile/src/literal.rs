//! Bytes as rows write them: `"text\r\n"`, `hex:82ff`, `u16:1005`, each with an optional `*COUNT`.
//! Invariant: a literal grows to `BYTES_MAX` at most, whatever its count says.

/// No row needs more at once, and a slip of the pen in a count should not take the machine.
const BYTES_MAX: usize = 512 * 1024 * 1024;

/// Splits a line at blanks that are not inside of quotes.
pub fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quoted, mut escaped) = (false, false);
    for letter in line.chars() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if letter.is_whitespace() && !quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            _ => {}
        }
        word.push(letter);
    }
    if quoted {
        return Err("a quote is not closed".to_owned());
    }
    if !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

/// Whether a word is a literal at all.
pub fn is_literal(word: &str) -> bool {
    ["\"", "hex:", "u16:"].iter().any(|start| word.starts_with(start))
}

/// The bytes of a literal.
pub fn bytes(word: &str) -> Result<Vec<u8>, String> {
    let (body, rest) = word.split_at(body_len(word));
    let count = match rest.strip_prefix('*') {
        Some(count) => parse_count(count)?,
        None if rest.is_empty() => 1,
        None => return Err(format!("{rest:?} follows {body}")),
    };
    let once = if let Some(digits) = body.strip_prefix("hex:") {
        hex(digits)?
    } else if let Some(number) = body.strip_prefix("u16:") {
        let number: u16 = number.parse().map_err(|_| format!("{number:?} is no number of 16 bits"))?;
        number.to_be_bytes().to_vec()
    } else {
        let text = body.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        unescaped(text.ok_or_else(|| format!("{word} is neither \"text\" nor hex:00 nor u16:0"))?)?
    };
    let len = once.len().checked_mul(count).filter(|&len| len <= BYTES_MAX);
    len.map(|_| once.repeat(count)).ok_or_else(|| format!("{word} is longer than {BYTES_MAX} bytes"))
}

/// Up to the count: a quoted text may hold stars.
fn body_len(word: &str) -> usize {
    if !word.starts_with('"') {
        return word.find('*').unwrap_or(word.len());
    }
    let mut escaped = false;
    for (at, letter) in word.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    word.len()
}

/// A number, with `_` between its digits if somebody likes.
pub fn parse_count(text: &str) -> Result<usize, String> {
    text.replace('_', "").parse().map_err(|_| format!("{text:?} is not a count"))
}

fn hex(digits: &str) -> Result<Vec<u8>, String> {
    let fault = || format!("{digits:?} is not hexadecimal, two digits a byte");
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2).ok_or_else(fault)?;
            u8::from_str_radix(pair, 16).map_err(|_| fault())
        })
        .collect()
}

fn unescaped(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.extend(letter.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match letters.next() {
            Some('r') => out.push(b'\r'),
            Some('n') => out.push(b'\n'),
            Some('t') => out.push(b'\t'),
            Some('x') => {
                let digits: String = letters.by_ref().take(2).collect();
                out.extend(hex(&digits)?);
            }
            Some(plain @ ('\\' | '"' | '{')) => out.push(plain as u8),
            other => return Err(format!("\\{} is no escape", other.unwrap_or(' '))),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_become_bytes() {
        let cases: [(&str, &[u8]); 9] = [
            ("\"hi\"", b"hi"),
            ("\"a\\r\\n\\x00\\\"\\\\\\{\"", b"a\r\n\0\"\\{"),
            ("\"ab\"*3", b"ababab"),
            ("\"2*3\"", b"2*3"),
            ("\"\\\"*\\\"}\"", b"\"*\"}"),
            ("hex:82Ff", b"\x82\xff"),
            ("hex:00*4", &[0; 4]),
            ("u16:1005", b"\x03\xed"),
            ("\"\"*1_000", b""),
        ];
        for (word, expected) in cases {
            assert_eq!(bytes(word).unwrap(), expected, "{word}");
        }
        for word in
            ["hi", "hex:8", "hex:zz", "\"\\q\"", "u16:65536", "\"a\"*x", "\"a\"b", "\"a\"*600_000_000"]
        {
            assert!(bytes(word).is_err(), "{word}");
        }
    }

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(words(r#"send "a b\" c"*2  hex:00 "#).unwrap(), ["send", r#""a b\" c"*2"#, "hex:00"]);
        assert!(words("send \"a").is_err());
    }
}
