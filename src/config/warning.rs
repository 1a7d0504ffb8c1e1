//! What is legal in a configuration but probably not meant. Shown at start, never a reason not to start.
//! Invariant: every warning names its remedy.

use super::Config;
use std::net::SocketAddr;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    #[error(
        "DEVELOPMENT MODE: anyone who can reach {public} may connect, publish and see who is present; \
             start with --config FILE (an empty file will do) for secure defaults"
    )]
    Development { public: SocketAddr },
    #[error(
        "development mode on {public}, which other machines can reach; \
             start with --config FILE (an empty file will do) or listen on 127.0.0.1"
    )]
    DevelopmentExposed { public: SocketAddr },
    #[error(
        "health and metrics are served on {internal}, which other machines can reach; \
             set listen.internal to a loopback address, or keep others out with a firewall"
    )]
    InternalExposed { internal: SocketAddr },
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
    /// The warnings that follow from the checked values alone.
    pub(super) fn of(config: &Config) -> Vec<Self> {
        let (public, internal) = (config.listen.public, config.listen.internal);
        let exposed = !public.ip().is_loopback();
        let nobody = !config.client.allow_anonymous_connect_without_token && !config.routes.echo;
        [
            (config.development && !exposed).then_some(Self::Development { public }),
            (config.development && exposed).then_some(Self::DevelopmentExposed { public }),
            (!internal.ip().is_loopback()).then_some(Self::InternalExposed { internal }),
            nobody.then_some(Self::NobodyMayConnect),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
