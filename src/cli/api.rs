//! `ringway api`: calls a running node from a shell, with the key and the address that `serve` would use.
//! Invariant: what a call answers goes to standard output, as JSON; whatever keeps it from a result goes to standard error
//! with its meaning, and makes the status 1. The key is never on a command line, where every user of a machine could see it.

mod exchange;
mod meaning;
mod params;

use super::paint::Paint;
use super::{environment, say};
use crate::config::Config;
use crate::fatal::Fatal;
use exchange::{Address, Answer, CallError};
use params::Params;
use serde_json::Value;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct ApiArguments {
    /// What to call: publish, broadcast, presence, history, channels, info, disconnect and others
    #[arg(value_name = "METHOD")]
    method: String,
    #[command(flatten)]
    params: Params,
    /// Where the node serves its API [default: its internal port, as configured]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Configuration of the node: its address and its key
    #[arg(long, value_name = "FILE", env = "RINGWAY_CONFIG")]
    config: Option<PathBuf>,
    /// File with the key and nothing else [default: http_api.key, as configured]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

pub const EXAMPLES: &str = "\
The key comes from --key-file, the environment (RINGWAY_HTTP_API_KEY) or the configuration.

Examples:
  ringway api info
  ringway api publish --channel news --data '{\"text\":\"hello\"}'
  ringway api broadcast --channel news --channel alerts --data hello
  ringway api presence --channel chat:1
  ringway api history --channel chat:1 --limit 10
  ringway api channels --pattern 'chat:*'
  ringway api disconnect --user 42
  ringway api publish_event --channel orders --type order.paid --source shop --data '{\"id\":7}'
  ringway api batch '{\"commands\":[{\"publish\":{\"channel\":\"a\",\"data\":1}},{\"info\":{}}]}'";

/// What keeps a call from a result.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("{0}")]
    Params(String),
    #[error("cannot read {0}: {1}")]
    KeyFile(PathBuf, std::io::Error),
    #[error(transparent)]
    Call(#[from] CallError),
}

pub fn run(arguments: &ApiArguments) -> Result<ExitCode, Fatal> {
    let (config, _) = Config::load(arguments.config.as_deref(), environment(), [])?;
    let done = call(arguments, &config);
    let paint = Paint::stderr();
    let complain = |text: String| _ = writeln!(std::io::stderr(), "{} {text}", paint.bad("error:"));
    match done {
        Ok(Answer { status: 200, reason, body }) => {
            let Ok(value) = serde_json::from_str::<Value>(&body) else {
                say(&body);
                return Ok(ExitCode::SUCCESS);
            };
            if let Some(error) = value.get("error") {
                complain(meaning::of_error(error, reason.as_deref()));
                return Ok(ExitCode::FAILURE);
            }
            let shown = value.get("result").unwrap_or(&value);
            say(&format!("{shown:#}\n"));
            Ok(if meaning::has_failed_part(shown) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        Ok(Answer { status, body, .. }) => {
            complain(meaning::of_status(status, &body));
            Ok(ExitCode::FAILURE)
        }
        Err(failed) => {
            complain(failed.to_string());
            Ok(ExitCode::FAILURE)
        }
    }
}

fn call(arguments: &ApiArguments, config: &Config) -> Result<Answer, Failed> {
    let body = arguments.params.body().map_err(Failed::Params)?;
    let address = match &arguments.url {
        Some(url) => Address::parse(url)?,
        None => Address::of(config.listen.internal),
    };
    let key = match &arguments.key_file {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| Failed::KeyFile(path.clone(), error))?;
            text.trim().to_owned()
        }
        None => config.http_api.key.expose().to_owned(),
    };
    Ok(exchange::call(&address, &arguments.method, &key, &body)?)
}
