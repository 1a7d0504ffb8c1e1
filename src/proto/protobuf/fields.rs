//! The fields of one message, in the order of the wire.
//! Invariant: whatever the bytes are, a field costs time linear in its own bytes, and none is copied.

use crate::proto::codec::Malformed;

/// Longest varint: 64 bits, 7 in each byte.
const VARINT_BYTES_MAX: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Varint(u64),
    /// Four or eight bytes; no field of ours is one.
    Fixed,
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    pub(super) fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint(_) | Self::Fixed => Err(Malformed::Syntax),
        }
    }

    pub(super) fn text(self) -> Result<&'a str, Malformed> {
        str::from_utf8(self.bytes()?).map_err(|_| Malformed::Syntax)
    }

    pub(super) fn u64(self) -> Result<u64, Malformed> {
        match self {
            Self::Varint(value) => Ok(value),
            Self::Bytes(_) | Self::Fixed => Err(Malformed::Syntax),
        }
    }

    pub(super) fn u32(self) -> Result<u32, Malformed> {
        self.u64()?.try_into().map_err(|_| Malformed::Syntax)
    }

    pub(super) fn i64(self) -> Result<i64, Malformed> {
        self.u64().map(u64::cast_signed)
    }

    /// Negative numbers travel as 64 bits.
    pub(super) fn i32(self) -> Result<i32, Malformed> {
        self.i64()?.try_into().map_err(|_| Malformed::Syntax)
    }

    pub(super) fn flag(self) -> Result<bool, Malformed> {
        Ok(self.u64()? != 0)
    }
}

/// Reads one message field by field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    /// One bit for each number below 64 that was there.
    seen: u64,
}

impl<'a> Fields<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { rest: message, seen: 0 }
    }

    /// The next field; `repeated` names the numbers that may come again.
    pub(super) fn next(&mut self, repeated: &[u32]) -> Result<Option<(u32, Value<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = u32::try_from(varint(&mut self.rest)?).map_err(|_| Malformed::Syntax)?;
        let number = key >> 3;
        if number == 0 {
            return Err(Malformed::Syntax);
        }
        let value = match key & 7 {
            0 => Value::Varint(varint(&mut self.rest)?),
            1 => self.fixed(8)?,
            2 => Value::Bytes(delimited(&mut self.rest)?),
            5 => self.fixed(4)?,
            // Groups left the language long ago.
            _ => return Err(Malformed::Syntax),
        };
        if number < u64::BITS && !repeated.contains(&number) {
            let bit = 1 << number;
            if self.seen & bit != 0 {
                return Err(Malformed::Syntax);
            }
            self.seen |= bit;
        }
        Ok(Some((number, value)))
    }

    fn fixed(&mut self, bytes: usize) -> Result<Value<'a>, Malformed> {
        self.rest = self.rest.get(bytes..).ok_or(Malformed::Syntax)?;
        Ok(Value::Fixed)
    }
}

/// Takes a length and as many bytes from the front.
pub(super) fn delimited<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let length = usize::try_from(varint(rest)?).map_err(|_| Malformed::Syntax)?;
    let (bytes, behind) = rest.split_at_checked(length).ok_or(Malformed::Syntax)?;
    *rest = behind;
    Ok(bytes)
}

/// Takes a number from the front.
pub(super) fn varint(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0;
    for (index, &byte) in rest.iter().take(VARINT_BYTES_MAX).enumerate() {
        if index + 1 == VARINT_BYTES_MAX && byte > 1 {
            return Err(Malformed::Syntax);
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            *rest = &rest[index + 1..];
            return Ok(value);
        }
    }
    Err(Malformed::Syntax)
}
