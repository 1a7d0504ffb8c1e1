//! Who comes in, by which method and which path.

use super::caller::{Answer, Caller};
use super::{CONFIG, KEY};
use crate::support::server::Server;

fn post(caller: &mut Caller, path: &str, headers: &str) -> Answer {
    caller.post(path, headers, b"{\"method\":\"ping\"}")
}

#[test]
fn the_key_opens_in_any_of_its_three_places_and_nothing_else_does() {
    let server = Server::start(CONFIG);
    let caller = &mut Caller::of(&server);
    for (path, headers) in [
        ("/api/rpc", format!("X-API-Key: {KEY}\r\n")),
        ("/api/rpc", format!("Authorization: apikey {KEY}\r\n")),
        ("/api/rpc?api_key=k-e-y", String::new()),
    ] {
        let answer = post(caller, path, &headers);
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, r#"{"result":{"data":{}}}"#),
            "{path} {headers}"
        );
    }
    for (path, headers) in [
        ("/api/rpc", ""),
        ("/api/rpc", "X-API-Key: k-e-x\r\n"),
        ("/api/rpc", "X-API-Key:\r\n"),
        ("/api/rpc", "Authorization: Bearer k-e-y\r\n"),
        ("/api/rpc?api_key=", ""),
        ("/api", ""),
        ("/api/nothing", ""),
    ] {
        assert_eq!(post(caller, path, headers).status, 401, "{path} {headers}");
    }
}

#[test]
fn without_a_key_in_the_configuration_nobody_comes_in() {
    let server = Server::start("[http_api]\n");
    for headers in ["", "X-API-Key:\r\n", "X-API-Key: x\r\n"] {
        assert_eq!(post(&mut Caller::of(&server), "/api/rpc", headers).status, 401, "{headers}");
    }
    let open = Server::start("[http_api]\ninsecure = true\n");
    assert_eq!(post(&mut Caller::of(&open), "/api/rpc", "").status, 200);
    assert_eq!(post(&mut Caller::of(&open), "/api/rpc", "Origin: https://evil.example\r\n").status, 401);
}

#[test]
fn the_api_takes_post_and_known_methods() {
    let server = Server::start(CONFIG);
    let caller = &mut Caller::of(&server);
    caller.send(format!("GET /api/info HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n").as_bytes());
    assert_eq!(caller.answer().status, 405);
    assert_eq!(post(caller, "/api/nothing", &format!("X-API-Key: {KEY}\r\n")).status, 404);
    let unreadable = caller.post("/api/publish", &format!("X-API-Key: {KEY}\r\n"), b"{\"channel\":");
    assert_eq!(unreadable.status, 400);
}

#[test]
fn errors_are_statuses_for_whoever_asks_for_that() {
    let server = Server::start(CONFIG);
    let caller = &mut Caller::of(&server);
    let headers = format!("X-API-Key: {KEY}\r\nX-Centrifugo-Error-Mode: transport\r\n");
    let mut fails = |path: &str, body: &str| {
        let answer = caller.post(path, &headers, body.as_bytes());
        (answer.status, answer.body)
    };
    assert_eq!(
        fails("/api/rpc", "{\"method\":\"no\"}"),
        (404, String::from(r#"{"code":104,"message":"not found"}"#))
    );
    assert_eq!(fails("/api/publish", "{}"), (400, String::from(r#"{"code":107,"message":"bad request"}"#)));
    assert_eq!(
        fails("/api/publish", "{\"channel\":\"no:1\",\"data\":1}"),
        (404, String::from(r#"{"code":102,"message":"unknown channel"}"#))
    );
    assert_eq!(
        fails("/api/history", "{\"channel\":\"bare:1\"}"),
        (400, String::from(r#"{"code":108,"message":"not available"}"#))
    );
    let configured = Server::start("[http_api]\nkey = \"k-e-y\"\nerror_mode = \"transport\"\n");
    assert_eq!(post(&mut Caller::of(&configured), "/api/publish", &headers).status, 400);
}

#[test]
fn the_public_port_serves_the_api_only_where_that_is_configured() {
    let server = Server::start(CONFIG);
    let headers = format!("X-API-Key: {KEY}\r\n");
    assert_ne!(post(&mut Caller::at(server.public), "/api/rpc", &headers).status, 200);
    let external = Server::start("[http_api]\nkey = \"k-e-y\"\nexternal = true\n");
    let answer = post(&mut Caller::at(external.public), "/api/rpc", &headers);
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"result":{"data":{}}}"#));
    assert_eq!(post(&mut Caller::at(external.public), "/api/rpc", "").status, 401);
}

#[test]
fn requests_in_one_segment_are_answered_in_their_order() {
    let server = Server::start(CONFIG);
    let caller = &mut Caller::of(&server);
    let request = |body: &str| {
        format!(
            "POST /api/rpc HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let wanted = ["{\"method\":\"ping\"}", "{}", "{\"method\":\"ping\"}"];
    caller.send(wanted.map(request).concat().as_bytes());
    let codes: Vec<bool> = wanted.iter().map(|_| caller.answer().body.contains("107")).collect();
    assert_eq!(codes, [false, true, false]);
}
