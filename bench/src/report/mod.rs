//! What becomes of a finished run: `run.json`, `latency.hdr`, `report.html`, and a summary for people.

pub mod charts;
pub mod figures;
pub mod html;
mod interval_log;
mod latency;
pub mod run;
#[cfg(test)]
pub mod sample;
mod svg;
mod text;
pub mod units;

use crate::cli::flags::Common;
use crate::conductor::Measured;
use run::Run;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("cannot write {path}: {error}")]
    Write { path: PathBuf, error: std::io::Error },
    #[error("cannot write the results: {0}")]
    Json(#[from] serde_json::Error),
}

/// Stores the run, prints its summary, and hands `run.json` to whoever asked for it.
pub fn publish(run: &Run, measured: Option<&Measured>, common: &Common) -> Result<(), ReportError> {
    let json = serde_json::to_string_pretty(run)?;
    let directory = common.results.join(&run.id);
    if !common.no_results {
        store(run, &json, measured, &directory)?;
    }
    eprint!("{}", text::summary(run));
    if !common.no_results {
        eprintln!("results   {}", directory.display());
    }
    if common.json {
        // Whoever closed the pipe wants no more.
        let _ = writeln!(std::io::stdout(), "{json}");
    }
    Ok(())
}

fn store(run: &Run, json: &str, measured: Option<&Measured>, directory: &Path) -> Result<(), ReportError> {
    std::fs::create_dir_all(directory)
        .map_err(|error| ReportError::Write { path: directory.to_owned(), error })?;
    write(&directory.join("run.json"), json.as_bytes())?;
    write(&directory.join("report.html"), html::page(run).as_bytes())?;
    if let Some(measured) = measured {
        write(&directory.join("latency.hdr"), &interval_log::log(run, measured))?;
    }
    Ok(())
}

pub fn write(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    std::fs::write(path, bytes).map_err(|error| ReportError::Write { path: path.to_owned(), error })
}

/// A label as a part of a file name.
pub fn file_name(label: &str) -> String {
    let safe = |char: char| if char.is_ascii_alphanumeric() || "-_.".contains(char) { char } else { '-' };
    label.chars().map(safe).collect()
}
