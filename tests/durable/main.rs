//! History on disk, seen from the outside: what was acknowledged is there after the process was killed.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each suite uses a part of the support")]
mod support;

mod full;

use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use support::server::Server;

fn config(folder: &str) -> String {
    format!(
        "[store]\npath = \"{folder}\"\n\
         [http_api]\ninsecure = true\n\
         [channel.without_namespace]\ndurable = true\nhistory_size = 1000\nhistory_ttl = \"1h\"\n"
    )
}

fn folder(name: &str) -> String {
    let name = format!("durable-{name}-{}", std::process::id());
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    folder.to_str().unwrap().to_owned()
}

fn call(internal: SocketAddr, method: &str, body: &Value) -> Value {
    let mut stream = TcpStream::connect(internal).unwrap();
    let body = body.to_string();
    let length = body.len();
    let head = format!(
        "POST /api/{method} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    serde_json::from_str(body).unwrap()
}

#[test]
fn what_was_acknowledged_survives_a_kill_with_its_epoch_and_offsets() {
    let folder = folder("kill");
    let cores = Server::core_count(2);
    let mut epochs: Vec<Value> = Vec::new();
    let mut acknowledged = 0;
    for life in 0..3 {
        let server = Server::start_on(cores, &config(&folder));
        for channel in ["a", "b", "c"] {
            let history = call(server.internal, "history", &json!({"channel": channel, "limit": -1}));
            let publications = history["result"]["publications"].as_array().unwrap();
            assert_eq!(publications.len(), acknowledged, "life {life}, {channel}: {history}");
            for (at, publication) in publications.iter().enumerate() {
                assert_eq!(publication["offset"], at + 1);
                assert_eq!(publication["data"]["n"], at + 1);
            }
            epochs.push(history["result"]["epoch"].clone());
        }
        for n in acknowledged + 1..=acknowledged + 20 {
            for channel in ["a", "b", "c"] {
                let answer = call(server.internal, "publish", &json!({"channel": channel, "data": {"n": n}}));
                assert_eq!(answer["result"]["offset"], n, "{answer}");
            }
        }
        acknowledged += 20;
        server.signal(Signal::KILL);
    }
    assert_eq!(epochs[..3], epochs[3..6], "a restart keeps the epochs");
    assert_eq!(epochs[..3], epochs[6..9]);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn without_fsync_a_kill_loses_nothing_either_because_the_kernel_has_it() {
    let folder = folder("os");
    let config = config(&folder).replace("[http_api]", "sync = \"os\"\n[http_api]");
    let mut epochs = Vec::new();
    for life in 0..3 {
        let server = Server::start(&config);
        for n in 1..=50 {
            let answer = call(server.internal, "publish", &json!({"channel": "a", "data": n}));
            assert_eq!(answer["result"]["offset"], life * 50 + n, "{answer}");
        }
        let history = call(server.internal, "history", &json!({"channel": "a", "limit": -1}));
        epochs.push(history["result"]["epoch"].clone());
        server.signal(Signal::KILL);
    }
    assert!(epochs.iter().all(|epoch| *epoch == epochs[0]), "{epochs:?}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_key_is_remembered_across_a_restart() {
    let folder = folder("key");
    let body = json!({"channel": "a", "data": 1, "idempotency_key": "once"});
    for _ in 0..2 {
        let server = Server::start(&config(&folder));
        for _ in 0..2 {
            assert_eq!(call(server.internal, "publish", &body)["result"]["offset"], 1);
        }
        server.signal(Signal::KILL);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_folder_that_another_process_has_is_refused_with_a_fix() {
    let folder = folder("locked");
    let first = Server::start(&config(&folder));
    let second = std::panic::catch_unwind(|| Server::start(&config(&folder)));
    let message = *second.expect_err("the folder is locked").downcast::<String>().unwrap();
    assert!(message.contains("belongs to another process"), "{message}");
    assert_eq!(call(first.internal, "publish", &json!({"channel": "a", "data": 1}))["result"]["offset"], 1);
    drop(first);
    std::fs::remove_dir_all(&folder).unwrap();
}
