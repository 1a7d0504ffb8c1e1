//! What is legal in a configuration but probably not meant. Shown at start, never a reason not to start.
//! Invariant: every warning names its remedy.

use super::Config;
use super::table::tokens::Token;
use crate::sys::clock;
use std::net::{IpAddr, SocketAddr};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    #[error(
        "DEVELOPMENT MODE: anyone on this machine may connect, publish and see who is present; \
             start with --config FILE (an empty one will do) for secure defaults"
    )]
    Development,
    #[error(
        "DEVELOPMENT MODE ON {public}: anyone who can reach it may connect, publish and see who is present; \
             start with --config FILE (an empty one will do) or listen on 127.0.0.1"
    )]
    DevelopmentExposed { public: IpAddr },
    #[error(
        "health and metrics are served on {internal}, which other machines can reach; \
             set listen.internal to a loopback address, or keep others out with a firewall"
    )]
    InternalExposed { internal: IpAddr },
    #[error(
        "no client can connect: there is no key to verify tokens with, and anonymous clients are not allowed; \
             set client.token.hmac_secret_key or another key, or client.allow_anonymous_connect_without_token = true"
    )]
    NobodyMayConnect,
    #[error(
        "{option} has {bytes} bytes, which can be guessed; set one of 32 random bytes (openssl rand -hex 32)"
    )]
    ShortSecret { option: String, bytes: usize },
    #[error(
        "{option} is fetched over plain http, where others may put their own keys in; \
             set an https address"
    )]
    KeysInTheOpen { option: String },
    #[error(
        "client.insecure lets everybody in, and tokens that have expired too; \
             take it out wherever strangers can connect"
    )]
    Insecure,
    #[error(
        "the server API is open to whoever reaches {address}; \
             set http_api.key and take http_api.insecure out"
    )]
    ApiOpen { address: SocketAddr },
    #[error(
        "websocket.compression_takeover does nothing while messages are not compressed; \
             set websocket.compression = true"
    )]
    TakeoverWithoutCompression,
    #[error(
        "the certificate of {option} ended {days} days ago, so that clients refuse it; \
             renew it and send SIGHUP"
    )]
    CertificateExpired { option: String, days: i64 },
    #[error("the certificate of {option} ends in {days} days; renew it and send SIGHUP")]
    CertificateEnding { option: String, days: i64 },
    #[error(
        "the certificate of {option} is not valid yet, so that clients refuse it; \
             set the clock of this machine, or wait"
    )]
    CertificateEarly { option: String },
    #[error("the environment has {name}, which is no option{}",
            .suggestion.as_ref().map_or_else(|| "; unset it if it was meant for Ringway".to_owned(),
                                             |close| format!("; did you mean {close}?")))]
    UnknownVariable { name: String, suggestion: Option<String> },
}

impl Warning {
    /// Whether it deserves more than a line among others.
    pub fn is_grave(&self) -> bool {
        match self {
            Self::Development
            | Self::DevelopmentExposed { .. }
            | Self::NobodyMayConnect
            | Self::KeysInTheOpen { .. }
            | Self::Insecure
            | Self::CertificateExpired { .. }
            | Self::CertificateEarly { .. }
            | Self::ApiOpen { .. } => true,
            Self::InternalExposed { .. }
            | Self::UnknownVariable { .. }
            | Self::ShortSecret { .. }
            | Self::TakeoverWithoutCompression
            | Self::CertificateEnding { .. } => false,
        }
    }

    /// The warnings that follow from the checked values alone.
    pub(super) fn of(config: &Config) -> Vec<Self> {
        let (public, internal) = (config.listen.public.ip(), config.listen.internal.ip());
        let exposed = !public.is_loopback();
        let client = &config.client;
        let anonymous = client.allow_anonymous_connect_without_token || client.insecure;
        let has_keys = client.token != Token::default();
        let nobody = !anonymous && !has_keys && client.user_id_http_header.is_empty() && !config.routes.echo;
        [
            (config.development && !exposed).then_some(Self::Development),
            (config.development && exposed).then_some(Self::DevelopmentExposed { public }),
            (!internal.is_loopback()).then_some(Self::InternalExposed { internal }),
            (config.websocket.compression_takeover && !config.websocket.compression)
                .then_some(Self::TakeoverWithoutCompression),
            open_api(config).map(|address| Self::ApiOpen { address }),
            nobody.then_some(Self::NobodyMayConnect),
            (client.insecure && !config.development).then_some(Self::Insecure),
        ]
        .into_iter()
        .flatten()
        .chain(config.tls.warnings(clock::wall()))
        .chain(Self::of_token("client.token", &client.token))
        .chain(Self::of_token("client.subscription_token", &client.subscription_token.token))
        .collect()
    }

    fn of_token(section: &str, token: &Token) -> impl Iterator<Item = Self> {
        let bytes = token.hmac_secret_key.expose().len();
        let is_short = (1..SECRET_BYTES_SAFE).contains(&bytes);
        let plain = token.jwks_public_endpoint.strip_prefix("http://");
        let is_open = plain.is_some_and(|address| {
            let host = address.split(['/', ':', '?']).next().unwrap_or_default();
            host != "localhost"
                && host.parse::<IpAddr>().map_or(!address.starts_with("[::1]"), |ip| !ip.is_loopback())
        });
        let (short, open) = (format!("{section}.hmac_secret_key"), format!("{section}.jwks_public_endpoint"));
        [
            is_short.then_some(Self::ShortSecret { option: short, bytes }),
            is_open.then_some(Self::KeysInTheOpen { option: open }),
        ]
        .into_iter()
        .flatten()
    }
}

/// RFC 7518 section 3.2: as long as the hash that it keys.
const SECRET_BYTES_SAFE: usize = 32;

/// Where others can call the server API without a key, if they can.
fn open_api(config: &Config) -> Option<SocketAddr> {
    let (listen, api) = (&config.listen, &config.http_api);
    let public = (api.external && !listen.public.ip().is_loopback()).then_some(listen.public);
    let internal = (!listen.internal.ip().is_loopback()).then_some(listen.internal);
    public.or(internal).filter(|_| api.insecure)
}
