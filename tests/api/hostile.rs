//! Bodies that nobody means well: each has a clear answer, and the node lives.

use super::caller::{BAD_REQUEST, Caller};
use super::{CONFIG, KEY};
use crate::support::server::Server;

fn authorized() -> String {
    format!("X-API-Key: {KEY}\r\n")
}

#[test]
fn deep_huge_and_broken_json_is_refused_with_a_reason() {
    let server = Server::start(CONFIG);
    let mut caller = Caller::of(&server);
    let deep = format!(r#"{{"channel":"a","data":{}{}}}"#, "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(caller.call("publish", &deep), BAD_REQUEST);
    let open = format!(r#"{{"channel":"a","data":{}"#, "[".repeat(500_000));
    for (method, body) in [
        ("publish", open.as_bytes()),
        ("publish", b"{\"channel\":\"\xff\",\"data\":1}"),
        ("publish", b"{\"channel\":\"a\",\"data\":\"\xff\"}"),
        ("publish", b"{\"channel\":\"a\",\"data\":\"\n\"}"),
        ("publish", b"{\"channel\":\"a\",\"data\":1,\"version\":99999999999999999999}"),
        ("publish", b"{\"channel\":\"a\",\"data\":1,\"version\":-1}"),
        ("publish", b"{\"channel\":7,\"data\":1}"),
        ("publish", b"[\"a\",1]"),
        ("publish", b"{\"channel\":\"a\",\"channel\":\"b\",\"data\":1}"),
        ("publish", b"{\"channel\":\"a\",\"data\":1}{}"),
        ("history", b"{\"channel\":\"a\",\"limit\":1e400}"),
        ("history", b"{\"channel\":\"a\",\"limit\":9999999999}"),
        ("batch", b"{\"commands\":[7]}"),
        ("batch", b"\x00"),
    ] {
        let answer = caller.post(&format!("/api/{method}"), &authorized(), body);
        assert_eq!(answer.status, 400, "{method} {answer:?}");
        assert!(answer.body.len() > 40, "a reason: {answer:?}");
    }
    assert_eq!(caller.call("rpc", r#"{"method":"ping"}"#), r#"{"result":{"data":{}}}"#);
    drop(caller);
    server.settled();
}

#[test]
fn a_number_of_any_length_in_data_is_the_business_of_subscribers() {
    let server = Server::start(CONFIG);
    let digits = "9".repeat(10_000);
    let params = format!(r#"{{"channel":"log:1","data":{digits}}}"#);
    let caller = &mut Caller::of(&server);
    assert!(caller.call("publish", &params).contains("\"offset\":1"));
    assert!(caller.call("history", r#"{"channel":"log:1","limit":1}"#).contains(&digits));
}

#[test]
fn a_body_beyond_the_limit_is_413_declared_or_not() {
    let server = Server::start(CONFIG);
    let two_mib = vec![b' '; 2 * 1024 * 1024];
    let answer = Caller::of(&server).post("/api/publish", &authorized(), &two_mib);
    assert_eq!(answer.status, 413);
    let mut caller = Caller::of(&server);
    let head = format!(
        "POST /api/publish HTTP/1.1\r\nHost: a\r\n{}Transfer-Encoding: chunked\r\n\r\n",
        authorized()
    );
    caller.send(head.as_bytes());
    caller.send(format!("{:x}\r\n", two_mib.len()).as_bytes());
    caller.send(&two_mib);
    assert_eq!(caller.answer().status, 413);
    assert!(caller.is_over());
}

#[test]
fn nothing_of_a_body_is_awaited_from_a_caller_without_the_key() {
    let server = Server::start(CONFIG);
    let mut caller = Caller::of(&server);
    caller.send(b"POST /api/publish HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    assert_eq!(caller.answer().status, 401);
}

#[test]
fn lists_that_are_too_long_are_107() {
    let server = Server::start(CONFIG);
    let caller = &mut Caller::of(&server);
    let channels = vec!["\"a\""; 10_001].join(",");
    assert_eq!(caller.call("broadcast", &format!(r#"{{"channels":[{channels}],"data":1}}"#)), BAD_REQUEST);
    let commands = vec!["{}"; 10_001].join(",");
    assert_eq!(caller.call("batch", &format!(r#"{{"commands":[{commands}]}}"#)), BAD_REQUEST);
}
