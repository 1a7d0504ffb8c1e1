//! A comparison as a page: the spectra and the throughput over each other, and the table.

use super::sides::Side;
use super::table;
use crate::report::charts::{self, Named};
use crate::report::html::{escape, frame};

pub fn page(sides: &[Side]) -> String {
    let runs: Vec<Named<'_>> = sides
        .iter()
        .zip(0..)
        .flat_map(|(side, colour)| {
            side.runs.iter().map(move |run| Named { name: side.name.clone(), colour, run })
        })
        .collect();
    let names: Vec<_> = sides.iter().map(|side| side.name.as_str()).collect();
    let title = names.join(" against ");
    let setup = sides.first().and_then(|side| side.runs.first()).map(|run| run.command.join(" "));
    let body = format!(
        "<h1>{}</h1><p class=\"sub\"><code>{}</code></p>\
         <section class=\"card\"><h2>Latency by percentile</h2>{}</section>\
         <section class=\"card\"><h2>Deliveries per second</h2>{}</section>\
         <section class=\"card\"><h2>Figures</h2>{}</section>\
         <p class=\"sub\">Ratios are to the first column: the median over the runs, with the smallest and the largest.</p>",
        escape(&title),
        escape(&setup.unwrap_or_default()),
        charts::spectrum(&runs),
        charts::throughputs(&runs),
        figures(sides),
    );
    frame(&title, &body)
}

fn figures(sides: &[Side]) -> String {
    let mut out = "<table>".to_owned();
    for (row, number) in table::rows(sides).iter().zip(0..) {
        let tag = if number == 0 { "th" } else { "td" };
        let cells: Vec<_> = row.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect();
        out.push_str("<tr>");
        out.push_str(&cells.concat());
        out.push_str("</tr>");
    }
    out.push_str("</table>");
    out
}
