//! Keys of tokens, from the file to what verifies.

use super::*;
use crate::auth::{Algorithm, Occasion, TokenError, Verdict};
use crate::proto::codes::Disconnect;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NOW: u64 = 1_750_000_000;

fn warnings(text: &str) -> Vec<Warning> {
    load(text, &[], &[]).unwrap().1
}

#[test]
fn a_secret_makes_tokens_valid_and_an_empty_file_none() {
    let auth = accepted(&format!("[client.token]\nhmac_secret_key = \"{SECRET}\"\n")).auth().unwrap();
    let token = auth.connection.sign(Algorithm::Hs256, br#"{"sub":"42"}"#).unwrap();
    assert_eq!(&*auth.connection(&token, NOW).unwrap().user, "42");
    assert!(auth.subscription.is_none() && !auth.fetches());
    let error = accepted("").auth().unwrap().connection(&token, NOW).unwrap_err();
    assert_eq!(error.verdict(Occasion::Connect), Verdict::Disconnect(Disconnect::InvalidToken));
}

#[test]
fn subscription_tokens_have_keys_of_their_own_when_that_is_switched_on() {
    let text = |enabled: bool| {
        format!(
            "[client.token]\nhmac_secret_key = \"{SECRET}\"\n[client.subscription_token]\nenabled = {enabled}\n\
             hmac_secret_key = \"of subscriptions\"\n"
        )
    };
    let (shared, own) = (accepted(&text(false)).auth().unwrap(), accepted(&text(true)).auth().unwrap());
    let claims = br#"{"sub":"42","channel":"a"}"#;
    let with_shared = shared.connection.sign(Algorithm::Hs256, claims).unwrap();
    let with_own = own.subscription.as_ref().unwrap().sign(Algorithm::Hs256, claims).unwrap();
    assert!(shared.subscription(&with_shared, NOW).is_ok() && shared.subscription(&with_own, NOW).is_err());
    assert!(own.subscription(&with_own, NOW).is_ok() && own.subscription(&with_shared, NOW).is_err());
}

#[test]
fn every_rule_of_a_token_comes_from_its_option() {
    let config = accepted(&format!(
        "[client]\ninsecure = true\n[client.token]\nhmac_secret_key = \"{SECRET}\"\n\
         hmac_previous_secret_key = \"old\"\nhmac_previous_secret_key_valid_until = 2000000000\n\
         issuer_regex = \"https://(?P<realm>[a-z]+)\\\\.example\"\naudience = \"app\"\nuser_id_claim = \"uid\"\n\
         leeway = \"30s\"\n"
    ));
    let auth = config.auth().unwrap();
    let sign = |claims: &str| auth.connection.sign(Algorithm::Hs256, claims.as_bytes()).unwrap();
    let good = r#"{"uid":"42","iss":"https://red.example","aud":"app","exp":1}"#;
    assert_eq!(&*auth.connection(&sign(good), NOW).unwrap().user, "42", "insecure: the time does not count");
    for wrong in
        [good.replace("red.", "red-"), good.replace("\"app\"", "\"apps\""), good.replace("uid", "sub")]
    {
        assert!(matches!(auth.connection(&sign(&wrong), NOW), Err(TokenError::Invalid(_))), "{wrong}");
    }
    let subscription =
        sign(r#"{"uid":"42","iss":"https://red.example","aud":"app","exp":1000,"channel":"a"}"#);
    assert!(auth.subscription(&subscription, 1029).is_ok(), "within the leeway");
    assert_eq!(auth.subscription(&subscription, 1030), Err(TokenError::Expired { at: 1000 }));
}

#[test]
fn a_key_that_cannot_be_used_stops_the_start_with_its_place_and_without_its_text() {
    let problems = refused("[client.token]\nrsa_public_key = \"-----BEGIN PRIVATE KEY-----hunter2\"\n");
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].starts_with("ringway.toml:2:18: `client.token.rsa_public_key` is (hidden)"),
        "{problems:?}"
    );
    assert!(problems[0].contains("it is a private key") && !problems[0].contains("hunter2"), "{problems:?}");
    for (text, part) in [
        ("issuer = \"a\"\nissuer_regex = \"a\"", "issuer and issuer_regex exclude each other"),
        ("audience_regex = \"(\"", "audience_regex cannot be read"),
        ("hmac_secret_key = \"a\"\njwks_public_endpoint = \"https://a.example/k\"", "exclude each other"),
        ("jwks_public_endpoint = \"https://{{realm}}.example/k\"", "in its path only"),
        ("jwks_public_endpoint = \"https://a.example/{{realm}}\"", "no group of issuer_regex"),
    ] {
        let problems = refused(&format!("[client.token]\n{text}\n"));
        assert!(problems.len() == 1 && problems[0].contains(part), "{problems:?}");
    }
    let off = "[client.subscription_token]\necdsa_public_key = \"nonsense\"\n";
    accepted(off);
    assert_eq!(refused(&format!("{off}enabled = true\n")).len(), 1);
}

