//! One function a rule: a source in, objections out.

use super::source::{Source, has_word};

/// From the ground up. A module may import what stands on a lower line, and its own kind only on the last.
const LAYERS: &[&[&str]] = &[
    &["failpoint", "ids", "limits", "time"],
    &["pages", "payload", "pressure", "publication", "stats"],
    &["channels", "delta", "filter", "history", "http", "proto", "sys", "tls", "ws"],
    &["auth", "store"],
    &["conn", "hub"],
    &["shard"],
    &["fatal"],
    &["config", "control", "driver", "sim"],
    &["cli", "lib", "main", "server"],
];

/// Imports beside the table: from, to, and why.
const NEIGHBOURS: &[(&str, &str, &str)] = &[
    ("driver", "control", "a core hands plain HTTP connections over: it knows the form of the hand-over"),
    ("filter", "proto", "a filter is compiled from the conditions of a subscribe command"),
];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

pub fn layers(source: &Source) -> Vec<String> {
    if !source.is_server() {
        return Vec::new();
    }
    let own = source.module();
    let Some(height) = layer(own) else {
        return vec![
            source.at(1, &format!("module `{own}` has no place in the layer table of tests/tidy/rules.rs")),
        ];
    };
    let top = LAYERS.len() - 1;
    let allowed = |other: &str| {
        let below = |depth: usize| depth < height || (depth == top && height == top);
        other == own
            || layer(other).is_some_and(below)
            || NEIGHBOURS.iter().any(|(from, to, _)| *from == own && *to == other)
    };
    let objection = |line: usize, other: &str| {
        (!allowed(other))
            .then(|| source.at(line, &format!("`{own}` may not import `{other}`: imports point down only")))
    };
    source
        .code
        .iter()
        .flat_map(|(line, text)| imports(text).into_iter().filter_map(move |other| objection(*line, other)))
        .collect()
}

/// What follows each `crate::` of a line; visibilities are not imports.
fn imports(line: &str) -> Vec<&str> {
    let ends = |rest: &str| rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let names = line.match_indices("crate::").filter(|(start, _)| !line[..*start].ends_with("pub(in "));
    names
        .map(|(start, found)| &line[start + found.len()..])
        .map(|rest| &rest[..ends(rest)])
        .filter(|name| !name.is_empty())
        .collect()
}

/// Bytes, `now` and seeds come in as arguments.
pub fn sans_io(source: &Source) -> Vec<String> {
    const DRIVER_LAYER: usize = 6;
    const FOREIGN: [&str; 11] = [
        "std::fs",
        "std::thread",
        "std::process",
        "std::env",
        "std::net::Tcp",
        "std::os",
        "crate::sys",
        "rustix",
        "async",
        "await",
        "static mut",
    ];
    // The store is a thread with files; whoever is below the driver sees only its orders and fates.
    // Fail points are in no build that is given to anybody.
    const EXCEPT: [&str; 3] = ["failpoint", "store", "sys"];
    let module = source.module();
    if !source.is_server()
        || EXCEPT.contains(&module)
        || layer(module).is_none_or(|height| height >= DRIVER_LAYER)
    {
        return Vec::new();
    }
    words(source, &FOREIGN, "layers below the driver are values in, values out")
}

/// Crates that would spread if nobody looked.
pub fn crates(source: &Source) -> Vec<String> {
    const HOMES: [(&str, &[&str]); 11] = [
        ("tokio", &["control"]),
        ("axum", &["control"]),
        ("hyper", &["control"]),
        ("rustls", &["control", "sim", "tls"]), // the simulator has clients of its own
        ("aws_lc_rs", &["auth", "control", "tls"]),
        ("prometheus_client", &["control"]),
        ("glommio", &["driver", "sys"]),
        ("io_uring", &["driver", "sys"]),
        ("fjall", &["store"]),
        ("clap", &["cli"]),
        ("toml", &["config"]),
    ];
    if !source.is_server() {
        return Vec::new();
    }
    let strangers = HOMES.iter().filter(|(_, homes)| !homes.contains(&source.module()));
    strangers
        .flat_map(|(name, homes)| {
            let used = source.code.iter().filter(|(_, line)| {
                has_word(line, &format!("{name}::"))
                    || line.contains(&format!(" {name}::"))
                    || line.starts_with(&format!("use {name}"))
            });
            used.map(|(line, _)| source.at(*line, &format!("`{name}` is used in {homes:?} only")))
                .collect::<Vec<_>>()
        })
        .collect()
}

