//! history, history_remove, cursors.

use super::CONFIG;
use super::caller::{BAD_REQUEST, Caller, NOT_AVAILABLE};
use crate::support::server::Server;
use serde_json::json;

const CHANNEL: &str = r#""channel":"log:1""#;

/// Three publications, and their epoch.
fn filled(caller: &mut Caller) -> String {
    let mut epoch = String::new();
    for data in ["1", "{\"a\":2}", "\"three\""] {
        let published = caller.value("publish", &format!("{{{CHANNEL},\"data\":{data}}}"));
        published["result"]["epoch"].as_str().unwrap().clone_into(&mut epoch);
    }
    epoch
}

#[test]
fn a_history_is_read_whole_in_part_and_backwards() {
    let server = Server::start(CONFIG);
    let caller = &mut Caller::of(&server);
    let epoch = filled(caller);
    let end = format!(r#""epoch":"{epoch}","offset":3}}}}"#);
    let [one, two, three] =
        [r#"{"data":1,"offset":1}"#, r#"{"data":{"a":2},"offset":2}"#, r#"{"data":"three","offset":3}"#];
    for (params, publications) in [
        (format!("{{{CHANNEL}}}"), String::new()),
        (format!("{{{CHANNEL},\"limit\":0}}"), String::new()),
        (format!("{{{CHANNEL},\"limit\":-1}}"), [one, two, three].join(",")),
        (format!("{{{CHANNEL},\"limit\":2}}"), [one, two].join(",")),
        (format!("{{{CHANNEL},\"limit\":2,\"reverse\":true}}"), [three, two].join(",")),
        (
            format!(r#"{{{CHANNEL},"limit":-1,"since":{{"offset":1,"epoch":"{epoch}"}}}}"#),
            [two, three].join(","),
        ),
    ] {
        let expected = format!(r#"{{"result":{{"publications":[{publications}],{end}"#);
        assert_eq!(caller.call("history", &params), expected, "{params}");
    }
    let lost = format!(r#"{{{CHANNEL},"limit":-1,"since":{{"offset":1,"epoch":"other"}}}}"#);
    assert_eq!(caller.call("history", &lost), r#"{"error":{"code":112,"message":"unrecoverable position"}}"#);
}

#[test]
fn tags_of_a_publication_are_kept() {
    let server = Server::start(CONFIG);
    let caller = &mut Caller::of(&server);
    caller.call("publish", r#"{"channel":"log:1","data":1,"tags":{"k":"v","a":"b"}}"#);
    let history = caller.value("history", r#"{"channel":"log:1","limit":-1}"#);
    assert_eq!(
        history["result"]["publications"],
        json!([{"data": 1, "offset": 1, "tags": {"a": "b", "k": "v"}}])
    );
}

#[test]
fn binary_data_comes_back_in_base64() {
    let server = Server::start(CONFIG);
    let caller = &mut Caller::of(&server);
    caller.call("publish", r#"{"channel":"log:1","b64data":"AP8="}"#);
    let history = caller.value("history", r#"{"channel":"log:1","limit":-1}"#);
    assert_eq!(history["result"]["publications"], json!([{"b64data": "AP8=", "offset": 1}]));
}

#[test]
fn a_removed_history_is_empty_and_its_offsets_go_on() {
    let server = Server::start(CONFIG);
    let caller = &mut Caller::of(&server);
    filled(caller);
    assert_eq!(caller.call("history_remove", &format!("{{{CHANNEL}}}")), r#"{"result":{}}"#);
    let history = caller.value("history", &format!("{{{CHANNEL},\"limit\":-1}}"));
    assert_eq!(history["result"]["publications"], json!([]));
}

#[test]
fn a_channel_without_a_history_says_so() {
    let server = Server::start(CONFIG);
    let caller = &mut Caller::of(&server);
    for method in ["history", "history_remove"] {
        assert_eq!(caller.call(method, r#"{"channel":"plain"}"#), NOT_AVAILABLE, "{method}");
        assert_eq!(caller.call(method, "{}"), BAD_REQUEST, "{method}");
    }
}

#[test]
fn a_cursor_keeps_how_far_a_user_has_come() {
    let server = Server::start(CONFIG);
    let caller = &mut Caller::of(&server);
    let epoch = filled(caller);
    let cursor = |acknowledged: u64| {
        format!(r#"{{"result":{{"acknowledged":{acknowledged},"epoch":"{epoch}","offset":3}}}}"#)
    };
    let get = format!("{{{CHANNEL},\"user\":\"42\"}}");
    assert_eq!(caller.call("cursor", &get), cursor(0));
    let set = format!("{{{CHANNEL},\"user\":\"42\",\"offset\":2}}");
    assert_eq!(caller.call("set_cursor", &set), cursor(2));
    assert_eq!(caller.call("cursor", &get), cursor(2));
    assert_eq!(caller.call("cursor", &format!("{{{CHANNEL},\"user\":\"43\"}}")), cursor(0));
    assert_eq!(caller.call("set_cursor", &get), BAD_REQUEST);
}
