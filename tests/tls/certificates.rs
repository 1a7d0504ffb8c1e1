//! Certificates: chosen by name, changed while the server runs, and refused at the start when they do not do.

use crate::authority::Authority;
use crate::person::{Stream, config, connect, upgrade};
use crate::support::server::Server;
use crate::support::wait::wait_until;
use rustix::process::Signal;
use rustls::version::TLS13;
use std::fs;
use std::io::{Read, Write};
use std::process::Command;
use tungstenite::Message;

/// The certificate that a new connection with that name is shown.
fn shown(authority: &Authority, server: &Server, name: &'static str) -> Vec<u8> {
    let mut stream: Stream = connect(server, &config(authority, &TLS13), name);
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    stream.conn.peer_certificates().unwrap()[0].to_vec()
}

fn reload(server: &Server, result: &str) {
    let name = format!("config_reload_total{{result=\"{result}\"}}");
    let before = server.metrics().labelled(&name);
    server.signal(Signal::HUP);
    wait_until("the reload is counted", || server.metrics().labelled(&name) == before + 1);
}

/// The log is written behind the count.
fn said(server: &Server, words: &str) {
    wait_until(words, || server.log().contains(words));
}

#[test]
fn each_name_has_its_certificate() {
    let authority = Authority::new();
    authority.issue("other", &["other.example", "*.wild.example"]);
    let folder = authority.folder.display();
    let list = format!(
        "[[tls.certificates]]\nname = \"other\"\ncert_pem_file = \"{folder}/other.cert.pem\"\n\
         key_pem_file = \"{folder}/other.key.pem\"\n"
    );
    let server = authority.serve(&list);
    let of = |name| shown(&authority, &server, name);
    assert_eq!(of("other.example"), of("a.wild.example"));
    assert_ne!(of("other.example"), of("localhost"));
    server.settled();
}

/// T-10
#[test]
fn a_new_certificate_is_for_new_connections_and_a_broken_one_for_nobody() {
    let authority = Authority::new();
    let server = authority.serve("");
    let mut socket = upgrade(connect(&server, &config(&authority, &TLS13), "localhost"), "/echo");
    let mut still_there = |word: &str| {
        socket.send(Message::text(word)).unwrap();
        assert_eq!(socket.read().unwrap().into_text().unwrap().as_str(), word);
    };
    still_there("before");
    let first = shown(&authority, &server, "localhost");

    // The same names in the configuration, something else in the files.
    authority.issue("server", &["localhost"]);
    reload(&server, "accepted");
    wait_until("the new certificate is shown", || shown(&authority, &server, "localhost") != first);
    said(&server, "configuration reloaded: tls.cert_pem, tls.key_pem\n");
    still_there("after");

    let second = shown(&authority, &server, "localhost");
    // one that nobody would accept does not take the place of one that is valid.
    authority.issue_until("server", &["localhost"], 2020);
    reload(&server, "refused");
    said(&server, "days ago, while that in force is valid");
    assert_eq!(shown(&authority, &server, "localhost"), second);
    authority.issue("stray", &["localhost"]);
    fs::copy(authority.folder.join("stray.key.pem"), authority.folder.join("server.key.pem")).unwrap();
    reload(&server, "refused");
    said(&server, "do not belong together");
    fs::write(authority.folder.join("server.cert.pem"), "nonsense").unwrap();
    reload(&server, "refused");
    assert_eq!(shown(&authority, &server, "localhost"), second);
    still_there("and after that");
    drop(socket);
    server.settled();
}

/// What a start with this section says, given that it fails.
fn refusal(authority: &Authority, section: &str) -> String {
    let file = authority.folder.join("ringway.toml");
    fs::write(&file, section).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_ringway")).arg("check-config").arg(&file).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_with_its_file_before_the_start() {
    let authority = Authority::new();
    authority.issue("other", &["localhost"]);
    let folder = authority.folder.display().to_string();
    let section = |cert: &str, key: &str, more: &str| {
        format!(
            "[tls]\nenabled = true\ncert_pem_file = \"{folder}/{cert}\"\nkey_pem_file = \"{folder}/{key}\"\n{more}"
        )
    };
    for (text, expected) in [
        ("[tls]\nenabled = true\n".to_owned(), vec!["`tls.cert_pem` is empty", "tls.cert_pem_file = "]),
        (
            section("nowhere.pem", "server.key.pem", ""),
            vec!["tls.cert_pem_file", "nowhere.pem", "No such file"],
        ),
        (
            section("server.cert.pem", "other.key.pem", ""),
            vec![":4:16:", "`tls.key_pem` is what ", "other.key.pem", "do not belong together"],
        ),
        (section("server.key.pem", "server.key.pem", ""), vec!["`tls.cert_pem`", "BEGIN CERTIFICATE"]),
        (section("server.cert.pem", "server.cert.pem", ""), vec!["`tls.key_pem`", "BEGIN PRIVATE KEY"]),
        (
            section("server.cert.pem", "server.key.pem", "client_auth = \"required\"\n"),
            vec!["`tls.client_ca_pem`", "client_ca_pem_file"],
        ),
    ] {
        let said = refusal(&authority, &text);
        assert!(expected.iter().all(|part| said.contains(part)), "{text}\n{said}");
    }
}

#[test]
fn a_certificate_that_has_ended_is_a_warning() {
    let authority = Authority::new();
    authority.issue_until("server", &["localhost"], 2020);
    let server = authority.serve("");
    server.says("the certificate of tls.cert_pem ended ");
    server.says("wss://");
}
