//! From the command line to a verdict and an exit status.

pub mod flags;
pub mod units;

use crate::{ab, compare, scenario, worker};

use clap::Parser;
use flags::{Cli, Command};
use std::process::ExitCode;

/// A proof failed, or a threshold was crossed.
const EXIT_FAILED: u8 = 1;
/// The run could not take place.
const EXIT_IMPOSSIBLE: u8 = 2;

pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let verdict = match cli.command {
        Command::Worker => return worker::run(),
        Command::Idle(flags) => scenario::idle::run(&flags).map_err(Box::from),
        Command::Echo(flags) => scenario::echo::run(&flags).map_err(Box::from),
        Command::Fanout(flags) => scenario::fanout::run(&flags).map_err(Box::from),
        Command::Chat(flags) => scenario::chat::run(&flags).map_err(Box::from),
        Command::Storm(flags) => scenario::storm::run(&flags).map_err(Box::from),
        Command::Handshakes(flags) => scenario::handshakes::run(&flags).map_err(Box::from),
        Command::Compare(flags) => compare::run(&flags).map_err(Box::from),
        Command::Ab(flags) => ab::run(&flags).map_err(Box::from),
    };
    exit(verdict)
}

fn exit(verdict: Result<bool, Box<dyn std::error::Error>>) -> ExitCode {
    match verdict {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_FAILED),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(EXIT_IMPOSSIBLE)
        }
    }
}
