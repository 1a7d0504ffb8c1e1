//! `ringway api` against a running node.

use super::{CONFIG, KEY};
use crate::support::server::Server;
use serde_json::{Value, json};
use std::process::{Command, Output};

fn ringway(server: &Server, key: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringway"))
        .arg("api")
        .args(arguments)
        .args(["--url", &format!("http://{}", server.internal)])
        .env("RINGWAY_HTTP_API_KEY", key)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_call_prints_its_result() {
    let server = Server::start(CONFIG);
    let published = ringway(&server, KEY, &["publish", "--channel", "log:1", "--data", "{\"a\": 1}"]);
    assert!(published.status.success(), "{published:?}");
    let result: Value = serde_json::from_slice(&published.stdout).unwrap();
    assert_eq!(result["offset"], 1);
    let history = ringway(&server, KEY, &["history", "--channel", "log:1", "--limit", "-1"]);
    let result: Value = serde_json::from_slice(&history.stdout).unwrap();
    assert_eq!(result["publications"], json!([{"data": {"a": 1}, "offset": 1}]));
}

#[test]
fn an_error_is_explained_and_is_the_status() {
    let server = Server::start(CONFIG);
    for (key, arguments, words) in [
        (KEY, ["publish", "--channel", "no:1", "--data", "1"], "102 unknown channel"),
        (KEY, ["publish", "{}", "--data", "1", "--user=x"], "channel is missing"),
        ("wrong", ["publish", "--channel", "a", "--data", "1"], "RINGWAY_HTTP_API_KEY"),
        (KEY, ["nothing", "--channel", "a", "--data", "1"], "publish_event"),
    ] {
        let done = ringway(&server, key, &arguments);
        assert_eq!(done.status.code(), Some(1), "{done:?}");
        assert!(text(&done.stderr).contains(words), "{done:?}");
        assert!(done.stdout.is_empty(), "{done:?}");
    }
}
