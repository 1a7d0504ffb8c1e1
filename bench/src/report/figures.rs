//! From what was measured to the figures of `run.json`, and the verdict over them.

use super::run::{Delivery, Latency, Load, MemoryReport, MemoryStep, Point, Run, Server, Verdict};
use crate::conductor::{Measured, Tally};
use crate::record::Durations;

/// Of one core: above, the generator may have been the slower side.
const CPU_CORES_MAX: f64 = 0.95;
/// A hundredth of the sends may leave this late.
const LATENESS_P99_NS_MAX: u64 = 1_000_000;
/// Share of the time that a process may be kept from the CPU.
const WAITING_SHARE_MAX: f64 = 0.05;
/// CPU time below which the kernel's sampling of user and system is a guess: fifty of its ticks.
const DIVISIBLE_NS_MIN: u64 = 500_000_000;
/// Share of deliveries read from full batches.
const CROWDED_SHARE_MAX: f64 = 0.5;

pub fn complete(run: &mut Run, measured: Option<&Measured>) {
    if let Some(measured) = measured {
        book_load(run, measured);
        book_server(run, measured);
        book_generator(run, measured);
    }
    if let Some(memory) = &mut run.memory {
        slopes(memory);
    }
    run.verdict = verdict(run);
}

fn book_load(run: &mut Run, measured: &Measured) {
    let seconds = measured.window_ns as f64 / 1e9;
    let sum = |figure: fn(&Tally) -> u64| measured.seconds.iter().map(figure).sum::<u64>();
    let (sent, received) = (sum(|tally| tally.sent), sum(|tally| tally.received));
    run.load = Some(Load {
        sent,
        received,
        sent_per_s: sent as f64 / seconds,
        received_per_s: received as f64 / seconds,
        sent_bytes: sum(|tally| tally.sent_bytes),
        received_bytes: sum(|tally| tally.received_bytes),
    });
    run.latency = Latency::of(&measured.latency);
    let proof = &measured.sum;
    run.delivery = Some(Delivery {
        published: measured.published,
        expected: proof.expected,
        delivered: proof.delivered,
        lost: proof.expected.saturating_sub(proof.delivered),
        duplicated: proof.duplicated,
        reordered: proof.reordered,
        stray: proof.stray,
        unsent: proof.unsent,
    });
    run.series = measured.seconds.iter().zip(0..).map(|(tally, second)| point(tally, second)).collect();
}

fn point(tally: &Tally, second: u32) -> Point {
    let cores = |nanos: u64| nanos as f64 / 1e9;
    // It was read once already, for the sum.
    let latency = tally.latency.open().unwrap_or_else(|_| Durations::new());
    Point {
        second,
        sent: tally.sent,
        received: tally.received,
        p50_ns: latency.quantile(0.50),
        p99_ns: latency.quantile(0.99),
        max_ns: latency.max(),
        server_cpu_user_cores: tally.server.map(|(cpu, _)| cores(cpu.user_ns)),
        server_cpu_system_cores: tally.server.map(|(cpu, _)| cores(cpu.system_ns)),
        server_rss_bytes: tally.server.map(|(_, rss)| rss),
    }
}

fn book_server(run: &mut Run, measured: &Measured) {
    let (Some(used), Some(load)) = (measured.server, &run.load) else { return };
    let seconds = measured.window_ns as f64 / 1e9;
    let ticks = used.cpu.total_ns().max(1) as f64;
    let total = used.total_ns as f64;
    // The exact total, divided as the ticks say; a few ticks say nothing.
    let (user_share, system_share) = (used.cpu.user_ns as f64 / ticks, used.cpu.system_ns as f64 / ticks);
    let divisible = used.cpu.total_ns() >= DIVISIBLE_NS_MIN;
    let per = |nanos: f64, count: u64| (count > 0).then(|| nanos / 1e3 / count as f64);
    let part = |share: f64| per(total * share, load.received).filter(|_| divisible);
    run.server = Some(Server {
        pid: run.setup.server_pid.unwrap_or(0),
        window_s: seconds,
        cpu_user_s: total * user_share / 1e9,
        cpu_system_s: total * system_share / 1e9,
        cpu_cores: total / measured.window_ns as f64,
        cpu_per_delivery_us: per(total, load.received),
        cpu_user_per_delivery_us: part(user_share),
        cpu_system_per_delivery_us: part(system_share),
        cpu_per_message_us: per(total, load.sent),
        waiting_share: used.waiting_ns as f64 / measured.window_ns as f64,
        machine_cpu_cores: measured.machine_ns.map(|nanos| nanos as f64 / measured.window_ns as f64),
    });
}

