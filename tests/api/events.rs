//! publish_event.

use super::CONFIG;
use super::caller::{BAD_REQUEST, Caller, connected};
use crate::support::server::Server;
use serde_json::json;

#[test]
fn an_event_arrives_in_its_envelope_and_only_once() {
    let server = Server::start(CONFIG);
    let caller = &mut Caller::of(&server);
    let (mut session, _) = connected(&server);
    session.subscribe("log:orders");
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let params = json!({
        "channel": "log:orders", "id": id, "time": 5, "type": "order.paid", "source": "shop", "data": {"n": 1},
    });
    let first = caller.value("publish_event", &params.to_string());
    assert_eq!(first["result"]["id"], id);
    assert_eq!(first["result"]["offset"], 1);
    assert_eq!(caller.value("publish_event", &params.to_string()), first);
    let second = caller
        .value("publish_event", r#"{"channel":"log:orders","type":"order.sent","source":"shop","data":2}"#);
    assert_eq!(second["result"]["offset"], 2);
    let envelope = session.publication().data;
    assert_eq!(
        envelope,
        json!({"id": id, "time": 5, "type": "order.paid", "source": "shop", "data": {"n": 1}})
    );
    let envelope = session.publication().data;
    assert_eq!(envelope["id"], second["result"]["id"]);
    assert!(envelope["time"].as_u64().unwrap() > 1_700_000_000_000);
}

#[test]
fn a_malformed_event_is_107() {
    let server = Server::start(CONFIG);
    let caller = &mut Caller::of(&server);
    for params in [
        r#"{"channel":"a","type":"Order.Paid","source":"s","data":1}"#,
        r#"{"channel":"a","type":"order.paid","source":"s","data":1,"id":"7"}"#,
        r#"{"channel":"a","type":"order.paid","data":1}"#,
        r#"{"channel":"a","type":"order.paid","source":"s"}"#,
        r#"{"type":"order.paid","source":"s","data":1}"#,
    ] {
        assert_eq!(caller.call("publish_event", params), BAD_REQUEST, "{params}");
    }
}
