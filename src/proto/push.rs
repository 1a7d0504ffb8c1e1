//! What the server says unasked.
//! Invariant: in one channel, pushes follow the subscribe reply and never the unsubscribe reply.

use std::num::NonZeroU32;

use super::codes::Unsubscribed;
use super::raw::Raw;
use super::reply::{ClientInfo, ConnectResult, Publication};

#[derive(Clone, Debug, PartialEq)]
pub enum Push<'a> {
    Publication {
        channel: Subject<'a>,
        publication: Publication<'a>,
    },
    Join {
        channel: Subject<'a>,
        info: ClientInfo<'a>,
    },
    Leave {
        channel: Subject<'a>,
        info: ClientInfo<'a>,
    },
    Unsubscribe {
        channel: &'a str,
        code: u32,
        reason: &'a str,
    },
    /// Data for this client, outside of any channel.
    Message {
        data: Raw<'a>,
    },
    /// A new server-side subscription.
    Subscribe {
        channel: &'a str,
        recoverable: bool,
        epoch: &'a str,
        offset: u64,
        positioned: bool,
        data: Raw<'a>,
    },
    /// Unidirectional transports only.
    Connect(ConnectResult<'a>),
    /// Transports without a close frame only.
    Disconnect {
        code: u32,
        reason: &'a str,
        reconnect: bool,
    },
    Refresh {
        expires: bool,
        ttl_seconds: u32,
    },
}

impl<'a> Push<'a> {
    /// The push that ends a subscription for one of the protocol's own reasons.
    pub const fn unsubscribed(channel: &'a str, why: Unsubscribed) -> Self {
        Self::Unsubscribe { channel, code: why.code(), reason: why.reason() }
    }
}

/// The channel of a push: its name, or the number that the subscribe result gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    Name(&'a str),
    Id(NonZeroU32),
}

impl<'a> From<&'a str> for Subject<'a> {
    fn from(name: &'a str) -> Self {
        Self::Name(name)
    }
}
