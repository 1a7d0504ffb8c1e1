//! publish and broadcast, and what arrives.

use super::CONFIG;
use super::caller::{BAD_REQUEST, Caller, UNKNOWN_CHANNEL, connected, message};
use crate::support::server::Server;
use serde_json::json;

#[test]
fn a_publication_reaches_its_subscribers_on_one_line() {
    let server = Server::start(CONFIG);
    let caller = &mut Caller::of(&server);
    let (mut session, _) = connected(&server);
    session.subscribe("news");
    let published = caller.call("publish", "{\"channel\":\"news\",\"data\":{\n \"text\" : \"a\\nb\"\r\n}}");
    assert_eq!(published, r#"{"result":{}}"#);
    let frame = session.client.frame();
    let text = std::str::from_utf8(&frame.payload).unwrap();
    assert!(!text.trim_end().contains('\n'), "{text:?}");
    assert!(text.contains(r#""data":{"text":"a\nb"}"#), "{text}");
}

#[test]
fn tags_and_base64_arrive_as_they_were_given() {
    let server = Server::start(CONFIG);
    let caller = &mut Caller::of(&server);
    let (mut session, _) = connected(&server);
    session.subscribe("news");
    // {"n": 1}, and data beside it that is not looked at.
    let params = r#"{"channel":"news","data":0,"b64data":"eyJuIjogMX0=","tags":{"k":"v"}}"#;
    assert_eq!(caller.call("publish", params), r#"{"result":{}}"#);
    let push = message(&mut session);
    assert_eq!(push["push"]["channel"], "news");
    assert_eq!(push["push"]["pub"]["data"], json!({"n": 1}));
    assert_eq!(push["push"]["pub"]["tags"], json!({"k": "v"}));
}

#[test]
fn a_channel_with_a_history_answers_with_positions() {
    let server = Server::start(CONFIG);
    let caller = &mut Caller::of(&server);
    let first = caller.value("publish", r#"{"channel":"log:1","data":1}"#);
    let second = caller.value("publish", r#"{"channel":"log:1","data":2}"#);
    let epoch = first["result"]["epoch"].as_str().unwrap();
    assert_eq!(first, json!({"result": {"offset": 1, "epoch": epoch}}));
    assert_eq!(second, json!({"result": {"offset": 2, "epoch": epoch}}));
    assert!(!epoch.is_empty());
    let skipped = caller.call("publish", r#"{"channel":"log:1","data":3,"skip_history":true}"#);
    assert_eq!(skipped, r#"{"result":{}}"#);
}

#[test]
fn what_is_missing_or_malformed_is_107_and_an_unknown_namespace_is_102() {
    let server = Server::start(CONFIG);
    let caller = &mut Caller::of(&server);
    for params in [
        "{}",
        "",
        r#"{"channel":"","data":1}"#,
        r#"{"channel":"news"}"#,
        r#"{"channel":"news","data":null}"#,
        r#"{"channel":"news","b64data":"%"}"#,
    ] {
        assert_eq!(caller.call("publish", params), BAD_REQUEST, "{params}");
    }
    assert_eq!(caller.call("publish", r#"{"channel":"no:1","data":1}"#), UNKNOWN_CHANNEL);
    let long = format!(r#"{{"channel":"{}","data":1}}"#, "x".repeat(256));
    assert_eq!(caller.call("publish", &long), BAD_REQUEST);
}

#[test]
fn an_idempotency_key_makes_the_second_publication_the_first() {
    let server = Server::start(CONFIG);
    let caller = &mut Caller::of(&server);
    let (mut session, _) = connected(&server);
    session.subscribe("log:1");
    let params = r#"{"channel":"log:1","data":1,"idempotency_key":"once"}"#;
    let first = caller.call("publish", params);
    assert_eq!(caller.call("publish", params), first);
    assert!(first.contains(r#""offset":1"#), "{first}");
    caller.call("publish", r#"{"channel":"log:1","data":"last"}"#);
    assert_eq!(session.publication().data, json!(1));
    assert_eq!(session.publication().data, json!("last"));
}

#[test]
fn a_version_that_is_not_newer_is_dropped() {
    let server = Server::start(CONFIG);
    let caller = &mut Caller::of(&server);
    let (mut session, _) = connected(&server);
    session.subscribe("log:v");
    for (version, data) in [(5, "\"five\""), (4, "\"four\""), (5, "\"again\""), (6, "\"six\"")] {
        let params =
            format!(r#"{{"channel":"log:v","data":{data},"version":{version},"version_epoch":"e"}}"#);
        let published = caller.value("publish", &params);
        assert!(published["result"].is_object(), "{published}");
    }
    assert_eq!(session.publication().data, json!("five"));
    assert_eq!(session.publication().data, json!("six"));
}

#[test]
fn a_broadcast_answers_for_every_channel_in_its_order() {
    let server = Server::start_on(Server::core_count(2), CONFIG);
    let caller = &mut Caller::of(&server);
    let (mut session, _) = connected(&server);
    session.subscribe("a");
    session.subscribe("b");
    let answer = caller.call("broadcast", r#"{"channels":["a","no:1","","b"],"data":7}"#);
    assert_eq!(
        answer,
        format!(
            r#"{{"result":{{"responses":[{{"result":{{}}}},{UNKNOWN_CHANNEL},{BAD_REQUEST},{{"result":{{}}}}]}}}}"#
        )
    );
    let mut got = [session.publication(), session.publication()].map(|publication| publication.channel);
    got.sort();
    assert_eq!(got, ["a", "b"]);
    for params in ["{}", r#"{"channels":[],"data":1}"#, r#"{"channels":["a"]}"#] {
        assert_eq!(caller.call("broadcast", params), BAD_REQUEST, "{params}");
    }
}

#[test]
fn a_broadcast_to_more_channels_than_fit_at_once_reaches_all() {
    let server = Server::start_on(Server::core_count(2), CONFIG);
    let channels: Vec<String> = (0..5_000).map(|n| format!("log:{n}")).collect();
    let params = json!({"channels": channels, "data": 1}).to_string();
    let answer = Caller::of(&server).value("broadcast", &params);
    let responses = answer["result"]["responses"].as_array().unwrap();
    assert_eq!(responses.len(), 5_000);
    assert!(responses.iter().all(|response| response["result"]["offset"] == 1), "{:?}", responses[0]);
}
