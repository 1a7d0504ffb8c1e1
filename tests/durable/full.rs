//! A disk that is really full, under the real server: a small tmpfs in a mount namespace of its own.

use super::support::server::Server;
use super::support::session::Session;
use super::support::wait::wait_until;
use super::{call, folder};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A mount namespace with a tmpfs of 4 MiB, as long as this lives.
struct Disk {
    holder: Child,
    folder: String,
}

impl Disk {
    /// None: this user may not make one.
    fn new(name: &str) -> Option<Self> {
        let folder = folder(name);
        fs::create_dir_all(&folder).unwrap();
        let mut holder = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c"])
            .arg("mount -t tmpfs -o size=4m none \"$0\" && echo ready && read -r end")
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.trim() == "ready" {
            return Some(Self { holder, folder });
        }
        let _ = holder.wait();
        let _ = fs::remove_dir(&folder);
        None
    }

    /// A server that sees the disk.
    fn start(&self, config: &str) -> Server {
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.holder.id())).arg(env!("CARGO_BIN_EXE_ringway"));
        Server::start_by(command, config)
    }

    /// Takes all the space that is left.
    fn fill(&self) {
        let mut ballast = fs::OpenOptions::new().create(true).append(true).open(self.ballast()).unwrap();
        while ballast.write_all(&[0; 4096]).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{}/ballast", self.holder.id(), self.folder))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Its end of the pipe closes, and the namespace goes with the last process in it.
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
        let _ = fs::remove_dir(&self.folder);
    }
}

fn config(folder: &str) -> String {
    let open = "allow_subscribe_for_client = true\nallow_subscribe_for_anonymous = true\n\
        allow_publish_for_client = true\nallow_publish_for_anonymous = true\npresence = true\n\
        allow_presence_for_client = true\nallow_presence_for_anonymous = true\n\
        history_size = 100000\nhistory_ttl = \"1h\"\n";
    format!(
        "[store]\npath = \"{folder}/store\"\n[http_api]\ninsecure = true\n\
         [client]\nallow_anonymous_connect_without_token = true\nping_interval = \"1h\"\n\
         [[channel.namespaces]]\nname = \"disk\"\ndurable = true\n{open}\
         [[channel.namespaces]]\nname = \"memory\"\n{open}"
    )
}

fn publish(server: &Server, channel: &str, n: u64) -> Value {
    call(
        server.internal,
        "publish",
        &json!({"channel": channel, "data": {"n": n, "padding": "x".repeat(500)}}),
    )
}

fn numbers(server: &Server, channel: &str) -> Vec<u64> {
    let history = call(server.internal, "history", &json!({"channel": channel, "limit": -1}));
    let publications = history["result"]["publications"].as_array().unwrap();
    publications.iter().map(|publication| publication["data"]["n"].as_u64().unwrap()).collect()
}

#[test]
fn a_full_disk_fails_durable_publications_and_nothing_else_until_there_is_space() {
    let Some(disk) = Disk::new("full") else {
        eprintln!("skipped: a mount namespace needs privileges that this user does not have");
        return;
    };
    let config = config(&disk.folder);
    let server = disk.start(&config);
    let (mut ada, mut ben) = (Session::start(&server), Session::start(&server));
    ben.subscribe("disk:a");
    let mut acknowledged = Vec::new();
    for n in 1..=20 {
        assert_eq!(publish(&server, "disk:a", n)["error"], Value::Null);
        assert_eq!(ben.publication().data["n"], n);
        acknowledged.push(n);
    }
    disk.fill();
    // What the database has reserved still takes some.
    let mut n = 20;
    let refused = loop {
        n += 1;
        assert!(n < 100_000, "the disk never gets full");
        let answer = publish(&server, "disk:a", n);
        if answer["error"]["code"] == 100 {
            break n;
        }
        acknowledged.push(n);
        assert_eq!(ben.publication().data["n"], n);
    };
    let reply = ada.ask("publish", &json!({"channel": "disk:a", "data": 1}));
    assert_eq!(reply["error"]["code"], 100, "{reply}");
    // Everything else goes on, on the same connections.
    for n in 1..=20 {
        ada.publish("memory:a", &json!(n));
    }
    ada.subscribe("memory:b");
    ben.subscribe("memory:b");
    ada.publish("memory:b", &json!("goes on"));
    assert_eq!((ada.publication().data, ben.publication().data), (json!("goes on"), json!("goes on")));
    ada.subscribe("disk:a");
    let reply = ada.ask("presence", &json!({"channel": "disk:a"}));
    assert_eq!(reply["presence"]["presence"].as_object().unwrap().len(), 2, "{reply}");
    assert_eq!(numbers(&server, "disk:a"), acknowledged, "what was acknowledged can be read");

    disk.empty();
    wait_until("it is stored again", || publish(&server, "disk:a", refused)["error"].is_null());
    acknowledged.push(refused);
    assert_eq!(ben.publication().data["n"], refused);
    assert_eq!(numbers(&server, "disk:a"), acknowledged);
    server.signal(Signal::KILL);
    drop((server, ada, ben));

    let server = disk.start(&config);
    assert_eq!(numbers(&server, "disk:a"), acknowledged);
    assert_eq!(publish(&server, "disk:a", refused + 1)["result"]["offset"], acknowledged.len() as u64 + 1);
}
