//! Runs side by side: a table, overlaid plots, and thresholds that set the exit status.

mod metric;
mod page;
mod sides;
mod table;
mod threshold;

use crate::cli::flags::CompareFlags;
use crate::report::run::{Run, SCHEMA, VERSION};
use crate::report::{self, ReportError};
use sides::Side;
use std::io::Write;
use std::path::{Path, PathBuf};
use threshold::{Threshold, ThresholdError};

#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    #[error(transparent)]
    Threshold(#[from] ThresholdError),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error("cannot read {path}: {error}")]
    Read { path: PathBuf, error: std::io::Error },
    #[error("{path} is no run.json of this program: {reason}")]
    Foreign { path: PathBuf, reason: String },
    #[error(
        "--fail-if {0:?} cannot be judged: a run has no such figure (too few samples, or no --server-pid)"
    )]
    Unknown(String),
}

/// What to do with a comparison.
pub struct Wishes<'a> {
    pub fail_if: &'a [String],
    pub html: Option<PathBuf>,
    pub json: bool,
}

pub fn run(flags: &CompareFlags) -> Result<bool, CompareError> {
    check_thresholds(&flags.fail_if)?;
    let runs = flags.runs.iter().map(|path| load(path)).collect::<Result<Vec<_>, _>>()?;
    let beside = flags.runs.last().map(|path| directory(path).join("compare.html"));
    let html = flags.html.clone().or(beside);
    compare(runs, &Wishes { fail_if: &flags.fail_if, html, json: flags.json })
}

/// Whether all thresholds can be understood.
pub fn check_thresholds(texts: &[String]) -> Result<(), CompareError> {
    texts.iter().try_for_each(|text| Threshold::parse(text).map(|_| ()).map_err(CompareError::from))
}

/// Compares runs that are in memory. False when a threshold was crossed.
pub fn compare(runs: Vec<Run>, wishes: &Wishes<'_>) -> Result<bool, CompareError> {
    let thresholds: Vec<Threshold> =
        wishes.fail_if.iter().map(|text| Threshold::parse(text)).collect::<Result<_, _>>()?;
    let sides = sides::sides(runs);
    eprint!("{}", table::text(&sides));
    if let Some(path) = &wishes.html {
        report::write(path, page::page(&sides).as_bytes())?;
        eprintln!("plots     {}", path.display());
    }
    let crossed = crossed(&sides, &thresholds)?;
    for line in &crossed {
        eprintln!("FAILED    {line}");
    }
    if wishes.json {
        let json = serde_json::to_string_pretty(&table::json(&sides, &crossed)).map_err(ReportError::from)?;
        // Whoever closed the pipe wants no more.
        let _ = writeln!(std::io::stdout(), "{json}");
    }
    Ok(crossed.is_empty())
}

/// The thresholds that a later side crosses, in words.
fn crossed(sides: &[Side], thresholds: &[Threshold]) -> Result<Vec<String>, CompareError> {
    let Some((base, later)) = sides.split_first() else { return Ok(Vec::new()) };
    let mut crossed = Vec::new();
    for threshold in thresholds {
        for side in later {
            let ratio = side.ratio(base, threshold.metric);
            let ratio = ratio.ok_or_else(|| CompareError::Unknown(threshold.text.clone()))?.median;
            if threshold.holds(ratio) {
                crossed.push(format!("{}: {} is {ratio:.3}", threshold.text, side.name));
            }
        }
    }
    Ok(crossed)
}

/// A run.json, or the directory that holds it.
pub fn load(path: &Path) -> Result<Run, CompareError> {
    let file = if path.is_dir() { path.join("run.json") } else { path.to_owned() };
    let text =
        std::fs::read_to_string(&file).map_err(|error| CompareError::Read { path: file.clone(), error })?;
    parse(&text).map_err(|reason| CompareError::Foreign { path: file, reason })
}

/// Also for a run that came over a pipe.
pub fn parse(text: &str) -> Result<Run, String> {
    let run: Run = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if run.schema != SCHEMA || run.version != VERSION {
        return Err(format!("its schema is {:?} version {}", run.schema, run.version));
    }
    Ok(run)
}

fn directory(path: &Path) -> PathBuf {
    if path.is_dir() { path.to_owned() } else { path.parent().unwrap_or(Path::new(".")).to_owned() }
}
