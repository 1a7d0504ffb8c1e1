//! Keys that an issuer publishes: fetched when a token needs them, and no more often than that.

use super::issuer::{Issuer, Signer};
use super::support::server::Server;
use super::support::wait::{pause, wait_until};
use super::{Fate, connect};
use ringway::limits::KEY_SET_REFETCH_MS_MIN;
use rustix::process::Signal;
use serde_json::json;
use std::time::Duration;

fn config(issuer: &Issuer) -> String {
    let address = issuer.address;
    format!(
        "[client]\nping_interval = \"1h\"\n[client.token]\n\
         jwks_public_endpoint = \"http://{address}/{{{{realm}}}}/keys\"\n\
         issuer_regex = \"https://idp/(?P<realm>[a-z]+)\"\n"
    )
}

#[test]
fn a_token_is_accepted_when_its_key_has_been_fetched() {
    let (issuer, signer) = (Issuer::start(), Signer::new("one"));
    issuer.publish("blue", &[&signer]);
    let server = Server::start_on(Server::core_count(2), &config(&issuer));
    let token = signer.token(&json!({"sub": "ada", "iss": "https://idp/blue"}));
    for _ in 0..8 {
        assert_eq!(connect(&server, &token).1, Fate::In);
    }
    assert_eq!(issuer.asked("blue"), 1, "once for all cores");
    let foreign = Signer::new("one").token(&json!({"sub": "ada", "iss": "https://idp/blue"}));
    assert_eq!(connect(&server, &foreign).1, Fate::Closed(3500));
    assert_eq!(server.metrics().labelled("key_sets"), 1);
}

#[test]
fn the_set_at_a_fixed_address_is_there_before_the_first_token() {
    let (issuer, signer) = (Issuer::start(), Signer::new("one"));
    issuer.publish("blue", &[&signer]);
    let address = issuer.address;
    let config = format!("[client.token]\njwks_public_endpoint = \"http://{address}/blue/keys\"\n");
    let server = Server::start(&config);
    wait_until("the set is fetched", || server.metrics().labelled("key_sets") == 1);
    assert_eq!(connect(&server, &signer.token(&json!({"sub": "ada"}))).1, Fate::In);
    assert_eq!(issuer.asked("blue"), 1);
}

#[test]
fn invented_keys_and_a_broken_issuer_cause_one_request() {
    let (issuer, signer) = (Issuer::start(), Signer::new("one"));
    issuer.publish("blue", &[&signer]);
    let server = Server::start_on(Server::core_count(2), &config(&issuer));
    for number in 0..20 {
        let kid = format!("invented-{number}");
        let token = signer.token_with(&kid, &json!({"iss": "https://idp/blue"}));
        assert_eq!(connect(&server, &token).1, Fate::Closed(3500));
        let token = signer.token_with(&kid, &json!({"iss": "https://idp/gone"}));
        assert_eq!(connect(&server, &token).1, Fate::Error(100), "the issuer may come back");
    }
    assert_eq!((issuer.asked("blue"), issuer.asked("gone")), (1, 1));
}

#[test]
fn new_keys_take_over_and_a_reload_keeps_what_was_fetched() {
    let (issuer, old, new) = (Issuer::start(), Signer::new("old"), Signer::new("new"));
    issuer.publish("blue", &[&old]);
    let config = config(&issuer);
    let server = Server::start_on(Server::core_count(2), &config);
    let claims = json!({"sub": "ada", "iss": "https://idp/blue"});
    let (mut session, fate) = connect(&server, &old.token(&claims));
    assert_eq!(fate, Fate::In);
    issuer.publish("blue", &[&new]);
    pause(Duration::from_millis(KEY_SET_REFETCH_MS_MIN + 1_000));
    // A subscription token waits for its key as a connection token does.
    let subscription = new.token(&json!({"sub": "ada", "iss": "https://idp/blue", "channel": "$team"}));
    let reply = session.ask("subscribe", &json!({"channel": "$team", "token": subscription}));
    assert!(reply["subscribe"].is_object(), "{reply}");
    assert_eq!(issuer.asked("blue"), 2);
    assert_eq!(connect(&server, &new.token(&claims)).1, Fate::In);
    assert_eq!(connect(&server, &old.token(&claims)).1, Fate::Closed(3500), "withdrawn");
    issuer.forget("blue");
    server.rewrite(&format!("{config}[channel]\nmax_length = 100\n"));
    server.signal(Signal::HUP);
    wait_until("the reload is done", || server.log().contains("configuration reloaded"));
    assert_eq!(connect(&server, &new.token(&claims)).1, Fate::In);
    assert_eq!(issuer.asked("blue"), 2);
}
