//! The generator against a server that is not ours: what arrives is proved, and what does not arrive is noticed.

use super::server::{Manner, start};
use serde_json::Value;
use std::process::{Command, Output};

/// Runs the generator for a second; gives its output and run.json.
fn bench(manner: Manner, arguments: &[&str]) -> (Output, Value) {
    let url = format!("ws://{}/", start(manner));
    // What is lost is waited for to the end; what is only late, on a busy machine, should be waited for.
    let drain = match manner {
        Manner::Drop | Manner::Close | Manner::Leave | Manner::Refuse => "500ms",
        Manner::Echo | Manner::Duplicate | Manner::Swap | Manner::Broadcast | Manner::Centrifuge => "20s",
    };
    let output = Command::new(env!("CARGO_BIN_EXE_ringway-bench"))
        .args(arguments)
        .args(["--url", &url, "--json", "--no-results"])
        .args(["--warmup", "200ms", "--duration", "1s", "--drain", drain])
        .output()
        .unwrap();
    let run = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output, run)
}

#[track_caller]
fn assert_good(output: &Output, run: &Value) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert_eq!(run["verdict"]["ok"], true, "{errors}");
    assert_eq!(run["delivery"]["delivered"], run["delivery"]["expected"]);
    assert!(run["delivery"]["delivered"].as_u64().unwrap() > 0);
}

#[track_caller]
fn assert_bad(output: &Output, run: &Value, figure: &str) {
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(run["delivery"][figure].as_u64().unwrap() > 0, "{}", run["delivery"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("FAILED"));
}

const ECHO: &[&str] = &["echo", "--connections", "20", "--rate", "2000"];

#[test]
fn an_honest_echo_is_proved_in_the_open_loop() {
    let (output, run) = bench(Manner::Echo, ECHO);
    assert_good(&output, &run);
    let sent = run["load"]["sent"].as_u64().unwrap();
    assert!((1_990..=2_010).contains(&sent), "the schedule asks for 2000 in a second, {sent} left");
    assert!(run["latency"]["p99_ns"].is_u64());
    assert!(run["latency"]["p9999_ns"].is_null(), "too few samples for p99.99");
}

#[test]
fn an_honest_echo_is_proved_in_the_closed_loop() {
    let (output, run) = bench(Manner::Echo, &["echo", "--connections", "20", "--pipeline", "4", "--binary"]);
    assert_good(&output, &run);
    assert_eq!(run["setup"]["pace"], "closed");
}

#[test]
fn a_lost_message_makes_the_run_fail() {
    let (output, run) = bench(Manner::Drop, ECHO);
    assert_bad(&output, &run, "lost");
    assert_eq!(run["delivery"]["duplicated"], 0);
}

#[test]
fn a_duplicated_message_makes_the_run_fail() {
    let (output, run) = bench(Manner::Duplicate, ECHO);
    assert_bad(&output, &run, "duplicated");
    assert_eq!(run["delivery"]["lost"], 0);
}

#[test]
fn a_reordered_message_makes_the_run_fail() {
    let (output, run) = bench(Manner::Swap, ECHO);
    assert_bad(&output, &run, "reordered");
    assert_eq!(run["delivery"]["duplicated"], 0);
}

#[test]
fn a_closed_connection_is_counted_with_its_code() {
    let (output, run) = bench(Manner::Close, ECHO);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(run["failures"]["disconnects"]["3008 slow"], 20, "{}", run["failures"]);
}

#[test]
fn a_connection_that_ends_while_nothing_happens_is_counted_too() {
    let (output, run) = bench(Manner::Leave, &["idle", "--connections", "5", "--hold", "300ms"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(run["failures"]["disconnects"]["1001"], 5, "{}", run["failures"]);
}

#[test]
fn connections_come_from_many_addresses() {
    let fanout = ["fanout", "--subscribers", "20", "--rate", "20", "--sources", "7"];
    let (output, run) = bench(Manner::Broadcast, &fanout);
    assert_good(&output, &run);
    assert_eq!(run["generator"]["sources"], 7);
}

#[test]
fn a_broadcast_reaches_everybody() {
    let fanout = ["fanout", "--subscribers", "25", "--publishers", "2", "--rate", "20"];
    let (output, run) = bench(Manner::Broadcast, &fanout);
    assert_good(&output, &run);
    let (published, delivered) = (&run["delivery"]["published"], &run["delivery"]["delivered"]);
    assert_eq!(published.as_u64().unwrap() * 25, delivered.as_u64().unwrap());
}

#[test]
fn several_processes_prove_one_group_together() {
    let fanout = ["fanout", "--subscribers", "25", "--publishers", "3", "--rate", "20", "--cores", "0,0,0"];
    let (output, run) = bench(Manner::Broadcast, &fanout);
    assert_good(&output, &run);
    assert_eq!(run["generator"]["processes"], 3);
}

#[test]
fn channels_of_the_client_protocol_are_apart() {
    let chat = [
        "chat",
        "--protocol",
        "centrifuge",
        "--rooms",
        "5",
        "--members",
        "6",
        "--speakers",
        "2",
        "--rate",
        "40",
    ];
    let (output, run) = bench(Manner::Centrifuge, &chat);
    assert_good(&output, &run);
    assert_eq!(run["connect"]["established"], 30);
    assert_eq!(run["delivery"]["stray"], 0);
}

#[test]
fn a_refused_publish_is_counted_with_its_code() {
    let echo = ["echo", "--protocol", "centrifuge", "--connections", "5", "--rate", "1000"];
    let (output, run) = bench(Manner::Refuse, &echo);
    assert_eq!(output.status.code(), Some(1));
    let refused = run["failures"]["error_replies"]["publish 103 permission denied"].as_u64().unwrap();
    assert_eq!(run["delivery"]["lost"].as_u64().unwrap(), refused);
}

#[test]
fn after_a_storm_everybody_is_back() {
    let (output, run) = bench(Manner::Echo, &["storm", "--connections", "50", "--hold", "100ms"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(run["storm"]["back"], 50);
    assert!(run["storm"]["all_back_s"].as_f64().unwrap() > 0.0);
}

#[test]
fn memory_is_measured_at_every_step() {
    let pid = std::process::id().to_string();
    let idle =
        ["idle", "--steps", "5,10,20", "--hold", "100ms", "--burst", "--rate", "50", "--server-pid", &pid];
    let (output, run) = bench(Manner::Echo, &idle);
    assert_good(&output, &run);
    let steps = run["memory"]["steps"].as_array().unwrap();
    let named: Vec<_> = steps
        .iter()
        .map(|step| (step["name"].as_str().unwrap(), step["connections"].as_u64().unwrap()))
        .collect();
    let expected = [
        ("baseline", 0),
        ("connected", 5),
        ("connected", 10),
        ("connected", 20),
        ("after-load", 20),
        ("after-burst", 20),
    ];
    assert_eq!(named, expected);
    assert!(run["memory"]["rss_per_connection_bytes"].is_f64());
    assert!(run["server"]["cpu_per_delivery_us"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_server_that_is_not_there_is_explained() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_ringway-bench"))
        .args(["echo", "--url", &format!("ws://{nobody}/echo")])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(errors.contains("nothing listens") && errors.contains("ringway serve"), "{errors}");
}
