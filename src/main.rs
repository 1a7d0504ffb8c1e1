//! The `ringway` binary: hands the command line to `cli` and its verdict to the shell.

use std::process::ExitCode;

fn main() -> ExitCode {
    ringway::cli::run()
}
