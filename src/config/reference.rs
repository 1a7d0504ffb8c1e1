//! The option table as Markdown: all of it for the reference, the sections that most people need for the README. Tests
//! keep both files the same as the table.

use super::Mode;
use super::list::List;
use super::option::{Change, Entry};
use super::table::{lists, sections};
use std::fmt::Write as _;

/// One table a section, in the order of the option table.
pub fn markdown() -> String {
    let mut text = tables(|_| true);
    for list in lists() {
        items(&mut text, *list);
    }
    text
}

/// What nobody runs a server without.
pub fn short_markdown() -> String {
    tables(|entry| SHORT.contains(&entry.key))
}

const SHORT: [&str; 17] = [
    "cores",
    "listen.public",
    "listen.internal",
    "client.allow_anonymous_connect_without_token",
    "client.allowed_origins",
    "client.connection_limit",
    "client.channel_limit",
    "client.queue_max_size",
    "websocket.message_size_limit",
    "channel.without_namespace.presence",
    "channel.without_namespace.history_size",
    "channel.without_namespace.history_ttl",
    "channel.without_namespace.allow_subscribe_for_client",
    "channel.without_namespace.allow_publish_for_subscriber",
    "store.path",
    "http_api.key",
    "shutdown.drain_window",
];

fn tables(is_wanted: impl Fn(&Entry) -> bool) -> String {
    let mut text = String::new();
    for (section, mut entries) in sections() {
        entries.retain(|entry| is_wanted(entry));
        if !entries.is_empty() {
            heading(&mut text, section);
        }
        for entry in entries {
            row(&mut text, entry);
        }
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
    let restart = match entry.change {
        Change::Live => "",
        Change::Restart => " *",
    };
    let _ = writeln!(text, "| `{name}`{restart} | {production} | {development} | {} |", entry.doc);
}

fn items(text: &mut String, list: &dyn List) {
    let _ =
        writeln!(text, "\n`[[{}]]`, any number of them, each with a `name`\n\n{}", list.key(), list.doc());
    let _ = writeln!(text, "\n| option | default | |\n|---|---|---|");
    for option in list.options() {
        let _ = writeln!(text, "| `{}` | {} | {} |", option.key, shown(&option.default_text), option.doc);
    }
}

fn shown(value: &str) -> String {
    if value.is_empty() { "none".to_owned() } else { format!("`{value}`") }
}
