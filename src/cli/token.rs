//! `ringway token`: makes tokens for trying things out, and says what is wrong with a token.
//! Invariant: secrets come from the configuration, the environment or a file, never from the command line, and are not
//! printed. What is printed on standard output is the token alone.

mod check;

use super::{environment, say};
use crate::auth::{Algorithm, Auth, Secret};
use crate::config::{Config, Token};
use crate::fatal::Fatal;
use crate::sys::clock;
use check::CheckArguments;
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct TokenArguments {
    #[command(subcommand)]
    command: Option<TokenCommand>,
    #[command(flatten)]
    make: MakeArguments,
}

#[derive(Debug, clap::Subcommand)]
enum TokenCommand {
    /// Explain every claim of a token, and what is wrong with it
    Check(CheckArguments),
}

pub const EXAMPLES: &str = "\
Examples:
  ringway token --config ringway.toml --user 42
  ringway token --user 42 --channel '$chat:1' --ttl 10m
  ringway token --hmac-secret-file secret.txt --user 42 --info '{\"name\":\"Ann\"}' --channels news,chat
  ringway token check \"$(ringway token --user 42)\"";

/// Where keys come from.
#[derive(Debug, clap::Args)]
struct KeyArguments {
    /// Configuration (TOML) with the key; the environment counts as well, as with serve
    #[arg(long, value_name = "FILE", env = "RINGWAY_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// File with the HMAC secret, in the place of the configured key
    #[arg(long, value_name = "FILE")]
    hmac_secret_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct MakeArguments {
    #[command(flatten)]
    keys: KeyArguments,
    /// User id (sub, or the claim that client.token.user_id_claim names); empty for an anonymous user
    #[arg(long, value_name = "ID", default_value = "")]
    user: String,
    /// Channel: makes a subscription token
    #[arg(long)]
    channel: Option<String>,
    /// The one client that may use a subscription token
    #[arg(long, value_name = "ID", requires = "channel")]
    client: Option<String>,
    /// How long the token is valid; 0s: for ever
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration)]
    ttl: Duration,
    /// When the connection or subscription ends, in Unix seconds, while exp gates the token only; 0: never
    #[arg(long, value_name = "SECONDS")]
    expire_at: Option<u64>,
    /// Not valid before, in Unix seconds
    #[arg(long, value_name = "SECONDS")]
    not_before: Option<u64>,
    /// What others see of the client in presence, joins and publications
    #[arg(long, value_name = "JSON", value_parser = json)]
    info: Option<Box<RawValue>>,
    /// What only back ends see
    #[arg(long, value_name = "JSON", value_parser = json, conflicts_with = "channel")]
    meta: Option<Box<RawValue>>,
    /// What the subscribe result carries
    #[arg(long, value_name = "JSON", value_parser = json, requires = "channel")]
    data: Option<Box<RawValue>>,
    /// Server-side subscriptions, separated by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with = "channel")]
    channels: Vec<String>,
    /// Server-side subscriptions with their options
    #[arg(long, value_name = "JSON", value_parser = json, conflicts_with_all = ["channel", "channels"])]
    subs: Option<Box<RawValue>>,
    /// What it changes of the namespace's options, such as {"presence":{"value":true}}
    #[arg(long = "override", value_name = "JSON", value_parser = json, requires = "channel")]
    overrides: Option<Box<RawValue>>,
    /// Name of the token, by which it can be revoked
    #[arg(long, value_name = "ID")]
    jti: Option<String>,
    /// Issuer; otherwise the configured one
    #[arg(long)]
    issuer: Option<String>,
    /// Audience; otherwise the configured one
    #[arg(long)]
    audience: Option<String>,
    /// HS256, HS384 or HS512
    #[arg(long, value_name = "NAME", default_value = "HS256", value_parser = algorithm)]
    algorithm: Algorithm,
}

