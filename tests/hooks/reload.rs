//! A reload changes back ends under running connections, and leaves those alone that it does not name.

use super::backend::{Answer, Backend};
use super::support::client::{Client, upgrade_head};
use super::support::server::Server;
use super::support::session::{PATH, Session};
use super::support::wait::{PATIENCE, wait_until};
use super::{CLIENTS, call, rpc_at};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;

#[test]
fn a_back_end_moves_with_a_reload_and_nobody_reconnects() {
    let (one, other) = (Backend::saying("one"), Backend::saying("other"));
    let server = Server::start(&rpc_at(one.address));
    let mut session = Session::start(&server);
    assert_eq!(call(&mut session, "who"), Ok(json!("one")));
    server.reload(&rpc_at(other.address), "accepted");
    server.says("configuration reloaded: rpc.proxy.endpoint\n");
    wait_until("the other one is asked", || call(&mut session, "who") == Ok(json!("other")));
    let log = server.log();
    assert!(!log.contains("take effect with the next start"), "{log}");
    let asked = one.asked().len();
    assert_eq!(call(&mut session, "who"), Ok(json!("other")));
    assert_eq!(one.asked().len(), asked, "the old one is left alone");
    drop(session);
    server.settled();
}

#[test]
fn a_reload_by_the_api_moves_a_back_end_as_well() {
    let (one, other) = (Backend::saying("one"), Backend::saying("other"));
    let api = |address| format!("{}[http_api]\nkey = \"k\"\n", rpc_at(address));
    let server = Server::start(&api(one.address));
    let mut session = Session::start(&server);
    assert_eq!(call(&mut session, "who"), Ok(json!("one")));
    server.rewrite(&api(other.address));
    let head = "POST /api/reload HTTP/1.1\r\nHost: a\r\nX-API-Key: k\r\nContent-Length: 2\r\n\r\n{}";
    let mut caller = TcpStream::connect(server.internal).unwrap();
    caller.set_read_timeout(Some(PATIENCE)).unwrap();
    caller.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 4096];
    let length = caller.read(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("rpc.proxy.endpoint"), "{answer}");
    wait_until("the other one is asked", || call(&mut session, "who") == Ok(json!("other")));
    drop((session, caller));
    server.settled();
}

#[test]
fn a_hook_and_its_back_end_appear_with_a_reload() {
    let backend = Backend::saying("here");
    let server = Server::start(CLIENTS);
    let mut session = Session::start(&server);
    assert_eq!(call(&mut session, "who"), Err(108));
    server.reload(&rpc_at(backend.address), "accepted");
    wait_until("the procedure is there", || call(&mut session, "who") == Ok(json!("here")));
    server.reload(CLIENTS, "accepted");
    wait_until("the procedure is gone", || call(&mut session, "who") == Err(108));
    drop(session);
    server.settled();
}

#[test]
fn a_reload_that_does_not_touch_a_back_end_leaves_its_breaker_open() {
    let backend = Backend::start(|_| Answer::Status(500));
    let config = format!("{}breaker_failures = 2\nbreaker_pause = \"1h\"\n", rpc_at(backend.address));
    let server = Server::start(&config);
    let mut session = Session::start(&server);
    for _ in 0..3 {
        assert_eq!(call(&mut session, "any"), Err(100));
    }
    assert_eq!(server.metrics().labelled("hook_breaker{hook=\"rpc\"}"), 2);
    server.reload(&config.replace("[client]\n", "[client]\nchannel_limit = 7\n"), "accepted");
    assert_eq!(call(&mut session, "any"), Err(100));
    assert_eq!(backend.asked().len(), 2, "it is still left alone");
    assert_eq!(server.metrics().labelled("hook_breaker{hook=\"rpc\"}"), 2);
    // Other settings: what was learnt before says nothing about them.
    server.reload(&config.replace("breaker_failures = 2", "breaker_failures = 3"), "accepted");
    wait_until("it is asked again", || {
        assert_eq!(call(&mut session, "any"), Err(100));
        backend.asked().len() > 2
    });
    assert!(server.metrics().labelled("hooks_total{hook=\"rpc\",result=\"status\"}") > 2, "figures go on");
    drop(session);
    server.settled();
}

#[test]
fn a_wrong_back_end_is_refused_and_the_old_one_stays() {
    let backend = Backend::saying("old");
    let config = rpc_at(backend.address);
    let server = Server::start(&config);
    let mut session = Session::start(&server);
    server.reload(&config.replace("http://", "gopher://"), "refused");
    server.reload(&config.replace("[rpc.proxy]", "[rpc.proxies]"), "refused");
    assert_eq!(call(&mut session, "who"), Ok(json!("old")));
    server.says("`rpc.proxy.endpoint` is gopher://");
    server.says("must be an address such as");
    drop(session);
    server.settled();
}

#[test]
fn a_header_that_a_reload_names_is_passed_on_for_those_who_come_then() {
    let backend = Backend::saying("x");
    let config = rpc_at(backend.address);
    let server = Server::start(&config);
    let come = || {
        let mut client = Client::connect(server.public);
        client.send(format!("{}X-Device: phone\r\n\r\n", upgrade_head(PATH)).as_bytes());
        assert_eq!(client.response().status, 101);
        let mut session = Session::over(client);
        session.connect();
        session
    };
    let device = || {
        let question = backend.asked().pop().unwrap();
        question.headers.into_iter().find(|(name, _)| name == "x-device").map(|(_, value)| value)
    };
    call(&mut come(), "any").unwrap();
    assert_eq!(device(), None);
    server.reload(&format!("{config}http_headers = [\"X-Device\"]\n"), "accepted");
    wait_until("the header is passed on", || {
        call(&mut come(), "any").unwrap();
        device().as_deref() == Some("phone")
    });
    server.settled();
}

#[test]
fn a_reload_switches_events_on_and_moves_and_ends_them() {
    let (one, other) = (Backend::saying("one"), Backend::saying("other"));
    let telling = |address| {
        format!(
            "{CLIENTS}[events]\nof = [\"disconnect\"]\nbatch_delay = \"0s\"\n[events.proxy]\nenabled = true\n\
             endpoint = \"http://{address}/events\"\n"
        )
    };
    let server = Server::start(CLIENTS);
    let mut told = 0;
    for backend in [&one, &other] {
        server.reload(&telling(backend.address), "accepted");
        wait_until("it is told of disconnects", || {
            drop(Session::start(&server));
            server.settled();
            !backend.asked().is_empty()
        });
        told = backend.asked().len();
    }
    let news = other.asked();
    assert_eq!(news[0].path, "/events");
    assert_eq!(news[0].body["events"][0]["type"], "disconnect");
    server.reload(CLIENTS, "accepted");
    drop(Session::start(&server));
    server.settled();
    // One that was under way with the reload may still arrive.
    assert!(other.asked().len() <= told + 1);
}
