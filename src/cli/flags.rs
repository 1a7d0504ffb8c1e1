//! The flags of `serve`, made from the option table: each shows its default, its unit and its other names.

use crate::config::option::Entry;
use crate::config::table::options;
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

pub const EXAMPLES: &str = "\
Every option can stand in the file ([client] ping_interval = \"25s\"), in the environment \
(RINGWAY_CLIENT_PING_INTERVAL=25s) and on the command line (--client.ping_interval 25s); the later one wins. \
--no-NAME switches an option off.

Examples:
  ringway serve
  ringway serve --listen 0.0.0.0:8080 --cores 0,2-3
  ringway serve --config ringway.toml --client.ping_interval 15s --no-echo
  RINGWAY_LISTEN_PUBLIC=127.0.0.1:0 ringway serve --ready-file ready.json";

impl Args for ServeArguments {
    fn augment_args(command: Command) -> Command {
        let denials = flags().filter(|entry| entry.is_switch()).map(denial);
        command.args(own()).args(flags().map(argument)).args(denials)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ServeArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |entry: &'static Entry| {
            let denied = entry.is_switch() && matches.get_flag(&denial_name(entry));
            let text = if denied { Some("false".to_owned()) } else { matches.get_one(entry.key).cloned() };
            text.map(|text| Flag { entry, text })
        };
        Ok(Self {
            config: matches.get_one("config").cloned(),
            ready_file: matches.get_one("ready-file").cloned(),
            flags: flags().filter_map(given).collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// All options but secrets: a command line is visible to every user of the machine.
fn flags() -> impl Iterator<Item = &'static Entry> {
    options().filter(|entry| !entry.is_secret())
}

/// What belongs to one process and not to its configuration.
fn own() -> [Arg; 2] {
    let path = |name: &'static str| {
        Arg::new(name).long(name).value_name("FILE").value_parser(clap::value_parser!(PathBuf))
    };
    [
        path("config")
            .env("RINGWAY_CONFIG")
            .hide_env_values(true)
            .help("Configuration in TOML; an empty one has secure defaults, none at all is development mode"),
        path("ready-file")
            .help("Write one line of JSON there once the server listens: addresses and process id"),
    ]
}

fn argument(entry: &'static Entry) -> Arg {
    let shown = |text: String| if text.is_empty() { "none".to_owned() } else { text };
    let (production, development) =
        (shown(entry.default_text(Mode::Production)), shown(entry.default_text(Mode::Development)));
    let default = if production == development {
        production
    } else {
        format!("{production}; in development mode {development}")
    };
    let unit = entry.field.unit().map_or_else(String::new, |unit| format!(" [unit: {unit}]"));
    let file = if entry.flag() == entry.key { String::new() } else { format!(" [file: {}]", entry.key) };
    let names = format!("[default: {default}]{unit}{file} [env: {}]", entry.environment());
    let argument = Arg::new(entry.key)
        .long(entry.flag())
        .value_name(entry.field.placeholder())
        .help_heading(heading(entry))
        .help(entry.doc)
        .long_help(format!("{}\n{names}", entry.doc));
    let argument = if entry.flag() == entry.key { argument } else { argument.alias(entry.key) };
    if entry.is_switch() {
        argument.num_args(0..=1).default_missing_value("true").overrides_with(denial_name(entry))
    } else {
        argument.allow_hyphen_values(true)
    }
}

fn denial(entry: &'static Entry) -> Arg {
    let argument = Arg::new(denial_name(entry))
        .long(format!("no-{}", entry.flag()))
        .action(ArgAction::SetTrue)
        .overrides_with(entry.key)
        .hide(true);
    if entry.flag() == entry.key { argument } else { argument.alias(format!("no-{}", entry.key)) }
}

fn denial_name(entry: &Entry) -> String {
    format!("no-{}", entry.key)
}

/// Sections of the file, as a table of contents.
fn heading(entry: &Entry) -> &'static str {
    match entry.section() {
        "listen" | "" | "routes" => "Server",
        "client.token" | "client.subscription_token" => "Tokens",
        section if section == "client" || section.starts_with("client.") => "Clients",
        "websocket" => "WebSocket",
        "http_stream" | "sse" | "uni_websocket" | "uni_http_stream" | "uni_sse" => "Other transports",
        "http_api" | "rpc.ping" => "Server API",
        "store" => "Storage",
        "shutdown" => "Shutdown",
        _ => "Channels",
    }
}
