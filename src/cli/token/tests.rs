use super::check::report;
use super::*;
use crate::cli::paint::Paint;
use clap::{Args as _, FromArgMatches as _};

const NOW: u64 = 1_750_000_000;
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A file of its own for each caller, gone with it.
struct SecretFile(PathBuf);

impl SecretFile {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ringway-token-{name}-{}", std::process::id()));
        std::fs::write(&path, format!("{SECRET}\n")).unwrap();
        Self(path)
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn parse(line: &[&str]) -> Result<MakeArguments, clap::Error> {
    let command = MakeArguments::augment_args(clap::Command::new("token"));
    let line = ["token"].iter().chain(line);
    MakeArguments::from_arg_matches(&command.try_get_matches_from(line)?)
}

fn made(name: &str, line: &[&str]) -> (String, Auth) {
    let file = SecretFile::new(name);
    let path = file.0.to_str().unwrap();
    let arguments = parse(&[&["--hmac-secret-file", path], line].concat()).unwrap();
    let (_, auth) = arguments.keys.load().unwrap();
    (make(&arguments, NOW).unwrap(), auth)
}

#[test]
fn a_connection_token_has_the_claims_that_were_asked_for() {
    let (token, auth) = made(
        "connection",
        &[
            "--user",
            "42",
            "--info",
            "{\"a\": 1}",
            "--meta",
            "[2]",
            "--channels",
            "a,b",
            "--expire-at",
            "7",
            "--ttl",
            "10m",
        ],
    );
    let claims = auth.connection(&token, NOW + 599).unwrap();
    assert_eq!((&*claims.user, claims.expire_at, claims.subs.len()), ("42", 7, 2));
    assert_eq!(claims.info.as_deref(), Some(b"{\"a\":1}".as_slice()));
    assert_eq!(claims.id.issued_at, Some(NOW));
    assert!(auth.connection(&token, NOW + 600).is_err());
    assert!(!token.contains(SECRET));
}

#[test]
fn a_subscription_token_names_its_channel() {
    let (token, auth) = made(
        "subscription",
        &[
            "--user",
            "42",
            "--channel",
            "$a",
            "--client",
            "c",
            "--data",
            "1",
            "--ttl",
            "0s",
            "--algorithm",
            "HS512",
        ],
    );
    let claims = auth.subscription(&token, NOW + 1_000_000_000).unwrap();
    assert_eq!(claims.check("42", "$a", "c"), Ok(()));
    assert_eq!((claims.expire_at, claims.data.as_deref()), (0, Some(b"1".as_slice())));
}

#[test]
fn what_does_not_fit_together_or_cannot_be_read_is_refused_before_anything_is_signed() {
    for line in [
        &["--data", "1"][..],
        &["--channel", "a", "--channels", "b"],
        &["--channel", "a", "--meta", "1"],
        &["--info", "{"],
        &["--ttl", "soon"],
        &["--algorithm", "RS256"],
        &["--algorithm", "none"],
        &["--hmac-secret", "typed"],
    ] {
        assert!(parse(line).is_err(), "{line:?}");
    }
}

#[test]
fn without_a_secret_nothing_is_signed_and_the_message_says_where_to_put_one() {
    let arguments = parse(&["--user", "42"]).unwrap();
    let fatal = make(&arguments, NOW).unwrap_err().to_string();
    assert!(fatal.contains("--hmac-secret-file"), "{fatal}");
}

#[test]
fn a_check_explains_each_claim_and_says_what_the_client_would_get() {
    let (token, auth) = made("check", &["--user", "42", "--info", "{}", "--ttl", "1h"]);
    let valid = report(&auth, &token, NOW + 60, Paint::PLAIN);
    assert!(valid.is_valid);
    for part in [
        "header  {\"alg\":\"HS256\",\"typ\":\"JWT\"}\n",
        "  sub = \"42\"    the user\n",
        "  exp = 1750003600    expires: in 59m\n",
        "  iat = 1750000000    issued: 1m ago\n",
        "VALID connection token\n",
    ] {
        assert!(valid.text.contains(part), "{part}: {}", valid.text);
    }
    let expired = report(&auth, &token, NOW + 7200, Paint::PLAIN);
    assert!(!expired.is_valid && expired.text.contains("expires: 1h ago"));
    assert!(expired.text.ends_with("the client gets error 109 (token expired)\n"), "{}", expired.text);
    let foreign = report(&Auth::default(), &token, NOW, Paint::PLAIN);
    assert!(
        foreign.text.contains("no key for HS256 is configured\nthe client gets disconnect 3500"),
        "{}",
        foreign.text
    );
    let hostile = auth.connection.sign(Algorithm::Hs256, b"{\"\\u001b[2J\":\"\xc2\x9b2J\"}").unwrap();
    let shown = report(&auth, &hostile, NOW, Paint::PLAIN).text;
    assert!(shown.contains("VALID") && !shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
    assert!(report(&auth, "rubbish", NOW, Paint::PLAIN).text.starts_with("unreadable: "));
}
