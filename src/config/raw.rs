//! Settings as they were written, gathered from the file, the environment and the flags.
//!
//! Invariant: settings stand in rising order of precedence, each with its origin; whatever could not be matched with an
//! option has become a problem or a warning. Knows names and TOML types, but no ranges: those are checked next.

use super::list::{List, item_environment};
use super::option::{ENVIRONMENT_PREFIX, Entry};
use super::problem::{Cause, Origin, Problem};
use super::table::{find, lists, options};
use super::value::Shape;
use super::warning::Warning;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// An option given on the command line.
#[derive(Clone, Debug)]
pub struct Flag {
    pub entry: &'static Entry,
    pub text: String,
}

#[derive(Debug)]
pub struct Setting {
    /// As people write it; an item's stands between the list and the option.
    pub key: String,
    pub target: Target,
    pub text: String,
    /// The file that the text was read from, if it has one of its own.
    pub file: Option<String>,
    pub origin: Origin,
}

/// What a setting sets.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    Option(&'static Entry),
    /// By their numbers: the list in the table, the item in the file, the option within the item.
    Item {
        list: usize,
        item: usize,
        option: usize,
    },
}

/// One of a list, as the file has it.
#[derive(Debug)]
pub struct Item {
    pub list: usize,
    pub name: String,
    pub origin: Origin,
}

#[derive(Debug, Default)]
pub struct Raw {
    pub items: Vec<Item>,
    pub settings: Vec<Setting>,
    pub problems: Vec<Problem>,
    pub warnings: Vec<Warning>,
}

impl Raw {
    pub fn file(&mut self, path: &Path, text: &str) {
        let source = Source { path, text };
        let (table, errors) = DeTable::parse_recoverable(text);
        // What the parser recovers behind a mistake may stand in the wrong table: judging it would only mislead.
        if errors.is_empty() {
            self.table(&source, "", table.get_ref());
        }
        for error in errors {
            let origin = source.origin(error.span().map_or(0, |span| span.start));
            self.problems.push(Problem { origin, cause: Cause::Syntax(error.message().to_owned()) });
        }
    }

