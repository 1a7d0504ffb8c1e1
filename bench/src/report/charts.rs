//! The charts of a report: which figures go on which axes.

use super::run::{Point, Run};
use super::svg::{Axis, Scale, Series, chart};
use super::units::{count, nanos, three};

const SECONDS: Axis = Axis { title: "second", scale: Scale::Whole, label: |second| format!("{second:.0}") };
const NANOS: Axis = Axis { title: "latency", scale: Scale::Log, label: nanos };

/// A run in an overlay: runs of the same name share a colour.
pub struct Named<'a> {
    pub name: String,
    pub colour: usize,
    pub run: &'a Run,
}

/// Latency over percentile, of one run or of several over each other.
pub fn spectrum(runs: &[Named<'_>]) -> String {
    let x = Axis { title: "percentile", scale: Scale::Quantile, label: percentile };
    let series = |named: &Named<'_>| {
        let spectrum = named.run.latency.iter().flat_map(|latency| &latency.spectrum);
        Series {
            name: named.name.clone(),
            colour: named.colour,
            points: spectrum.map(|(quantile, value)| (*quantile, *value as f64)).collect(),
        }
    };
    chart(&x, &NANOS, &runs.iter().map(series).collect::<Vec<_>>())
}

pub fn throughput(run: &Run) -> String {
    let y = Axis { title: "messages per second", scale: Scale::Linear, label: count };
    let series = [
        over_time(run, "received", 0, |point| Some(point.received as f64)),
        over_time(run, "sent", 1, |point| Some(point.sent as f64)),
    ];
    chart(&SECONDS, &y, &series)
}

/// Deliveries of several runs over each other.
pub fn throughputs(runs: &[Named<'_>]) -> String {
    let y = Axis { title: "deliveries per second", scale: Scale::Linear, label: count };
    let series = |named: &Named<'_>| {
        over_time(named.run, &named.name, named.colour, |point| Some(point.received as f64))
    };
    chart(&SECONDS, &y, &runs.iter().map(series).collect::<Vec<_>>())
}

pub fn latency_series(run: &Run) -> String {
    let series = [
        over_time(run, "max", 1, |point| point.max_ns.map(|ns| ns as f64)),
        over_time(run, "p99", 2, |point| point.p99_ns.map(|ns| ns as f64)),
        over_time(run, "p50", 0, |point| point.p50_ns.map(|ns| ns as f64)),
    ];
    chart(&SECONDS, &NANOS, &series)
}

pub fn server_cpu(run: &Run) -> String {
    let y = Axis { title: "cores", scale: Scale::Linear, label: three };
    let total = |point: &Point| Some(point.server_cpu_user_cores? + point.server_cpu_system_cores?);
    let series = [
        over_time(run, "user and system", 0, total),
        over_time(run, "system", 1, |point| point.server_cpu_system_cores),
        over_time(run, "user", 2, |point| point.server_cpu_user_cores),
    ];
    chart(&SECONDS, &y, &series)
}

pub fn server_memory(run: &Run) -> String {
    const MIB: f64 = 1_048_576.0;
    let label = |mebibytes| format!("{} MiB", three(mebibytes));
    let y = Axis { title: "resident memory", scale: Scale::Linear, label };
    let resident = |point: &Point| Some(point.server_rss_bytes? as f64 / MIB);
    chart(&SECONDS, &y, &[over_time(run, "resident", 0, resident)])
}

fn over_time(run: &Run, name: &str, colour: usize, figure: fn(&Point) -> Option<f64>) -> Series {
    let points = run.series.iter().filter_map(|point| Some((f64::from(point.second) + 1.0, figure(point)?)));
    Series { name: name.to_owned(), colour, points: points.collect() }
}

/// 99.9 %, with as many digits as it has nines.
fn percentile(quantile: f64) -> String {
    let text = format!("{:.4}", quantile * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}
