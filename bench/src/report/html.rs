//! `report.html`: one self-contained page of a run. Opens offline, in light and in dark, without a script.

use super::charts::{self, Named};
use super::run::{Latency, Run};
use super::units::{bytes, count, nanos, three};
use std::fmt::{Display, Write};

/// The page of one run.
pub fn page(run: &Run) -> String {
    let mut body = String::new();
    // Writing to a string cannot fail.
    let _ = write_body(&mut body, run);
    frame(&format!("{} - ringway-bench", run.id), &body)
}

/// A whole document around `body`.
pub fn frame(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{}</title>\
         <style>\n{}</style></head><body><main>{body}</main></body></html>\n",
        escape(title),
        include_str!("page.css"),
    )
}

pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn write_body(out: &mut String, run: &Run) -> std::fmt::Result {
    write!(out, "<h1>{}</h1>", escape(&run.label))?;
    write!(
        out,
        "<p class=\"sub\">{} &middot; {} on {}</p>",
        run.started,
        run.setup.scenario,
        escape(&run.setup.url)
    )?;
    verdict(out, run)?;
    tiles(out, run)?;
    if run.latency.is_some() {
        card(
            out,
            "Latency by percentile",
            &charts::spectrum(&[Named { name: run.label.clone(), colour: 0, run }]),
        )?;
        latency_table(out, run)?;
    }
    if !run.series.is_empty() {
        card(out, "Throughput", &charts::throughput(run))?;
        card(out, "Latency over time", &charts::latency_series(run))?;
    }
    if run.series.iter().any(|point| point.server_rss_bytes.is_some()) {
        card(out, "Server CPU", &charts::server_cpu(run))?;
        card(out, "Server memory", &charts::server_memory(run))?;
    }
    memory_table(out, run)?;
    details(out, run)
}

fn card(out: &mut String, title: &str, content: &str) -> std::fmt::Result {
    write!(out, "<section class=\"card\"><h2>{title}</h2>{content}</section>")
}

fn verdict(out: &mut String, run: &Run) -> std::fmt::Result {
    if let Some(delivery) = run.delivery.as_ref().filter(|_| run.verdict.ok) {
        let (delivered, publishers) = (delivery.delivered, run.setup.publishers);
        write!(
            out,
            "<p class=\"note good\">All {delivered} deliveries of {} messages from {publishers} publishers arrived \
             once and in order.</p>",
            delivery.published
        )?;
    }
    for reason in &run.verdict.reasons {
        write!(out, "<p class=\"note bad\">{}</p>", escape(reason))?;
    }
    for warning in &run.generator.warnings {
        write!(out, "<p class=\"note warn\">{}</p>", escape(warning))?;
    }
    Ok(())
}

fn tiles(out: &mut String, run: &Run) -> std::fmt::Result {
    let latency = run.latency.as_ref();
    let load = run.load.as_ref();
    let server = run.server.as_ref();
    let memory = run.memory.as_ref();
    let micros = |figure: Option<f64>| figure.map(|us| nanos(us * 1e3));
    let tiles: [(&str, Option<String>); 10] = [
        ("connections", Some(run.connect.established.to_string())),
        ("sent per second", load.map(|load| count(load.sent_per_s))),
        ("received per second", load.map(|load| count(load.received_per_s))),
        ("median latency", latency.and_then(|latency| latency.p50_ns).map(|ns| nanos(ns as f64))),
        ("99 % below", latency.and_then(|latency| latency.p99_ns).map(|ns| nanos(ns as f64))),
        ("99.9 % below", latency.and_then(|latency| latency.p999_ns).map(|ns| nanos(ns as f64))),
        ("server CPU per delivery", micros(server.and_then(|server| server.cpu_per_delivery_us))),
        ("server cores busy", server.map(|server| three(server.cpu_cores))),
        ("memory per connection", memory.and_then(|memory| memory.rss_per_connection_bytes).map(bytes)),
        (
            "all back after a storm",
            run.storm.as_ref().and_then(|storm| storm.all_back_s).map(|s| nanos(s * 1e9)),
        ),
    ];
    write!(out, "<div class=\"tiles\">")?;
    for (name, figure) in tiles {
        if let Some(figure) = figure {
            write!(out, "<div class=\"tile\"><b>{figure}</b><span>{name}</span></div>")?;
        }
    }
    write!(out, "</div>")
}

