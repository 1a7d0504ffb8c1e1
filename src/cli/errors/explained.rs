//! What each code of the client protocol means, who has to act, and how.
//! Invariant: every code of the protocol has one explanation, in the order of the codes; a test compares them.

use crate::proto::{Disconnect, Reject, Unsubscribed};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub meaning: &'static str,
    /// Who has to act.
    pub blame: Blame,
    pub remedy: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Whoever wrote the client application.
    Client,
    /// Whoever wrote the back end: tokens, hooks, calls of the API.
    Application,
    /// Whoever runs the server.
    Operator,
    /// The network between.
    Network,
    /// The project: report it.
    Ringway,
    /// Nothing is wrong.
    Nobody,
}

impl Blame {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "the client application",
            Self::Application => "the back end",
            Self::Operator => "whoever runs the server",
            Self::Network => "the network",
            Self::Ringway => "Ringway itself",
            Self::Nobody => "nobody",
        }
    }
}

const fn explain(blame: Blame, meaning: &'static str, remedy: &'static str) -> Explanation {
    Explanation { meaning, blame, remedy }
}

pub const REJECTS: &[(Reject, Explanation)] = &[
    (
        Reject::Internal,
        explain(
            Blame::Operator,
            "The server could not do it now: another core, the store or a hook did not answer in time. Clients try again.",
            "Look at the log and at ringway_mail_full_total; check that hooks answer and that the disk has room.",
        ),
    ),
    (
        Reject::Unauthorized,
        explain(
            Blame::Client,
            "The command needs a user that the server knows.",
            "Connect with a token, or allow what is wanted for anonymous users.",
        ),
    ),
    (
        Reject::UnknownChannel,
        explain(
            Blame::Operator,
            "The channel's name begins with a namespace that is not configured.",
            "Add it below [[channel.namespaces]] and send SIGHUP, or mend the name: a namespace is what stands before the first colon.",
        ),
    ),
    (
        Reject::PermissionDenied,
        explain(
            Blame::Operator,
            "The namespace of the channel does not allow this to this user.",
            "Give a subscription token, or set one of its options allow_subscribe_for_client, allow_publish_for_client, \
             allow_presence_for_client, allow_history_for_client and their kin.",
        ),
    ),
    (
        Reject::MethodNotFound,
        explain(
            Blame::Application,
            "No hook serves this RPC method.",
            "Check the method's name and the namespaces of rpc.",
        ),
    ),
    (
        Reject::AlreadySubscribed,
        explain(
            Blame::Client,
            "The connection is subscribed to this channel, or about to be.",
            "Keep one subscription a channel, and unsubscribe before subscribing again.",
        ),
    ),
    (
        Reject::LimitExceeded,
        explain(
            Blame::Client,
            "The connection has as many subscriptions as it may have.",
            "Unsubscribe from what is not shown, or raise client.channel_limit.",
        ),
    ),
    (
        Reject::BadRequest,
        explain(
            Blame::Client,
            "The command is malformed: a channel name that is too long or has forbidden characters, data of the wrong format, a bad filter.",
            "Check the name against channel.max_length and channel_regex, and the data against publication_data_format.",
        ),
    ),
    (
        Reject::NotAvailable,
        explain(
            Blame::Operator,
            "The namespace or the server does not have this: presence or history is off, or no hook serves RPC.",
            "Set presence, or history_size with history_ttl, in the namespace; configure a hook for RPC.",
        ),
    ),
    (
        Reject::TokenExpired,
        explain(
            Blame::Application,
            "The token's time is over. Client libraries ask the application for another one by themselves.",
            "Serve fresh tokens; if this comes at once, compare the clocks of back end and server.",
        ),
    ),
    (
        Reject::Expired,
        explain(
            Blame::Application,
            "What a hook or token allows has ended before it began: its expiry lies in the past.",
            "Set expire_at to a time to come, in seconds since 1970.",
        ),
    ),
    (
        Reject::TooManyRequests,
        explain(
            Blame::Client,
            "Commands or publications come faster than allowed, or too many wait for an answer. Clients try again.",
            "Send less often, or raise client.command_rate_limit, client.byte_rate_limit or publish_rate.",
        ),
    ),
    (
        Reject::UnrecoverablePosition,
        explain(
            Blame::Nobody,
            "The history no longer reaches back to where the client was, or the channel began anew.",
            "Load the state again and go on from there; to reach back further, raise history_size and history_ttl.",
        ),
    ),
    (
        Reject::ConcurrentPagination,
        explain(
            Blame::Client,
            "Two pages of one channel were asked for at the same time. Clients try again.",
            "Ask for the next page after the one before has come.",
        ),
    ),
];

