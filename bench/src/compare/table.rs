//! A comparison as text and as JSON.

use super::metric::{METRICS, Metric};
use super::sides::{Side, Spread};
use serde_json::{Value, json};
use std::fmt::Write;

/// Figures of the sides, and their ratios to the first, for people.
pub fn text(sides: &[Side]) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_text(&mut out, sides);
    out
}

fn write_text(out: &mut String, sides: &[Side]) -> std::fmt::Result {
    let rows = rows(sides);
    let Some(first) = rows.first() else { return writeln!(out, "nothing that both sides have measured") };
    let widths: Vec<usize> = (0..first.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    writeln!(out)?;
    for row in &rows {
        for ((cell, width), column) in row.iter().zip(&widths).zip(0..) {
            // Names to the left, figures to the right.
            if column == 0 { write!(out, "{cell:<width$}")? } else { write!(out, "  {cell:>width$}")? }
        }
        writeln!(out)?;
    }
    writeln!(out)
}

/// The header and one row for each metric that every side has.
pub fn rows(sides: &[Side]) -> Vec<Vec<String>> {
    let Some((base, later)) = sides.split_first() else { return Vec::new() };
    let name = |side: &Side| match side.runs.len() {
        1 => side.name.clone(),
        count => format!("{} ({count} runs)", side.name),
    };
    let mut header = vec!["metric".to_owned(), name(base)];
    for side in later {
        header.extend([name(side), "ratio".to_owned(), "min .. max".to_owned()]);
    }
    let row = |metric: &Metric| {
        let mut row = vec![metric.name.to_owned(), (metric.show)(base.spread(metric)?.median)];
        for side in later {
            let ratio = side.ratio(base, metric)?;
            row.extend([
                (metric.show)(side.spread(metric)?.median),
                format!("{:.3}", ratio.median),
                format!("{:.3} .. {:.3}", ratio.min, ratio.max),
            ]);
        }
        Some(row)
    };
    std::iter::once(header).chain(METRICS.iter().filter_map(row)).collect()
}

/// The same for programs.
pub fn json(sides: &[Side], crossed: &[String]) -> Value {
    let spread =
        |spread: Option<Spread>| spread.map(|s| json!({"median": s.median, "min": s.min, "max": s.max}));
    let side = |side: &Side| {
        let runs: Vec<_> = side.runs.iter().map(|run| run.id.as_str()).collect();
        let values: serde_json::Map<_, _> = METRICS
            .iter()
            .map(|metric| (metric.name.to_owned(), json!(spread(side.spread(metric)))))
            .collect();
        let ratios: serde_json::Map<_, _> = METRICS
            .iter()
            .map(|metric| (metric.name.to_owned(), json!(spread(side.ratio(&sides[0], metric)))))
            .collect();
        json!({"name": side.name, "runs": runs, "values": values, "ratios_to_first": ratios})
    };
    json!({
        "schema": "ringway-bench/compare",
        "version": 1,
        "sides": sides.iter().map(side).collect::<Vec<_>>(),
        "failed": crossed,
    })
}
