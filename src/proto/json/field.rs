//! How single fields of a command read from JSON: `null` is as good as absent, strings stay borrowed unless they hold
//! an escape, raw data stays where it lies.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::proto::raw::Raw;

/// A string of serde's that borrows: plain `Cow` always copies when it is nested in another type.
#[derive(serde::Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

pub(in crate::proto) fn or_default<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

pub(in crate::proto) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Cow<'de, str>, D::Error> {
    Ok(Option::<Text<'de>>::deserialize(from)?.map(|text| text.0).unwrap_or_default())
}

pub(in crate::proto) fn object<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::<FromObject<T>>::deserialize(from)?.map(|object| object.0))
}

pub(in crate::proto) fn objects<'de, T, D>(from: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let objects = Option::<Vec<FromObject<T>>>::deserialize(from)?.unwrap_or_default();
    Ok(objects.into_iter().map(|object| object.0).collect())
}

pub(in crate::proto) fn texts<'de, D>(from: D) -> Result<BTreeMap<Cow<'de, str>, Cow<'de, str>>, D::Error>
where
    D: Deserializer<'de>,
{
    let map = Option::<Map<'de, Text<'de>>>::deserialize(from)?.unwrap_or_default();
    Ok(map.0.into_iter().map(|(key, value)| (key, value.0)).collect())
}

pub(in crate::proto) fn map<'de, T, D>(from: D) -> Result<BTreeMap<Cow<'de, str>, T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let map = Option::<Map<'de, FromObject<T>>>::deserialize(from)?.unwrap_or_default();
    Ok(map.0.into_iter().map(|(key, value)| (key, value.0)).collect())
}

/// A derived struct that refuses arrays: serde would read `["a"]` as a struct whose first field is "a".
pub(super) struct FromObject<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for FromObject<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = FromObject<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(FromObject)
    }
}

/// An object with keys of the client's choice, each at most once; members that are `null` are absent.
struct Map<'a, T>(BTreeMap<Cow<'a, str>, T>);

impl<T> Default for Map<'_, T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Map<'de, T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(MapVisitor(PhantomData))
    }
}

struct MapVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for MapVisitor<T> {
    type Value = Map<'de, T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, value)) = members.next_entry::<Text<'de>, Option<T>>()? {
            let Some(value) = value else { continue };
            match map.entry(key.0) {
                Entry::Vacant(entry) => entry.insert(value),
                Entry::Occupied(_) => return Err(A::Error::custom("duplicate key")),
            };
        }
        Ok(Map(map))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Some(raw) = Option::<&'de RawValue>::deserialize(from)? else { return Ok(Raw::NONE) };
        Ok(Raw::accepted(raw.get().as_bytes()))
    }
}
