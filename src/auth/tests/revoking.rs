use super::*;
use crate::limits::REVOCATION_COUNT_MAX;

fn auth(changes: Vec<Change>) -> Auth {
    let mut revocations = Revocations::default();
    for change in changes {
        revocations.apply(change, NOW).unwrap();
    }
    Auth { connection: hmac_keys(), subscription: None, revocations: Arc::new(revocations) }
}

fn connection(auth: &Auth, claims: &Value, now: u64) -> Result<(), TokenError> {
    auth.connection(&token(claims), now).map(|_| ())
}

fn subscription(auth: &Auth, claims: &Value) -> Result<(), TokenError> {
    auth.subscription(&token(claims), NOW).map(|_| ())
}

#[test]
fn one_token_is_revoked_by_its_jti_or_by_itself() {
    let plain = json!({"sub": "42", "iat": 7});
    let auth = auth(vec![
        Change::RevokeToken { name: TokenName::of_jti("one"), until: 0 },
        Change::RevokeToken { name: TokenName::of_token(&token(&plain)), until: NOW + 10 },
    ]);
    assert_eq!(connection(&auth, &json!({"sub": "42", "jti": "one"}), NOW), Err(TokenError::Revoked));
    assert_eq!(connection(&auth, &json!({"sub": "42", "jti": "two"}), NOW), Ok(()));
    assert_eq!(connection(&auth, &plain, NOW + 9), Err(TokenError::Revoked));
    assert_eq!(connection(&auth, &plain, NOW + 10), Ok(()), "it would have expired by itself");
    assert_eq!(connection(&auth, &json!({"sub": "42", "iat": 8}), NOW), Ok(()));
    assert_eq!(
        subscription(&auth, &json!({"sub": "42", "jti": "one", "channel": "a"})),
        Err(TokenError::Revoked)
    );
}

#[test]
fn tokens_of_a_user_are_revoked_up_to_a_moment_and_with_them_those_that_do_not_say_when() {
    let auth = auth(vec![Change::RevokeUser { user: "42".into(), channel: None, before: NOW, until: 0 }]);
    assert_eq!(connection(&auth, &json!({"sub": "42", "iat": NOW - 1}), NOW), Err(TokenError::Revoked));
    assert_eq!(connection(&auth, &json!({"sub": "42"}), NOW), Err(TokenError::Revoked));
    assert_eq!(connection(&auth, &json!({"sub": "42", "iat": NOW}), NOW), Ok(()));
    assert_eq!(connection(&auth, &json!({"sub": "43", "iat": NOW - 1}), NOW), Ok(()));
    assert_eq!(
        subscription(&auth, &json!({"sub": "42", "iat": 1, "channel": "a"})),
        Err(TokenError::Revoked)
    );
}

#[test]
fn a_revocation_for_a_channel_hits_subscription_tokens_of_that_channel_alone() {
    let auth = auth(vec![Change::RevokeUser {
        user: "42".into(),
        channel: Some("a".into()),
        before: NOW,
        until: 0,
    }]);
    assert_eq!(
        subscription(&auth, &json!({"sub": "42", "iat": 1, "channel": "a"})),
        Err(TokenError::Revoked)
    );
    assert_eq!(subscription(&auth, &json!({"sub": "42", "iat": 1, "channel": "b"})), Ok(()));
    assert_eq!(connection(&auth, &json!({"sub": "42", "iat": 1}), NOW), Ok(()));
}

#[test]
fn a_blocked_user_stays_out_until_the_time_or_the_pardon() {
    let block = Change::BlockUser { user: "42".into(), until: NOW + 10 };
    let blocked = auth(vec![block.clone()]);
    assert_eq!(connection(&blocked, &json!({"sub": "42"}), NOW + 9), Err(TokenError::Blocked));
    assert_eq!(connection(&blocked, &json!({"sub": "42"}), NOW + 10), Ok(()));
    assert!(blocked.revocations.is_blocked("42", NOW) && !blocked.revocations.is_blocked("43", NOW));
    let pardoned = auth(vec![block, Change::UnblockUser { user: "42".into() }]);
    assert_eq!(connection(&pardoned, &json!({"sub": "42"}), NOW), Ok(()));
}

#[test]
fn a_later_act_never_shortens_an_earlier_one() {
    let name = TokenName::of_jti("one");
    let auth = auth(vec![
        Change::RevokeToken { name, until: 0 },
        Change::RevokeToken { name, until: NOW + 1 },
        Change::RevokeUser { user: "7".into(), channel: None, before: NOW, until: NOW + 100 },
        Change::RevokeUser { user: "7".into(), channel: None, before: NOW - 50, until: NOW + 50 },
    ]);
    assert_eq!(connection(&auth, &json!({"jti": "one"}), NOW + 1_000_000), Err(TokenError::Revoked));
    assert_eq!(connection(&auth, &json!({"sub": "7", "iat": NOW - 1}), NOW + 99), Err(TokenError::Revoked));
}

#[test]
fn the_acts_travel_as_json_and_make_the_same_structure_again() {
    let mut original = Revocations::default();
    for change in [
        Change::RevokeToken { name: TokenName::of_jti("one"), until: 5 },
        Change::RevokeUser { user: "42".into(), channel: None, before: 7, until: 0 },
        Change::RevokeUser { user: "42".into(), channel: Some("a".into()), before: 8, until: 9 },
        Change::BlockUser { user: "43".into(), until: 0 },
    ] {
        original.apply(change, 0).unwrap();
    }
    let text = serde_json::to_string(&original.changes().collect::<Vec<_>>()).unwrap();
    let mut copy = Revocations::default();
    for change in serde_json::from_str::<Vec<Change>>(&text).unwrap() {
        copy.apply(change, 0).unwrap();
    }
    assert_eq!(copy, original);
    assert_eq!(copy.count(), 4);
}

#[test]
fn a_full_structure_makes_room_by_what_has_expired_and_else_refuses() {
    let mut revocations = Revocations::default();
    let nth = |index: usize, until| Change::BlockUser { user: index.to_string().into(), until };
    for index in 0..REVOCATION_COUNT_MAX {
        revocations.apply(nth(index, if index < 10 { NOW } else { 0 }), NOW - 1).unwrap();
    }
    assert_eq!(revocations.apply(nth(REVOCATION_COUNT_MAX, 0), NOW - 1), Err(Full));
    assert_eq!(revocations.apply(Change::UnblockUser { user: "11".into() }, NOW - 1), Ok(()));
    assert_eq!(revocations.apply(nth(REVOCATION_COUNT_MAX, 0), NOW - 1), Ok(()));
    assert_eq!(revocations.apply(nth(REVOCATION_COUNT_MAX + 1, 0), NOW), Ok(()), "ten have expired");
    assert_eq!(revocations.count(), REVOCATION_COUNT_MAX - 9);
    assert!(revocations.is_blocked("10", NOW) && !revocations.is_blocked("9", NOW - 1));
}
