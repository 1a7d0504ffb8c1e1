//! `ringway completions` and `ringway man`: what shells and `man` want to know, made from the command line itself.
//! Invariant: nothing is written by hand, so nothing can be out of date.

use super::{command, say};
use crate::fatal::Fatal;
use clap_complete::Shell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct CompletionsArguments {
    /// The shell that will read it
    #[arg(value_name = "SHELL", value_parser = ["bash", "zsh", "fish"])]
    shell: String,
}

#[derive(Debug, clap::Args)]
pub struct ManArguments {
    /// Folder for the pages, one a command; it is made if it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub fn completions(arguments: &CompletionsArguments) -> ExitCode {
    say(&script(match arguments.shell.as_str() {
        "zsh" => Shell::Zsh,
        "fish" => Shell::Fish,
        _ => Shell::Bash,
    }));
    ExitCode::SUCCESS
}

fn script(shell: Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command(), "ringway", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

pub fn man(arguments: &ManArguments) -> Result<(), Fatal> {
    let folder = &arguments.folder;
    let pages = pages(folder).map_err(|source| Fatal::Unwritable { path: folder.clone(), source })?;
    say(&format!("{pages} pages in {}\n", folder.display()));
    Ok(())
}

/// `ringway.1`, `ringway-serve.1` and so on; how many.
fn pages(folder: &Path) -> io::Result<usize> {
    fs::create_dir_all(folder)?;
    let mut root = command();
    root.build();
    let commands =
        std::iter::once(&root).chain(root.get_subcommands().filter(|sub| sub.get_name() != "help"));
    let mut count = 0;
    for command in commands {
        let mut page = Vec::new();
        let man = clap_mangen::Man::new(command.clone());
        man.render(&mut page)?;
        fs::write(folder.join(man.get_filename()), page)?;
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::option::Entry;
    use crate::config::table::options;

    #[test]
    fn every_shell_learns_every_command_and_flag() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            let flags = options().filter(|entry| !entry.is_secret()).map(Entry::flag);
            for word in flags.chain([
                "serve",
                "doctor",
                "check-config",
                "init-config",
                "errors",
                "completions",
                "man",
            ]) {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }

    #[test]
    fn every_command_has_a_page_that_names_its_flags() {
        let folder = std::env::temp_dir().join(format!("ringway-man-{}", std::process::id()));
        let count = pages(&folder).unwrap();
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        let (root, serve) = (read("ringway.1"), read("ringway-serve.1"));
        let found = fs::read_dir(&folder).unwrap().count();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(count, found);
        assert!(count >= 9, "{count}");
        assert!(root.contains("check\\-config"), "{root}");
        assert!(serve.contains("ping_interval") && serve.contains("RINGWAY_CLIENT_PING_INTERVAL"));
    }
}