    /// A name that is not ours may still be meant for somebody else: Kubernetes sets `RINGWAY_PORT` and its kin for any
    /// service that is called ringway. So it is a warning, where in a file it would be an error.
    pub fn environment(&mut self, env: impl Iterator<Item = (String, String)>) {
        let mut ours: Vec<_> = env.filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX)).collect();
        ours.sort();
        for (name, text) in ours {
            let secret = name.strip_suffix("_FILE");
            if let Some(entry) = options().find(|entry| entry.environment() == name) {
                self.set(entry, text, Origin::Environment(name));
            } else if let Some((key, target)) = self.item_option(&name) {
                let origin = Origin::Environment(name);
                self.settings.push(Setting { key, target, text, file: None, origin });
            } else if let Some((key, target)) = secret.and_then(|name| self.item_option(name)) {
                self.read_file(key, target, text, Origin::Environment(name));
            } else if let Some(entry) = secret_entry(|entry| Some(entry.environment().as_str()) == secret) {
                self.secret_file(entry, &text, Origin::Environment(name));
            } else if name != CONFIG_VARIABLE {
                let suggestion = closest(&name, options().map(Entry::environment));
                self.warnings.push(Warning::UnknownVariable { name, suggestion });
            }
        }
    }

    pub fn flags(&mut self, flags: impl IntoIterator<Item = Flag>) {
        for Flag { entry, text } in flags {
            self.set(entry, text, Origin::Flag(entry.flag()));
        }
    }

    fn set(&mut self, entry: &'static Entry, text: String, origin: Origin) {
        let key = entry.key.to_owned();
        self.settings.push(Setting { key, target: Target::Option(entry), text, file: None, origin });
    }

    fn table(&mut self, source: &Source<'_>, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = if prefix.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{prefix}.{}", name.get_ref())
            };
            let origin = source.origin(name.span().start);
            if let Some(entry) = find(&key) {
                self.option(source, entry, value);
            } else if let Some(list) = lists().iter().position(|list| list.key() == key) {
                self.list(source, list, value, &origin);
            } else if let Some(entry) = secret_entry(|entry| key.strip_suffix("_file") == Some(entry.key)) {
                let path = value.get_ref().as_str().unwrap_or_default();
                self.secret_file(entry, path, source.origin(value.span().start));
            } else if is_section(&key) {
                match value.get_ref() {
                    DeValue::Table(inner) => self.table(source, &key, inner),
                    DeValue::Array(_)
                    | DeValue::String(_)
                    | DeValue::Integer(_)
                    | DeValue::Float(_)
                    | DeValue::Boolean(_)
                    | DeValue::Datetime(_) => self.problems.push(Problem {
                        origin,
                        cause: Cause::Syntax(format!(
                            "`{key}` is a section; write [{key}] and its options below it"
                        )),
                    }),
                }
            } else {
                let suggestion = suggest(&key);
                self.problems.push(Problem { origin, cause: Cause::Unknown { key, suggestion } });
            }
        }
    }

    fn option(&mut self, source: &Source<'_>, entry: &'static Entry, value: &Spanned<DeValue<'_>>) {
        let origin = source.origin(value.span().start);
        match text_of(entry.field.shape(), value.get_ref()) {
            Some(text) => self.set(entry, text, origin),
            None => self.misshapen(source, value, entry.key.to_owned(), entry.field.expectation()),
        }
    }

    fn misshapen(
        &mut self,
        source: &Source<'_>,
        value: &Spanned<DeValue<'_>>,
        key: String,
        expected: String,
    ) {
        let written = source.text.get(value.span()).unwrap_or_default();
        let found = found(written, value.get_ref().type_str());
        let origin = source.origin(value.span().start);
        self.problems.push(Problem { origin, cause: Cause::Unfit { key, found, expected } });
    }

    fn list(&mut self, source: &Source<'_>, index: usize, value: &Spanned<DeValue<'_>>, origin: &Origin) {
        let Some(list) = lists().get(index) else { return };
        let key = list.key();
        let items = value.get_ref().as_array();
        let tables = items.and_then(|items| items.iter().map(|item| item.get_ref().as_table()).collect());
        let Some(tables): Option<Vec<&DeTable<'_>>> = tables else {
            let cause = Cause::Syntax(format!("`{key}` is a list of sections; write [[{key}]] above each"));
            return self.problems.push(Problem { origin: origin.clone(), cause });
        };
        for (item, table) in tables.into_iter().enumerate() {
            let first = table.iter().map(|(name, _)| name.span().start).min();
            let origin = first.map_or_else(|| origin.clone(), |first| source.origin(first));
            self.item(source, *list, [index, item], table, origin);
        }
    }

    fn item(
        &mut self,
        source: &Source<'_>,
        list: &dyn List,
        [list_index, item]: [usize; 2],
        table: &DeTable<'_>,
        origin: Origin,
    ) {
        let named = table.iter().find(|(name, _)| name.get_ref() == "name");
        let name = named.and_then(|(_, value)| value.get_ref().as_str());
        let origin = named.map_or(origin, |(_, value)| source.origin(value.span().start));
        if name.is_none() {
            self.problems
                .push(Problem { origin: origin.clone(), cause: Cause::Nameless { list: list.key() } });
        }
        let name = name.unwrap_or("?").to_owned();
        let known = list.options();
        for (leaf, value) in table.iter().filter(|(leaf, _)| leaf.get_ref() != "name") {
            let key = format!("{}.{name}.{}", list.key(), leaf.get_ref());
            let stem = leaf.get_ref().strip_suffix("_file");
            let secret = known.iter().position(|option| option.is_secret && Some(option.key) == stem);
            if let Some((option, path)) = secret.zip(value.get_ref().as_str()) {
                let key = format!("{}.{name}.{}", list.key(), known[option].key);
                let target = Target::Item { list: list_index, item, option };
                self.read_file(key, target, path.to_owned(), source.origin(value.span().start));
                continue;
            }
            let Some(option) = known.iter().position(|option| option.key == leaf.get_ref()) else {
                let near = closest(leaf.get_ref(), known.iter().map(|option| option.key.to_owned()));
                let suggestion = near.map(|near| format!("{}.{name}.{near}", list.key()));
                let origin = source.origin(leaf.span().start);
                self.problems.push(Problem { origin, cause: Cause::Unknown { key, suggestion } });
                continue;
            };
            let facts = &known[option];
            match text_of(facts.shape, value.get_ref()) {
                Some(text) => self.settings.push(Setting {
                    key,
                    target: Target::Item { list: list_index, item, option },
                    text,
                    file: None,
                    origin: source.origin(value.span().start),
                }),
                None => self.misshapen(source, value, key, facts.expectation.clone()),
            }
        }
        self.items.push(Item { list: list_index, name, origin });
    }

    /// The option of an item of the file that a variable names.
    fn item_option(&self, variable: &str) -> Option<(String, Target)> {
        let mut counts = vec![0; lists().len()];
        for item in &self.items {
            let (list, count) = (lists().get(item.list)?, counts.get_mut(item.list)?);
            let number = *count;
            *count += 1;
            let leaves = list.options();
            let found =
                leaves.iter().position(|leaf| item_environment(list.key(), &item.name, leaf.key) == variable);
            if let Some(option) = found {
                let key = format!("{}.{}.{}", list.key(), item.name, leaves[option].key);
                return Some((key, Target::Item { list: item.list, item: number, option }));
            }
        }
        None
    }

    /// Secrets of containers come as files: `http_api.key_file`, `RINGWAY_HTTP_API_KEY_FILE`.
    fn secret_file(&mut self, entry: &'static Entry, path: &str, origin: Origin) {
        self.read_file(entry.key.to_owned(), Target::Option(entry), path.to_owned(), origin);
    }

    fn read_file(&mut self, key: String, target: Target, path: String, origin: Origin) {
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let text = text.trim_end_matches(['\r', '\n']).to_owned();
                self.settings.push(Setting { key, target, text, file: Some(path), origin });
            }
            Err(error) => self.problems.push(Problem {
                origin,
                cause: Cause::Unfit {
                    key: format!("{key}_file"),
                    found: format!("\"{path}\""),
                    expected: format!("the path of a file that can be read ({error})"),
                },
            }),
        }
    }
}

