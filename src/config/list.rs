//! Sections that a file may have any number of, each with a name: `[[channel.namespaces]] name = "chat"`.
//! Invariant: the options of an item are the same in every item, and each is set through the table like any other.

use super::option::{Entry, environment_name};
use super::value::{Shape, Unfit};
use super::{Config, Mode};
use std::fmt;

/// An item and what it is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named<T> {
    pub name: String,
    pub options: T,
}

/// A kind of list, whatever its items are.
pub trait List: Sync {
    /// Path in the file.
    fn key(&self) -> &'static str;
    fn doc(&self) -> &'static str;
    /// What a name has to be.
    fn check_name(&self, name: &str) -> Result<(), String>;
    /// What an item's options are called, in the order of the reference.
    fn options(&self) -> Vec<Facts>;
    /// Adds an item with defaults.
    fn open(&self, config: &mut Config, name: &str);
    fn assign(&self, config: &mut Config, item: usize, option: usize, text: &str) -> Result<(), Unfit>;
    /// Whether the items of that name have the same options, secrets among them, which differences do not show.
    fn is_same(&self, one: &mut Config, other: &mut Config, name: &str) -> bool;
    /// Names, and the options that are not at their default, with the value as a file would have it.
    fn differences(&self, config: &mut Config) -> Vec<(String, Vec<(&'static str, String)>)>;
}

/// What people want to know of an option.
#[derive(Clone, Debug)]
pub struct Facts {
    pub key: &'static str,
    pub shape: Shape,
    /// Its value may stand in a file of its own.
    pub is_secret: bool,
    pub default_text: String,
    pub default_toml: String,
    pub expectation: String,
    pub doc: &'static str,
}

/// A list of items of one type.
pub struct ListOf<T: 'static> {
    pub key: &'static str,
    pub entries: &'static [Entry<T>],
    pub place: fn(&mut Config) -> &mut Vec<Named<T>>,
    pub check_name: fn(&str) -> Result<(), String>,
    pub doc: &'static str,
}

impl Facts {
    fn of<T: Default + 'static>(entry: &Entry<T>) -> Self {
        Self {
            key: entry.key,
            shape: entry.field.shape(),
            is_secret: entry.is_secret(),
            default_text: entry.default_text(Mode::Production),
            default_toml: entry.default_toml(Mode::Production),
            expectation: entry.field.expectation(),
            doc: entry.doc,
        }
    }
}

impl<T: Clone + Default> List for ListOf<T> {
    fn key(&self) -> &'static str {
        self.key
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn check_name(&self, name: &str) -> Result<(), String> {
        (self.check_name)(name)
    }

    fn options(&self) -> Vec<Facts> {
        self.entries.iter().map(Facts::of).collect()
    }

    fn open(&self, config: &mut Config, name: &str) {
        let mut options = T::default();
        for entry in self.entries {
            // Whoever has a list has a file: that is production.
            entry.field.reset(&mut options, Mode::Production, &[]);
        }
        (self.place)(config).push(Named { name: name.to_owned(), options });
    }

    fn assign(&self, config: &mut Config, item: usize, option: usize, text: &str) -> Result<(), Unfit> {
        match ((self.place)(config).get_mut(item), self.entries.get(option)) {
            (Some(item), Some(entry)) => entry.field.assign(&mut item.options, text, &[]),
            (None, _) | (_, None) => Ok(()),
        }
    }

    fn is_same(&self, one: &mut Config, other: &mut Config, name: &str) -> bool {
        let named = |items: &mut Vec<Named<T>>| items.iter().find(|item| item.name == name).cloned();
        match (named((self.place)(one)), named((self.place)(other))) {
            (Some(mut one), Some(mut other)) => {
                self.entries.iter().all(|entry| entry.field.is_same(&mut one.options, &mut other.options))
            }
            (one, other) => one.is_none() == other.is_none(),
        }
    }

    fn differences(&self, config: &mut Config) -> Vec<(String, Vec<(&'static str, String)>)> {
        let items = (self.place)(config).iter_mut();
        items
            .map(|item| {
                let mut changed = Vec::new();
                for entry in self.entries {
                    let value = entry.field.toml(&mut item.options);
                    if value != entry.default_toml(Mode::Production) {
                        changed.push((entry.key, value));
                    }
                }
                (item.name.clone(), changed)
            })
            .collect()
    }
}

impl fmt::Debug for dyn List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("List").field(&self.key()).finish()
    }
}

/// `RINGWAY_CHANNEL_NAMESPACES_CHAT_HISTORY_SIZE`: an item that the file has can be adjusted in the environment.
pub(super) fn item_environment(list: &str, name: &str, option: &str) -> String {
    environment_name(&format!("{list}.{name}.{option}"))
}
