//! The figures that two runs can be compared by.

use crate::report::run::{Delivery, Latency, Run};
use crate::report::units;

pub struct Metric {
    pub name: &'static str,
    pub value: fn(&Run) -> Option<f64>,
    pub show: fn(f64) -> String,
}

/// In the order of the table.
pub static METRICS: &[Metric] = &[
    metric("p50", |run| latency(run, |latency| latency.p50_ns), units::nanos),
    metric("p75", |run| latency(run, |latency| latency.p75_ns), units::nanos),
    metric("p90", |run| latency(run, |latency| latency.p90_ns), units::nanos),
    metric("p95", |run| latency(run, |latency| latency.p95_ns), units::nanos),
    metric("p99", |run| latency(run, |latency| latency.p99_ns), units::nanos),
    metric("p99.9", |run| latency(run, |latency| latency.p999_ns), units::nanos),
    metric("p99.99", |run| latency(run, |latency| latency.p9999_ns), units::nanos),
    metric("max", |run| latency(run, |latency| latency.max_ns), units::nanos),
    metric("mean", |run| run.latency.as_ref()?.mean_ns, units::nanos),
    metric("sent_rate", |run| Some(run.load.as_ref()?.sent_per_s), units::count),
    metric("received_rate", |run| Some(run.load.as_ref()?.received_per_s), units::count),
    metric("cpu_per_delivery", |run| run.server.as_ref()?.cpu_per_delivery_us, micros),
    metric("cpu_user_per_delivery", |run| run.server.as_ref()?.cpu_user_per_delivery_us, micros),
    metric("cpu_system_per_delivery", |run| run.server.as_ref()?.cpu_system_per_delivery_us, micros),
    metric("cpu_per_message", |run| run.server.as_ref()?.cpu_per_message_us, micros),
    metric("cpu_cores", |run| Some(run.server.as_ref()?.cpu_cores), units::three),
    metric("machine_cpu_cores", |run| run.server.as_ref()?.machine_cpu_cores, units::three),
    metric("rss_per_connection", |run| run.memory.as_ref()?.rss_per_connection_bytes, units::bytes),
    metric("private_per_connection", |run| run.memory.as_ref()?.private_per_connection_bytes, units::bytes),
    metric("slab_per_connection", |run| run.memory.as_ref()?.slab_per_connection_bytes, units::bytes),
    metric("rss_after_burst", |run| run.memory.as_ref()?.rss_per_connection_after_burst_bytes, units::bytes),
    metric("connect_p50", |run| connect(run, |latency| latency.p50_ns), units::nanos),
    metric("connect_p99", |run| connect(run, |latency| latency.p99_ns), units::nanos),
    metric("connect_time", |run| Some(run.connect.elapsed_s), seconds),
    metric("storm_time", |run| run.storm.as_ref()?.all_back_s, seconds),
    metric("lost", |run| delivery(run, |delivery| delivery.lost), units::count),
    metric("duplicated", |run| delivery(run, |delivery| delivery.duplicated), units::count),
    metric("reordered", |run| delivery(run, |delivery| delivery.reordered), units::count),
];

const fn metric(name: &'static str, value: fn(&Run) -> Option<f64>, show: fn(f64) -> String) -> Metric {
    Metric { name, value, show }
}

fn latency(run: &Run, figure: fn(&Latency) -> Option<u64>) -> Option<f64> {
    figure(run.latency.as_ref()?).map(|nanos| nanos as f64)
}

fn connect(run: &Run, figure: fn(&Latency) -> Option<u64>) -> Option<f64> {
    figure(run.connect.latency.as_ref()?).map(|nanos| nanos as f64)
}

fn delivery(run: &Run, figure: fn(&Delivery) -> u64) -> Option<f64> {
    run.delivery.as_ref().map(|delivery| figure(delivery) as f64)
}

fn micros(micros: f64) -> String {
    units::nanos(micros * 1e3)
}

fn seconds(seconds: f64) -> String {
    units::nanos(seconds * 1e9)
}

/// By name.
pub fn find(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn every_metric_of_a_full_run_has_a_value_and_a_name_of_its_own() {
        let run = sample::run();
        for metric in METRICS {
            assert!((metric.value)(&run).is_some(), "{}", metric.name);
            assert!(std::ptr::eq(find(metric.name).unwrap(), metric), "{}", metric.name);
        }
    }
}
