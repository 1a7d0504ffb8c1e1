use super::*;
use jsonwebtoken::Algorithm as Theirs;

fn claims() -> Value {
    json!({"sub": "42", "exp": NOW + 60})
}

#[test]
fn every_algorithm_of_another_signer_is_understood() {
    let (one, two) = (p256(), p384());
    let secret = || EncodingKey::from_secret(b"secret");
    let rsa = || RSA.private.clone();
    let cases = [
        (hmac_options(), Theirs::HS256, secret()),
        (hmac_options(), Theirs::HS384, secret()),
        (hmac_options(), Theirs::HS512, secret()),
        (KeyOptions { rsa_public_key: RSA.pem.clone(), ..KeyOptions::default() }, Theirs::RS256, rsa()),
        (KeyOptions { rsa_public_key: RSA.pem.clone(), ..KeyOptions::default() }, Theirs::RS384, rsa()),
        (KeyOptions { rsa_public_key: RSA.pem.clone(), ..KeyOptions::default() }, Theirs::RS512, rsa()),
        (
            KeyOptions { ecdsa_public_key: one.pem.clone(), ..KeyOptions::default() },
            Theirs::ES256,
            EncodingKey::from_ec_der(&one.der),
        ),
        (
            KeyOptions { ecdsa_public_key: two.pem.clone(), ..KeyOptions::default() },
            Theirs::ES384,
            EncodingKey::from_ec_der(&two.der),
        ),
    ];
    for (options, algorithm, key) in cases {
        let token = token_of(&Header::new(algorithm), &claims(), &key);
        let read = keys(&options).connection(&token, NOW).unwrap();
        assert_eq!((&*read.user, read.expire_at), ("42", NOW + 60), "{algorithm:?}");

        let (signed, signature) = token.rsplit_once('.').unwrap();
        let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        signature[7] ^= 1;
        assert_flaw(&keys(&options), &format!("{signed}.{}", base64url(&signature)), Flaw::Signature);
    }
}

#[test]
fn es512_is_understood_too() {
    let key = p521();
    let signed =
        format!("{}.{}", base64url(br#"{"alg":"ES512"}"#), base64url(claims().to_string().as_bytes()));
    let signature = key.pair.sign(&aws_lc_rs::rand::SystemRandom::new(), signed.as_bytes()).unwrap();
    let token = format!("{signed}.{}", base64url(signature.as_ref()));
    let options = KeyOptions { ecdsa_public_key: key.pem.clone(), ..KeyOptions::default() };
    assert_eq!(&*keys(&options).connection(&token, NOW).unwrap().user, "42");
}

#[test]
fn what_we_sign_another_library_accepts() {
    for (ours, theirs) in [
        (Algorithm::Hs256, Theirs::HS256),
        (Algorithm::Hs384, Theirs::HS384),
        (Algorithm::Hs512, Theirs::HS512),
    ] {
        let token = hmac_keys().sign(ours, br#"{"sub":"42","exp":9999999999}"#).unwrap();
        let key = jsonwebtoken::DecodingKey::from_secret(b"secret");
        let read =
            jsonwebtoken::decode::<Value>(&token, &key, &jsonwebtoken::Validation::new(theirs)).unwrap();
        assert_eq!(read.claims["sub"], "42");
    }
    assert_eq!(hmac_keys().sign(Algorithm::Rs256, b"{}"), None, "a public key cannot sign");
}

#[test]
fn the_previous_secret_is_accepted_until_its_time_and_never_signs() {
    let options = KeyOptions {
        hmac_previous_secret: Secret::new("old"),
        hmac_previous_valid_until: NOW + 10,
        hmac_secret: Secret::new("new"),
        ..KeyOptions::default()
    };
    let keys = keys(&options);
    let old = token_of(&Header::default(), &json!({"sub": "42"}), &EncodingKey::from_secret(b"old"));
    let new = token_of(&Header::default(), &json!({"sub": "42"}), &EncodingKey::from_secret(b"new"));
    assert!(keys.connection(&old, NOW + 9).is_ok());
    assert_eq!(keys.connection(&old, NOW + 10), Err(TokenError::Invalid(Flaw::Signature)));
    assert!(keys.connection(&new, NOW + 10).is_ok());
    assert_eq!(
        keys.sign(Algorithm::Hs256, br#"{"sub":"42"}"#).map(|ours| keys.connection(&ours, NOW + 10).is_ok()),
        Some(true)
    );
}

#[test]
fn public_keys_are_read_however_their_pem_is_written() {
    let spki = RSA.pem.clone();
    let wrapped = spki.replace('\n', "\\n");
    let windows = spki.replace('\n', "\r\n");
    let introduced = format!("a comment\n{spki}");
    for text in [spki, wrapped, windows, introduced] {
        keys(&KeyOptions { rsa_public_key: text, ..KeyOptions::default() });
    }
}

#[test]
fn a_key_that_cannot_be_used_is_named_with_its_remedy_and_without_its_text() {
    let rsa =
        |text: &str| Keys::new(&KeyOptions { rsa_public_key: text.to_owned(), ..KeyOptions::default() });
    let ec =
        |text: &str| Keys::new(&KeyOptions { ecdsa_public_key: text.to_owned(), ..KeyOptions::default() });
    let private = pem("PRIVATE KEY", &RSA.private_der);
    let cases = [
        (rsa("hello"), "rsa_public_key: it is no public key in PEM form"),
        (rsa(&pem("PUBLIC KEY", b"hello")), "rsa_public_key: it is no RSA key of"),
        (rsa(&private), "rsa_public_key: it is a private key"),
        (rsa(&p256().pem), "rsa_public_key: it is no RSA key of"),
        (rsa(SMALL_RSA), "rsa_public_key: it is no RSA key of 2048 to 8192 bits"),
        (ec(&RSA.pem), "ecdsa_public_key: it is no EC key"),
        (ec("-----BEGIN PUBLIC KEY-----"), "ecdsa_public_key: it is no public key in PEM form"),
    ];
    for (made, expected) in cases {
        let problem = made.unwrap_err().to_string();
        assert!(problem.starts_with(expected), "{problem}");
        assert!(!problem.contains(&STANDARD.encode(&RSA.private_der)[..20]), "{problem}");
    }
}

#[test]
fn secrets_are_in_no_text() {
    let options = KeyOptions {
        hmac_secret: Secret::new("correct-horse"),
        hmac_previous_secret: Secret::new("battery-staple"),
        ..KeyOptions::default()
    };
    let auth = Auth { connection: keys(&options), subscription: Some(keys(&options)), ..Auth::default() };
    let shown = format!(
        "{options:?} {options:#?} {auth:?} {auth:#?} {} {:?}",
        options.hmac_secret, options.hmac_secret
    );
    for secret in ["correct-horse", "battery-staple", "horse", "staple"] {
        assert!(!shown.contains(secret), "{shown}");
        let bytes = format!("{:?}", secret.as_bytes());
        assert!(!shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
    }
    assert!(shown.contains("HS") || shown.contains("Hs256"), "the kind of a key may be seen: {shown}");
}

const SMALL_RSA: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDV4hgZNWIXE84D6Jz1L5K/9L4D
YSHad3AQSVD1OVhk4gJuvYK+71r+cVxXNao+C8dTFSMoqRzh7/Xpbgf7mtPpQb8A
ocGow2hx/UNH9Ttt06D3ggRz8QBI+xIW1nrjNiTvdwPztwWqQNc6Esb/04IVBLVj
jE/CcUczaCfieR8z9wIDAQAB
-----END PUBLIC KEY-----";
