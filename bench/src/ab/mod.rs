//! Two servers in turn, A B A B, under the same load, each started fresh: the ratios of a shared machine can be trusted
//! where its times cannot.
//!
//! Each measurement is this program run once more with the scenario's flags, so that nothing differs from a run by hand.

mod server;

use crate::cli::flags::AbFlags;
use crate::compare::{self, CompareError, Wishes};
use crate::plan::Protocol;
use crate::report::run::Run;
use crate::worker;
use server::{Server, ServerError};
use std::path::PathBuf;
use std::process::{Command, Stdio};

#[derive(Debug, thiserror::Error)]
pub enum AbError {
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Compare(#[from] CompareError),
    #[error("--pin-server leaves no CPU for the generator")]
    NoCore,
    #[error("the scenario needs a --url (with {{port}} for the server's port), or --url-a and --url-b")]
    NoUrl,
    #[error("cannot run the scenario: {0}")]
    Start(std::io::Error),
    #[error("round {round}, side {side}: the scenario could not run (see above)")]
    Scenario { round: u32, side: &'static str },
    #[error("round {round}, side {side}: {reason}")]
    Output { round: u32, side: &'static str, reason: String },
}

/// One of the two.
struct Side<'a> {
    name: &'static str,
    command: &'a str,
    url: Option<&'a str>,
    protocol: Option<Protocol>,
}

pub fn run(flags: &AbFlags) -> Result<bool, AbError> {
    let sides = [
        Side { name: "A", command: &flags.a, url: flags.url_a.as_deref(), protocol: flags.protocol_a },
        Side { name: "B", command: &flags.b, url: flags.url_b.as_deref(), protocol: flags.protocol_b },
    ];
    let cores = divide(flags)?;
    // A threshold that cannot be understood should not be found out after an hour.
    compare::check_thresholds(&flags.fail_if)?;
    let mut runs = Vec::new();
    for round in 1..=flags.rounds {
        for side in &sides {
            eprintln!("\nround {round} of {}, side {}: {}", flags.rounds, side.name, side.command);
            runs.push(measure(flags, side, round, &cores)?);
        }
    }
    let proved = runs.iter().all(|run| run.verdict.ok);
    let html = last_results(&flags.scenario, &runs);
    let within = compare::compare(runs, &Wishes { fail_if: &flags.fail_if, html, json: flags.json })?;
    Ok(proved && within)
}

/// CPUs of the server and of the generator; empty: wherever the kernel puts them.
struct Cores {
    all: Vec<u32>,
    server: Vec<u32>,
    generator: Vec<u32>,
}

fn divide(flags: &AbFlags) -> Result<Cores, AbError> {
    let all = worker::allowed_cores();
    let server = flags.pin_server.as_ref().map(|cores| cores.0.clone()).unwrap_or_default();
    let generator: Vec<u32> = all.iter().copied().filter(|core| !server.contains(core)).collect();
    if generator.is_empty() {
        return Err(AbError::NoCore);
    }
    Ok(Cores { all, server, generator })
}

fn measure(flags: &AbFlags, side: &Side<'_>, round: u32, cores: &Cores) -> Result<Run, AbError> {
    let pin = if cores.server.is_empty() { &cores.all } else { &cores.server };
    worker::pin(pin);
    let server = Server::start(side.command, flags.patience);
    worker::pin(&cores.generator);
    let mut server = server?;
    let arguments = arguments(&flags.scenario, side, &server)?;
    let program = std::env::current_exe().map_err(AbError::Start)?;
    let output =
        Command::new(program).args(&arguments).stderr(Stdio::inherit()).output().map_err(AbError::Start)?;
    server.stop(flags.patience)?;
    if output.stdout.is_empty() {
        return Err(AbError::Scenario { round, side: side.name });
    }
    compare::parse(&String::from_utf8_lossy(&output.stdout)).map_err(|reason| AbError::Output {
        round,
        side: side.name,
        reason,
    })
}

/// The scenario's flags, completed and made this side's.
fn arguments(scenario: &[String], side: &Side<'_>, server: &Server) -> Result<Vec<String>, AbError> {
    let (mut arguments, url) = without(scenario, "--url");
    let url = side.url.or(url.as_deref()).ok_or(AbError::NoUrl)?;
    arguments.extend(["--url".to_owned(), server.fill_in(url)]);
    if let Some(protocol) = side.protocol {
        arguments = without(&arguments, "--protocol").0;
        arguments.extend(["--protocol".to_owned(), protocol.name().to_owned()]);
    }
    let (mut arguments, label) = without(&arguments, "--label");
    let label = label.map_or(side.name.to_owned(), |label| format!("{label}-{}", side.name));
    arguments.retain(|argument| argument != "--json");
    arguments.extend(["--label".to_owned(), label, "--json".to_owned()]);
    arguments.extend(["--server-pid".to_owned(), server.pid().to_string()]);
    Ok(arguments)
}

/// Takes `--flag VALUE` or `--flag=VALUE` out.
fn without(arguments: &[String], flag: &str) -> (Vec<String>, Option<String>) {
    let (mut rest, mut value) = (Vec::new(), None);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == flag {
            value = arguments.next().cloned();
        } else if let Some(attached) = argument.strip_prefix(flag).and_then(|rest| rest.strip_prefix('=')) {
            value = Some(attached.to_owned());
        } else {
            rest.push(argument.clone());
        }
    }
    (rest, value)
}

/// Beside the results of the last run, if there are any.
fn last_results(scenario: &[String], runs: &[Run]) -> Option<PathBuf> {
    if scenario.iter().any(|argument| argument == "--no-results") {
        return None;
    }
    let results = without(scenario, "--results").1.unwrap_or_else(|| "results".into());
    Some(PathBuf::from(results).join(&runs.last()?.id).join("compare.html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn flags_are_taken_out_in_both_forms() {
        let (rest, value) = without(&words("echo --url ws://x --size 20"), "--url");
        assert_eq!((rest, value.as_deref()), (words("echo --size 20"), Some("ws://x")));
        let (rest, value) = without(&words("echo --url=ws://x --size 20"), "--url");
        assert_eq!((rest, value.as_deref()), (words("echo --size 20"), Some("ws://x")));
        assert_eq!(without(&words("echo --urls"), "--url"), (words("echo --urls"), None));
    }
}
