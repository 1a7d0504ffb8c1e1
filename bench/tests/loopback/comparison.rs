//! Results on disk, comparisons of them, and two servers in turn.

use super::server::{Manner, start};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringway-bench")).args(arguments).output().unwrap()
}

/// A new directory for one test; the next run of the tests clears it.
fn directory(test: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// Runs a short echo with results; gives their directory.
fn stored(results: &Path, label: &str) -> PathBuf {
    let url = format!("ws://{}/", start(Manner::Echo));
    let results = results.join(label);
    let text = results.to_str().unwrap();
    let output = bench(&[
        "echo",
        "--url",
        &url,
        "--connections",
        "5",
        "--rate",
        "2000",
        "--duration",
        "2s",
        "--warmup",
        "0s",
        "--results",
        text,
        "--label",
        label,
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty(), "without --json nothing goes to standard output");
    let entries: Vec<_> = std::fs::read_dir(&results).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(entries.len(), 1);
    entries[0].clone()
}

#[test]
fn a_run_leaves_its_three_files() {
    let run = stored(&directory("files"), "three");
    assert!(run.file_name().unwrap().to_str().unwrap().ends_with("Z-three"));
    let json: Value = serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
    assert_eq!(json["schema"], "ringway-bench/run");
    assert_eq!(json["series"].as_array().unwrap().len(), 2);
    assert!(std::fs::read_to_string(run.join("report.html")).unwrap().contains("<polyline"));
    let log = std::fs::read_to_string(run.join("latency.hdr")).unwrap();
    assert!(log.lines().filter(|line| line.contains(",HIST")).count() >= 2, "{log}");
}

#[test]
fn a_comparison_has_ratios_and_a_page_and_thresholds_set_the_exit_status() {
    let results = directory("compare");
    let (a, b) = (stored(&results, "a"), stored(&results, "b"));
    let (a, b) = (a.to_str().unwrap(), b.to_str().unwrap());
    let page = results.join("page.html");
    let output =
        bench(&["compare", a, b, "--json", "--html", page.to_str().unwrap(), "--fail-if", "p50>1000"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert!(errors.contains("page.html"));
    assert_eq!(std::fs::read_to_string(&page).unwrap().matches("<polyline").count(), 4);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["sides"][1]["name"], "b");
    assert_eq!(json["sides"][0]["ratios_to_first"]["p50"]["median"], 1.0);

    let crossed = bench(&["compare", a, b, "--fail-if", "lost>=1"]);
    assert_eq!(crossed.status.code(), Some(1), "nothing lost on both sides is a ratio of 1");
    let unknown = bench(&["compare", a, b, "--fail-if", "cpu_per_delivery>1"]);
    assert_eq!(unknown.status.code(), Some(2), "no server was sampled");
    let nonsense = bench(&["compare", a, b, "--fail-if", "p98>1"]);
    assert_eq!(nonsense.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nonsense.stderr).contains("p99.99"), "the error lists what there is");
}

#[test]
fn a_file_of_somebody_else_is_refused() {
    let results = directory("foreign");
    let file = results.join("run.json");
    std::fs::write(&file, "{\"schema\":\"other\"}").unwrap();
    let output = bench(&["compare", file.to_str().unwrap(), file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is no run.json"));
}

/// A WebSocket server that any machine with Python's standard library can start is hard to find; this program is one:
/// the test binary runs itself with a port in its environment, and serves.
#[test]
fn two_servers_take_turns() {
    if let Ok(port) = std::env::var("RINGWAY_BENCH_TEST_PORT") {
        super::server::serve_forever(port.parse().unwrap(), Manner::Echo);
    }
    let program = std::env::current_exe().unwrap();
    let command = format!(
        "env RINGWAY_BENCH_TEST_PORT={{port}} {} comparison::two_servers_take_turns --exact --nocapture",
        program.display()
    );
    let output = bench(&[
        "ab",
        "--a",
        &command,
        "--b",
        &command,
        "--rounds",
        "2",
        "--json",
        "--",
        "echo",
        "--url",
        "ws://127.0.0.1:{port}/",
        "--connections",
        "4",
        "--rate",
        "1000",
        "--duration",
        "1s",
        "--warmup",
        "0s",
        "--no-results",
    ]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["sides"].as_array().unwrap().len(), 2, "{errors}");
    assert_eq!(json["sides"][1]["runs"].as_array().unwrap().len(), 2);
    assert!(json["sides"][1]["ratios_to_first"]["cpu_per_delivery"]["median"].as_f64().unwrap() > 0.0);
    let order: Vec<_> =
        errors.lines().filter_map(|line| line.split_once("side ")).map(|(_, rest)| &rest[..1]).collect();
    assert_eq!(order, ["A", "B", "A", "B"]);
}

#[test]
fn a_server_that_dies_is_named_with_its_last_words() {
    let output = bench(&[
        "ab",
        "--a",
        "sh -c 'echo no config >&2; exit 3'",
        "--b",
        "true",
        "--",
        "echo",
        "--url",
        "ws://127.0.0.1:{port}/",
    ]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("ended before it listened") && errors.contains("no config"), "{errors}");
}