pub const DISCONNECTS: &[(Disconnect, Explanation)] = &[
    (
        Disconnect::Closed,
        explain(Blame::Nobody, "The client left by itself; only our metrics have this.", "Nothing."),
    ),
    (
        Disconnect::Shutdown,
        explain(
            Blame::Nobody,
            "The server is stopping; clients come back elsewhere, or here when it is up again.",
            "Nothing. shutdown.drain_window spreads those who come back.",
        ),
    ),
    (
        Disconnect::InternalError,
        explain(
            Blame::Ringway,
            "The server could not go on with this connection.",
            "Look at the log; if it says nothing, report it.",
        ),
    ),
    (
        Disconnect::Expired,
        explain(
            Blame::Application,
            "The connection's token ran out and was not refreshed in time.",
            "Let getToken of the client library give a new token; client.expired_close_delay is the grace.",
        ),
    ),
    (
        Disconnect::SubscriptionExpired,
        explain(
            Blame::Application,
            "The token of a subscription ran out and was not refreshed in time.",
            "Let getToken of the subscription give a new token; client.expired_sub_close_delay is the grace.",
        ),
    ),
    (
        Disconnect::Slow,
        explain(
            Blame::Network,
            "The client reads more slowly than it is written to: its queue is full.",
            "Send it less (fewer channels, deltas), or raise client.queue_max_size.",
        ),
    ),
    (
        Disconnect::WriteError,
        explain(
            Blame::Network,
            "The socket refused what was written to it.",
            "Nothing: the client comes back.",
        ),
    ),
    (
        Disconnect::InsufficientState,
        explain(
            Blame::Nobody,
            "A server-side subscription has missed something; the client comes back and recovers it.",
            "If it comes often, look at ringway_mail_full_total: cores are overloaded.",
        ),
    ),
    (
        Disconnect::ForceReconnect,
        explain(
            Blame::Application,
            "The back end asked for it, by the server API.",
            "Nothing: the client comes back.",
        ),
    ),
    (
        Disconnect::NoPong,
        explain(
            Blame::Network,
            "The client did not answer a ping: it is gone, asleep, or its page is frozen.",
            "Nothing, if it is a phone; otherwise raise client.pong_timeout, or look for what blocks the client.",
        ),
    ),
    (
        Disconnect::TooManyRequests,
        explain(
            Blame::Client,
            "The client kept sending faster than allowed.",
            "Send less often, or raise client.command_rate_limit and client.byte_rate_limit.",
        ),
    ),
    (
        Disconnect::StateInvalidated,
        explain(
            Blame::Application,
            "The back end declared what the client knows to be void; it drops its token and comes back.",
            "Nothing: the client asks for a new token.",
        ),
    ),
    (
        Disconnect::InvalidToken,
        explain(
            Blame::Application,
            "The token is no token of ours: wrong key or algorithm, wrong issuer or audience, or not for this user or channel.",
            "Compare the keys in client.token with those of the back end, and the token's claims with what is checked.",
        ),
    ),
    (
        Disconnect::BadRequest,
        explain(
            Blame::Client,
            "The client broke the protocol: a first command that is not connect, a pong that nobody asked for, something unreadable, \
             or no token where one is needed.",
            "Use an official client library; without tokens set client.allow_anonymous_connect_without_token.",
        ),
    ),
    (
        Disconnect::Stale,
        explain(
            Blame::Client,
            "The connection was opened, but no connect command succeeded in time.",
            "Connect at once; client.stale_close_delay is the time for it.",
        ),
    ),
    (
        Disconnect::Force,
        explain(
            Blame::Application,
            "The back end asked for it, by the server API.",
            "Nothing: the client stays away.",
        ),
    ),
    (
        Disconnect::ConnectionLimit,
        explain(
            Blame::Operator,
            "The user has as many connections as it may have, or a newer one took its place.",
            "Raise client.user_connection_limit, or switch single_connection of personal channels off.",
        ),
    ),
    (
        Disconnect::ChannelLimit,
        explain(
            Blame::Application,
            "Token or hook subscribe the client to more channels than it may have.",
            "Give it fewer, or raise client.channel_limit.",
        ),
    ),
    (
        Disconnect::InappropriateProtocol,
        explain(
            Blame::Application,
            "Binary data was about to go to a client that speaks JSON.",
            "Publish JSON in channels with JSON clients (publication_data_format = \"json\"), or use Protobuf clients.",
        ),
    ),
    (
        Disconnect::PermissionDenied,
        explain(
            Blame::Application,
            "The token names no user, and such tokens are refused.",
            "Put the user into the token, or switch client.disallow_anonymous_connection_tokens off.",
        ),
    ),
    (
        Disconnect::NotAvailable,
        explain(
            Blame::Client,
            "The client sent a message that nobody serves.",
            "Use publish or rpc in place of send.",
        ),
    ),
    (
        Disconnect::TooManyErrors,
        explain(
            Blame::Client,
            "The client went on although its commands kept failing.",
            "Mend what the errors before it say.",
        ),
    ),
];

