//! The metrics page: OpenMetrics 1.0 text, made at the scrape from what the cores published.
//!
//! Invariant: a scrape costs the cores nothing; it reads their published copies. `stats::FIGURES` names the figures, so
//! this file never does. Ratios are left to queries, because only they can choose a window. Messages per send, for example:
//! `rate(ringway_messages_out_total[1m]) / rate(ringway_sends_total[1m])`.

use super::NodeView;
use super::http::Traffic;
use super::process::Process;
use crate::stats::{CLOSE_CODES, FIGURES, Kind, Published, Work};
use crate::sys::panics::{self, Plane};
use crate::sys::{clock, journal};
use crate::time::Moment;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, NoLabelSet, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;

pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) struct Metrics(Registry);

impl Metrics {
    pub(super) fn new(view: NodeView, version: &'static str, public: Arc<Traffic>) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ProcessFigures));
        let node = NodeFigures { view, version, public, started: clock::now() };
        registry.sub_registry_with_prefix("ringway").register_collector(Box::new(node));
        Self(registry)
    }

    /// Adds what another part of the control plane counts, under our prefix.
    pub(super) fn with(mut self, figures: impl Collector) -> Self {
        self.0.sub_registry_with_prefix("ringway").register_collector(Box::new(figures));
        self
    }

    pub(super) fn render(&self) -> Result<String, fmt::Error> {
        let mut page = String::new();
        text::encode(&mut page, &self.0)?;
        Ok(page)
    }
}

const STAGE_HELP: &str =
    "0 calm, 1 no new subscriptions, 2 no new connections, 3 clients that hold the most are cut.";

#[derive(Debug)]
struct NodeFigures {
    view: NodeView,
    version: &'static str,
    public: Arc<Traffic>,
    started: Moment,
}

impl Collector for NodeFigures {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        self.encode_build(&mut encoder)?;
        self.encode_driver(&mut encoder)?;
        self.encode_cores(&mut encoder)?;
        self.encode_closes(&mut encoder)?;
        self.encode_panics(&mut encoder)?;
        self.encode_stalls(&mut encoder)?;
        let lost = "Lines of the log that nobody will read.";
        let pressure = &self.view.pressure;
        gauge(&mut encoder, "memory_stage", STAGE_HELP, &u64::from(pressure.stage() as u8))?;
        gauge(&mut encoder, "memory_used_bytes", "Memory in use at the last measurement.", &pressure.used())?;
        gauge(&mut encoder, "memory_limit_bytes", "What that is measured against.", &pressure.limit())?;
        counter(&mut encoder, "log_lines_dropped", lost, &journal::dropped())?;
        let uptime = clock::now().since(self.started).as_secs_f64();
        gauge(&mut encoder, "uptime_seconds", "Time since the start.", &uptime)?;
        let ready = i64::from(self.view.lifecycle.is_ready());
        gauge(&mut encoder, "ready", "1 while the node takes new connections.", &ready)?;
        gauge(
            &mut encoder,
            "http_open",
            "Plain HTTP connections handed over and open.",
            &self.public.open(),
        )?;
        counter(
            &mut encoder,
            "http_served",
            "Plain HTTP connections handed over and served.",
            &self.public.served(),
        )?;
        counter(&mut encoder, "http_shed", "Plain HTTP connections answered with 503.", &self.public.shed())
    }
}

impl NodeFigures {
    fn encode_build(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let help = "Version of the server and what drives its sockets.";
        let labels = [("version", self.version), ("driver", self.view.driver)];
        encoder.encode_descriptor("build", help, None, MetricType::Info)?.encode_info(&labels)
    }

    fn encode_driver(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let help =
            "1 for what drives the sockets, with the reason: works, configured, or why io_uring is refused.";
        let labels = [("driver", self.view.driver), ("reason", self.view.driver_reason)];
        let mut family = encoder.encode_descriptor("driver", help, None, MetricType::Gauge)?;
        family.encode_family(&labels)?.encode_gauge(&1_i64)
    }

