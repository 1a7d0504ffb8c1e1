//! From settings to a `Config`: ranges, then relations between options.
//! Invariant: either every mistake is reported, or the `Config` has none.

use super::problem::{Cause, Origin, Problem};
use super::raw::{Item, Raw, Setting, Target};
use super::relations::{Broken, relations};
use super::table::{find, lists};
use super::warning::Warning;
use super::{Config, Mode};
use std::collections::HashSet;

pub fn check(raw: Raw, mode: Mode, allowed: &[usize]) -> Result<(Config, Vec<Warning>), Vec<Problem>> {
    let Raw { items, settings, mut problems, mut warnings } = raw;
    let mut config = Config::defaults(mode, allowed);
    problems.extend(open(&mut config, &items));
    for Setting { key, target, text, file: _, origin } in &settings {
        let assigned = match *target {
            Target::Option(entry) => entry.field.assign(&mut config, text, allowed),
            Target::Item { list, item, option } => {
                lists().get(list).map_or(Ok(()), |list| list.assign(&mut config, item, option, text))
            }
        };
        if let Err(unfit) = assigned {
            let found = if text.is_empty() { "empty".to_owned() } else { text.clone() };
            let cause = Cause::Unfit { key: key.clone(), found, expected: unfit.0 };
            problems.push(Problem { origin: origin.clone(), cause });
        }
    }
    if problems.is_empty() {
        problems.extend(relations(&config).into_iter().map(|broken| blame(broken, &mut config, &settings)));
    }
    if problems.is_empty() {
        // What follows from the configuration itself is worth more than a stray variable.
        warnings.splice(0..0, Warning::of(&config));
        Ok((config, warnings))
    } else {
        problems.sort_by_key(|problem| problem.origin.place());
        Err(problems)
    }
}

/// Adds the items of lists, before anything is set in them.
fn open(config: &mut Config, items: &[Item]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut names = HashSet::new();
    for Item { list: index, name, origin } in items {
        let Some(list) = lists().get(*index) else { continue };
        let mut object = |cause| problems.push(Problem { origin: origin.clone(), cause });
        if !names.insert((*index, name)) && name != "?" {
            object(Cause::Twice { list: list.key(), name: name.clone() });
        }
        if let Err(expected) = list.check_name(name)
            && name != "?"
        {
            let found = if name.is_empty() { "empty".to_owned() } else { name.clone() };
            object(Cause::Unfit { key: format!("{}.name", list.key()), found, expected });
        }
        list.open(config, name);
    }
    problems
}

/// Points at whoever set one of the options involved last: that is what the operator has just changed.
fn blame(broken: Broken, config: &mut Config, settings: &[Setting]) -> Problem {
    let Broken { key, others, found, relation } = broken;
    let involved = |setting: &&Setting| setting.key == key || others.contains(&setting.key);
    let origin =
        settings.iter().rev().find(involved).map_or(Origin::Default, |setting| setting.origin.clone());
    let file =
        settings.iter().rev().find(|setting| setting.key == key).and_then(|setting| setting.file.as_ref());
    let shown = match file {
        Some(file) => format!("what \"{file}\" holds"),
        None => find(&key).map_or(found, |entry| entry.field.show(config)),
    };
    let shown = if shown.is_empty() { "empty".to_owned() } else { shown };
    Problem { origin, cause: Cause::Related { key, found: shown, relation } }
}
