//! batch, in sequence and in parallel, and lines of commands.

use super::caller::Caller;
use super::{CONFIG, KEY};
use crate::support::server::Server;
use serde_json::{Value, json};

const UNKNOWN_METHOD: &str = r#"{"error":{"code":104,"message":"not found"}}"#;

#[test]
fn a_batch_answers_every_command_in_its_order_without_a_wrapper() {
    let server = Server::start_on(Server::core_count(2), CONFIG);
    let caller = &mut Caller::of(&server);
    let commands = r#"[{"publish":{"channel":"a","data":1}},{"presence_stats":{"channel":"a"}},{"nothing":{}},
        {"publish":{"channel":"no:1","data":1}},{"rpc":{"method":"ping"}},{}]"#;
    let expected = format!(
        "{{\"replies\":[{},{},{UNKNOWN_METHOD},{},{},{UNKNOWN_METHOD}]}}",
        r#"{"publish":{}}"#,
        r#"{"presence_stats":{"num_clients":0,"num_users":0}}"#,
        r#"{"error":{"code":102,"message":"unknown channel"}}"#,
        r#"{"rpc":{"data":{}}}"#,
    );
    for parallel in ["false", "true"] {
        let params = format!(r#"{{"commands":{commands},"parallel":{parallel}}}"#);
        assert_eq!(caller.call("batch", &params), expected, "parallel: {parallel}");
    }
    assert_eq!(caller.call("batch", "{}"), r#"{"replies":[]}"#);
}

#[test]
fn a_sequential_batch_does_one_thing_after_the_other() {
    let server = Server::start(CONFIG);
    let commands: Vec<Value> =
        (0..300).map(|n| json!({"publish": {"channel": "log:1", "data": n}})).collect();
    let params = json!({ "commands": commands }).to_string();
    let replies = Caller::of(&server).value("batch", &params);
    let offsets: Vec<u64> = replies["replies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reply| reply["publish"]["offset"].as_u64().unwrap())
        .collect();
    assert!(offsets.iter().copied().eq(1..=300), "{offsets:?}");
}

#[test]
fn a_parallel_batch_beyond_the_bound_is_answered_whole() {
    let server = Server::start_on(Server::core_count(2), CONFIG);
    let commands: Vec<Value> =
        (0..3_000).map(|n| json!({"publish": {"channel": format!("log:{n}"), "data": n}})).collect();
    let params = json!({"commands": commands, "parallel": true}).to_string();
    let replies = Caller::of(&server).value("batch", &params);
    let replies = replies["replies"].as_array().unwrap();
    assert_eq!(replies.len(), 3_000);
    assert!(replies.iter().all(|reply| reply["publish"]["offset"] == 1));
}

#[test]
fn lines_of_commands_are_answered_line_by_line() {
    let server = Server::start(CONFIG);
    let lines = "{\"method\":\"publish\",\"params\":{\"channel\":\"a\",\"data\":1}}\n\
        {\"method\":\"nothing\"}\n{\"method\":\"publish\",\"params\":{}}\n";
    let answer =
        Caller::of(&server).post("/api", &format!("Authorization: apikey {KEY}\r\n"), lines.as_bytes());
    let expected = format!(
        "{{\"result\":{{}}}}\n{UNKNOWN_METHOD}\n{{\"error\":{{\"code\":107,\"message\":\"bad request\"}}}}"
    );
    assert_eq!((answer.status, answer.body), (200, expected));
}
