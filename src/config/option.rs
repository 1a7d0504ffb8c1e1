//! One option: where it lives in the file, what it may be, what it is when nobody says anything, and when a change of it
//! takes effect. Generic over the struct that it is placed in, so that options of a list's items are options as well.

use super::Mode;
use super::value::{Field, Shape};
use crate::auth::Secret;
use crate::limits::RATE_COUNT_CEILING;
use std::fmt;
use std::time::Duration;

pub struct Entry<C: 'static = super::Config> {
    /// Path in the file; also the long flag. Within the items of a list: the name alone.
    pub key: &'static str,
    /// A shorter flag for what is typed by hand.
    pub alias: Option<&'static str>,
    pub field: Field<C>,
    pub change: Change,
    /// One sentence; what it does, then what happens beyond it.
    pub doc: &'static str,
}

/// When a new value in the file takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// With the next reload.
    Live,
    Restart,
}

impl<C> Entry<C> {
    /// A command line is visible to every user of the machine.
    pub fn is_secret(&self) -> bool {
        matches!(self.field, Field::Secret { .. })
    }
}

impl<C: Default> Entry<C> {
    /// The flag that the help shows, without dashes.
    pub fn flag(&self) -> &'static str {
        self.alias.unwrap_or(self.key)
    }

    /// `client.ping_interval` becomes `RINGWAY_CLIENT_PING_INTERVAL`.
    pub fn environment(&self) -> String {
        environment_name(self.key)
    }

    /// Whether it can be switched on and off without a value.
    pub fn is_switch(&self) -> bool {
        self.field.shape() == Shape::Switch
    }

    /// The table of the file that it stands in; empty for the top level.
    pub fn section(&self) -> &'static str {
        self.key.rsplit_once('.').map_or("", |(section, _)| section)
    }

    /// The default as it would be written in a file; the cores depend on the machine and are described instead.
    pub fn default_text(&self, mode: Mode) -> String {
        self.of_default(mode, Field::show)
    }

    /// The same with the quotes that a file needs.
    pub fn default_toml(&self, mode: Mode) -> String {
        if matches!(self.field, Field::Cores { .. }) {
            return "\"all\"".to_owned();
        }
        self.of_default(mode, Field::toml)
    }

    fn of_default(&self, mode: Mode, read: impl FnOnce(&Field<C>, &mut C) -> String) -> String {
        if matches!(self.field, Field::Cores { .. }) {
            return "all".to_owned();
        }
        let mut config = C::default();
        self.field.reset(&mut config, mode, &[]);
        read(&self.field, &mut config)
    }
}

impl<C> fmt::Debug for Entry<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entry").field(&self.key).finish()
    }
}

/// Letters, digits and underscores, as shells demand.
pub(super) fn environment_name(key: &str) -> String {
    let name = key.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    format!("{ENVIRONMENT_PREFIX}{}", name.to_ascii_uppercase())
}

pub const ENVIRONMENT_PREFIX: &str = "RINGWAY_";

pub(super) const fn entry<C>(key: &'static str, field: Field<C>, doc: &'static str) -> Entry<C> {
    Entry { key, alias: None, field, change: Change::Live, doc }
}

/// Takes effect with the next start only.
pub(super) const fn restart<C>(entry: Entry<C>) -> Entry<C> {
    Entry { change: Change::Restart, ..entry }
}

pub(super) const fn alias<C>(alias: &'static str, entry: Entry<C>) -> Entry<C> {
    Entry { alias: Some(alias), ..entry }
}

pub(super) const fn switch<C>(
    key: &'static str,
    [production, development]: [bool; 2],
    place: fn(&mut C) -> &mut bool,
    doc: &'static str,
) -> Entry<C> {
    entry(key, Field::Switch { place, production, development }, doc)
}

pub(super) const fn duration<C>(
    key: &'static str,
    default_ms: u64,
    range_ms: [u64; 2],
    place: fn(&mut C) -> &mut Duration,
    doc: &'static str,
) -> Entry<C> {
    entry(key, Field::Duration { place, default_ms, range_ms }, doc)
}

pub(super) const fn count<C>(
    key: &'static str,
    unit: &'static str,
    default: u32,
    range: [u32; 2],
    place: fn(&mut C) -> &mut u32,
    doc: &'static str,
) -> Entry<C> {
    entry(key, Field::Count { place, default, development: default, range, unit }, doc)
}

/// So many a second. None in development, where whoever measures something is at home.
pub(super) const fn rate<C>(
    key: &'static str,
    unit: &'static str,
    default: u32,
    place: fn(&mut C) -> &mut u32,
    doc: &'static str,
) -> Entry<C> {
    entry(key, Field::Count { place, default, development: 0, range: [0, RATE_COUNT_CEILING], unit }, doc)
}

/// Free text; `check` says what is wrong with it.
pub(super) const fn text<C>(
    key: &'static str,
    default: &'static str,
    check: fn(&str) -> Result<(), String>,
    place: fn(&mut C) -> &mut String,
    doc: &'static str,
) -> Entry<C> {
    entry(key, Field::Text { place, default, check }, doc)
}

/// One of these words; the first is the default.
pub(super) const fn choice<C>(
    key: &'static str,
    among: &'static [&'static str],
    place: fn(&mut C) -> &mut &'static str,
    doc: &'static str,
) -> Entry<C> {
    entry(key, Field::Choice { place, among }, doc)
}

/// Any of these words; none is the default.
pub(super) const fn words<C>(
    key: &'static str,
    among: &'static [&'static str],
    place: fn(&mut C) -> &mut Vec<&'static str>,
    doc: &'static str,
) -> Entry<C> {
    entry(key, Field::Words { place, among }, doc)
}

/// Any number of words that `check` accepts; none is the default.
pub(super) const fn names<C>(
    key: &'static str,
    check: fn(&str) -> Result<(), String>,
    place: fn(&mut C) -> &mut Vec<String>,
    doc: &'static str,
) -> Entry<C> {
    entry(key, Field::Names { place, check }, doc)
}

pub(super) const fn secret<C>(
    key: &'static str,
    place: fn(&mut C) -> &mut Secret,
    doc: &'static str,
) -> Entry<C> {
    entry(key, Field::Secret { place }, doc)
}

/// On in production and in development.
pub(super) const ON: [bool; 2] = [true, true];
/// Off in both.
pub(super) const OFF: [bool; 2] = [false, false];
/// Closed in production, open in development.
pub(super) const OPEN: [bool; 2] = [false, true];

pub(super) const SECOND_MS: u64 = 1_000;
pub(super) const MINUTE_MS: u64 = 60 * SECOND_MS;
pub(super) const HOUR_MS: u64 = 60 * MINUTE_MS;
pub(super) const DAY_MS: u64 = 24 * HOUR_MS;

/// Any text will do.
#[expect(clippy::unnecessary_wraps, reason = "a check among others that do find something")]
pub(super) fn anything(_: &str) -> Result<(), String> {
    Ok(())
}
