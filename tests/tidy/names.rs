//! Rules about files as such: their names, whether they are built, what they give away.

use super::source::{Source, root, walk};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Sources that no chain of `mod` declarations reaches from a crate root.
pub fn orphans(sources: &[Source]) -> Vec<String> {
    let mut reached = HashSet::new();
    let roots = [
        "src/lib.rs",
        "src/main.rs",
        "bench/src/main.rs",
        "bench/src/lib.rs",
        "bench/src/bin/ringway-bench-api.rs",
        "hostile/src/main.rs",
        "hostile/src/lib.rs",
        "bench/src/bin/ringway-bench-churn.rs",
        "bench/src/bin/ringway-bench-sends.rs",
    ];
    let mut open: Vec<&Source> =
        sources.iter().filter(|source| roots.contains(&source.path.as_str())).collect();
    while let Some(source) = open.pop() {
        if reached.insert(source.path.as_str()) {
            let children = source.children(false);
            open.extend(sources.iter().filter(|other| children.contains(&other.path)));
        }
    }
    sources.iter().map(|source| source.path.clone()).filter(|path| !reached.contains(path.as_str())).collect()
}

/// Files whose name says nothing.
pub fn vague() -> Vec<String> {
    const NOTHING: [&str; 12] = [
        "base",
        "common",
        "helper",
        "helpers",
        "manager",
        "misc",
        "shared",
        "stuff",
        "types",
        "util",
        "utilities",
        "utils",
    ];
    let stem = |path: &Path| path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
    files()
        .iter()
        .filter(|path| NOTHING.contains(&stem(path).as_str()))
        .map(|path| path.display().to_string())
        .collect()
}

/// Places where a path of the machine that something was written on has slipped in.
pub fn traces() -> Vec<String> {
    // Split, so that this file does not accuse itself.
    let paths =
        [["/wo", "rk/"], ["/ro", "ot/"], ["/tmp/w", "t-"], ["/ho", "me/"]].map(|parts| parts.concat());
    let mut traces = Vec::new();
    for path in files() {
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else { continue };
        for (index, line) in text.lines().enumerate() {
            if paths.iter().any(|trace| line.contains(trace.as_str())) {
                traces.push(format!("{}:{}: {}", path.display(), index + 1, line.trim()));
            }
        }
    }
    traces
}

/// What belongs to the project, from its root. Results are data: they say where they were measured.
fn files() -> Vec<PathBuf> {
    const FOLDERS: [&str; 8] = [".ci", "bench", "hostile", "scripts", "src", "tests", "tuning", "fuzz"];
    const BUILT: [&str; 4] = ["target", "node_modules", ".cache", "__pycache__"];
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_file() && ![".git", "Cargo.lock"].contains(&name) {
            found.push(path);
        } else if FOLDERS.contains(&name) {
            walk(&path, &mut found);
        }
    }
    let built =
        |path: &Path| path.components().any(|part| BUILT.iter().any(|name| part.as_os_str() == *name));
    let found = found.into_iter().map(|path| path.strip_prefix(root()).unwrap().to_owned());
    found.filter(|path| !built(path)).collect()
}
