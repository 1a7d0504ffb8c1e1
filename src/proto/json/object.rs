//! One JSON object under construction: commas, quoting, and the rule that zero values stay out.
//! Invariant: between `open` and `close` every member is whole. Names are the protocol's own and need no escaping.

use crate::proto::raw::Raw;

pub struct Object<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> Object<'o> {
    pub fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    pub fn close(self) {
        self.out.push(b'}');
    }

    /// Writes a name of the protocol; the caller appends its value.
    pub fn name(&mut self, name: &'static str) -> &mut Vec<u8> {
        self.comma();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// Writes a key that is data, such as a channel; the caller appends its value.
    pub fn key(&mut self, key: &str) -> &mut Vec<u8> {
        self.comma();
        text(key, self.out);
        self.out.push(b':');
        self.out
    }

    /// A member whose key and value are both data.
    pub fn value(&mut self, key: &str, value: &str) {
        text(value, self.key(key));
    }

    /// An object as member; `fill` writes its members.
    pub fn object(&mut self, name: &'static str, fill: impl FnOnce(&mut Object<'_>)) {
        object(self.name(name), fill);
    }

    /// An object under a key that is data.
    pub fn entry(&mut self, key: &str, fill: impl FnOnce(&mut Object<'_>)) {
        object(self.key(key), fill);
    }

    /// An array of strings as member, even an empty one.
    pub fn texts<'t>(&mut self, name: &'static str, items: impl Iterator<Item = &'t str>) {
        let out = self.name(name);
        out.push(b'[');
        for (index, item) in items.enumerate() {
            if index > 0 {
                out.push(b',');
            }
            text(item, out);
        }
        out.push(b']');
    }

    /// An array of objects as member; `fill` writes the members of one.
    pub fn objects<T>(&mut self, name: &'static str, items: &[T], fill: impl Fn(&T, &mut Object<'_>)) {
        let out = self.name(name);
        out.push(b'[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            object(out, |to| fill(item, to));
        }
        out.push(b']');
    }

    pub fn text(&mut self, name: &'static str, value: &str) {
        if !value.is_empty() {
            self.text_always(name, value);
        }
    }

    pub fn text_always(&mut self, name: &'static str, value: &str) {
        text(value, self.name(name));
    }

    pub fn number(&mut self, name: &'static str, value: impl Into<u64>) {
        let value = value.into();
        if value != 0 {
            self.number_always(name, value);
        }
    }

    pub fn number_always(&mut self, name: &'static str, value: impl Into<u64>) {
        number(value.into(), self.name(name));
    }

    pub fn flag(&mut self, name: &'static str, value: bool) {
        if value {
            self.name(name).extend_from_slice(b"true");
        }
    }

    pub fn raw(&mut self, name: &'static str, value: Raw<'_>) {
        if !value.is_empty() {
            raw(value, self.name(name));
        }
    }

    fn comma(&mut self) {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
    }
}

pub fn object(out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    let mut object = Object::open(out);
    fill(&mut object);
    object.close();
}

/// RFC 8259 section 7: quote, backslash and control characters are escaped, everything else stands for itself.
fn text(value: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = value.as_bytes();
    while let Some(at) = rest.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        if let Some((&byte, behind)) = special.split_first() {
            escape(byte, out);
            rest = behind;
        }
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

/// Raw newlines are legal between the tokens of embedded data only, and would end our line there.
fn raw(value: Raw<'_>, out: &mut Vec<u8>) {
    for piece in value.bytes().split(|&byte| byte == b'\n') {
        out.extend_from_slice(piece);
    }
}

fn number(mut value: u64, out: &mut Vec<u8>) {
    // The largest u64 has 20 digits.
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}