/// Close codes of the WebSocket protocol, sent where no command of the client protocol is at stake.
pub const CLOSES: [(u16, &str, Explanation); 10] = [
    (1000, "normal closure", explain(Blame::Nobody, "One side said goodbye.", "Nothing.")),
    (1001, "going away", explain(Blame::Nobody, "The page was closed, or left for another.", "Nothing.")),
    (
        1002,
        "protocol error",
        explain(
            Blame::Client,
            "The client broke RFC 6455: a wrong frame, length or mask.",
            "Use an ordinary WebSocket library; look for a proxy that damages frames.",
        ),
    ),
    (
        1003,
        "unsupported data",
        explain(
            Blame::Client,
            "Binary came where text is spoken, or the other way round.",
            "Send JSON as text; for Protobuf ask for the subprotocol centrifuge-protobuf.",
        ),
    ),
    (
        1007,
        "invalid payload",
        explain(
            Blame::Client,
            "Text that is not UTF-8, or a compressed message that is damaged.",
            "Send text as UTF-8; reset the compressor with every message if that was agreed on.",
        ),
    ),
    (
        1008,
        "policy violation",
        explain(
            Blame::Client,
            "A message that took too long, or too many empty frames.",
            "Send messages whole; websocket.message_timeout is the time for one.",
        ),
    ),
    (
        1009,
        "message too big",
        explain(
            Blame::Client,
            "A message beyond the limit, if compressed then of what it says.",
            "Send less at once, or raise websocket.message_size_limit.",
        ),
    ),
    (
        1011,
        "internal error",
        explain(
            Blame::Ringway,
            "The server could not go on.",
            "Look at the log; if it says nothing, report it.",
        ),
    ),
    (1012, "service restart", explain(Blame::Nobody, "The server is stopping.", "Nothing: connect again.")),
    (
        1013,
        "try again later",
        explain(Blame::Operator, "The server is overloaded.", "Connect again later; look at its metrics."),
    ),
];

pub const UNSUBSCRIBES: &[(Unsubscribed, Explanation)] = &[
    (
        Unsubscribed::Client,
        explain(Blame::Nobody, "The client unsubscribed; only our metrics have this.", "Nothing."),
    ),
    (
        Unsubscribed::Disconnected,
        explain(Blame::Nobody, "The client left altogether; only our metrics have this.", "Nothing."),
    ),
    (
        Unsubscribed::Server,
        explain(
            Blame::Application,
            "The back end ended the subscription, by the server API.",
            "Nothing: the client stays unsubscribed.",
        ),
    ),
    (
        Unsubscribed::InsufficientState,
        explain(
            Blame::Nobody,
            "The subscription has missed something; the client subscribes again and recovers it.",
            "If it comes often, look at ringway_mail_full_total: cores are overloaded.",
        ),
    ),
    (
        Unsubscribed::Expired,
        explain(
            Blame::Application,
            "The subscription's token ran out and was not refreshed in time; the client subscribes again.",
            "Let getToken of the subscription give a new token; client.expired_sub_close_delay is the grace.",
        ),
    ),
    (
        Unsubscribed::StateInvalidated,
        explain(
            Blame::Application,
            "The back end declared the state of the subscription to be void; the client subscribes again from nothing.",
            "Nothing.",
        ),
    ),
];