fn book_generator(run: &mut Run, measured: &Measured) {
    let generator = &mut run.generator;
    let cores = measured.cpu_ns_max as f64 / measured.window_ns as f64;
    let (received, crowded) = (measured.sum.received, measured.sum.crowded);
    let share = |part: u64| (received > 0).then(|| part as f64 / received as f64);
    generator.cpu_cores_max = Some(cores);
    generator.cpu_per_delivery_us = share(measured.sum.cpu_ns).map(|nanos| nanos / 1e3);
    generator.crowded_share = share(crowded);
    let waiting_share = measured.waiting_ns_max as f64 / measured.window_ns as f64;
    generator.waiting_share = Some(waiting_share);
    generator.lateness = Latency::of(&measured.lateness).filter(|_| run.setup.pace == "open");
    let more = "give it more cores (--cores), or fewer connections";
    if cores > CPU_CORES_MAX {
        let percent = cores * 100.0;
        generator.warnings.push(format!(
            "a generator process used {percent:.0} % of its core: the server may be faster than this; {more}"
        ));
    }
    let server_share = run.server.as_ref().map_or(0.0, |server| server.waiting_share);
    for (who, share) in [("the generator", waiting_share), ("the server", server_share)] {
        if share > WAITING_SHARE_MAX {
            let percent = share * 100.0;
            generator.warnings.push(format!(
                "for {percent:.0} % of the time {who} was ready to run and something else had its CPU: the latencies \
                 contain that; keep the machine quiet, or pin both to CPUs of their own"
            ));
        }
    }
    let late = generator.lateness.as_ref().and_then(|lateness| lateness.p99_ns);
    if let Some(late) = late.filter(|late| *late > LATENESS_P99_NS_MAX) {
        let late = late as f64 / 1e6;
        generator.warnings.push(format!(
            "1 % of the messages left {late:.1} ms late or more, which their latency contains; {more}"
        ));
    }
    if generator.crowded_share.is_some_and(|share| share > CROWDED_SHARE_MAX) {
        generator.warnings.push(format!(
            "most deliveries had to queue for the generator, so that its own work is in their latency; {more}"
        ));
    }
}

fn slopes(memory: &mut MemoryReport) {
    let Some(first) = memory.steps.first().cloned() else { return };
    let find = |name: &str| memory.steps.iter().rfind(|step| step.name == name).cloned();
    let per = |last: &MemoryStep, figure: fn(&MemoryStep) -> Option<u64>| {
        let count = last.connections.checked_sub(first.connections).filter(|count| *count > 0)?;
        Some((figure(last)? as f64 - figure(&first)? as f64) / f64::from(count))
    };
    if let Some(last) = find("connected") {
        memory.warm = last.connections > first.connections && last.rss_bytes <= first.rss_bytes;
        memory.rss_per_connection_bytes = per(&last, |step| Some(step.rss_bytes));
        memory.pss_per_connection_bytes = per(&last, |step| Some(step.pss_bytes));
        memory.private_per_connection_bytes = per(&last, |step| Some(step.private_bytes));
        memory.slab_per_connection_bytes = per(&last, |step| step.slab_bytes);
        memory.slab_unreclaimable_per_connection_bytes = per(&last, |step| step.slab_unreclaimable_bytes);
    }
    if let Some(after) = find("after-burst") {
        memory.rss_per_connection_after_burst_bytes = per(&after, |step| Some(step.rss_bytes));
        memory.private_per_connection_after_burst_bytes = per(&after, |step| Some(step.private_bytes));
    }
}

fn verdict(run: &Run) -> Verdict {
    let mut reasons = Vec::new();
    let mut count = |count: u64, what: &str| {
        if count > 0 {
            reasons.push(format!("{count} {what}"));
        }
    };
    if let Some(delivery) = &run.delivery {
        count(delivery.lost, "messages lost");
        count(delivery.duplicated, "messages duplicated");
        count(delivery.reordered, "messages reordered");
        count(delivery.stray, "messages delivered to the wrong group");
        count(delivery.unsent, "messages that the server did not take");
    }
    count(u64::from(run.failures.never_connected), "connections that never came up");
    for (reason, times) in &run.failures.disconnects {
        count(*times, &format!("connections ended: {reason}"));
    }
    for (reason, times) in &run.failures.error_replies {
        count(*times, &format!("error replies: {reason}"));
    }
    Verdict { ok: reasons.is_empty(), reasons }
}
