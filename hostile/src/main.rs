//! The command line of the hostile peers. Exit status: 0 no row failed, 1 one did, 2 it could not be run.

use clap::Parser;
use ringway_hostile::clock;
use ringway_hostile::report::{self, Count};
use ringway_hostile::row::{self, Row};
use ringway_hostile::run::{self, Options};
use ringway_hostile::target::{Known, Target};
use ringway_hostile::tls::Trust;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Hostile peers for a WebSocket server that echoes: raw bytes in, and what the RFCs oblige it to answer.
///
/// A row passes, differs (where servers may, with the reason why) or FAILS. The server must echo on the given path.
#[derive(Debug, Parser)]
#[command(name = "ringway-hostile", version, max_term_width = 120)]
struct Flags {
    /// Server under test, such as ws://127.0.0.1:8080/echo or wss://...; may be given several times.
    #[arg(long, value_name = "URL", required_unless_present = "list")]
    target: Vec<String>,
    /// Rows whose id begins so, such as F or H-1; may be given several times.
    #[arg(long, value_name = "ID")]
    only: Vec<String>,
    /// Rows up to this priority: 0 for what no server should be released without, 1 for all.
    #[arg(long, value_name = "N", default_value_t = 1)]
    priority: u8,
    /// Takes the rows from the *.toml files of this folder, in the place of those that come with the program.
    #[arg(long, value_name = "DIR")]
    rows: Option<PathBuf>,
    /// Where the RFCs leave a choice, only that of the rows passes.
    #[arg(long)]
    exact: bool,
    /// Believes the authorities in this PEM file, in the place of those of the machine.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Believes every certificate.
    #[arg(long, conflicts_with = "ca")]
    insecure: bool,
    /// Plays every row over permessage-deflate: connections offer it, and messages are packed.
    #[arg(long)]
    deflate: bool,
    /// Largest message that the server takes; without it rows about that limit are skipped.
    #[arg(long, value_name = "BYTES")]
    message_limit: Option<u64>,
    /// Time that the server gives a request head; without it rows about that are skipped.
    #[arg(long, value_name = "TIME", value_parser = clock::duration)]
    handshake_timeout: Option<Duration>,
    /// Time that the server gives a message from its first byte to its last; without it rows about that are skipped.
    #[arg(long, value_name = "TIME", value_parser = clock::duration)]
    message_timeout: Option<Duration>,
    /// Time that the server gives a client of the client protocol to connect; without it rows about that are skipped.
    #[arg(long, value_name = "TIME", value_parser = clock::duration)]
    stale_timeout: Option<Duration>,
    /// Path of the client protocol (Centrifugo's); rows about it are skipped where nobody speaks it.
    #[arg(long, value_name = "PATH", default_value = "/connection/websocket")]
    client_path: String,
    /// Metrics page of Ringway: figures have to move, and gauges to come back.
    #[arg(long, value_name = "URL")]
    metrics: Option<String>,
    /// Process of the server on this machine: descriptors have to come back, memory must not run away.
    #[arg(long)]
    pid: Option<u32>,
    /// Longest wait for one answer.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = clock::duration)]
    patience: Duration,
    /// The p99 of an honest client beside each attack has to keep --canary-budget.
    #[arg(long)]
    strict: bool,
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = clock::duration)]
    canary_budget: Duration,
    /// One JSON document a target, in the place of tables.
    #[arg(long)]
    json: bool,
    /// Shows the rows and ends.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    match act(&Flags::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "ringway-hostile: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether no row failed.
fn act(flags: &Flags) -> Result<bool, Box<dyn std::error::Error>> {
    let rows = match &flags.rows {
        Some(folder) => row::of_folder(folder)?,
        None => row::embedded()?,
    };
    let mut out = std::io::stdout().lock();
    if flags.list {
        for row in &rows {
            writeln!(out, "{:<6} {}  ({})", row.id, row.title, row.source)?;
        }
        return Ok(true);
    }
    let mut is_good = true;
    for url in &flags.target {
        is_good &= one(flags, url, &rows, &mut out)?;
    }
    Ok(is_good)
}

fn one(
    flags: &Flags,
    url: &str,
    rows: &[Row],
    out: &mut impl Write,
) -> Result<bool, Box<dyn std::error::Error>> {
    let known = Known {
        message_bytes: flags.message_limit,
        handshake: flags.handshake_timeout,
        message: flags.message_timeout,
        stale: flags.stale_timeout,
        client_path: Some(flags.client_path.clone()),
    };
    let trust = match &flags.ca {
        Some(file) => Trust::Authority(file.clone()),
        None if flags.insecure => Trust::Anybody,
        None => Trust::Machine,
    };
    let mut target = Target::new(url, &trust, known)?;
    target.deflate = flags.deflate;
    let options = Options {
        exact: flags.exact,
        only: flags.only.clone(),
        priority_max: flags.priority,
        patience: flags.patience,
        canary_budget: flags.strict.then_some(flags.canary_budget),
        metrics: flags.metrics.clone(),
        pid: flags.pid,
    };
    if !flags.json {
        writeln!(out, "{}", report::heading())?;
    }
    let outcomes = run::run(&mut target, rows, &options, |outcome| {
        if !flags.json {
            let _ = writeln!(out, "{}", report::line(outcome));
        }
    })?;
    if flags.json {
        writeln!(out, "{}", report::json(url, &outcomes)?)?;
    } else {
        writeln!(out, "\n{}", report::summary(url, &outcomes))?;
    }
    Ok(Count::of(&outcomes).failed == 0)
}
