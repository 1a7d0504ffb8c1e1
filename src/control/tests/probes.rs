//! What the operator's tools see on the internal port.

use super::openmetrics::samples;
use super::{Client, Node, get};
use crate::control::ControlError;
use crate::stats::{FIGURES, Kind, Stats};

#[test]
fn readiness_follows_the_lifecycle_and_liveness_does_not() {
    let node = Node::new();
    let ready = || {
        let response = get(node.internal(), "/readyz");
        (response.status(), response.body)
    };
    assert_eq!(ready(), (503, String::from("starting\n")));
    node.lifecycle.set_ready();
    assert_eq!(ready(), (200, String::from("ready\n")));
    node.lifecycle.set_draining();
    assert_eq!(ready(), (503, String::from("draining\n")));
    assert_eq!(get(node.internal(), "/livez").status(), 200);
}

#[test]
fn the_metrics_are_openmetrics_and_say_so() {
    let node = Node::new();
    let mut stats = Stats { messages_in: 7, connections: 3, ..Stats::default() };
    stats.count_close(3008);
    stats.count_close(4999);
    node.publish(1, &stats);
    let page = node.metrics();
    assert_eq!(page.status(), 200);
    assert_eq!(
        page.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let samples = samples(&page.body);
    let value = |series: &str| samples.get(series).copied();
    assert_eq!(value("ringway_messages_in_total{core=\"0\"}"), Some(0.0));
    assert_eq!(value("ringway_messages_in_total{core=\"4\"}"), Some(7.0));
    assert_eq!(value("ringway_connections{core=\"4\"}"), Some(3.0));
    assert_eq!(value("ringway_closes_total{code=\"3008\",core=\"4\"}"), Some(1.0));
    assert_eq!(value("ringway_closes_total{code=\"other\",core=\"4\"}"), Some(1.0));
    assert_eq!(value("ringway_closes_total{code=\"3008\",core=\"0\"}"), None);
    assert_eq!(value("ringway_build_info{version=\"1.2.3\",driver=\"io_uring\"}"), Some(1.0));
    assert_eq!(value("ringway_driver{driver=\"io_uring\",reason=\"works\"}"), Some(1.0));
    assert_eq!(value("ringway_ready"), Some(0.0));
    assert!(value("ringway_uptime_seconds").unwrap() >= 0.0);
    assert!(value("process_resident_memory_bytes").unwrap() > 0.0);
    assert!(value("process_open_fds").unwrap() > 0.0);
    assert!(value("process_cpu_seconds_total").is_some());
}

#[test]
fn every_figure_of_every_core_is_on_the_page() {
    let node = Node::new();
    let samples = samples(&node.metrics().body);
    for (name, kind, _) in FIGURES {
        let suffix = match kind {
            Kind::Counter => "_total",
            Kind::Gauge => "",
        };
        for core in ["0", "4"] {
            let series = format!("ringway_{name}{suffix}{{core=\"{core}\"}}");
            assert!(samples.contains_key(&series), "{series} is missing");
        }
    }
}

#[test]
fn the_index_names_every_path() {
    let node = Node::new();
    let index = get(node.internal(), "/");
    assert_eq!(index.status(), 200);
    for path in ["/livez", "/readyz", "/metrics"] {
        assert!(index.body.contains(path));
    }
    assert_eq!(get(node.internal(), "/nothing").status(), 404);
}

#[test]
fn a_scraper_may_keep_its_connection() {
    let node = Node::new();
    let mut client = Client::connect(node.internal());
    for _ in 0..3 {
        client.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.response(true).status(), 200);
    }
}

#[test]
fn a_taken_internal_port_is_an_error_of_the_start() {
    let node = Node::new();
    let (_mailbox, inbox) = crate::sys::mailbox::mailbox(1).unwrap();
    let view = crate::control::NodeView {
        published: Vec::new(),
        cpus: Vec::new(),
        driver: "epoll",
        driver_reason: "works",
        lifecycle: std::sync::Arc::default(),
        pressure: std::sync::Arc::default(),
    };
    let taken =
        crate::control::ControlOptions { internal: node.internal(), ..super::options(super::PATIENCE) };
    let error = crate::control::spawn(taken, view, inbox, super::no_cores(), |_| {}).unwrap_err();
    assert!(matches!(error, ControlError::Bind { .. }), "{error}");
    assert!(error.to_string().contains("--internal"));
}
