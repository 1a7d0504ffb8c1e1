//! Back ends that take their time: deadlines hold, and nobody pays who did not ask.

use super::backend::{Answer, Backend};
use super::support::server::Server;
use super::support::session::Session;
use super::{CLIENTS, call, rpc_at};
use serde_json::{Value, json};

#[test]
fn a_deadline_is_an_internal_error_and_the_client_stays() {
    let backend = Backend::start(|_| Answer::Late(json!({ "data": 1 })));
    let config = rpc_at(backend.address).replace("timeout = \"4s\"", "timeout = \"100ms\"");
    let server = Server::start(&config);
    let mut session = Session::start(&server);
    assert_eq!(call(&mut session, "any"), Err(100));
    assert_eq!(server.metrics().labelled("hooks_total{hook=\"rpc\",result=\"timeout\"}"), 1);
    // The late answer to the first is not mistaken for the answer to the second.
    backend.open();
    backend.answer(|_| Answer::Result(json!({ "data": 2 })));
    assert_eq!(call(&mut session, "any"), Ok(json!(2)));
    drop(session);
    server.settled();
}

#[test]
fn a_slow_back_end_holds_up_nobody_but_those_who_asked_it() {
    let slow = Backend::start(|_| Answer::Late(json!({ "data": "late" })));
    let quick = Backend::saying("quick");
    let config = format!(
        "{}concurrency = 2\n[[proxies]]\nname = \"quick\"\nendpoint = \"http://{}/\"\ntimeout = \"4s\"\n\
         [[rpc.namespaces]]\nname = \"quick\"\nproxy_enabled = true\nproxy_name = \"quick\"\n",
        rpc_at(slow.address),
        quick.address
    );
    let server = Server::start(&config);
    let (mut asker, mut other) = (Session::start(&server), Session::start(&server));
    other.subscribe("news");
    let calls: Vec<u64> = (0..10).map(|_| asker.send("rpc", &json!({ "method": "slow" }))).collect();
    // On the same connection: what does not need the back end.
    asker.publish("news", &json!("while it waits"));
    assert_eq!(other.publication().data, "while it waits");
    for n in 0..20 {
        other.publish("news", &json!(n));
        assert_eq!(other.publication().data, n);
    }
    assert_eq!(call(&mut other, "quick:any"), Ok(json!("quick")));
    slow.open();
    for call in calls {
        assert_eq!(asker.reply(call)["rpc"]["data"], "late");
    }
    drop((asker, other));
    server.settled();
}

#[test]
fn a_client_whose_connect_hook_is_slow_does_not_keep_others_out() {
    let backend = Backend::start(|question| {
        let is_slow = question.body["name"] == "slow";
        let result = json!({ "user": "u" });
        if is_slow { Answer::Late(result) } else { Answer::Result(result) }
    });
    let config = format!(
        "[client]\nping_interval = \"1h\"\n[client.proxy.connect]\nenabled = true\ntimeout = \"4s\"\n\
         endpoint = \"http://{}/connect\"\n",
        backend.address
    );
    let server = Server::start(&config);
    let raw = || super::support::client::Client::upgraded(&server, super::support::session::PATH);
    let mut slow = Session::over(raw());
    let waiting = slow.send("connect", &json!({ "name": "slow" }));
    for _ in 0..5 {
        let mut quick = Session::over(raw());
        assert!(quick.ask("connect", &json!({}))["connect"]["client"].is_string());
    }
    backend.open();
    assert!(slow.reply(waiting)["connect"]["client"].is_string());
    drop(slow);
    server.settled();
}

#[test]
fn fallbacks_hold_when_a_back_end_does_not_answer() {
    let backend = Backend::start(|_| Answer::Status(500));
    let hooked = |fallback: &str| {
        format!(
            "{CLIENTS}publish_proxy_enabled = true\nsubscribe_proxy_enabled = true\n\
             [channel.proxy.publish]\nendpoint = \"http://{0}/\"\nfallback = \"{fallback}\"\n\
             [channel.proxy.subscribe]\nendpoint = \"http://{0}/\"\nfallback = \"{fallback}\"\n",
            backend.address
        )
    };
    for (fallback, code) in [("error", Some(100)), ("allow", None), ("deny", Some(103))] {
        let server = Server::start(&hooked(fallback));
        let mut session = Session::start(&server);
        let published = session.ask("publish", &json!({ "channel": "a", "data": 1 }));
        assert_eq!(published["error"]["code"].as_u64(), code, "{fallback}: {published}");
        let subscribed = session.ask("subscribe", &json!({ "channel": "b" }));
        let code = if fallback == "allow" { Value::Null } else { json!(code) };
        assert_eq!(subscribed["error"]["code"], code, "{fallback}: {subscribed}");
        drop(session);
        server.settled();
    }
}