pub fn lengths(source: &Source) -> Vec<String> {
    const FILE_LINES_MAX: usize = 500;
    const FUNCTION_LINES_MAX: usize = 70;
    let mut objections = Vec::new();
    if source.shipped.len() > FILE_LINES_MAX {
        let lines = source.shipped.len();
        objections.push(source.at(
            1,
            &format!("{lines} lines without tests, at most {FILE_LINES_MAX}: split by phase or event"),
        ));
    }
    for (start, (line, text)) in source.shipped.iter().enumerate() {
        if !is_function(text) {
            continue;
        }
        let closing = format!("{:indentation$}}}", "", indentation = text.len() - text.trim_start().len());
        let length =
            source.shipped[start..].iter().position(|(_, text)| *text == closing).map_or(0, |end| end + 1);
        if length > FUNCTION_LINES_MAX {
            objections.push(source.at(
                *line,
                &format!(
                    "a function of {length} lines, at most {FUNCTION_LINES_MAX}: push ifs up and fors down"
                ),
            ));
        }
    }
    objections
}

/// The first line of a function that has a body.
fn is_function(line: &str) -> bool {
    let mut words = line.trim_start().split([' ', '(']).filter(|word| !word.is_empty());
    let qualifiers = ["pub", "crate)", "super)", "in", "const", "async", "unsafe", "extern", "\"C\""];
    let first = words.find(|word| !qualifiers.contains(word) && !word.starts_with("crate::"));
    first == Some("fn") && !line.trim_end().ends_with(';') && !line.trim_end().ends_with('}')
}

pub fn module_docs(source: &Source) -> Vec<String> {
    const DOC_LINES_MAX: usize = 15;
    if source.is_test {
        return Vec::new();
    }
    let doc = source.text.lines().take_while(|line| line.starts_with("//!")).count();
    let missing = doc == 0 || source.text.starts_with("//! Placeholder");
    let long = doc > DOC_LINES_MAX;
    let objections = [
        missing.then(|| source.at(1, "begin with //!: what it is, its invariant, what it must never know")),
        long.then(|| source.at(1, &format!("a module doc of {doc} lines, at most {DOC_LINES_MAX}"))),
    ];
    objections.into_iter().flatten().collect()
}

pub fn unsafe_code(source: &Source) -> Vec<String> {
    if source.is_server() && source.module() == "sys" {
        return Vec::new();
    }
    words(source, &["unsafe"], "system calls and raw pointers belong to src/sys, which exports safe types")
}

pub fn unfinished(source: &Source) -> Vec<String> {
    const MARKS: [&str; 6] = ["FIXME", "TODO", "XXX", "todo!", "unimplemented!", "dbg!"];
    let lines = source.text.lines().enumerate();
    lines
        .filter(|(_, line)| MARKS.iter().any(|mark| line.contains(mark)))
        .map(|(index, _)| source.at(index + 1, "finish it or leave it out"))
        .collect()
}

pub fn panics(source: &Source) -> Vec<String> {
    const CALLS: [&str; 4] = [".unwrap()", ".expect(", "panic!(", "unreachable!("];
    let lines = source.code.iter().filter(|(_, line)| CALLS.iter().any(|call| line.contains(call)));
    lines
        .filter(|(line, _)| !is_excused(source, *line))
        .map(|(line, _)| source.at(*line, "return an error, or make the state impossible"))
        .collect()
}

/// Clippy's own exception, with its reason, stands above the item.
fn is_excused(source: &Source, line: usize) -> bool {
    const EXCUSES: [&str; 3] = ["clippy::unwrap_used", "clippy::expect_used", "clippy::panic"];
    let above = source.text.lines().take(line).collect::<Vec<_>>();
    let item = above.iter().rposition(|line| line.is_empty()).unwrap_or(0);
    above[item..].iter().any(|line| EXCUSES.iter().any(|excuse| line.contains(excuse)))
}

pub fn limits(source: &Source) -> Vec<String> {
    const UNITS: [&str; 11] =
        ["BYTES", "KIB", "MIB", "COUNT", "MS", "DEPTH", "FRAMES", "COMMANDS", "CHANNELS", "BACKLOG", "BITS"];
    if source.path != "src/limits.rs" {
        return Vec::new();
    }
    let lines: Vec<&str> = source.text.lines().collect();
    let constants = lines.iter().enumerate().filter_map(|(index, line)| {
        let name = line.strip_prefix("pub const ")?.split(':').next()?;
        Some((index, name))
    });
    constants
        .flat_map(|(index, name)| {
            // The second of a pair may share the doc of the first; a unit needs none.
            let above = index.checked_sub(1).map_or("", |above| lines[above]);
            let documented = above.starts_with("///") || above.starts_with("pub const ") || name == "KIB";
            let measured = name.split('_').any(|word| UNITS.contains(&word));
            [
                (!measured)
                    .then(|| source.at(index + 1, &format!("`{name}` lacks its unit: one of {UNITS:?}"))),
                (!documented).then(|| source.at(index + 1, &format!("`{name}` lacks its reason"))),
            ]
        })
        .flatten()
        .collect()
}

fn words(source: &Source, banned: &[&str], instead: &str) -> Vec<String> {
    let lines = source.code.iter();
    lines
        .filter_map(|(line, text)| {
            let word = banned.iter().find(|word| has_word(text, word))?;
            Some(source.at(*line, &format!("`{word}`: {instead}")))
        })
        .collect()
}
