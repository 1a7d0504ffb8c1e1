use super::*;
use crate::proto::codes::{Disconnect, Reject};

fn connection(claims: &Value) -> ConnectionClaims {
    hmac_keys().connection(&token(claims), NOW).unwrap()
}

fn subscription(claims: &Value) -> SubscriptionClaims {
    hmac_keys().subscription(&token(claims), NOW).unwrap()
}

fn text(bytes: Option<&Arc<[u8]>>) -> Option<&str> {
    bytes.map(|bytes| std::str::from_utf8(bytes).unwrap())
}

#[test]
fn the_tokens_of_the_official_client_tests_are_accepted() {
    let read = connection(&json!({"iat": 1_738_078_824}));
    assert_eq!((&*read.user, read.expire_at, read.id.issued_at), ("", 0, Some(1_738_078_824)));
    let read = subscription(&json!({"iat": 1_737_532_348, "channel": "test1"}));
    assert_eq!((&*read.user, &*read.channel, read.expire_at), ("", "test1", 0));
    assert_eq!(read.check("", "test1", "any"), Ok(()));
}

#[test]
fn every_claim_of_a_connection_is_read() {
    let read = connection(&json!({
        "sub": "42", "exp": NOW + 60, "nbf": NOW, "iat": NOW - 1, "jti": "one",
        "info": {"name": "A b"}, "meta": {"plan": [1, 2]},
        "channels": ["ignored"],
        "subs": {
            "news": {"info": {"a": 1}, "data": {"b": 2}, "override": {
                "presence": {"value": true}, "join_leave": {"value": false}, "force_push_join_leave": {},
                "force_recovery": {"value": true}, "unknown": {"value": true}}},
            "bytes": {"b64info": "AAE=", "b64data": "/w"},
            "plain": {}, "none": null,
        },
        "unknown": {"claims": "are fine"},
    }));
    assert_eq!((&*read.user, read.expire_at, read.id.issued_at), ("42", NOW + 60, Some(NOW - 1)));
    assert_eq!(read.id.name, TokenName::of_jti("one"));
    assert_eq!(text(read.info.as_ref()), Some(r#"{"name":"A b"}"#));
    assert_eq!(text(read.meta.as_ref()), Some(r#"{"plan":[1,2]}"#));
    let names: Vec<&str> = read.subs.iter().map(|grant| &*grant.channel).collect();
    assert_eq!(names, ["bytes", "news", "none", "plain"]);
    let (bytes, news) = (&read.subs[0], &read.subs[1]);
    assert_eq!(bytes.info.as_deref(), Some([0, 1].as_slice()));
    assert_eq!(bytes.data.as_deref(), Some([255].as_slice()));
    assert_eq!(text(news.info.as_ref()), Some(r#"{"a":1}"#));
    assert_eq!(text(news.data.as_ref()), Some(r#"{"b":2}"#));
    let overrides = Overrides {
        presence: Some(true),
        join_leave: Some(false),
        force_push_join_leave: Some(false),
        force_recovery: Some(true),
        force_positioning: None,
    };
    assert_eq!(news.overrides, overrides);
    assert_eq!(read.subs[3], Grant { channel: "plain".into(), ..Grant::default() });
}

#[test]
fn channels_are_server_side_subscriptions_each_once() {
    let read = connection(&json!({"sub": "42", "channels": ["b", "a", "b"]}));
    let names: Vec<&str> = read.subs.iter().map(|grant| &*grant.channel).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn every_claim_of_a_subscription_is_read_and_has_to_fit_exactly() {
    let read = subscription(&json!({
        "sub": "42", "channel": "$chat:1", "client": "c1", "exp": NOW + 60, "info": {"a": 1}, "data": [1],
        "override": {"force_positioning": {"value": true}},
    }));
    assert_eq!((&*read.user, &*read.channel, read.expire_at), ("42", "$chat:1", NOW + 60));
    assert_eq!((text(read.info.as_ref()), text(read.data.as_ref())), (Some(r#"{"a":1}"#), Some("[1]")));
    assert_eq!(read.overrides.force_positioning, Some(true));
    assert_eq!(read.check("42", "$chat:1", "c1"), Ok(()));
    for (user, channel, client) in [
        ("43", "$chat:1", "c1"),
        ("42", "chat:1", "c1"),
        ("42", "$chat:1", "c2"),
        ("", "$chat:1", "c1"),
        ("42", "$CHAT:1", "c1"),
    ] {
        let error = read.check(user, channel, client).unwrap_err();
        assert_eq!(error.verdict(Occasion::Subscribe), Verdict::Disconnect(Disconnect::InvalidToken));
    }
}

#[test]
fn a_token_of_one_kind_is_none_of_the_other() {
    assert_flaw(&hmac_keys(), &token(&json!({"sub": "42", "channel": "news"})), Flaw::Channel);
    for claims in [json!({"sub": "42"}), json!({"sub": "42", "channel": ""})] {
        let refused = hmac_keys().subscription(&token(&claims), NOW);
        assert_eq!(refused, Err(TokenError::Invalid(Flaw::NoChannel)));
    }
}

#[test]
fn expire_at_has_the_word_over_exp_and_zero_is_never() {
    let expiry = |claims: &Value| connection(claims).expire_at;
    assert_eq!(expiry(&json!({"exp": NOW + 5})), NOW + 5);
    assert_eq!(expiry(&json!({"exp": NOW + 5, "expire_at": NOW + 500})), NOW + 500);
    assert_eq!(expiry(&json!({"exp": NOW + 5, "expire_at": 0})), 0);
    assert_eq!(expiry(&json!({"expire_at": NOW - 5})), NOW - 5, "the shard answers 110");
    assert_eq!(expiry(&json!({})), 0);
}

#[test]
fn a_token_is_valid_from_nbf_until_exp_with_the_leeway_on_both_sides() {
    let claims = token(&json!({"sub": "42", "nbf": 1000, "exp": 2000}));
    let keys_with = |leeway_s| keys(&KeyOptions { leeway_s, ..hmac_options() });
    let strict = keys_with(0);
    assert_eq!(strict.connection(&claims, 999), Err(TokenError::NotYet { at: 1000 }));
    assert!(strict.connection(&claims, 1000).is_ok() && strict.connection(&claims, 1999).is_ok());
    assert_eq!(strict.connection(&claims, 2000), Err(TokenError::Expired { at: 2000 }));
    let lenient = keys_with(10);
    assert!(lenient.connection(&claims, 990).is_ok());
    assert_eq!(lenient.connection(&claims, 989), Err(TokenError::NotYet { at: 1000 }));
    assert_eq!(lenient.connection(&claims, 2009).unwrap().expire_at, 2010, "not at once expired");
    assert_eq!(lenient.connection(&claims, 2010), Err(TokenError::Expired { at: 2000 }));
}

#[test]
fn insecure_clients_are_not_asked_for_the_time_but_for_the_signature() {
    let keys = keys(&KeyOptions { ignores_connection_expiry: true, ..hmac_options() });
    assert_eq!(keys.connection(&token(&json!({"sub": "42", "exp": 1})), NOW).unwrap().expire_at, 0);
    let subscription = token(&json!({"sub": "42", "exp": 1, "channel": "a"}));
    assert_eq!(keys.subscription(&subscription, NOW), Err(TokenError::Expired { at: 1 }));
    let foreign = forged(r#"{"alg":"HS256"}"#, "{}", b"wrong");
    assert_eq!(keys.connection(&foreign, NOW), Err(TokenError::Invalid(Flaw::Signature)));
}

#[test]
fn the_user_may_stand_in_another_claim_and_then_has_to() {
    let keys = keys(&KeyOptions { user_id_claim: "uid".to_owned(), ..hmac_options() });
    assert_eq!(&*keys.connection(&token(&json!({"sub": "a", "uid": "b"})), NOW).unwrap().user, "b");
    assert_flaw(&keys, &token(&json!({"sub": "a"})), Flaw::Claim("uid".into()));
    for user in [json!(42), json!(["42"]), json!({"id": "42"}), json!(true), json!("x".repeat(256))] {
        assert_flaw(&hmac_keys(), &token(&json!({"sub": user})), Flaw::Claim("sub".into()));
    }
}

#[test]
fn issuer_and_audience_have_to_be_the_configured_ones_in_full() {
    let options = KeyOptions {
        issuer: "https://a.example".to_owned(),
        audience_regex: "app-[0-9]+|web".to_owned(),
        ..hmac_options()
    };
    let keys = keys(&options);
    let claims = |issuer: Value, audience: Value| token(&json!({"iss": issuer, "aud": audience}));
    for audience in [json!("app-7"), json!("web"), json!(["other", "app-7"])] {
        assert!(keys.connection(&claims(json!("https://a.example"), audience), NOW).is_ok());
    }
    for issuer in [json!("https://a.example/"), json!("https://b.example"), json!(""), json!(null)] {
        assert_flaw(&keys, &claims(issuer, json!("web")), Flaw::Issuer);
    }
    assert_flaw(&keys, &claims(json!(["https://a.example"]), json!("web")), Flaw::Claim("iss".into()));
    for audience in
        [json!("app-7.evil"), json!("web2"), json!("an app-7"), json!([]), json!(null), json!("app-7\n")]
    {
        assert_flaw(&keys, &claims(json!("https://a.example"), audience), Flaw::Audience);
    }
    assert_flaw(&keys, &claims(json!("https://a.example"), json!({"a": 1})), Flaw::Claim("aud".into()));
}

#[test]
fn data_of_the_wrong_shape_spoils_the_token() {
    for (name, claims) in [
        ("b64info", json!({"b64info": "*"})),
        ("channels", json!({"channels": "news"})),
        ("channels", json!({"channels": [1]})),
        ("subs", json!({"subs": ["news"]})),
        ("news", json!({"subs": {"news": 7}})),
        ("override", json!({"subs": {"news": {"override": true}}})),
        ("presence", json!({"subs": {"news": {"override": {"presence": true}}}})),
        ("value", json!({"subs": {"news": {"override": {"presence": {"value": 1}}}}})),
        ("jti", json!({"jti": 7})),
    ] {
        assert_flaw(&hmac_keys(), &token(&claims), Flaw::Claim(name.into()));
    }
}

#[test]
fn each_refusal_has_one_answer_on_each_occasion() {
    use Occasion::{Connect, Refresh, SubRefresh, Subscribe};
    let invalid = TokenError::Invalid(Flaw::Signature);
    let unknown = |is_current| TokenError::UnknownKey { kid: "k".into(), address: "a".into(), is_current };
    let reject = Verdict::Reject;
    let end = Verdict::Disconnect;
    for (error, expected) in [
        (
            TokenError::Expired { at: 1 },
            [
                reject(Reject::TokenExpired),
                end(Disconnect::Expired),
                reject(Reject::TokenExpired),
                end(Disconnect::SubscriptionExpired),
            ],
        ),
        (
            TokenError::NotYet { at: 1 },
            [
                reject(Reject::TokenExpired),
                end(Disconnect::Expired),
                reject(Reject::TokenExpired),
                end(Disconnect::SubscriptionExpired),
            ],
        ),
        (
            invalid,
            [
                end(Disconnect::InvalidToken),
                end(Disconnect::InvalidToken),
                reject(Reject::PermissionDenied),
                end(Disconnect::InvalidToken),
            ],
        ),
        (unknown(false), [reject(Reject::Internal); 4]),
        (
            unknown(true),
            [
                end(Disconnect::InvalidToken),
                end(Disconnect::InvalidToken),
                reject(Reject::PermissionDenied),
                end(Disconnect::InvalidToken),
            ],
        ),
        (TokenError::Blocked, [end(Disconnect::PermissionDenied); 4]),
    ] {
        assert_eq!(
            [Connect, Refresh, Subscribe, SubRefresh].map(|occasion| error.verdict(occasion)),
            expected,
            "{error}"
        );
    }
}
