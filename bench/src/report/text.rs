//! The summary that a person reads on the terminal.

use super::run::{Latency, MemoryReport, Run, Setup};
use super::units::{bytes, count, nanos, three};
use std::fmt::Write;

pub fn summary(run: &Run) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_summary(&mut out, run);
    out
}

fn write_summary(out: &mut String, run: &Run) -> std::fmt::Result {
    let setup = &run.setup;
    writeln!(out)?;
    writeln!(
        out,
        "{}   {} connections, {}, {} on {}",
        run.label,
        setup.connections,
        talk(setup),
        setup.protocol,
        setup.url
    )?;
    connect_lines(out, run)?;
    load_lines(out, run)?;
    server_line(out, run)?;
    if let Some(memory) = &run.memory {
        memory_lines(out, memory)?;
    }
    if let Some(cores) = run.generator.cpu_cores_max {
        let per = micros(run.generator.cpu_per_delivery_us);
        writeln!(out, "generator {per} per delivery, busiest process {} cores", three(cores))?;
    }
    for warning in &run.generator.warnings {
        writeln!(out, "warning   {warning}")?;
    }
    for reason in &run.verdict.reasons {
        writeln!(out, "FAILED    {reason}")?;
    }
    Ok(())
}

/// Who sends what.
fn talk(setup: &Setup) -> String {
    let (publishers, size) = (setup.publishers, setup.size_bytes);
    match (setup.rate_per_publisher, setup.pipeline) {
        (Some(rate), _) => format!("{publishers} publishers, {} messages/s each, {size} B", three(rate)),
        (None, Some(pipeline)) => format!("closed loop, {pipeline} under way on each, {size} B"),
        (None, None) => "silent".into(),
    }
}

fn connect_lines(out: &mut String, run: &Run) -> std::fmt::Result {
    let connect = &run.connect;
    write!(out, "connect   {} in {} s", connect.established, three(connect.elapsed_s))?;
    writeln!(out, "{}{}", percentiles(connect.latency.as_ref()), times(connect.retries, "retries"))?;
    drops(out, connect.dropped)?;
    if let Some(storm) = &run.storm {
        let all = storm.all_back_s.map_or("not all".into(), |seconds| format!("all in {} s", three(seconds)));
        write!(out, "storm     {} back, {all}", storm.back)?;
        writeln!(out, "{}{}", percentiles(storm.latency.as_ref()), times(storm.retries, "retries"))?;
        drops(out, storm.dropped)?;
    }
    Ok(())
}

fn drops(out: &mut String, dropped: Option<u64>) -> std::fmt::Result {
    let Some(dropped) = dropped.filter(|dropped| *dropped > 0) else { return Ok(()) };
    writeln!(
        out,
        "          {dropped} attempts found the accept queue full and had to be repeated by TCP, a second later at the \
         earliest (net.core.somaxconn, and the server's backlog)"
    )
}

fn load_lines(out: &mut String, run: &Run) -> std::fmt::Result {
    if let Some(load) = &run.load {
        let (sent, received) = (count(load.sent_per_s), count(load.received_per_s));
        writeln!(out, "rate      {sent} sent/s, {received} received/s")?;
    }
    if let Some(latency) = &run.latency {
        latency_table(out, latency)?;
    }
    if let Some(delivery) = &run.delivery {
        writeln!(
            out,
            "delivery  {} of {} delivered, {} lost, {} duplicated, {} reordered",
            delivery.delivered, delivery.expected, delivery.lost, delivery.duplicated, delivery.reordered
        )?;
    }
    Ok(())
}

fn server_line(out: &mut String, run: &Run) -> std::fmt::Result {
    let Some(server) = &run.server else { return Ok(()) };
    let parts = server.cpu_user_per_delivery_us.zip(server.cpu_system_per_delivery_us);
    let parts = parts.map_or(String::new(), |(user, system)| {
        format!(" ({} user, {} system)", micros(Some(user)), micros(Some(system)))
    });
    writeln!(
        out,
        "server    {} per delivery{parts}, {} per message sent, {} cores busy",
        micros(server.cpu_per_delivery_us),
        micros(server.cpu_per_message_us),
        three(server.cpu_cores)
    )
}

fn micros(figure: Option<f64>) -> String {
    figure.map_or("-".into(), |micros| nanos(micros * 1e3))
}

fn times(times: u64, what: &str) -> String {
    if times == 0 { String::new() } else { format!(", {times} {what}") }
}

fn percentiles(latency: Option<&Latency>) -> String {
    let Some(latency) = latency else { return String::new() };
    let figure = |name: &str, nanoseconds: Option<u64>| {
        nanoseconds.map_or(String::new(), |value| format!(", {name} {}", nanos(value as f64)))
    };
    [figure("p50", latency.p50_ns), figure("p99", latency.p99_ns), figure("max", latency.max_ns)].concat()
}

/// Percentiles that have too few samples behind them show a dash.
fn latency_table(out: &mut String, latency: &Latency) -> std::fmt::Result {
    let columns = [
        ("p50", latency.p50_ns),
        ("p75", latency.p75_ns),
        ("p90", latency.p90_ns),
        ("p95", latency.p95_ns),
        ("p99", latency.p99_ns),
        ("p99.9", latency.p999_ns),
        ("p99.99", latency.p9999_ns),
        ("max", latency.max_ns),
    ];
    write!(out, "latency  ")?;
    for (name, _) in columns {
        write!(out, "{name:>10}")?;
    }
    write!(out, "\n         ")?;
    for (_, value) in columns {
        write!(out, "{:>10}", value.map_or("-".into(), |value| nanos(value as f64)))?;
    }
    writeln!(out, "   of {} samples", latency.count)
}

fn memory_lines(out: &mut String, memory: &MemoryReport) -> std::fmt::Result {
    let per = |figure: Option<f64>| figure.map_or("-".into(), bytes);
    if memory.rss_per_connection_bytes.is_some() {
        writeln!(
            out,
            "memory    per connection: {} resident ({} private), {} kernel slab (both ends)",
            per(memory.rss_per_connection_bytes),
            per(memory.private_per_connection_bytes),
            per(memory.slab_per_connection_bytes)
        )?;
    }
    if memory.warm {
        let text =
            "the server had memory left over from earlier connections: start it afresh for this figure";
        writeln!(out, "warning   {text}")?;
    }
    if memory.rss_per_connection_after_burst_bytes.is_some() {
        writeln!(
            out,
            "          after the burst: {} resident ({} private)",
            per(memory.rss_per_connection_after_burst_bytes),
            per(memory.private_per_connection_after_burst_bytes)
        )?;
    }
    for step in &memory.steps {
        let cpu = step.idle_cpu_cores.map_or(String::new(), |cores| format!(", {:.2} % CPU", cores * 100.0));
        writeln!(
            out,
            "          {:<12}{:>8} connections{:>11} resident{cpu}",
            step.name,
            step.connections,
            bytes(step.rss_bytes as f64)
        )?;
    }
    Ok(())
}
