//! subscribe, unsubscribe, disconnect, refresh: what back ends do with connections, and what these see.

use super::CONFIG;
use super::caller::{BAD_REQUEST, Caller, connected, message};
use crate::support::frame::CLOSE;
use crate::support::server::Server;
use crate::support::session::Session;
use serde_json::json;

const DONE: &str = r#"{"result":{}}"#;

#[track_caller]
fn closed_with(session: &mut Session) -> (u16, String) {
    let frame = session.client.frame();
    assert_eq!(frame.first, CLOSE, "{frame:?}");
    let (code, reason) = frame.payload.split_at(2);
    (u16::from_be_bytes([code[0], code[1]]), String::from_utf8(reason.to_vec()).unwrap())
}

#[test]
fn a_back_end_subscribes_and_unsubscribes_a_client() {
    let server = Server::start_on(Server::core_count(2), CONFIG);
    let caller = &mut Caller::of(&server);
    let (mut session, id) = connected(&server);
    let params = format!(r#"{{"client":"{id}","channel":"news","data":{{"hello":1}}}}"#);
    assert_eq!(caller.call("subscribe", &params), DONE);
    let push = message(&mut session);
    assert_eq!(push["push"]["channel"], "news");
    assert_eq!(push["push"]["subscribe"]["data"], json!({"hello": 1}));
    caller.call("publish", r#"{"channel":"news","data":1}"#);
    assert_eq!(message(&mut session)["push"]["pub"]["data"], 1);
    assert_eq!(caller.call("unsubscribe", r#"{"user":"","channel":"news"}"#), DONE);
    let push = message(&mut session);
    assert_eq!(
        push,
        json!({"push": {"channel": "news", "unsubscribe": {"code": 2000, "reason": "server unsubscribe"}}})
    );
    assert_eq!(caller.call("channels", "{}"), r#"{"result":{"channels":{}}}"#);
}

#[test]
fn whoever_is_not_there_is_no_error_and_a_missing_channel_is() {
    let server = Server::start(CONFIG);
    let caller = &mut Caller::of(&server);
    for (method, params) in [
        ("subscribe", r#"{"user":"nobody","channel":"news"}"#),
        ("unsubscribe", r#"{"user":"nobody"}"#),
        ("disconnect", r#"{"user":"nobody"}"#),
        ("disconnect", r#"{"client":"no id of ours"}"#),
        ("refresh", r#"{"user":"nobody","expired":true}"#),
    ] {
        assert_eq!(caller.call(method, params), DONE, "{method} {params}");
    }
    assert_eq!(caller.call("subscribe", r#"{"user":"nobody"}"#), BAD_REQUEST);
}

#[test]
fn a_disconnect_ends_all_but_whom_it_spares() {
    let server = Server::start_on(Server::core_count(2), CONFIG);
    let caller = &mut Caller::of(&server);
    let mut clients: Vec<_> = (0..4).map(|_| connected(&server)).collect();
    let (mut spared, id) = clients.pop().unwrap();
    let params = format!(r#"{{"user":"","whitelist":["{id}"]}}"#);
    assert_eq!(caller.call("disconnect", &params), DONE);
    for (session, _) in &mut clients {
        assert_eq!(closed_with(session), (3503, String::from("force disconnect")));
    }
    spared.subscribe("news");
    let params = format!(r#"{{"client":"{id}","disconnect":{{"code":4001,"reason":"bye"}}}}"#);
    assert_eq!(caller.call("disconnect", &params), DONE);
    assert_eq!(closed_with(&mut spared), (4001, String::from("bye")));
    let params = r#"{"user":"","disconnect":{"code":1000,"reason":"x"}}"#;
    assert_eq!(caller.call("disconnect", params), BAD_REQUEST);
}

#[test]
fn an_expired_refresh_ends_the_connection() {
    let server = Server::start(CONFIG);
    let (mut session, id) = connected(&server);
    let params = format!(r#"{{"client":"{id}","expired":true}}"#);
    assert_eq!(Caller::of(&server).call("refresh", &params), DONE);
    assert_eq!(closed_with(&mut session), (3005, String::from("connection expired")));
}
