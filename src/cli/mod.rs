//! The command line.
//! Invariant: the flags of `serve` are those of the option table, no more and no fewer, but for the file that they amend.

pub mod banner;
mod flags;
pub mod paint;

use crate::config::Config;
use crate::fatal::Fatal;
use crate::server;
use clap::{Parser, Subcommand};
use flags::ServeArguments;
use std::process::ExitCode;

/// A real-time edge server for Linux.
#[derive(Debug, Parser)]
#[command(name = "ringway", version, arg_required_else_help = true, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(ServeArguments),
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Serve(arguments) => serve(arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fatal) => report(&fatal),
    }
}

fn serve(arguments: ServeArguments) -> Result<(), Fatal> {
    let (mut config, warnings) =
        Config::load(arguments.config.as_deref(), std::env::vars(), arguments.flags)?;
    config.ready_file = arguments.ready_file;
    server::run(config, warnings)
}

fn report(fatal: &Fatal) -> ExitCode {
    eprintln!("error: {fatal}\nfix: {}", fatal.fix());
    ExitCode::from(fatal.exit_code())
}
