//! Revocations over the server API: what is live ends, what comes is refused, and a reload forgets nothing.

use super::issuer::{Issuer, Signer};
use super::support::server::Server;
use super::support::wait::{PATIENCE, wait_until};
use super::{Fate, connect};
use rustix::process::Signal;
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

#[track_caller]
fn call(server: &Server, method: &str, params: &str) {
    let mut stream = TcpStream::connect(server.internal).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = params.len();
    let request = format!(
        "POST /api/{method} HTTP/1.1\r\nHost: a\r\nX-API-Key: k-e-y\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{params}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\n{\"result\":{}}"), "{answer}");
}

#[test]
fn what_is_revoked_ends_at_once_and_stays_out_after_a_reload() {
    let (issuer, signer) = (Issuer::start(), Signer::new("one"));
    issuer.publish("blue", &[&signer]);
    let address = issuer.address;
    let config = format!(
        "[http_api]\nkey = \"k-e-y\"\n[client]\nping_interval = \"1h\"\n\
         [client.token]\njwks_public_endpoint = \"http://{address}/blue/keys\"\n"
    );
    let server = Server::start_on(Server::core_count(2), &config);
    let token = |user: &str, jti: &str| signer.token(&json!({"sub": user, "jti": jti, "iat": 1_000}));
    let tokens = [token("ada", "1"), token("ada", "2"), token("ben", "3"), token("cid", "4")];
    let mut live: Vec<_> = tokens
        .iter()
        .map(|token| {
            let (session, fate) = connect(&server, token);
            assert_eq!(fate, Fate::In);
            session
        })
        .collect();
    call(&server, "revoke_token", r#"{"uid":"1"}"#);
    live[0].client.parts(3500);
    call(&server, "block_user", r#"{"user":"ben"}"#);
    live[2].client.parts(3507);
    call(&server, "invalidate_user_tokens", r#"{"user":"cid","issued_before":2000}"#);
    live[3].client.parts(3500);
    let reply = live[1].ask("unsubscribe", &json!({"channel": "x"}));
    assert!(reply["unsubscribe"].is_object(), "another token of the same user stays: {reply}");
    server.rewrite(&format!("{config}[channel]\nmax_length = 100\n"));
    server.signal(Signal::HUP);
    wait_until("the reload is done", || server.log().contains("configuration reloaded"));
    let fates: Vec<Fate> = tokens.iter().map(|token| connect(&server, token).1).collect();
    assert_eq!(fates, [Fate::Closed(3500), Fate::In, Fate::Closed(3507), Fate::Closed(3500)]);
    assert_eq!(server.metrics().labelled("revocations"), 3);
}

#[test]
fn what_is_revoked_stays_out_after_a_kill_if_there_is_a_store() {
    let (issuer, signer) = (Issuer::start(), Signer::new("one"));
    issuer.publish("blue", &[&signer]);
    let address = issuer.address;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("revocations-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let config = format!(
        "[http_api]\nkey = \"k-e-y\"\n[client]\nping_interval = \"1h\"\n[store]\npath = \"{}\"\n\
         [client.token]\njwks_public_endpoint = \"http://{address}/blue/keys\"\n",
        folder.display()
    );
    let token = |user: &str, jti: &str| signer.token(&json!({"sub": user, "jti": jti, "iat": 1_000}));
    let tokens =
        [token("ada", "1"), token("ada", "2"), token("ben", "3"), token("cid", "4"), token("dan", "5")];
    let fates = |server: &Server| tokens.iter().map(|token| connect(server, token).1).collect::<Vec<_>>();

    let server = Server::start_on(Server::core_count(2), &config);
    assert_eq!(fates(&server), [Fate::In, Fate::In, Fate::In, Fate::In, Fate::In]);
    call(&server, "revoke_token", r#"{"uid":"1"}"#);
    call(&server, "block_user", r#"{"user":"ben"}"#);
    call(&server, "invalidate_user_tokens", r#"{"user":"cid","issued_before":2000}"#);
    // Two acts on the same user: the later one counts.
    call(&server, "block_user", r#"{"user":"dan"}"#);
    call(&server, "unblock_user", r#"{"user":"dan"}"#);
    server.signal(Signal::KILL);
    drop(server);

    let server = Server::start_on(Server::core_count(2), &config);
    assert_eq!(server.metrics().labelled("revocations"), 3, "known before the first connection");
    assert_eq!(
        fates(&server),
        [Fate::Closed(3500), Fate::In, Fate::Closed(3507), Fate::Closed(3500), Fate::In]
    );
    call(&server, "unblock_user", r#"{"user":"ben"}"#);
    server.signal(Signal::KILL);
    drop(server);

    let server = Server::start(&config);
    assert_eq!(server.metrics().labelled("revocations"), 2);
    assert_eq!(fates(&server)[2], Fate::In);
    drop(server);
    std::fs::remove_dir_all(&folder).unwrap();
}
