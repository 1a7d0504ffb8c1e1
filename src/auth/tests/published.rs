//! Keys that an issuer publishes.

use super::*;
use crate::limits::KEY_SET_COUNT_MAX;
use jsonwebtoken::Algorithm as Theirs;
use std::collections::BTreeMap;

const ADDRESS: &str = "https://idp.example/keys";

fn options() -> KeyOptions {
    KeyOptions { jwks_endpoint: ADDRESS.to_owned(), ..KeyOptions::default() }
}

/// A key with members changed or added.
fn jwk(key: &Value, members: &Value) -> Value {
    let mut key = key.clone();
    for (name, value) in members.as_object().unwrap() {
        key[name] = value.clone();
    }
    key
}

fn set(keys: &[Value]) -> Result<KeySet, KeySetError> {
    KeySet::parse(json!({"keys": keys}).to_string().as_bytes(), NOW - 100)
}

fn with(sets: Vec<(&str, KeySet)>, options: &KeyOptions) -> Keys {
    let sets = sets.into_iter().map(|(address, set)| (address.into(), Arc::new(set)));
    keys(options).with_sets(sets.collect::<BTreeMap<_, _>>())
}

fn signed(kid: &str, algorithm: Theirs, key: &EncodingKey, claims: &Value) -> String {
    token_of(&Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) }, claims, key)
}

fn rsa_token(kid: &str, algorithm: Theirs) -> String {
    signed(kid, algorithm, &RSA.private, &json!({"sub": "42"}))
}

#[test]
fn rsa_ec_and_ed25519_keys_are_found_by_their_name() {
    let (one, two, three) = (p256(), p384(), p521());
    let edwards = Ed25519KeyPair::generate().unwrap();
    let published = set(&[
        jwk(&RSA.jwk, &json!({"kid": "rsa", "use": "sig", "alg": "RS256"})),
        jwk(&one.jwk, &json!({"kid": "p256", "key_ops": ["verify"]})),
        jwk(&two.jwk, &json!({"kid": "p384", "x5c": ["ignored"]})),
        jwk(&three.jwk, &json!({"kid": "p521"})),
        json!({"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": base64url(edwards.public_key().as_ref())}),
    ])
    .unwrap();
    assert_eq!(published.kids().collect::<Vec<_>>(), ["ed", "p256", "p384", "p521", "rsa"]);
    let keys = with(vec![(ADDRESS, published)], &options());
    let claims = json!({"sub": "42"});
    let edwards_der = edwards.to_pkcs8().unwrap();
    for token in [
        rsa_token("rsa", Theirs::RS256),
        signed("p256", Theirs::ES256, &EncodingKey::from_ec_der(&one.der), &claims),
        signed("p384", Theirs::ES384, &EncodingKey::from_ec_der(&two.der), &claims),
        signed("ed", Theirs::EdDSA, &EncodingKey::from_ed_der(edwards_der.as_ref()), &claims),
    ] {
        assert_eq!(&*keys.connection(&token, NOW).unwrap().user, "42");
    }
    // The publisher says RS256, so RS512 with the same key is not it; nor is the key of another name.
    assert_flaw(&keys, &rsa_token("rsa", Theirs::RS512), Flaw::NoKey(Algorithm::Rs512));
    assert_flaw(&keys, &rsa_token("p256", Theirs::RS256), Flaw::NoKey(Algorithm::Rs256));
    let crossed = signed("p384", Theirs::ES256, &EncodingKey::from_ec_der(&one.der), &claims);
    assert_flaw(&keys, &crossed, Flaw::NoKey(Algorithm::Es256));
}

#[test]
fn a_key_that_is_not_there_is_asked_for_and_given_up_only_when_the_set_is_fresh() {
    let published = || jwk(&RSA.jwk, &json!({"kid": "old"}));
    let unknown = |keys: &Keys, now: u64| match keys.connection(&rsa_token("new", Theirs::RS256), now) {
        Err(TokenError::UnknownKey { kid, address, is_current }) => {
            assert_eq!((&*kid, &*address), ("new", ADDRESS));
            is_current
        }
        other => panic!("{other:?}"),
    };
    assert!(!unknown(&keys(&options()), NOW), "nothing was fetched yet");
    let keys = with(vec![(ADDRESS, set(&[published()]).unwrap())], &options());
    assert!(!unknown(&keys, NOW), "fetched 100 seconds ago");
    assert!(unknown(&keys, NOW - 95));
    assert!(!unknown(&keys, NOW - 90));
}

