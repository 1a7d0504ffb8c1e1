//! `ringway token check`: what a token says, claim by claim, and what a server with these keys would answer.
//! Invariant: claims are shown before anything is believed, and said to be so; the verdict is that of the server's own
//! code.

use super::{KeyArguments, unfit};
use crate::auth::{Anatomy, Auth, Occasion, TokenError, Verdict};
use crate::cli::paint::Paint;
use crate::cli::say;
use crate::control::jwks;
use crate::fatal::Fatal;
use crate::sys::clock;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub struct CheckArguments {
    #[command(flatten)]
    keys: KeyArguments,
    /// The token; the three parts with dots between them
    token: String,
}

pub fn run(arguments: &CheckArguments) -> Result<ExitCode, Fatal> {
    let (_, auth) = arguments.keys.load()?;
    let now = clock::wall().as_secs();
    let (auth, fetching) = fetch(auth, &arguments.token, now)?;
    let report = report(&auth, &arguments.token, now, Paint::stdout());
    say(&format!("{}{fetching}", report.text));
    Ok(if report.is_valid { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(super) struct Report {
    pub(super) text: String,
    pub(super) is_valid: bool,
}

pub(super) fn report(auth: &Auth, token: &str, now_unix_s: u64, paint: Paint) -> Report {
    let mut text = String::new();
    let mut is_subscription = false;
    match Anatomy::of(token) {
        Ok(anatomy) => {
            is_subscription = anatomy.claim("channel").is_some();
            let _ = writeln!(text, "header  {}", anatomy.header);
            for (name, value) in &anatomy.claims {
                let meaning = meaning(name, value, is_subscription, now_unix_s);
                let _ = writeln!(text, "  {name} = {value}{meaning}");
            }
        }
        Err(flaw) => {
            let _ = writeln!(text, "unreadable: {flaw}");
        }
    }
    let (occasion, kind) = if is_subscription {
        (Occasion::Subscribe, "subscription")
    } else {
        (Occasion::Connect, "connection")
    };
    let checked = if is_subscription {
        auth.subscription(token, now_unix_s).map(|_| ())
    } else {
        auth.connection(token, now_unix_s).map(|_| ())
    };
    let is_valid = checked.is_ok();
    let _ = match checked {
        Ok(()) => writeln!(text, "{} {kind} token", paint.good("VALID")),
        Err(error) => {
            let answer = match error.verdict(occasion) {
                Verdict::Reject(reject) => format!("error {} ({})", reject.code(), reject.message()),
                Verdict::Disconnect(end) => format!("disconnect {} ({})", end.code(), end.reason()),
            };
            writeln!(text, "{} {kind} token: {error}\nthe client gets {answer}", paint.bad("REFUSED"))
        }
    };
    Report { text, is_valid }
}

/// Asks the issuer when the token names one of its keys.
fn fetch(auth: Auth, token: &str, now_unix_s: u64) -> Result<(Auth, String), Fatal> {
    let tried = [auth.connection(token, now_unix_s).err(), auth.subscription(token, now_unix_s).err()];
    let mut sets = BTreeMap::new();
    let mut failures = String::new();
    for error in tried.into_iter().flatten() {
        let TokenError::UnknownKey { address, .. } = error else { continue };
        if sets.contains_key(&address) {
            continue;
        }
        match jwks::fetch_once(&address).map_err(|error| unfit(&error.to_string()))? {
            Ok(set) => {
                sets.insert(address, Arc::new(set));
            }
            Err(error) => {
                let _ = writeln!(failures, "{address} cannot be used: {error}");
            }
        }
    }
    Ok(if sets.is_empty() { (auth, failures) } else { (auth.with_sets(&sets), failures) })
}

/// What a claim is for, and for times how far they are away.
fn meaning(name: &str, value: &str, is_subscription: bool, now_unix_s: u64) -> String {
    let what = match name {
        "sub" if value == "\"\"" => "the user: anonymous",
        "sub" => "the user",
        "exp" => "expires",
        "nbf" => "not valid before",
        "iat" => "issued",
        "expire_at" if value == "0" && is_subscription => "the subscription never ends",
        "expire_at" if value == "0" => "the connection never ends",
        "expire_at" if is_subscription => "the subscription ends",
        "expire_at" => "the connection ends",
        "jti" => "its name, for revocation",
        "iss" => "the issuer",
        "aud" => "the audience",
        "channel" => "the channel that it is for: a subscription token",
        "client" => "the one client that may use it",
        "channels" => "server-side subscriptions; ignored beside subs",
        "subs" => "server-side subscriptions with their options",
        "info" | "b64info" => "shown to others",
        "data" | "b64data" => "goes into the subscribe result",
        "meta" => "for back ends only",
        "override" => "changes options of the namespace",
        _ => "not read by the server, unless user_id_claim names it",
    };
    let is_time = matches!(name, "exp" | "nbf" | "iat" | "expire_at") && value != "0";
    let Some(time) = value.parse::<f64>().ok().filter(|time| is_time && *time >= 0.0) else {
        return format!("    {what}");
    };
    let away = now_unix_s.abs_diff(time as u64);
    let away = crate::config::show_duration(Duration::from_secs(away));
    let when = if time as u64 >= now_unix_s { format!("in {away}") } else { format!("{away} ago") };
    format!("    {what}: {when}")
}
