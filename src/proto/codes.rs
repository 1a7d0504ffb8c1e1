//! Every code that the protocol can send, one table for each of its three kinds.
//!
//! Invariant: a code alone tells a client what to do next, by the range that it lies in. A terminal close must carry a
//! reason: centrifuge-js reads a terminal code with an empty reason as "reconnect".

macro_rules! codes {
    (
        $(#[$doc:meta])*
        $name:ident($code_type:ty, $text:ident)
        $($code:literal $variant:ident $reason:literal)+
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($variant,)+
        }

        impl $name {
            /// In ascending order of their codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub const fn code(self) -> $code_type {
                match self {
                    $(Self::$variant => $code,)+
                }
            }

            pub const fn $text(self) -> &'static str {
                match self {
                    $(Self::$variant => $reason,)+
                }
            }
        }
    };
}

codes! {
    /// A command that is answered with an error; the connection lives.
    /// Ranges: below 100 local to a client library, 100-399 the protocol's, 400-1999 the application's.
    Reject(u32, message)
    100 Internal "internal server error"
    101 Unauthorized "unauthorized"
    102 UnknownChannel "unknown channel"
    103 PermissionDenied "permission denied"
    104 MethodNotFound "method not found"
    105 AlreadySubscribed "already subscribed"
    106 LimitExceeded "limit exceeded"
    107 BadRequest "bad request"
    108 NotAvailable "not available"
    109 TokenExpired "token expired"
    110 Expired "expired"
    111 TooManyRequests "too many requests"
    112 UnrecoverablePosition "unrecoverable position"
    113 ConcurrentPagination "concurrent pagination"
}

impl Reject {
    /// Whether the same command may succeed later, so that a client tries it again by itself.
    pub const fn temporary(self) -> bool {
        match self {
            Self::Internal | Self::TooManyRequests | Self::ConcurrentPagination => true,
            Self::Unauthorized
            | Self::UnknownChannel
            | Self::PermissionDenied
            | Self::MethodNotFound
            | Self::AlreadySubscribed
            | Self::LimitExceeded
            | Self::BadRequest
            | Self::NotAvailable
            | Self::TokenExpired
            | Self::Expired
            | Self::UnrecoverablePosition => false,
        }
    }
}

codes! {
    /// The end of a connection, as code and reason of its close frame.
    /// Ranges: 3000-3499 reconnect, 3500-3999 terminal; the application's are 4000-4499 reconnect, 4500-4999 terminal.
    Disconnect(u16, reason)
    3000 Closed "connection closed" // the client left by itself: for our counters, never on the wire
    3001 Shutdown "shutdown"
    3004 InternalError "internal server error"
    3005 Expired "connection expired"
    3006 SubscriptionExpired "subscription expired"
    3008 Slow "slow"
    3009 WriteError "write error"
    3010 InsufficientState "insufficient state"
    3011 ForceReconnect "force reconnect"
    3012 NoPong "no pong"
    3013 TooManyRequests "too many requests"
    3014 StateInvalidated "state invalidated" // the client also drops its token and cached state
    3500 InvalidToken "invalid token"
    3501 BadRequest "bad request"
    3502 Stale "stale"
    3503 Force "force disconnect"
    3504 ConnectionLimit "connection limit"
    3505 ChannelLimit "channel limit"
    3506 InappropriateProtocol "inappropriate protocol" // a binary payload for a JSON client
    3507 PermissionDenied "permission denied"
    3508 NotAvailable "not available"
    3509 TooManyErrors "too many errors"
}

impl Disconnect {
    /// Whether the client comes back by itself; `false` is terminal.
    pub const fn wants_reconnect(self) -> bool {
        matches!(self.code(), 3000..=3499 | 4000..=4499)
    }
}

codes! {
    /// The end of a subscription that the server decided, as an unsubscribe push.
    /// Ranges: below 2500 the client stays unsubscribed, from 2500 it subscribes again;
    /// the application's are 2100-2499 and 2600-2999. 0 and 1 are for our counters, never on the wire.
    Unsubscribed(u32, reason)
    0 Client "client unsubscribed"
    1 Disconnected "client disconnected"
    2000 Server "server unsubscribe"
    2500 InsufficientState "insufficient state"
    2501 Expired "subscription expired"
    2502 StateInvalidated "state invalidated"
}

impl Unsubscribed {
    /// Whether the client subscribes again by itself.
    pub const fn wants_resubscribe(self) -> bool {
        self.code() >= 2500
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::CLOSE_REASON_BYTES_MAX;

    #[test]
    fn codes_ascend_without_repetition() {
        assert!(Reject::ALL.windows(2).all(|pair| pair[0].code() < pair[1].code()));
        assert!(Disconnect::ALL.windows(2).all(|pair| pair[0].code() < pair[1].code()));
        assert!(Unsubscribed::ALL.windows(2).all(|pair| pair[0].code() < pair[1].code()));
    }

    #[test]
    fn only_errors_that_pass_are_temporary() {
        let temporary: Vec<u32> =
            Reject::ALL.iter().filter(|reject| reject.temporary()).map(|reject| reject.code()).collect();
        assert_eq!(temporary, [100, 111, 113]);
    }

    #[test]
    fn every_close_carries_a_reason_that_fits_its_frame() {
        for disconnect in Disconnect::ALL {
            let bytes = disconnect.reason().len();
            assert!((1..=CLOSE_REASON_BYTES_MAX).contains(&bytes), "{disconnect:?}");
        }
    }

    #[test]
    fn the_range_of_a_code_says_what_the_client_does_next() {
        assert!(Disconnect::Shutdown.wants_reconnect());
        assert!(Disconnect::StateInvalidated.wants_reconnect());
        assert!(!Disconnect::InvalidToken.wants_reconnect());
        assert!(!Disconnect::TooManyErrors.wants_reconnect());
        assert!(!Unsubscribed::Server.wants_resubscribe());
        assert!(Unsubscribed::InsufficientState.wants_resubscribe());
    }
}