#[test]
fn a_token_without_a_key_name_or_with_a_shared_secret_is_refused() {
    let keys = with(vec![(ADDRESS, set(&[jwk(&RSA.jwk, &json!({"kid": "a"}))]).unwrap())], &options());
    let nameless = token_of(&Header::new(Theirs::RS256), &json!({}), &RSA.private);
    assert_flaw(&keys, &nameless, Flaw::KeyId);
    for secret in [RSA.pem.as_bytes(), RSA.jwk["n"].as_str().unwrap().as_bytes(), b""] {
        let token = forged(r#"{"alg":"HS256","kid":"a"}"#, "{}", secret);
        assert_flaw(&keys, &token, Flaw::NoKey(Algorithm::Hs256));
    }
    let foreign = signed("a", Theirs::RS256, &OTHER_RSA.private, &json!({}));
    assert_flaw(&keys, &foreign, Flaw::Signature);
}

#[test]
fn keys_that_are_not_for_us_are_left_out_and_a_set_without_ours_is_none() {
    let one = p256().jwk;
    let useless = [
        json!({"kty": "oct", "kid": "a", "k": "c2VjcmV0"}),
        jwk(&one, &json!({"kid": "a", "use": "enc"})),
        jwk(&one, &json!({"kid": "a", "key_ops": ["sign"]})),
        jwk(&one, &json!({"kid": "a", "alg": "RSA-OAEP"})),
        jwk(&one, &json!({"kid": ""})),
        jwk(&one, &json!({"kid": "k".repeat(300)})),
        jwk(&one, &json!({"kid": "a", "crv": "P-384"})),
        jwk(&one, &json!({"kid": "a", "crv": "secp256k1"})),
        jwk(&one, &json!({"kid": "a", "y": one["x"]})),
        jwk(&one, &json!({"kid": "a", "x": "AA"})),
        json!({"kty": "RSA", "kid": "a", "n": "AQAB", "e": "AQAB"}),
        json!({"kty": "OKP", "crv": "X25519", "kid": "a", "x": base64url(&[9; 32])}),
        json!({"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "AA"}),
        json!({"kid": "a"}),
        json!("key"),
        one.clone(),
    ];
    for key in &useless {
        assert_eq!(set(std::slice::from_ref(key)).unwrap_err(), KeySetError::Empty, "{key}");
    }
    let mixed: Vec<Value> = useless.into_iter().chain([jwk(&RSA.jwk, &json!({"kid": "good"}))]).collect();
    assert_eq!(set(&mixed).unwrap().kids().collect::<Vec<_>>(), ["good"]);
    assert_eq!(set(&vec![json!({}); KEY_SET_COUNT_MAX + 1]).unwrap_err(), KeySetError::TooMany);
    for text in ["", "[]", "{}", "<html>", r#"{"keys":{}}"#, r#"{"keys":7}"#] {
        assert_eq!(KeySet::parse(text.as_bytes(), NOW).unwrap_err(), KeySetError::Shape, "{text}");
    }
}

#[test]
fn of_two_keys_with_one_name_the_first_that_fits_counts() {
    let one = p256();
    let keys = with(
        vec![(
            ADDRESS,
            set(&[
                jwk(&one.jwk, &json!({"kid": "a"})),
                jwk(&RSA.jwk, &json!({"kid": "a"})),
                jwk(&OTHER_RSA.jwk, &json!({"kid": "a"})),
            ])
            .unwrap(),
        )],
        &options(),
    );
    assert!(keys.connection(&rsa_token("a", Theirs::RS256), NOW).is_ok());
    let second = signed("a", Theirs::RS256, &OTHER_RSA.private, &json!({}));
    assert_flaw(&keys, &second, Flaw::Signature);
}

fn tenants() -> KeyOptions {
    KeyOptions {
        jwks_endpoint: "https://idp.example/{{realm}}/keys".to_owned(),
        issuer_regex: "https://idp.example/realms/(?P<realm>.+)".to_owned(),
        ..KeyOptions::default()
    }
}

fn of_realm(realm: &str, key: &Rsa) -> String {
    let claims = json!({"sub": "42", "iss": format!("https://idp.example/realms/{realm}")});
    signed("a", Theirs::RS256, &key.private, &claims)
}

#[test]
fn the_key_of_one_issuer_does_not_vouch_for_another() {
    let published = |key: &Rsa| set(&[jwk(&key.jwk, &json!({"kid": "a"}))]).unwrap();
    let keys = with(
        vec![
            ("https://idp.example/red/keys", published(&RSA)),
            ("https://idp.example/blue/keys", published(&OTHER_RSA)),
        ],
        &tenants(),
    );
    assert!(keys.connection(&of_realm("red", &RSA), NOW).is_ok());
    assert!(keys.connection(&of_realm("blue", &OTHER_RSA), NOW).is_ok());
    assert_flaw(&keys, &of_realm("blue", &RSA), Flaw::Signature);
    let TokenError::UnknownKey { address, .. } = refusal(&keys, &of_realm("green", &RSA)) else { panic!() };
    assert_eq!(&*address, "https://idp.example/green/keys");
}

#[test]
fn what_a_token_says_chooses_one_path_segment_and_nothing_else() {
    let keys = keys(&tenants());
    for realm in
        ["..", ".", "a/b", "a..b", "a?b", "a#b", "a%2fb", "a b", "a@b", "a\\b", "ä", "", &"a".repeat(129)]
    {
        assert!(
            matches!(refusal(&keys, &of_realm(realm, &RSA)), TokenError::Invalid(Flaw::Issuer)),
            "{realm}"
        );
    }
    assert!(matches!(refusal(&keys, &of_realm("a-b_c.d~1", &RSA)), TokenError::UnknownKey { .. }));
}

#[test]
fn an_endpoint_has_a_fixed_host_and_names_groups_that_exist() {
    let made = |endpoint: &str| {
        Keys::new(&KeyOptions { jwks_endpoint: endpoint.to_owned(), ..tenants() })
            .map(|_| ())
            .map_err(|e| e.to_string())
    };
    for good in
        ["http://127.0.0.1:8080/keys", "https://idp.example/{{realm}}/x?r={{realm}}", "https://idp.example"]
    {
        assert_eq!(made(good), Ok(()), "{good}");
    }
    for bad in [
        "ftp://idp.example/keys",
        "idp.example/keys",
        "https://{{realm}}/keys",
        "https://{{realm}}.example/keys",
        "https://idp.example:{{realm}}/keys",
        "https://user@idp.example/keys",
        "https:///keys",
        "https://idp.example/{{realm",
        "https://idp.example/realm}}",
        "https://idp.example/a b",
    ] {
        assert!(made(bad).unwrap_err().starts_with("jwks_public_endpoint must be"), "{bad}");
    }
    assert!(made("https://idp.example/{{tenant}}/keys").unwrap_err().contains("{{tenant}}"));
    let both = KeyOptions { hmac_secret: Secret::new("x"), ..options() };
    assert!(matches!(Keys::new(&both), Err(KeyProblem::Both(..))));
    let pattern = |text: &str| Keys::new(&KeyOptions { issuer_regex: text.to_owned(), ..hmac_options() });
    assert!(matches!(pattern("("), Err(KeyProblem::Pattern("issuer_regex", _))));
    assert!(
        matches!(pattern("a)|(b"), Err(KeyProblem::Pattern("issuer_regex", _))),
        "it must not reach beyond ours"
    );
    let two = KeyOptions { issuer: "a".to_owned(), issuer_regex: "a".to_owned(), ..hmac_options() };
    assert!(matches!(Keys::new(&two), Err(KeyProblem::Both("issuer", "issuer_regex"))));
}
