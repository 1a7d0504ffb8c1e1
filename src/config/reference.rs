//! The option table as Markdown, for the README. A test there keeps both the same.

use super::Mode;
use super::table::{Entry, OPTIONS};
use std::fmt::Write as _;

/// One table a section, in the order of the option table.
pub fn markdown() -> String {
    let mut text = String::new();
    let mut section = None;
    for entry in OPTIONS {
        if section != Some(entry.section()) {
            section = Some(entry.section());
            heading(&mut text, entry.section());
        }
        row(&mut text, entry);
    }
    text
}

fn heading(text: &mut String, section: &str) {
    let title = if section.is_empty() { "Top level".to_owned() } else { format!("`[{section}]`") };
    let gap = if text.is_empty() { "" } else { "\n" };
    let _ = writeln!(text, "{gap}{title}\n\n| option | default | in development | |\n|---|---|---|---|");
}

fn row(text: &mut String, entry: &Entry) {
    let name = entry.key.rsplit('.').next().unwrap_or(entry.key);
    let production = shown(&entry.default_text(Mode::Production));
    let development = shown(&entry.default_text(Mode::Development));
    let development = if development == production { String::new() } else { development };
    let _ = writeln!(text, "| `{name}` | {production} | {development} | {} |", entry.doc);
}

fn shown(value: &str) -> String {
    if value.is_empty() { "none".to_owned() } else { format!("`{value}`") }
}
