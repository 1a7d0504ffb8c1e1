//! Tokens that are made to be believed. RFC 8725 sections 2 and 3.

use super::*;
use crate::limits::{KEY_ID_BYTES_MAX, TOKEN_BYTES_MAX};

const CLAIMS: &str = r#"{"sub":"admin"}"#;

#[test]
fn none_is_no_algorithm_in_any_spelling() {
    for name in ["none", "None", "NONE", "nOnE", "", "hs256", "HS256 ", "HMAC", "PS256", "dir"] {
        let header = base64url(format!("{{\"alg\":\"{name}\"}}").as_bytes());
        let claims = base64url(CLAIMS.as_bytes());
        assert_flaw(&hmac_keys(), &format!("{header}.{claims}."), Flaw::Parts);
        assert_flaw(&hmac_keys(), &format!("{header}.{claims}.AA"), Flaw::Algorithm);
        assert_flaw(
            &hmac_keys(),
            &forged(&format!("{{\"alg\":\"{name}\"}}"), CLAIMS, b"secret"),
            Flaw::Algorithm,
        );
    }
    assert_flaw(&hmac_keys(), "eyJhbGciOiJub25lIn0.e30.", Flaw::Parts);
    for header in ["{}", r#"{"alg":null}"#, r#"{"alg":["HS256"]}"#, r#"{"alg":7}"#] {
        assert_flaw(&hmac_keys(), &forged(header, CLAIMS, b"secret"), Flaw::Algorithm);
    }
}

