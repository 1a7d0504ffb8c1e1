//! `ringway init-config`: a file with every option in it, each at its default and commented out.
//! Invariant: as it is the file changes nothing; with the `#` of any line gone it still changes nothing.

use super::say;
use crate::config::Mode;
use crate::config::list::List;
use crate::config::option::{Change, Entry};
use crate::config::table::{lists, sections};
use crate::fatal::Fatal;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct InitConfigArguments {
    /// Where to write it; without one it is printed. A file that exists is left alone
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

pub fn run(arguments: &InitConfigArguments) -> Result<(), Fatal> {
    let text = commented();
    let Some(path) = &arguments.file else {
        say(&text);
        return Ok(());
    };
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| Fatal::Unwritable { path: path.clone(), source })?;
    say(&format!("{} has every option at its default; next: ringway check-config {0}\n", path.display()));
    Ok(())
}

/// Comments have a space behind their `#`, options have none.
fn commented() -> String {
    let mut text = HEAD.to_owned();
    for (section, entries) in sections() {
        if !section.is_empty() {
            let _ = write!(text, "\n[{section}]\n");
        }
        for entry in entries {
            option(&mut text, entry);
        }
    }
    for list in lists() {
        item(&mut text, *list);
    }
    text
}

fn option(text: &mut String, entry: &Entry) {
    let name = entry.key.rsplit('.').next().unwrap_or(entry.key);
    let restart = if entry.change == Change::Restart { " (Takes effect with the next start.)" } else { "" };
    let default = entry.default_toml(Mode::Production);
    let _ = write!(text, "# {}{restart}\n#{name} = {default}\n", entry.doc);
}

fn item(text: &mut String, list: &dyn List) {
    let _ = write!(text, "\n# {}\n#[[{}]]\n#name = \"example\"\n", list.doc(), list.key());
    for option in list.options() {
        let _ = write!(text, "# {}\n#{} = {}\n", option.doc, option.key, option.default_toml);
    }
}

const HEAD: &str = "\
# Ringway. Every option at its default: take the # away from what you change.
# Names are Centrifugo's (v6) wherever it has the same thing. The order of precedence is this file, RINGWAY_* in the
# environment, flags. `ringway check-config FILE` checks it, SIGHUP reads it again.

";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::table::options;

    fn load(name: &str, text: &str) -> Config {
        let path = std::env::temp_dir().join(format!("ringway-init-{name}-{}.toml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        let loaded = Config::load(Some(&path), std::iter::empty(), []);
        std::fs::remove_file(&path).unwrap();
        loaded.unwrap_or_else(|fatal| panic!("{fatal}")).0
    }

    #[test]
    fn the_file_as_it_is_changes_nothing() {
        assert_eq!(load("plain", &commented()).differences(), []);
    }

    #[test]
    fn with_every_option_in_force_it_still_changes_nothing() {
        let bare =
            |line: &str| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).map(str::to_owned);
        let text: Vec<String> =
            commented().lines().map(|line| bare(line).unwrap_or_else(|| line.to_owned())).collect();
        let text = text.join("\n");
        for entry in options() {
            let name = entry.key.rsplit('.').next().unwrap();
            assert!(text.lines().any(|line| line.starts_with(&format!("{name} = "))), "{}", entry.key);
        }
        let lists = ["tls.certificates", "channel.namespaces", "proxies", "rpc.namespaces"];
        let expected = lists.map(|list| format!("{list}.example")).map(|key| (key, "{}".to_owned()));
        assert_eq!(load("bare", &text).differences(), expected);
    }

    #[test]
    fn a_file_that_exists_is_left_alone() {
        let path = std::env::temp_dir().join(format!("ringway-init-kept-{}.toml", std::process::id()));
        let arguments = InitConfigArguments { file: Some(path.clone()) };
        run(&arguments).unwrap();
        let again = run(&arguments);
        let written = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(again, Err(Fatal::Unwritable { .. })));
        assert_eq!(written, commented());
    }
}
