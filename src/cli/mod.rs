//! The command line: what to run, how to say what went wrong, and with which status to end.
//! Invariant: the flags of `serve` are those of the option table, and each `Fatal` ends in its own exit code.

mod api;
pub mod banner;
mod check_config;
mod doctor;
mod errors;
mod flags;
mod init_config;
pub mod paint;
mod papers;
mod token;

use crate::config::Config;
use crate::fatal::Fatal;
use crate::server::{self, Sources};
use crate::sys::probe::kernel_release;
use api::ApiArguments;
use check_config::CheckConfigArguments;
use clap::{CommandFactory, Parser, Subcommand};
use doctor::DoctorArguments;
use errors::ErrorsArguments;
use flags::ServeArguments;
use init_config::InitConfigArguments;
use paint::Paint;
use papers::{CompletionsArguments, ManArguments};
use std::io::Write as _;
use std::process::ExitCode;
use token::TokenArguments;

/// Ringway: a real-time edge server for Linux, one pinned io_uring executor per core.
#[derive(Debug, Parser)]
#[command(name = "ringway", version, arg_required_else_help = true, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server; without a configuration in development mode, on 127.0.0.1:8080
    #[command(after_help = flags::EXAMPLES)]
    Serve(Box<ServeArguments>),
    /// Look this machine over: kernel, io_uring, limits, sysctls, ports, and the command that mends each
    Doctor(DoctorArguments),
    /// Check a configuration, and print what differs from the defaults
    CheckConfig(CheckConfigArguments),
    /// Print a configuration with every option in it, commented out, at its default
    InitConfig(InitConfigArguments),
    /// Explain the codes that clients see: what they mean, who is to blame, what to do
    Errors(ErrorsArguments),
    /// Print what a shell needs to complete our commands and flags
    Completions(CompletionsArguments),
    /// Write manual pages
    Man(ManArguments),
    /// Make a token for a client, or check one
    #[command(after_help = token::EXAMPLES)]
    Token(Box<TokenArguments>),
    /// Call the server API of a running node
    #[command(after_help = api::EXAMPLES)]
    Api(Box<ApiArguments>),
    /// Print the version, the commit and the running kernel
    Version,
}

const EXAMPLES: &str = "\
Examples:
  ringway serve                                try it: http://localhost:8080/
  ringway serve --config /etc/ringway.toml     run it
  ringway init-config /etc/ringway.toml        every option, to be edited
  ringway check-config /etc/ringway.toml       before a restart or a reload (SIGHUP)
  ringway errors 3008                          what a code means and what to do
  ringway doctor                               before ten thousand connections
  ringway token --user 42                      a token that a client can connect with
  ringway api info                             what a running node carries

Exit status: 0 stopped in order, 1 the doctor found a failure, a call failed or a token is refused, 2 the configuration or the command line is wrong, \
3 and up something that the machine refuses, as the message says.";

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(arguments) => verdict(serve(*arguments)),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::CheckConfig(arguments) => verdict(check_config::run(&arguments)),
        Command::InitConfig(arguments) => verdict(init_config::run(&arguments)),
        Command::Errors(arguments) => errors::run(&arguments),
        Command::Completions(arguments) => papers::completions(&arguments),
        Command::Man(arguments) => verdict(papers::man(&arguments)),
        Command::Token(arguments) => token::run(*arguments).unwrap_or_else(|fatal| verdict(Err(fatal))),
        Command::Api(arguments) => api::run(&arguments).unwrap_or_else(|fatal| verdict(Err(fatal))),
        Command::Version => {
            say(&format!("{}\n", version()));
            ExitCode::SUCCESS
        }
    }
}

/// The whole command line as clap sees it, for documents and completions.
pub fn command() -> clap::Command {
    Arguments::command()
}

fn serve(arguments: ServeArguments) -> Result<(), Fatal> {
    let ServeArguments { config, ready_file, flags } = arguments;
    let (loaded, warnings) = Config::load(config.as_deref(), environment(), flags.iter().cloned())?;
    let sources = config.map(|file| Sources { file, flags });
    server::run(&Config { ready_file, ..loaded }, &warnings, sources)
}

fn version() -> String {
    let commit =
        option_env!("RINGWAY_COMMIT").map_or_else(String::new, |commit| format!("commit {commit}, "));
    format!("ringway {} ({commit}Linux {})", env!("CARGO_PKG_VERSION"), kernel_release())
}

fn verdict(done: Result<(), Fatal>) -> ExitCode {
    let Err(fatal) = done else { return ExitCode::SUCCESS };
    let paint = Paint::stderr();
    let _ = writeln!(
        std::io::stderr(),
        "{} {fatal}\n{} {}",
        paint.bad("error:"),
        paint.good("fix:"),
        fatal.fix()
    );
    ExitCode::from(fatal.exit_code())
}

/// Variables that are not UTF-8 cannot be ours.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// A reader that has gone away, as in `ringway doctor | head`, is no reason to complain.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests;
