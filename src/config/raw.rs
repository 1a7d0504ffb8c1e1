//! Settings as they were written, gathered from the file, the environment and the flags.
//!
//! Invariant: settings stand in rising order of precedence, each with its origin; whatever could not be matched with an
//! option has become a problem or a warning. Knows names and TOML types, but no ranges: those are checked next.

use super::problem::{Cause, Origin, Problem};
use super::table::{ENVIRONMENT_PREFIX, Entry, OPTIONS, find};
use super::value::Field;
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
    pub entry: &'static Entry,
    pub text: String,
    pub origin: Origin,
}

#[derive(Debug, Default)]
pub struct Raw {
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
            match OPTIONS.iter().find(|entry| entry.environment() == name) {
                Some(entry) => {
                    self.settings.push(Setting { entry, text, origin: Origin::Environment(name) });
                }
                None if name == CONFIG_VARIABLE => {}
                None => {
                    let names = OPTIONS.iter().map(Entry::environment);
                    let suggestion = closest(&name, names);
                    self.warnings.push(Warning::UnknownVariable { name, suggestion });
                }
            }
        }
    }

    pub fn flags(&mut self, flags: impl IntoIterator<Item = Flag>) {
        self.settings.extend(flags.into_iter().map(|Flag { entry, text }| Setting {
            entry,
            text,
            origin: Origin::Flag(entry.flag()),
        }));
    }

    fn table(&mut self, source: &Source<'_>, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = if prefix.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{prefix}.{}", name.get_ref())
            };
            let origin = source.origin(name.span().start);
            let is_section = OPTIONS.iter().any(|entry| is_within(entry.key, &key));
            match (find(&key), value.get_ref()) {
                (Some(entry), _) => self.option(source, entry, value),
                (None, DeValue::Table(inner)) if is_section => self.table(source, &key, inner),
                (None, _) if is_section => self.problems.push(Problem {
                    origin,
                    cause: Cause::Syntax(format!(
                        "`{key}` is a section; write [{key}] and its options below it"
                    )),
                }),
                (None, _) => {
                    let suggestion = suggest(&key);
                    self.problems.push(Problem { origin, cause: Cause::Unknown { key, suggestion } });
                }
            }
        }
    }

    fn option(&mut self, source: &Source<'_>, entry: &'static Entry, value: &Spanned<DeValue<'_>>) {
        let origin = source.origin(value.span().start);
        match text_of(&entry.field, value.get_ref()) {
            Some(text) => self.settings.push(Setting { entry, text, origin }),
            None => self.problems.push(Problem {
                origin,
                cause: Cause::Unfit {
                    key: entry.key,
                    found: found(
                        source.text.get(value.span()).unwrap_or_default(),
                        value.get_ref().type_str(),
                    ),
                    expected: entry.field.expectation(),
                },
            }),
        }
    }
}

/// The text of a TOML value, if its type is the one that the option is written in.
fn text_of(field: &Field, value: &DeValue<'_>) -> Option<String> {
    match field {
        Field::Switch { .. } => value.as_bool().map(|value| value.to_string()),
        Field::Count { .. } => value.as_integer().map(|number| match number.radix() {
            10 => number.as_str().to_owned(),
            radix => {
                i64::from_str_radix(number.as_str(), radix).map_or_else(|_| "?".to_owned(), |n| n.to_string())
            }
        }),
        Field::Duration { .. } | Field::Address { .. } | Field::Driver { .. } => {
            value.as_str().map(str::to_owned)
        }
        Field::Cores { .. } => {
            value.as_str().map(str::to_owned).or_else(|| value.as_integer().map(|n| n.as_str().to_owned()))
        }
        Field::Patterns { .. } => {
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
    let sections = OPTIONS.iter().map(Entry::section).filter(|section| !section.is_empty());
    let paths = OPTIONS.iter().map(|entry| entry.key).chain(sections).map(str::to_owned);
    closest(key, paths).or_else(|| {
        let leaf = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
        let name = closest(&leaf(key), OPTIONS.iter().map(|entry| leaf(entry.key)))?;
        OPTIONS.iter().map(|entry| entry.key).find(|path| leaf(path) == name).map(str::to_owned)
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

fn is_within(path: &str, section: &str) -> bool {
    path.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'))
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
