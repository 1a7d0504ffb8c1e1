//! block_user, unblock_user, revoke_token, invalidate_user_tokens, reload.

use super::caller::{BAD_REQUEST, Caller};
use crate::support::client::Client;
use crate::support::frame::CLOSE;
use crate::support::server::Server;
use crate::support::session::{PATH, Session};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

const SECRET: &str = "a secret of thirty-two bytes, and more";
const CONFIG: &str = "[http_api]\nkey = \"k-e-y\"\n[client]\nping_interval = \"1h\"\n\
    [client.token]\nhmac_secret_key = \"a secret of thirty-two bytes, and more\"\n";
const DONE: &str = r#"{"result":{}}"#;

fn token(claims: &Value) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

/// What becomes of a client with this token: none when it is connected, else the code that it is closed with.
#[track_caller]
fn refusal(server: &Server, token: &str) -> (Session, Option<u16>) {
    let mut session = Session::over(Client::upgraded(server, PATH));
    session.send("connect", &json!({ "token": token }));
    let frame = session.client.frame();
    if frame.first == CLOSE {
        return (session, Some(code(&frame.payload)));
    }
    let reply: Value = serde_json::from_slice(&frame.payload).unwrap();
    assert!(reply["connect"]["client"].is_string(), "{reply}");
    (session, None)
}

fn code(payload: &[u8]) -> u16 {
    u16::from_be_bytes([payload[0], payload[1]])
}

#[test]
fn a_blocked_user_is_closed_and_kept_out_until_unblocked() {
    let server = Server::start_on(Server::core_count(2), CONFIG);
    let caller = &mut Caller::of(&server);
    let (ada, ben) = (token(&json!({"sub": "ada"})), token(&json!({"sub": "ben"})));
    let (mut session, refused) = refusal(&server, &ada);
    assert_eq!(refused, None);
    let (_spared, refused) = refusal(&server, &ben);
    assert_eq!(refused, None);
    assert_eq!(caller.call("block_user", r#"{"user":"ada"}"#), DONE);
    let frame = session.client.frame();
    assert_eq!((frame.first, code(&frame.payload)), (CLOSE, 3507));
    for _ in 0..4 {
        assert_eq!(refusal(&server, &ada).1, Some(3507), "on whatever core it arrives");
    }
    assert_eq!(refusal(&server, &ben).1, None);
    assert_eq!(caller.call("unblock_user", r#"{"user":"ada"}"#), DONE);
    assert_eq!(refusal(&server, &ada).1, None);
    assert_eq!(caller.call("block_user", "{}"), BAD_REQUEST);
}

#[test]
fn a_revoked_token_is_refused_and_others_of_the_user_are_not() {
    let server = Server::start_on(Server::core_count(2), CONFIG);
    let caller = &mut Caller::of(&server);
    let (one, two) = (token(&json!({"sub": "ada", "jti": "1"})), token(&json!({"sub": "ada", "jti": "2"})));
    let nameless = token(&json!({"sub": "ada", "meta": {}}));
    assert_eq!(caller.call("revoke_token", r#"{"uid":"1"}"#), DONE);
    assert_eq!(caller.call("revoke_token", &json!({ "token": nameless }).to_string()), DONE);
    assert!(refusal(&server, &one).1.is_some());
    assert!(refusal(&server, &nameless).1.is_some());
    assert_eq!(refusal(&server, &two).1, None);
    assert_eq!(caller.call("revoke_token", "{}"), BAD_REQUEST);
}

#[test]
fn tokens_of_a_user_from_before_a_moment_are_refused_and_a_reload_does_not_forget_it() {
    let server = Server::start(CONFIG);
    let caller = &mut Caller::of(&server);
    let (old, new) =
        (token(&json!({"sub": "ada", "iat": 1_000})), token(&json!({"sub": "ada", "iat": 2_000})));
    assert_eq!(caller.call("invalidate_user_tokens", r#"{"user":"ada","issued_before":2000}"#), DONE);
    let kept = |server: &Server| {
        assert!(refusal(server, &old).1.is_some());
        assert_eq!(refusal(server, &new).1, None);
    };
    kept(&server);
    server.rewrite(&format!("{CONFIG}[channel]\nmax_length = 100\n"));
    let report = caller.value("reload", "{}");
    assert_eq!(report, json!({"result": {"changed": ["channel.max_length"], "pending": [], "warnings": []}}));
    kept(&server);
    server.rewrite("nonsense = 1\n");
    assert_eq!(caller.call("reload", ""), BAD_REQUEST);
}
