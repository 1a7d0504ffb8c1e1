//! The breaker of a back end, seen from clients: closed, open, half open.

use super::backend::{Answer, Backend};
use super::support::server::Server;
use super::support::session::Session;
use super::support::wait::wait_until;
use super::{call, rpc_at};
use serde_json::json;

const STATE: &str = "hook_breaker{hook=\"rpc\"}";

fn well() -> Answer {
    Answer::Result(json!({ "data": 1 }))
}

#[test]
fn failures_open_it_a_success_between_them_does_not_and_an_open_one_asks_nothing() {
    let backend = Backend::start(|_| Answer::Status(502));
    let rules = "breaker_failures = 3\nbreaker_pause = \"1h\"\nbreaker_open_timeout = \"0s\"\n";
    let server = Server::start(&format!("{}{rules}", rpc_at(backend.address)));
    let mut session = Session::start(&server);
    for _ in 0..2 {
        assert_eq!(call(&mut session, "any"), Err(100));
    }
    backend.answer(|_| well());
    assert_eq!(call(&mut session, "any"), Ok(json!(1)));
    backend.answer(|_| Answer::Status(502));
    for _ in 0..2 {
        assert_eq!(call(&mut session, "any"), Err(100));
    }
    assert_eq!(server.metrics().labelled(STATE), 0);
    assert_eq!(call(&mut session, "any"), Err(100));
    assert_eq!(server.metrics().labelled(STATE), 2);
    let asked = backend.asked().len();
    assert_eq!(asked, 6);
    for _ in 0..20 {
        assert_eq!(call(&mut session, "any"), Err(100));
    }
    assert_eq!(backend.asked().len(), asked, "nothing is sent while it is open");
    let metrics = server.metrics();
    assert_eq!(metrics.labelled("hooks_total{hook=\"rpc\",result=\"breaker_open\"}"), 20);
    assert_eq!(metrics.labelled("hooks_total{hook=\"rpc\",result=\"status\"}"), 5);
    drop(session);
    server.settled();
}

#[test]
fn refusals_are_answers_and_do_not_open_it() {
    let backend = Backend::start(|_| Answer::Status(403));
    let rules = "breaker_failures = 2\nstatus_transforms = \"403 error 403 forbidden\"\n";
    let server = Server::start(&format!("{}{rules}", rpc_at(backend.address)));
    let mut session = Session::start(&server);
    for _ in 0..5 {
        assert_eq!(call(&mut session, "any"), Err(403));
    }
    assert_eq!(server.metrics().labelled(STATE), 0);
    drop(session);
    server.settled();
}

#[test]
fn probes_that_fail_open_it_again_and_probes_that_all_succeed_close_it() {
    let backend = Backend::start(|_| Answer::Status(502));
    let rules = "breaker_failures = 1\nbreaker_pause = \"50ms\"\nbreaker_probes = 2\nbreaker_probe_timeout = \"4s\"\n\
        breaker_open_timeout = \"0s\"\n";
    let server = Server::start(&format!("{}{rules}", rpc_at(backend.address)));
    let mut session = Session::start(&server);
    assert_eq!(call(&mut session, "any"), Err(100));
    assert_eq!(backend.asked().len(), 1);
    wait_until("a probe is sent, and fails", || {
        assert_eq!(call(&mut session, "any"), Err(100));
        backend.asked().len() >= 2
    });
    assert_eq!(server.metrics().labelled(STATE), 2, "open again");
    backend.answer(|_| well());
    wait_until("the first probe succeeds", || call(&mut session, "any").is_ok());
    assert_eq!(server.metrics().labelled(STATE), 1, "one of two is not all");
    assert_eq!(call(&mut session, "any"), Ok(json!(1)));
    assert_eq!(server.metrics().labelled(STATE), 0);
    drop(session);
    server.settled();
}

#[test]
fn while_probes_are_under_way_others_get_the_fallback_at_once() {
    let backend = Backend::start(|_| Answer::Status(502));
    let rules = "breaker_failures = 1\nbreaker_pause = \"50ms\"\nbreaker_probes = 1\nbreaker_probe_timeout = \"4s\"\n\
        breaker_open_timeout = \"0s\"\n";
    let server = Server::start(&format!("{}{rules}", rpc_at(backend.address)));
    let (mut first, mut second) = (Session::start(&server), Session::start(&server));
    assert_eq!(call(&mut first, "any"), Err(100));
    backend.answer(|_| Answer::Late(json!({ "data": "late" })));
    let mut probe = 0;
    wait_until("a probe is under way", || {
        let refused = || server.metrics().seen("hooks_total{hook=\"rpc\",result=\"breaker_open\"}");
        let before = refused();
        probe = first.send("rpc", &json!({ "method": "any" }));
        wait_until("it is sent or refused", || backend.asked().len() == 2 || refused() > before);
        backend.asked().len() == 2
    });
    assert_eq!(server.metrics().labelled(STATE), 1);
    assert_eq!(call(&mut second, "any"), Err(100));
    assert_eq!(backend.asked().len(), 2);
    backend.open();
    assert_eq!(first.reply(probe)["rpc"]["data"], "late");
    assert_eq!(server.metrics().labelled(STATE), 0);
    drop((first, second));
    server.settled();
}