pub fn run(arguments: TokenArguments) -> Result<ExitCode, Fatal> {
    match arguments.command {
        Some(TokenCommand::Check(arguments)) => check::run(&arguments),
        None => {
            let token = make(&arguments.make, clock::wall().as_secs())?;
            say(&format!("{token}\n"));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn make(arguments: &MakeArguments, now_unix_s: u64) -> Result<String, Fatal> {
    let (config, auth) = arguments.keys.load()?;
    let of_subscription = arguments.channel.is_some();
    let (keys, rules) = if of_subscription && config.client.subscription_token.enabled {
        (auth.subscription_keys(), &config.client.subscription_token.token)
    } else {
        (&auth.connection, &config.client.token)
    };
    let claims = arguments.claims(rules, now_unix_s);
    let claims = serde_json::to_vec(&claims).map_err(|error| unfit(&error.to_string()))?;
    keys.sign(arguments.algorithm, &claims).ok_or_else(|| {
        unfit("there is no secret to sign with: give --hmac-secret-file, or set client.token.hmac_secret_key in the file or environment")
    })
}

impl MakeArguments {
    fn claims(&self, rules: &Token, now_unix_s: u64) -> BTreeMap<String, Box<RawValue>> {
        let mut claims = BTreeMap::new();
        let mut put = |name: &str, value: Option<Box<RawValue>>| {
            claims.extend(value.map(|value| (name.to_owned(), value)));
        };
        let user_claim = if rules.user_id_claim.is_empty() { "sub" } else { &rules.user_id_claim };
        let expires_at = (!self.ttl.is_zero()).then(|| now_unix_s.saturating_add(self.ttl.as_secs().max(1)));
        let configured = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        put(user_claim, raw(Some(&self.user)));
        put("channel", raw(self.channel.as_ref()));
        put("client", raw(self.client.as_ref()));
        put("iat", raw(Some(&now_unix_s)));
        put("exp", raw(expires_at.as_ref()));
        put("nbf", raw(self.not_before.as_ref()));
        put("expire_at", raw(self.expire_at.as_ref()));
        put("jti", raw(self.jti.as_ref()));
        put("iss", raw(self.issuer.clone().or_else(|| configured(&rules.issuer)).as_ref()));
        put("aud", raw(self.audience.clone().or_else(|| configured(&rules.audience)).as_ref()));
        put("info", self.info.clone());
        put("meta", self.meta.clone());
        put("data", self.data.clone());
        put("subs", self.subs.clone());
        put("override", self.overrides.clone());
        put("channels", raw((!self.channels.is_empty()).then_some(&self.channels)));
        claims
    }
}

impl KeyArguments {
    fn load(&self) -> Result<(Config, Auth), Fatal> {
        let (mut config, _) = Config::load(self.config.as_deref(), environment(), [])?;
        if let Some(path) = &self.hmac_secret_file {
            let secret = secret(path)?;
            for token in [&mut config.client.token, &mut config.client.subscription_token.token] {
                token.hmac_secret_key = secret.clone();
                token.jwks_public_endpoint.clear();
            }
        }
        let auth = config.auth()?;
        Ok((config, auth))
    }
}

/// The line break at the end belongs to the editor, not to the secret.
fn secret(path: &Path) -> Result<Secret, Fatal> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| Fatal::ConfigUnreadable { path: path.to_owned(), source })?;
    let secret = Secret::new(text.trim_end_matches(['\r', '\n']));
    if secret.is_empty() { Err(unfit("the file of --hmac-secret-file is empty")) } else { Ok(secret) }
}

fn unfit(problem: &str) -> Fatal {
    Fatal::Config { file: None, problems: vec![problem.to_owned()] }
}

fn raw(value: Option<&impl serde::Serialize>) -> Option<Box<RawValue>> {
    to_raw_value(value?).ok()
}

fn json(text: &str) -> Result<Box<RawValue>, String> {
    serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))
}

fn duration(text: &str) -> Result<Duration, String> {
    crate::config::parse_duration(text).ok_or_else(|| "a duration is written as 25s, 10m or 1h30m".to_owned())
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    Algorithm::named(text)
        .filter(|algorithm| matches!(algorithm, Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512))
        .ok_or_else(|| "only HS256, HS384 and HS512 sign with a secret".to_owned())
}

#[cfg(test)]
mod tests;