    fn encode_cores(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let mut cores: Vec<_> = self.cores().map(|(core, published)| (core, published.values())).collect();
        for (name, kind, help) in FIGURES {
            let kind_name = match kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            let mut family = encoder.encode_descriptor(name, help, None, kind_name)?;
            for (core, values) in &mut cores {
                let value = values.next().unwrap_or_default();
                let labels = [("core", core.as_str())];
                let mut metric = family.encode_family(&labels)?;
                match kind {
                    Kind::Counter => metric.encode_counter::<NoLabelSet, _, u64>(&value, None)?,
                    Kind::Gauge => metric.encode_gauge(&value)?,
                }
            }
        }
        Ok(())
    }

    /// Codes that have never been used are left out: 33 codes on 64 cores would be 2,000 lines of zeros.
    fn encode_closes(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let help = "Connections closed, by close code.";
        let mut family = encoder.encode_descriptor("closes", help, None, MetricType::Counter)?;
        let codes: Vec<_> = CLOSE_CODES.iter().map(u16::to_string).chain([String::from("other")]).collect();
        for (core, published) in self.cores() {
            for (code, count) in codes.iter().zip(published.closes()).filter(|(_, count)| *count > 0) {
                let labels = [("code", code.as_str()), ("core", core.as_str())];
                family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            }
        }
        Ok(())
    }

    fn encode_stalls(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let help = "How long a core that has work has not come to the end of it; 0 below two seconds.";
        let mut family = encoder.encode_descriptor("core_stalled_seconds", help, None, MetricType::Gauge)?;
        let now = clock::now();
        for (core, published) in self.cores() {
            let stalled = published.stalled(now).as_secs_f64();
            family.encode_family(&[("core", core.as_str())])?.encode_gauge(&stalled)?;
        }
        Ok(())
    }

    /// By what a bug of ours has cost: work of the cores, requests of the control plane, orders of the store.
    fn encode_panics(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let help = "Panics that cost what they were about, by where they were caught.";
        let mut family = encoder.encode_descriptor("panics", help, None, MetricType::Counter)?;
        let mut counts = vec![0; Work::NAMES.len()];
        for published in &self.view.published {
            counts.iter_mut().zip(published.panics()).for_each(|(sum, count)| *sum += count);
        }
        let planes = [("control", Plane::Control), ("store", Plane::Store)];
        let cores = Work::NAMES.into_iter().zip(counts);
        for (name, count) in cores.chain(planes.map(|(name, plane)| (name, panics::counted(plane)))) {
            family.encode_family(&[("where", name)])?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        Ok(())
    }

    /// Each core under the number of its CPU, as `top` and `taskset` show it.
    fn cores(&self) -> impl Iterator<Item = (String, &Published)> {
        self.view.published.iter().enumerate().map(|(index, published)| {
            let cpu = self.view.cpus.get(index).copied().unwrap_or(index);
            (cpu.to_string(), published.as_ref())
        })
    }
}

/// Under the names that every Prometheus client library uses, so that common dashboards work.
#[derive(Debug)]
struct ProcessFigures;

impl Collector for ProcessFigures {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let process = Process::read();
        let encoder = &mut encoder;
        if let (Some(user), Some(system)) = (process.cpu_user_seconds, process.cpu_system_seconds) {
            counter(encoder, "process_cpu_seconds", "CPU time, user and system.", &(user + system))?;
            counter(encoder, "process_cpu_user_seconds", "CPU time in the process.", &user)?;
            counter(encoder, "process_cpu_system_seconds", "CPU time in the kernel.", &system)?;
        }
        let gauges = [
            ("process_resident_memory_bytes", "Resident memory.", process.resident_bytes),
            ("process_virtual_memory_bytes", "Virtual memory.", process.virtual_bytes),
            ("process_open_fds", "Open descriptors.", process.descriptor_count),
            ("process_max_fds", "Limit of descriptors.", process.descriptor_count_max),
            ("process_threads", "Threads.", process.thread_count),
        ];
        for (name, help, value) in gauges {
            if let Some(value) = value {
                gauge(encoder, name, help, &value)?;
            }
        }
        Ok(())
    }
}

fn counter(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    value: &impl EncodeCounterValue,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    metric.encode_counter::<NoLabelSet, _, u64>(value, None)
}

fn gauge(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    value: &impl EncodeGaugeValue,
) -> fmt::Result {
    encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(value)
}
