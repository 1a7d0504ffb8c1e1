//! `openssl s_client` as the judge: another implementation than the one under test.

use crate::authority::Authority;
use crate::support::server::Server;
use crate::support::wait::wait_until;
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

/// Runs s_client with these words; says `input` and reads what it prints until it ends.
fn s_client(authority: &Authority, server: &Server, words: &[&str], input: &str) -> String {
    let mut child = Command::new("openssl")
        .args(["s_client", "-connect", &server.public.to_string(), "-servername", "localhost"])
        .args(["-verify_hostname", "localhost", "-CAfile"])
        .arg(authority.roots())
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl: apt-get install openssl");
    let mut stdin = child.stdin.take().unwrap();
    // A line at a time, as a person types: commands are looked for at the beginning of what was read.
    for line in input.split_inclusive('\n') {
        let _ = stdin.write_all(line.as_bytes());
        let _ = stdin.flush();
        crate::support::wait::pause(std::time::Duration::from_millis(500));
    }
    let output = thread::spawn(move || child.wait_with_output().unwrap());
    // It ends with the connection; whoever wants an end before that asks the server for one.
    wait_until("s_client ends", || output.is_finished());
    drop(stdin);
    let output = output.join().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// No line begins with a letter that s_client takes as a command of its own.
const REQUEST: &str = "GET /livez HTTP/1.1\nHost: localhost\nconnection: close\n\n";

fn ask(authority: &Authority, server: &Server, words: &[&str]) -> String {
    let words = [&["-quiet", "-crlf"], words].concat();
    s_client(authority, server, &words, REQUEST)
}

#[test]
fn both_versions_are_spoken_and_the_chain_is_good() {
    let authority = Authority::new();
    let server = authority.serve("");
    for (version, name) in [("-tls1_3", "TLSv1.3"), ("-tls1_2", "TLSv1.2")] {
        let said = s_client(&authority, &server, &[version, "-crlf"], REQUEST);
        assert!(said.contains(name) && said.contains("Verify return code: 0 (ok)"), "{said}");
        assert!(said.contains("HTTP/1.1 200 OK"), "{said}");
    }
    server.settled();
}

/// T-09
#[test]
fn old_versions_and_weak_suites_are_refused() {
    let authority = Authority::new();
    let server = authority.serve("");
    let weak = "-cipher";
    for words in [
        &["-tls1_1", weak, "ALL:@SECLEVEL=0"][..],
        &["-tls1", weak, "ALL:@SECLEVEL=0"],
        &["-tls1_2", weak, "AES128-SHA:AES256-SHA:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"],
    ] {
        let said = s_client(&authority, &server, words, "");
        assert!(said.contains("alert") && said.contains("Cipher is (NONE)"), "{words:?}: {said}");
    }
    server.wait_for("tls_failed_incompatible_total", 3);
    server.settled();
}

/// T-06
#[test]
fn the_protocol_is_agreed_on_or_refused() {
    let authority = Authority::new();
    let server = authority.serve("");
    let said = s_client(&authority, &server, &["-alpn", "h2"], "");
    assert!(said.contains("no application protocol"), "{said}");
    let said = s_client(&authority, &server, &["-alpn", "h2,http/1.1", "-crlf"], REQUEST);
    assert!(said.contains("ALPN protocol: http/1.1") && said.contains("200 OK"), "{said}");
    server.settled();
}

#[test]
fn a_session_is_resumed() {
    let authority = Authority::new();
    let server = authority.serve("");
    let kept = authority.folder.join("session");
    let kept = kept.to_str().unwrap();
    for version in ["-tls1_3", "-tls1_2"] {
        s_client(&authority, &server, &[version, "-crlf", "-sess_out", kept], REQUEST);
        let said = s_client(&authority, &server, &[version, "-crlf", "-sess_in", kept], REQUEST);
        assert!(said.contains("Reused, ") && said.contains("200 OK"), "{said}");
    }
    server.wait_for("tls_resumed_total", 2);
    server.settled();
}

/// T-07
#[test]
fn early_data_is_not_taken() {
    let authority = Authority::new();
    let server = authority.serve("");
    let (kept, early) = (authority.folder.join("session"), authority.folder.join("early"));
    std::fs::write(&early, "GET / HTTP/1.1\r\n").unwrap();
    let kept = kept.to_str().unwrap();
    s_client(&authority, &server, &["-tls1_3", "-crlf", "-sess_out", kept], REQUEST);
    let words = ["-tls1_3", "-crlf", "-sess_in", kept, "-early_data", early.to_str().unwrap()];
    let said = s_client(&authority, &server, &words, REQUEST);
    assert!(!said.contains("Early data was accepted"), "{said}");
    server.settled();
}

/// T-03
#[test]
fn another_handshake_is_refused() {
    let authority = Authority::new();
    let server = authority.serve("");
    let said = s_client(&authority, &server, &["-tls1_2"], "R\n");
    assert!(said.contains("RENEGOTIATING") && said.contains("no renegotiation"), "{said}");
    server.wait_for("tls_failed_renegotiation_total", 1);
    server.settled();
}

/// RFC 8446 section 4.6.3, with an answer asked for (K) and without (k).
#[test]
fn new_keys_are_followed() {
    let authority = Authority::new();
    let server = authority.serve("");
    let said = s_client(&authority, &server, &["-tls1_3", "-crlf"], &format!("K\nk\nK\n{REQUEST}"));
    assert_eq!(said.matches("KEYUPDATE").count(), 3, "{said}");
    assert!(said.contains("200 OK"), "{said}");
    server.settled();
}

#[test]
fn clients_show_certificates_if_they_are_asked_to() {
    let authority = Authority::new();
    authority.issue("person", &["person"]);
    let roots = authority.roots();
    let file = |name: &str| authority.folder.join(name).to_str().unwrap().to_owned();
    let (cert, key) = (file("person.cert.pem"), file("person.key.pem"));
    for (auth, welcome) in [("required", [true, false]), ("optional", [true, true])] {
        let more = format!("client_auth = \"{auth}\"\nclient_ca_pem_file = \"{}\"", roots.display());
        let server = authority.serve(&more);
        for version in ["-tls1_3", "-tls1_2"] {
            let shown = ask(&authority, &server, &[version, "-cert", &cert, "-key", &key]);
            let none = ask(&authority, &server, &[version]);
            assert_eq!([shown, none].map(|said| said.contains("200 OK")), welcome, "{auth} {version}");
        }
        server.settled();
    }
}
