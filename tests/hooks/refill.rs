//! Channels whose cache is empty: a back end fills it before those are let in who recover from it.

use super::CLIENTS;
use super::backend::{Answer, Backend};
use super::support::server::Server;
use super::support::session::Session;
use super::support::wait::wait_until;
use serde_json::{Value, json};

fn cached(backend: &Backend, more: &str) -> String {
    format!(
        "{CLIENTS}history_size = 1\nhistory_ttl = \"1m\"\nforce_recovery = true\nforce_recovery_mode = \"cache\"\n\
         cache_empty_proxy_enabled = true\n[channel.proxy.cache_empty]\ntimeout = \"4s\"\n\
         endpoint = \"http://{}/empty\"\n{more}",
        backend.address
    )
}

/// What a subscriber finds who asks for the latest publication.
fn find(session: &mut Session, channel: &str) -> Value {
    let request = json!({ "channel": channel, "recover": true });
    let command = session.send("subscribe", &request);
    session.reply(command)
}

fn recover_all(sessions: &mut [Session], channel: &str) -> Vec<u64> {
    let request = json!({ "channel": channel, "recover": true });
    sessions.iter_mut().map(|session| session.send("subscribe", &request)).collect()
}

#[test]
fn those_who_find_nothing_wait_for_one_question_and_get_what_the_back_end_published() {
    let backend = Backend::start(|_| Answer::Late(json!({ "populated": true })));
    let server = Server::start_on(Server::core_count(2), &cached(&backend, ""));
    let mut sessions: Vec<_> = (0..8).map(|_| Session::start(&server)).collect();
    let commands = recover_all(&mut sessions, "scores");
    wait_until("the back end is asked", || !backend.asked().is_empty());
    let asked = backend.asked();
    assert_eq!((&*asked[0].path, &asked[0].body), ("/empty", &json!({ "channel": "scores" })));
    let mut source = Session::start(&server);
    source.publish("scores", &json!({ "home": 2 }));
    backend.open();
    for (session, command) in sessions.iter_mut().zip(commands) {
        let reply = session.reply(command);
        assert_eq!(reply["subscribe"]["recovered"], true, "{reply}");
        assert_eq!(reply["subscribe"]["publications"][0]["data"], json!({ "home": 2 }), "{reply}");
    }
    assert!(backend.asked().len() < 8, "{} questions for one channel", backend.asked().len());
    source.publish("scores", &json!({ "home": 3 }));
    for session in &mut sessions {
        assert_eq!(session.publication().data, json!({ "home": 3 }));
    }
    drop((source, sessions));
    server.settled();
}

#[test]
fn a_back_end_that_has_nothing_leaves_an_empty_cache_and_is_asked_again_by_the_next() {
    let backend = Backend::start(|_| Answer::Result(json!({})));
    let server = Server::start(&cached(&backend, ""));
    for count in 1..=2 {
        let mut session = Session::start(&server);
        let reply = find(&mut session, "scores");
        assert!(reply["subscribe"].is_object() && reply["subscribe"]["publications"].is_null(), "{reply}");
        assert_eq!(backend.asked().len(), count);
    }
    let mut source = Session::start(&server);
    source.publish("scores", &json!(1));
    let reply = find(&mut Session::start(&server), "scores");
    assert_eq!(reply["subscribe"]["publications"][0]["data"], 1, "{reply}");
    assert_eq!(backend.asked().len(), 2, "there is something, so nobody is asked");
    drop(source);
    server.settled();
}

#[test]
fn without_an_answer_the_fallback_decides() {
    for (fallback, code) in [("error", 100), ("deny", 103), ("allow", 0)] {
        let backend = Backend::start(|_| Answer::Status(500));
        let server = Server::start(&cached(&backend, &format!("fallback = \"{fallback}\"\n")));
        let mut session = Session::start(&server);
        let reply = find(&mut session, "scores");
        assert_eq!(reply["error"]["code"].as_u64().unwrap_or_default(), code, "{fallback}: {reply}");
        assert_eq!(reply["subscribe"].is_object(), fallback == "allow", "{reply}");
        // It is not stuck half way.
        session.ask("unsubscribe", &json!({ "channel": "scores" }));
        drop(session);
        server.settled();
    }
}

#[test]
fn who_leaves_while_the_back_end_thinks_leaves_nothing_behind() {
    let backend = Backend::start(|_| Answer::Late(json!({ "populated": true })));
    let server = Server::start(&cached(&backend, ""));
    let mut sessions: Vec<_> = (0..3).map(|_| Session::start(&server)).collect();
    recover_all(&mut sessions, "scores");
    wait_until("the back end is asked", || !backend.asked().is_empty());
    let mut last = sessions.pop().unwrap();
    let left = last.send("unsubscribe", &json!({ "channel": "scores" }));
    drop(sessions);
    server.wait_for("connections", 1);
    backend.open();
    assert!(last.reply(left)["unsubscribe"].is_object());
    assert!(find(&mut last, "scores")["subscribe"].is_object());
    drop(last);
    server.settled();
}
