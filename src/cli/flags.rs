//! The flags of `serve`, made from the option table.

use crate::config::table::{Entry, OPTIONS};
use crate::config::{Flag, Mode};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use std::path::PathBuf;

/// What `serve` was told.
#[derive(Debug)]
pub struct ServeArguments {
    pub config: Option<PathBuf>,
    pub ready_file: Option<PathBuf>,
    pub flags: Vec<Flag>,
}

impl Args for ServeArguments {
    fn augment_args(command: Command) -> Command {
        command.args(own()).args(OPTIONS.iter().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ServeArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let text = |entry: &'static Entry| matches.get_one::<String>(entry.key).cloned();
        Ok(Self {
            config: matches.get_one("config").cloned(),
            ready_file: matches.get_one("ready-file").cloned(),
            flags: OPTIONS.iter().filter_map(|entry| Some(Flag { entry, text: text(entry)? })).collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn own() -> [Arg; 2] {
    let path = |name: &'static str| {
        Arg::new(name).long(name).action(ArgAction::Set).value_parser(clap::value_parser!(PathBuf))
    };
    [
        path("config")
            .value_name("FILE")
            .env("RINGWAY_CONFIG")
            .help("Configuration (TOML); without one: development mode"),
        path("ready-file")
            .value_name("FILE")
            .help("Write addresses and process id there, as JSON, once it listens"),
    ]
}

fn argument(entry: &'static Entry) -> Arg {
    Arg::new(entry.key).long(entry.flag()).value_name(entry.field.placeholder()).help(format!(
        "{} [default: {}]",
        entry.doc,
        entry.default_text(Mode::Production)
    ))
}
