//! What is legal in a configuration but probably not meant. Shown at start, never a reason not to start.
//! Invariant: every warning names its remedy.

use super::Config;
use std::net::IpAddr;

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
        "no client can connect: tokens are not part of this version and anonymous clients are not allowed; \
             set client.allow_anonymous_connect_without_token = true"
    )]
    NobodyMayConnect,
    #[error("the environment has {name}, which is no option{}",
            .suggestion.as_ref().map_or_else(|| "; unset it if it was meant for Ringway".to_owned(),
                                             |close| format!("; did you mean {close}?")))]
    UnknownVariable { name: String, suggestion: Option<String> },
}

impl Warning {
    /// Whether it deserves more than a line among others.
    pub fn is_grave(&self) -> bool {
        match self {
            Self::Development | Self::DevelopmentExposed { .. } | Self::NobodyMayConnect => true,
            Self::InternalExposed { .. } | Self::UnknownVariable { .. } => false,
        }
    }

    /// The warnings that follow from the checked values alone.
    pub(super) fn of(config: &Config) -> Vec<Self> {
        let (public, internal) = (config.listen.public.ip(), config.listen.internal.ip());
        let exposed = !public.is_loopback();
        let client = &config.client;
        let anonymous = client.allow_anonymous_connect_without_token || client.insecure;
        let nobody = !anonymous && client.user_id_http_header.is_empty() && !config.routes.echo;
        [
            (config.development && !exposed).then_some(Self::Development),
            (config.development && exposed).then_some(Self::DevelopmentExposed { public }),
            (!internal.is_loopback()).then_some(Self::InternalExposed { internal }),
            nobody.then_some(Self::NobodyMayConnect),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