#[test]
fn keys_come_from_files_and_the_environment_as_well() {
    let path = std::env::temp_dir().join(format!("ringway-token-key-{}", std::process::id()));
    std::fs::write(&path, format!("{SECRET}\n")).unwrap();
    let name = path.to_str().unwrap();
    let of_file = accepted(&format!("[client.token]\nhmac_secret_key_file = \"{name}\"\n"));
    let (of_env, _) = load("", &[("RINGWAY_CLIENT_TOKEN_HMAC_SECRET_KEY_FILE", name)], &[]).unwrap();
    std::fs::remove_file(&path).unwrap();
    let (direct, _) = load("", &[("RINGWAY_CLIENT_TOKEN_HMAC_SECRET_KEY", SECRET)], &[]).unwrap();
    for config in [of_file, of_env, direct] {
        assert_eq!(config.client.token.hmac_secret_key.expose(), SECRET);
        assert!(!format!("{config:?} {:?}", config.differences()).contains(SECRET));
    }
}

#[test]
fn what_is_legal_but_weak_is_warned_about() {
    let has = |text: &str, wanted: fn(&Warning) -> bool| warnings(text).iter().any(wanted);
    let short = |warning: &Warning| matches!(warning, Warning::ShortSecret { bytes: 6, .. });
    let open = |warning: &Warning| matches!(warning, Warning::KeysInTheOpen { .. });
    let nobody = |warning: &Warning| matches!(warning, Warning::NobodyMayConnect);
    assert!(has("[client.token]\nhmac_secret_key = \"secret\"", short));
    assert!(!has(&format!("[client.token]\nhmac_secret_key = \"{SECRET}\""), short));
    assert!(has("", nobody) && !has("[client.token]\nhmac_secret_key = \"secret\"", nobody));
    let fetched = |address: &str| format!("[client.token]\njwks_public_endpoint = \"{address}\"");
    assert!(has(&fetched("http://idp.example/keys"), open) && has(&fetched("http://10.0.0.1:80/keys"), open));
    for safe in [
        "https://idp.example/keys",
        "http://localhost:8080/keys",
        "http://127.0.0.1/keys",
        "http://[::1]:8/keys",
    ] {
        assert!(!has(&fetched(safe), open), "{safe}");
    }
    assert!(has("[client]\ninsecure = true", |warning| matches!(warning, Warning::Insecure)));
}

#[test]
fn every_option_of_tokens_reaches_the_shards() {
    let told = |config: &Config| format!("{:?}", config.settings().unwrap().auth);
    for entry in options().filter(|entry| entry.section().ends_with("token")) {
        let name = entry.key.rsplit('.').next().unwrap();
        let value = match name {
            "enabled" => "true",
            "rsa_public_key" => RSA,
            "ecdsa_public_key" => EC,
            "jwks_public_endpoint" => "https://a.example/keys",
            "hmac_previous_secret_key_valid_until" => "1700000000",
            "leeway" => "10s",
            _ => "something",
        };
        let previous =
            if name.ends_with("valid_until") { "hmac_previous_secret_key = \"old\"\n" } else { "" };
        let enabled = entry.key != "client.subscription_token.enabled";
        let mut config = accepted(&format!(
            "[client.token]\n{previous}[client.subscription_token]\nenabled = {enabled}\n{previous}"
        ));
        let before = told(&config);
        entry.field.assign(&mut config, value, &[]).unwrap();
        assert_ne!(told(&config), before, "{}", entry.key);
        assert_eq!(entry.change, option::Change::Live);
    }
}

const RSA: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAzZg6sa0q7SFbMQr0BoYL
BWgAIKL/fAMnjMzyKsSzCyZpZ3SD3yfsGl3jYn3ulJg6yi3BHn4/7UorJP6QyOer
L5oioxtYSzGnXkj+jYFV1L8c7mS/yysv5l1vkvRzcpOQSihcqorJLcA97KKmwaF4
P35aJATQalZv+UmenOLFI9kguyX3xFJN/HLGtJUK58qyFqkhNa7iuHzUSeBZCnh7
QKKU9JAxsbFWmpx7gZmx8TR/nLb5DRRd9MksfQVVM8nxEtdiyxxyo6cU5jtCe6/8
TAoKDPS3JrFDermFXJfhvVfm/XII162xuh+I/rFkSDMeEWCC8LRB2rTz71z9ADo1
lQIDAQAB
-----END PUBLIC KEY-----";
const EC: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAETmaOx7/TUTjhNcEBUxw555g+k7y+
9zqE71BRQFQrjM/Fm2UVyI9/kx3YSfLKkIgQkg00r9PM1SPWbsnY5frang==
-----END PUBLIC KEY-----";
