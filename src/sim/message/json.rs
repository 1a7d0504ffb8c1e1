//! From one line of JSON to fields, by the schema.
//! Invariant: whatever the schema does not say is an error.

use super::schema::{Field, Kind, Schema};
use super::{Fields, Item};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub(super) fn decode(schema: Schema, line: &str) -> Result<Fields, String> {
    if line.contains('\n') {
        return Err(format!("a line break inside a message: {line:?}"));
    }
    let value: Value = serde_json::from_str(line).map_err(|error| format!("not JSON: {error}: {line:?}"))?;
    object(schema, &value).map_err(|wrong| format!("{wrong}: {line}"))
}

fn object(schema: Schema, value: &Value) -> Result<Fields, String> {
    let members = members(value)?;
    let mut fields = Fields::default();
    for (name, value) in members {
        let field = schema.iter().find(|field| field.name == name);
        let field = field.ok_or_else(|| format!("a member that the schema does not have: {name}"))?;
        let item = item(field, value).map_err(|wrong| format!("{name}: {wrong}"))?;
        if let Some(item) = item {
            fields.0.insert(field.name, item);
        }
    }
    match schema.iter().find(|field| field.is_always && !members.contains_key(field.name)) {
        Some(missing) => Err(format!("a member that clients rely on is missing: {}", missing.name)),
        None => Ok(fields),
    }
}

/// None: a zero value that had to be written.
fn item(field: &Field, value: &Value) -> Result<Option<Item>, String> {
    let (item, is_zero) = match &field.kind {
        Kind::Unsigned => {
            let number = value.as_u64().ok_or("no unsigned number")?;
            (Item::Number(number.into()), number == 0)
        }
        Kind::Signed => {
            let number = value.as_i64().ok_or("no number")?;
            (Item::Number(number.into()), number == 0)
        }
        Kind::Flag => (Item::Flag, !value.as_bool().ok_or("no flag")?),
        Kind::Text => {
            let text = value.as_str().ok_or("no text")?;
            (Item::Text(text.to_owned()), text.is_empty())
        }
        Kind::Raw => (Item::Raw(value.to_string().into_bytes()), value.is_null()),
        Kind::TextMap => {
            let texts = members(value)?.iter();
            let texts = texts.map(|(key, value)| {
                let text = value.as_str().ok_or("no text in a map of texts")?;
                Ok::<_, String>((key.clone(), text.to_owned()))
            });
            let texts = texts.collect::<Result<BTreeMap<_, _>, String>>()?;
            let is_empty = texts.is_empty();
            (Item::Texts(texts), is_empty)
        }
        Kind::TextList => return Err("no server sends a list of texts".into()),
        Kind::One(schema) => (Item::One(object(schema, value)?), false),
        Kind::Many(schema) => {
            let list = value.as_array().ok_or("no array")?;
            let many = list.iter().map(|value| object(schema, value)).collect::<Result<Vec<_>, _>>()?;
            (Item::Many(many), list.is_empty())
        }
        Kind::Map(schema) => {
            let map = members(value)?.iter();
            let map = map.map(|(key, value)| Ok::<_, String>((key.clone(), object(schema, value)?)));
            let map = map.collect::<Result<BTreeMap<_, _>, String>>()?;
            let is_empty = map.is_empty();
            (Item::Map(map), is_empty)
        }
    };
    match (is_zero, field.is_always) {
        (true, false) => Err("a zero value that should have been left out".into()),
        (true, true) => Ok(None),
        (false, _) => Ok(Some(item)),
    }
}

fn members(value: &Value) -> Result<&Map<String, Value>, String> {
    value.as_object().ok_or_else(|| "no object".into())
}