fn latency_table(out: &mut String, run: &Run) -> std::fmt::Result {
    let storm = run.storm.as_ref().and_then(|storm| storm.latency.as_ref());
    let rows = [
        ("delivery", run.latency.as_ref()),
        ("connect", run.connect.latency.as_ref()),
        ("reconnect", storm),
        ("late sends", run.generator.lateness.as_ref()),
    ];
    let mut table =
        "<table><tr><th>latency</th><th>p50</th><th>p90</th><th>p99</th><th>p99.9</th><th>p99.99</th>\
                     <th>max</th><th>samples</th></tr>"
            .to_owned();
    for (name, latency) in rows {
        if let Some(latency) = latency {
            write!(table, "<tr><td>{name}</td>")?;
            for figure in figures(latency) {
                write!(table, "<td>{}</td>", figure.map_or("&ndash;".into(), |ns| nanos(ns as f64)))?;
            }
            write!(table, "<td>{}</td></tr>", latency.count)?;
        }
    }
    write!(table, "</table>")?;
    write!(out, "<section class=\"card\">{table}</section>")
}

fn figures(latency: &Latency) -> [Option<u64>; 6] {
    [latency.p50_ns, latency.p90_ns, latency.p99_ns, latency.p999_ns, latency.p9999_ns, latency.max_ns]
}

fn memory_table(out: &mut String, run: &Run) -> std::fmt::Result {
    let Some(memory) = &run.memory else { return Ok(()) };
    let mut table =
        "<table><tr><th>step</th><th>connections</th><th>resident</th><th>proportional</th><th>private</th>\
                     <th>kernel slab, whole machine</th><th>idle CPU</th></tr>"
            .to_owned();
    for step in &memory.steps {
        let [rss, pss, private] =
            [step.rss_bytes, step.pss_bytes, step.private_bytes].map(|figure| bytes(figure as f64));
        let slab = step.slab_bytes.map_or("&ndash;".into(), |figure| bytes(figure as f64));
        let cpu = step.idle_cpu_cores.map_or("&ndash;".into(), |cores| format!("{:.2} %", cores * 100.0));
        write!(
            table,
            "<tr><td>{}</td><td>{}</td><td>{rss}</td><td>{pss}</td><td>{private}</td><td>{slab}</td><td>{cpu}</td></tr>",
            escape(&step.name),
            step.connections
        )?;
    }
    write!(table, "</table>")?;
    card(out, "Server memory by step", &table)
}

fn details(out: &mut String, run: &Run) -> std::fmt::Result {
    let mut table = "<table>".to_owned();
    let environment = &run.environment;
    row(&mut table, "command", &run.command.join(" "))?;
    row(&mut table, "commit", &commit(run))?;
    row(&mut table, "kernel", &environment.kernel)?;
    row(&mut table, "CPU", &environment.cpu_model.clone().unwrap_or_else(|| "unknown".into()))?;
    row(&mut table, "cores online", &environment.cores_online)?;
    row(
        &mut table,
        "memory",
        &environment.memory_bytes.map_or("unknown".into(), |total| bytes(total as f64)),
    )?;
    row(&mut table, "governor", &environment.governor.clone().unwrap_or_else(|| "unknown".into()))?;
    row(&mut table, "descriptor limit", &environment.descriptor_limit)?;
    for (name, value) in &environment.tuning {
        row(&mut table, name, value)?;
    }
    write!(table, "</table>")?;
    card(out, "Environment", &table)
}

fn commit(run: &Run) -> String {
    let commit = run.environment.git_commit.clone().unwrap_or_else(|| "unknown".into());
    if run.environment.git_dirty == Some(true) { format!("{commit} with local changes") } else { commit }
}

fn row(out: &mut String, name: &str, value: &impl Display) -> std::fmt::Result {
    write!(out, "<tr><td>{name}</td><td class=\"text\"><code>{}</code></td></tr>", escape(&value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_page_needs_nothing_from_outside() {
        let page = page(&sample::run());
        for outside in ["http://", "https://", "src=", "@import", "<script", "url("] {
            let found = page.find(outside).map(|at| &page[at.saturating_sub(40)..(at + 40).min(page.len())]);
            assert_eq!(found, None, "{outside}");
        }
        assert!(page.contains("<polyline") && page.contains("prefers-color-scheme: dark"));
    }

    #[test]
    fn text_of_others_cannot_become_markup() {
        let mut run = sample::run();
        run.label = "<img>".into();
        run.command = vec!["\"><u>".into()];
        let page = page(&run);
        assert!(!page.contains("<img>") && !page.contains("\"><u>"));
    }
}