#[test]
fn a_public_key_is_no_secret_in_any_of_its_forms() {
    let options = KeyOptions { rsa_public_key: RSA.pem.clone(), ..KeyOptions::default() };
    let der =
        STANDARD.decode(RSA.pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap();
    for secret in [RSA.pem.as_bytes(), RSA.pem.trim_end().as_bytes(), &der] {
        let token = forged(r#"{"alg":"HS256"}"#, CLAIMS, secret);
        assert_flaw(&keys(&options), &token, Flaw::NoKey(Algorithm::Hs256));
        // Beside a real secret, the public key is still none.
        let both = KeyOptions { hmac_secret: Secret::new("secret"), ..options.clone() };
        assert_flaw(&keys(&both), &token, Flaw::Signature);
    }
}

#[test]
fn a_key_of_one_curve_verifies_no_other() {
    let (one, two) = (p256(), p384());
    let options = KeyOptions { ecdsa_public_key: two.pem.clone(), ..KeyOptions::default() };
    let claims = json!({"sub": "admin"});
    let token =
        token_of(&Header::new(jsonwebtoken::Algorithm::ES256), &claims, &EncodingKey::from_ec_der(&one.der));
    assert_flaw(&keys(&options), &token, Flaw::NoKey(Algorithm::Es256));
    // Signed on P-256, sold as P-384.
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (_, claims) = signed.split_once('.').unwrap();
    let sold = format!("{}.{claims}.{signature}", base64url(br#"{"alg":"ES384"}"#));
    assert_flaw(&keys(&options), &sold, Flaw::Signature);
}

#[test]
fn an_ecdsa_signature_of_zeros_proves_nothing() {
    let options = KeyOptions { ecdsa_public_key: p256().pem, ..KeyOptions::default() };
    let signed = format!("{}.{}", base64url(br#"{"alg":"ES256"}"#), base64url(CLAIMS.as_bytes()));
    for length in [1, 63, 64, 65, 96] {
        assert_flaw(&keys(&options), &format!("{signed}.{}", base64url(&vec![0; length])), Flaw::Signature);
    }
}

#[test]
fn a_token_that_brings_its_key_along_is_refused_even_when_rightly_signed() {
    let jwk = RSA.jwk.to_string();
    for (name, value) in [
        ("jwk", jwk.as_str()),
        ("jku", r#""https://evil.example/keys""#),
        ("x5u", r#""https://evil.example/cert""#),
        ("x5c", r#"["MIIB"]"#),
        ("jwk", "null"),
    ] {
        let header = format!("{{\"alg\":\"HS256\",\"{name}\":{value}}}");
        assert_flaw(&hmac_keys(), &forged(&header, CLAIMS, b"secret"), Flaw::EmbeddedKey);
    }
}

#[test]
fn extensions_that_have_to_be_understood_are_not() {
    for member in
        [r#""crit":["exp"]"#, r#""crit":[]"#, r#""b64":false"#, r#""enc":"A128GCM""#, r#""zip":"DEF""#]
    {
        let header = format!("{{\"alg\":\"HS256\",{member}}}");
        assert_flaw(&hmac_keys(), &forged(&header, CLAIMS, b"secret"), Flaw::Extension);
    }
}

#[test]
fn names_that_stand_twice_are_refused_in_header_and_claims() {
    let twice = [
        r#"{"alg":"HS256","alg":"none"}"#,
        r#"{"alg":"none","alg":"HS256"}"#,
        r#"{"alg":"HS256","x":1,"x":1}"#,
    ];
    for header in twice {
        assert_flaw(&hmac_keys(), &forged(header, CLAIMS, b"secret"), Flaw::Object);
    }
    for claims in [
        r#"{"sub":"me","sub":"admin"}"#,
        r#"{"exp":9999999999,"exp":1}"#,
        r#"{"sub":"me","\u0073ub":"admin"}"#,
    ] {
        assert_flaw(&hmac_keys(), &forged(r#"{"alg":"HS256"}"#, claims, b"secret"), Flaw::Object);
    }
}

#[test]
fn a_shape_that_is_not_a_signed_token_is_refused() {
    let good = token(&json!({"sub": "admin"}));
    let parts: Vec<&str> = good.split('.').collect();
    let cases = [
        (String::new(), Flaw::Parts),
        ("a.b".to_owned(), Flaw::Parts),
        (format!("{good}.x"), Flaw::Parts),
        (format!("{good}.x.y"), Flaw::Parts),
        (format!("{}.{}.", parts[0], parts[1]), Flaw::Parts),
        (format!("{}=.{}.{}", parts[0], parts[1], parts[2]), Flaw::Encoding),
        (format!("{}.{}.{}=", parts[0], parts[1], parts[2]), Flaw::Encoding),
        (format!(" {good}"), Flaw::Encoding),
        (format!("{good}\n"), Flaw::Encoding),
        (format!("{}.{}.+{}", parts[0], parts[1], &parts[2][1..]), Flaw::Encoding),
        (forged("[]", CLAIMS, b"secret"), Flaw::Object),
        (forged(r#"{"alg":"HS256"}"#, "7", b"secret"), Flaw::Object),
        (forged(r#"{"alg":"HS256"}"#, "", b"secret"), Flaw::Object),
        (forged(r#"{"alg":"HS256"}"#, "{\"sub\":\"\u{0}", b"secret"), Flaw::Object),
    ];
    for (token, flaw) in cases {
        assert_flaw(&hmac_keys(), &token, flaw);
    }
    assert!(hmac_keys().connection(&good, NOW).is_ok());
}

#[test]
fn a_token_of_the_longest_length_is_read_and_one_beyond_is_not_looked_at() {
    let fitting = |length: usize| {
        let empty = forged(r#"{"alg":"HS256"}"#, r#"{"x":""}"#, b"secret").len();
        (length - empty) * 3 / 4
    };
    let filled = |count: usize| {
        forged(r#"{"alg":"HS256"}"#, &format!("{{\"x\":\"{}\"}}", "y".repeat(count)), b"secret")
    };
    let longest = filled(fitting(TOKEN_BYTES_MAX) - 2);
    assert!(longest.len() <= TOKEN_BYTES_MAX && longest.len() > TOKEN_BYTES_MAX - 8, "{}", longest.len());
    assert!(hmac_keys().connection(&longest, NOW).is_ok());
    assert_flaw(&hmac_keys(), &filled(fitting(TOKEN_BYTES_MAX) + 4), Flaw::TooLong);
    assert_flaw(&hmac_keys(), &".".repeat(1 << 20), Flaw::TooLong);
}

#[test]
fn the_name_of_a_key_opens_no_file_and_is_ignored_where_there_is_one_key() {
    for kid in ["../../dev/null", "x' OR 1=1 --", "/etc/passwd"] {
        let header = format!("{{\"alg\":\"HS256\",\"kid\":{}}}", json!(kid));
        assert!(hmac_keys().connection(&forged(&header, CLAIMS, b"secret"), NOW).is_ok());
        assert_flaw(&hmac_keys(), &forged(&header, CLAIMS, b""), Flaw::Signature);
    }
    for kid in [json!(7), json!(""), json!("k".repeat(KEY_ID_BYTES_MAX + 1)), json!(["a"])] {
        let header = format!("{{\"alg\":\"HS256\",\"kid\":{kid}}}");
        assert_flaw(&hmac_keys(), &forged(&header, CLAIMS, b"secret"), Flaw::KeyId);
    }
}

#[test]
fn without_keys_nothing_is_accepted_not_even_what_an_empty_secret_signs() {
    let nothing = Keys::default();
    assert!(nothing.is_empty());
    assert_flaw(&nothing, &forged(r#"{"alg":"HS256"}"#, CLAIMS, b""), Flaw::NoKey(Algorithm::Hs256));
}

#[test]
fn times_that_are_no_times_are_refused_rather_than_ignored() {
    for name in ["exp", "nbf", "iat", "expire_at"] {
        for value in ["\"9999999999\"", "-1", "1e308", "9223372036854775808", "true", "[9999999999]", "{}"] {
            let claims = format!("{{\"sub\":\"admin\",\"{name}\":{value}}}");
            let token = forged(r#"{"alg":"HS256"}"#, &claims, b"secret");
            assert_flaw(&hmac_keys(), &token, Flaw::Claim(name.into()));
        }
    }
}

#[test]
fn claims_nested_without_end_cost_no_stack() {
    for depth in [40, 10_000] {
        let claims = format!("{{\"info\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
        let token = forged(r#"{"alg":"HS256"}"#, &claims, b"secret");
        assert!(matches!(refusal(&hmac_keys(), &token), TokenError::Invalid(_)), "{depth}");
    }
}
