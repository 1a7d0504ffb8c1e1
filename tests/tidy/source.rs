//! Source files, split into what ships and what tests it.

use std::path::{Path, PathBuf};

/// A Rust file of the server, of the load generator or of the hostile peers.
pub struct Source {
    /// From the root of the repository.
    pub path: String,
    pub text: String,
    /// Whether all of it is compiled for tests alone.
    pub is_test: bool,
    /// Numbers and text of the lines outside of tests: what counts towards the length of a file.
    pub shipped: Vec<(usize, String)>,
    /// The same without comments and without what stands between quotes.
    pub code: Vec<(usize, String)>,
}

impl Source {
    pub fn new(path: String, text: String) -> Self {
        let shipped = without_tests(&text);
        let code = shipped.iter().map(|(line, text)| (*line, code_of(text))).collect();
        Self { path, text, is_test: false, shipped, code }
    }

    /// The first folder or file below `src`: what the layer table speaks of.
    pub fn module(&self) -> &str {
        let below = self.path.split_once("src/").map_or(self.path.as_str(), |(_, below)| below);
        below.split('/').next().unwrap_or(below).trim_end_matches(".rs")
    }

    pub fn is_server(&self) -> bool {
        self.path.starts_with("src/")
    }

    pub fn at(&self, line: usize, objection: &str) -> String {
        format!("{}:{line}: {objection}", self.path)
    }

    /// Where the modules that it declares may lie; with `tests_only`, those that only a test build has.
    pub fn children(&self, tests_only: bool) -> Vec<String> {
        let path = Path::new(&self.path);
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let folder = path.parent().unwrap();
        let folder =
            if ["lib", "main", "mod"].contains(&stem) { folder.to_owned() } else { folder.join(stem) };
        let mut above = "";
        let mut found = Vec::new();
        for line in self.text.lines() {
            let declared = line.trim().strip_suffix(';').and_then(|line| line.split_once("mod "));
            if let Some((before, name)) = declared
                && (before.is_empty() || before.starts_with("pub"))
                && (!tests_only || above.trim().starts_with("#[cfg(test)]"))
            {
                found.extend([folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")]);
            }
            above = line;
        }
        found.iter().map(|path| path.to_str().unwrap().to_owned()).collect()
    }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `src`, `bench/src` and `hostile/src`.
pub fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for folder in ["src", "bench/src", "hostile/src"] {
        walk(&root().join(folder), &mut found);
    }
    found.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let mut sources: Vec<Source> = found.iter().map(|path| read(path)).collect();
    // Whatever a test declares is a test as well.
    let mut tests: Vec<String> = sources.iter().flat_map(|source| source.children(true)).collect();
    while let Some(test) = tests.pop() {
        for source in sources.iter_mut().filter(|source| source.path == test && !source.is_test) {
            source.is_test = true;
            tests.extend(source.children(false));
        }
    }
    for source in sources.iter_mut().filter(|source| source.is_test) {
        source.shipped.clear();
        source.code.clear();
    }
    sources
}

/// Files below a folder, in order.
pub fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            walk(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn read(path: &Path) -> Source {
    let text = std::fs::read_to_string(path).unwrap();
    let path = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    Source::new(path, text)
}

/// Leaves out what `#[cfg(test)]` or `#[test]` stands above: the next item, up to its closing brace.
fn without_tests(text: &str) -> Vec<(usize, String)> {
    let mut kept = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let attribute = line.trim_start();
        if !attribute.starts_with("#[cfg(test)]") && !attribute.starts_with("#[cfg(all(test") {
            kept.push((index + 1, line.to_owned()));
            continue;
        }
        let indentation = line.len() - attribute.len();
        let closing = format!("{:indentation$}}}", "");
        for (_, line) in lines.by_ref() {
            let ends_at_once = line.ends_with(';') && line.len() - line.trim_start().len() == indentation;
            if ends_at_once
                || line == closing
                || line.strip_prefix(&closing).is_some_and(|rest| rest.len() <= 2)
            {
                break;
            }
        }
    }
    kept
}

/// A line without its comment and without the text between its quotes.
fn code_of(line: &str) -> String {
    let mut code = String::new();
    let mut quoted = false;
    let line = line.replace("'\"'", "");
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if quoted => drop(letters.next()),
            '"' => {
                quoted = !quoted;
                code.push(letter);
            }
            '/' if !quoted && letters.peek() == Some(&'/') => break,
            _ if quoted => {}
            _ => code.push(letter),
        }
    }
    code
}

/// Whether `word` stands in `line` as a word of its own.
pub fn has_word(line: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        !before.is_some_and(part_of_word) && !after.is_some_and(part_of_word)
    })
}