fn secret_entry(is_meant: impl Fn(&Entry) -> bool) -> Option<&'static Entry> {
    options().find(|entry| entry.is_secret() && is_meant(entry))
}

/// The text of a TOML value, if its type is the one that the option is written in.
fn text_of(shape: Shape, value: &DeValue<'_>) -> Option<String> {
    match shape {
        Shape::Switch => value.as_bool().map(|value| value.to_string()),
        Shape::Integer => value.as_integer().map(|number| match number.radix() {
            10 => number.as_str().to_owned(),
            radix => {
                i64::from_str_radix(number.as_str(), radix).map_or_else(|_| "?".to_owned(), |n| n.to_string())
            }
        }),
        Shape::Text => value.as_str().map(str::to_owned),
        Shape::TextOrInteger => {
            value.as_str().map(str::to_owned).or_else(|| value.as_integer().map(|n| n.as_str().to_owned()))
        }
        Shape::Texts => {
            let items = value.as_array()?.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
            Some(items.collect::<Option<Vec<_>>>()?.join(" "))
        }
    }
}

/// The value as it stands there, when it is short, with its type.
fn found(written: &str, type_name: &str) -> String {
    const SHOWN_BYTES_MAX: usize = 40;
    if written.is_empty() || written.len() > SHOWN_BYTES_MAX || written.contains('\n') {
        format!("of type {type_name}")
    } else {
        format!("{written} ({type_name})")
    }
}

/// The option or section that was probably meant: one whose path is close, or one with that name in another section.
fn suggest(key: &str) -> Option<String> {
    let sections = options().map(Entry::section).filter(|section| !section.is_empty());
    let lists = lists().iter().map(|list| list.key());
    let paths = options().map(|entry| entry.key).chain(sections).chain(lists).map(str::to_owned);
    closest(key, paths).or_else(|| {
        let leaf = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
        let name = closest(&leaf(key), options().map(|entry| leaf(entry.key)))?;
        options().map(|entry| entry.key).find(|path| leaf(path) == name).map(str::to_owned)
    })
}

/// The candidate with the fewest typing mistakes, when those are few for its length.
pub fn closest(name: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    const LETTERS_PER_MISTAKE: usize = 4;
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(name, &candidate), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / LETTERS_PER_MISTAKE)
        .map(|(_, candidate)| candidate)
}

fn is_section(key: &str) -> bool {
    let is_within = |path: &str| path.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
    options().any(|entry| is_within(entry.key)) || lists().iter().any(|list| is_within(list.key()))
}

/// Names the file itself; read by the command line.
pub const CONFIG_VARIABLE: &str = "RINGWAY_CONFIG";

struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn origin(&self, offset: usize) -> Origin {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Origin::File {
            path: self.path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}
