//! From Protobuf to fields and from JSON commands to Protobuf, by the schema.
//! Invariant: reading is stricter than Protobuf: unknown fields, repetitions and written zeros are errors.

use super::schema::{COMMAND, Field, Kind, Schema};
use super::{Fields, Item};
use serde_json::Value;
use std::collections::BTreeMap;

const VARINT: u64 = 0;
const LENGTH: u64 = 2;

/// Cuts off one message behind its length.
pub(super) fn delimited<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let len = usize::try_from(varint(bytes)?).map_err(|_| "an endless message")?;
    let (message, rest) = bytes.split_at_checked(len).ok_or("a message that is cut off")?;
    *bytes = rest;
    Ok(message)
}

pub(super) fn decode(schema: Schema, mut bytes: &[u8]) -> Result<Fields, String> {
    let mut fields = Fields::default();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let field = schema.iter().find(|field| u64::from(field.number) == key >> 3);
        let field = field.ok_or_else(|| format!("field {}, which the schema does not have", key >> 3))?;
        let is_varint = matches!(field.kind, Kind::Unsigned | Kind::Signed | Kind::Flag);
        if key & 7 != if is_varint { VARINT } else { LENGTH } {
            return Err(format!("{} of wire type {}", field.name, key & 7));
        }
        if is_varint {
            let number = varint(&mut bytes)?;
            let item = match field.kind {
                Kind::Flag if number != 1 => return Err(format!("{} is no written flag", field.name)),
                Kind::Flag => Item::Flag,
                Kind::Signed => Item::Number(i128::from(number.cast_signed())),
                Kind::Unsigned
                | Kind::Text
                | Kind::Raw
                | Kind::TextList
                | Kind::TextMap
                | Kind::One(_)
                | Kind::Many(_)
                | Kind::Map(_) => Item::Number(number.into()),
            };
            if number == 0 || fields.0.insert(field.name, item).is_some() {
                return Err(format!("{} is written as zero, or twice", field.name));
            }
        } else {
            let value = delimited(&mut bytes)?;
            add(&mut fields, field, value).map_err(|wrong| format!("{}: {wrong}", field.name))?;
        }
    }
    Ok(fields)
}

fn add(fields: &mut Fields, field: &Field, value: &[u8]) -> Result<(), String> {
    let earlier = fields.0.remove(field.name);
    let item = match (&field.kind, earlier) {
        (Kind::Many(schema), earlier) => {
            let mut many = match earlier {
                Some(Item::Many(many)) => many,
                _ => Vec::new(),
            };
            many.push(decode(schema, value)?);
            Item::Many(many)
        }
        (Kind::Map(schema), earlier) => {
            let mut map = match earlier {
                Some(Item::Map(map)) => map,
                _ => BTreeMap::new(),
            };
            let (key, value) = entry(value)?;
            if map.insert(key, decode(schema, value)?).is_some() {
                return Err("a key that comes twice".into());
            }
            Item::Map(map)
        }
        (Kind::TextMap, earlier) => {
            let mut texts = match earlier {
                Some(Item::Texts(texts)) => texts,
                _ => BTreeMap::new(),
            };
            let (key, value) = entry(value)?;
            if texts.insert(key, text(value)?).is_some() {
                return Err("a key that comes twice".into());
            }
            Item::Texts(texts)
        }
        (_, Some(_)) => return Err("comes twice".into()),
        (Kind::One(schema), None) => Item::One(decode(schema, value)?),
        (_, None) if value.is_empty() => return Err("written though it is empty".into()),
        (Kind::Text, None) => Item::Text(text(value)?),
        (Kind::Raw, None) => Item::Raw(value.to_vec()),
        (kind, None) => return Err(format!("no server sends {kind:?}")),
    };
    fields.0.insert(field.name, item);
    Ok(())
}

/// Key and value of an entry of a map, either of which may be absent.
fn entry(mut bytes: &[u8]) -> Result<(String, &[u8]), String> {
    let (mut key, mut value) = (String::new(), &[][..]);
    while !bytes.is_empty() {
        match varint(&mut bytes)? {
            10 => key = text(delimited(&mut bytes)?)?,
            18 => value = delimited(&mut bytes)?,
            other => return Err(format!("key {other} in an entry of a map")),
        }
    }
    Ok((key, value))
}

fn text(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string())
}

fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or("a number that is cut off")?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err("a number without an end".into())
}

/// A JSON command as Protobuf, behind its length. What the schema does not have is left out.
pub fn encode(command: &Value) -> Vec<u8> {
    let message = encode_message(&COMMAND, command);
    let mut out = Vec::new();
    put_bytes(&mut out, &message);
    out
}

fn encode_message(schema: Schema, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for field in schema {
        if let Some(value) = value.get(field.name) {
            encode_field(&mut out, field, value);
        }
    }
    out
}

fn encode_field(out: &mut Vec<u8>, field: &Field, value: &Value) {
    let key = u64::from(field.number) << 3;
    let mut put = |bytes: &[u8]| {
        put_varint(out, key | LENGTH);
        put_bytes(out, bytes);
    };
    match &field.kind {
        Kind::Unsigned | Kind::Signed | Kind::Flag => {
            let number = value.as_i64().map(i64::cast_unsigned).or_else(|| value.as_u64());
            let number = number.unwrap_or_else(|| value.as_bool().unwrap_or_default().into());
            put_varint(out, key | VARINT);
            put_varint(out, number);
        }
        Kind::Text => put(value.as_str().unwrap_or_default().as_bytes()),
        Kind::Raw => put(value.to_string().as_bytes()),
        Kind::One(schema) => put(&encode_message(schema, value)),
        Kind::Many(schema) => {
            let list = value.as_array().into_iter().flatten();
            list.for_each(|value| put(&encode_message(schema, value)));
        }
        Kind::TextList => {
            let list = value.as_array().into_iter().flatten();
            list.for_each(|value| put(value.as_str().unwrap_or_default().as_bytes()));
        }
        Kind::TextMap | Kind::Map(_) => {
            for (name, value) in value.as_object().into_iter().flatten() {
                let bytes = if let Kind::Map(schema) = &field.kind {
                    encode_message(schema, value)
                } else {
                    value.as_str().unwrap_or_default().as_bytes().to_vec()
                };
                let mut entry = vec![10];
                put_bytes(&mut entry, name.as_bytes());
                entry.push(18);
                put_bytes(&mut entry, &bytes);
                put(&entry);
            }
        }
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
