//! Channels: what holds for all of them, and what a namespace may choose for its own.

use crate::channels::Namespaces;
use crate::config::list::{ListOf, Named};
use crate::config::option::{DAY_MS, Entry, OFF, OPEN, SECOND_MS, count, duration, switch, text, words};
use crate::config::option::{anything, choice};
use crate::limits;
use regex::Regex;
use std::time::Duration;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channel {
    pub max_length: u32,
    pub history_meta_ttl: Duration,
    pub without_namespace: ChannelOptions,
    pub namespaces: Vec<Named<ChannelOptions>>,
}

pub const OPTIONS: &[Entry] = &[
    count(
        "channel.max_length",
        "bytes",
        limits::CHANNEL_NAME_BYTES_MAX as u32,
        [1, limits::CHANNEL_NAME_BYTES_MAX as u32],
        |c| &mut c.channel.max_length,
        "Bytes of a channel name; beyond: error 107.",
    ),
    duration(
        "channel.history_meta_ttl",
        limits::HISTORY_META_MS,
        [SECOND_MS, 3650 * DAY_MS],
        |c| &mut c.channel.history_meta_ttl,
        "Time for which the position of a channel outlives its last publication, where a namespace does not say.",
    ),
];

/// The same options twice: below `channel.without_namespace`, and in every item of `channel.namespaces`.
macro_rules! channel_options {
    ($($name:ident: $type:ty = $kind:ident($($argument:expr),*), $doc:expr;)*) => {
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct ChannelOptions {
            $(pub $name: $type,)*
        }

        pub const WITHOUT_NAMESPACE: &[Entry] = &[$($kind(
            concat!("channel.without_namespace.", stringify!($name)),
            $($argument,)*
            |c| &mut c.channel.without_namespace.$name,
            $doc,
        ),)*];

        const NAMESPACE: &[Entry<ChannelOptions>] =
            &[$($kind(stringify!($name), $($argument,)* |c| &mut c.$name, $doc),)*];
    };
}

channel_options! {
    presence: bool = switch(OPEN), "Answers who is subscribed to a channel.";
    join_leave: bool = switch(OFF), "Tells subscribers who ask for it who comes and goes.";
    force_push_join_leave: bool = switch(OFF),
        "Tells all subscribers who comes and goes, whether they ask or not; needs join_leave.";
    history_size: u32 = count("publications", 0, [0, limits::HISTORY_COUNT_CEILING]),
        "Publications that a channel keeps, together with history_ttl; 0: none.";
    history_ttl: Duration = duration(0, [0, 3650 * DAY_MS]),
        "Time for which a publication is kept, together with history_size; 0: none are.";
    history_meta_ttl: Duration = duration(0, [0, 3650 * DAY_MS]),
        "Time for which the position of a channel outlives its last publication; 0: channel.history_meta_ttl.";
    durable: bool = switch(OFF), "Keeps the history on disk, so that it survives a restart; needs store.path.";
    allow_positioning: bool = switch(OFF), "Watches subscriptions for gaps if they ask for it; needs a history.";
    force_positioning: bool = switch(OFF), "Watches all subscriptions for gaps; needs a history.";
    allow_recovery: bool = switch(OFF),
        "Gives subscribers that come back what they missed if they ask for it; needs a history.";
    force_recovery: bool = switch(OFF), "Gives all subscribers that come back what they missed; needs a history.";
    force_recovery_mode: &'static str = choice(&["", "stream", "cache"]),
        "With \"cache\", subscribers that come back get the latest publication alone; otherwise all that they missed.";
    auto_cache_recover: bool = switch(OFF),
        "Gives new subscribers the latest publication without being asked; needs a history.";
    allowed_delta_types: Vec<&'static str> = words(&["fossil"]),
        "Ways in which subscribers may get differences instead of whole publications.";
    delta_publish: bool = switch(OFF), "Sends differences whatever the publisher says, to subscribers who asked.";
    uncompressed: bool = switch(OFF),
        "Publications leave as they are also where websocket.compression is on: for those that mix secrets with text of others.";
    allow_tags_filter: bool = switch(OFF), "Lets subscribers choose publications by their tags.";
    publication_data_format: &'static str = choice(&["", "json", "json_object", "binary"]),
        "What publications must be: \"\" is anything but empty, \"binary\" anything; beyond: error 107.";
    publish_exclude_sender: bool = switch(OFF), "Clients do not get their own publications back.";
    publish_rate: u32 = count("publications a second", 0, [0, limits::RATE_COUNT_CEILING]),
        "Publications a second into one channel, 0 for no limit; beyond: error 111.";
    allow_subscribe_for_client: bool = switch(OPEN), "Users may subscribe to any channel.";
    allow_subscribe_for_anonymous: bool = switch(OPEN),
        "So may anonymous clients; needs allow_subscribe_for_client.";
    allow_publish_for_client: bool = switch(OPEN), "Users may publish into any channel.";
    allow_publish_for_subscriber: bool = switch(OPEN), "Subscribers of a channel may publish into it.";
    allow_publish_for_anonymous: bool = switch(OPEN),
        "What allow_publish_for_client and _subscriber permit holds for anonymous clients too.";
    allow_presence_for_client: bool = switch(OPEN), "Users may ask who is subscribed to any channel.";
    allow_presence_for_subscriber: bool = switch(OPEN), "Subscribers of a channel may ask who else is.";
    allow_presence_for_anonymous: bool = switch(OPEN),
        "What allow_presence_for_client and _subscriber permit holds for anonymous clients too.";
    allow_history_for_client: bool = switch(OPEN), "Users may read the history of any channel.";
    allow_history_for_subscriber: bool = switch(OPEN), "Subscribers of a channel may read its history.";
    allow_history_for_anonymous: bool = switch(OPEN),
        "What allow_history_for_client and _subscriber permit holds for anonymous clients too.";
    allow_user_limited_channels: bool = switch(OFF),
        "Users may subscribe to channels whose name lists them, as in dialog#42,43.";
    channel_regex: String = text("", pattern),
        "Pattern that the name of a channel must match behind its namespace; none: printable ASCII; beyond: error 107.";
    subscribe_proxy_enabled: bool = switch(OFF), "Asks a hook who may subscribe.";
    subscribe_proxy_name: String = text("default", anything), "The hook that is asked.";
    publish_proxy_enabled: bool = switch(OFF), "Asks a hook what clients may publish.";
    publish_proxy_name: String = text("default", anything), "The hook that is asked.";
    sub_refresh_proxy_enabled: bool = switch(OFF), "Asks a hook whether a subscription that ends may go on.";
    sub_refresh_proxy_name: String = text("default", anything), "The hook that is asked.";
    state_proxy_enabled: bool = switch(OFF), "Tells a hook of the changes in channel_state_events.";
    state_proxy_name: String = text("default", anything), "The hook that is told.";
    cache_empty_proxy_enabled: bool = switch(OFF),
        "Asks a hook for the latest publication when a channel has none to recover from.";
    cache_empty_proxy_name: String = text("default", anything), "The hook that is asked.";
    channel_state_events: Vec<&'static str> = words(&["occupied", "vacated"]),
        "Changes that a hook is told of: the first subscriber of a channel has come, the last one has gone.";
}

pub const NAMESPACES: ListOf<ChannelOptions> = ListOf {
    key: "channel.namespaces",
    entries: NAMESPACE,
    place: |c| &mut c.channel.namespaces,
    check_name: namespace_name,
    doc: "Channels called NAME:REST have rules of their own. Each namespace starts with nothing allowed.",
};

fn namespace_name(name: &str) -> Result<(), String> {
    if Namespaces::is_namespace_name(name) {
        Ok(())
    } else {
        Err("two or more of the characters A-Z, a-z, 0-9, -, _ and .".to_owned())
    }
}

fn pattern(text: &str) -> Result<(), String> {
    // The parser's drawing spans several lines; its last one says what is wrong.
    let reason = |error: regex::Error| {
        let text = error.to_string();
        text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
    };
    Regex::new(text).map(|_| ()).map_err(|error| format!("a regular expression ({})", reason(error)))
}

impl Channel {
    /// None: there is no such namespace. The empty name is that of the channels without one.
    pub fn options_of(&self, namespace: &str) -> Option<&ChannelOptions> {
        if namespace.is_empty() {
            return Some(&self.without_namespace);
        }
        self.namespaces.iter().find(|known| known.name == namespace).map(|known| &known.options)
    }
}

/// What the chat page needs, for who runs the server without a file: `chat` is rooms, `dm` conversations of two,
/// `inbox` who wants to talk to whom, `signal` what nobody keeps. All of them know lists of users.
pub fn development_namespaces() -> Vec<Named<ChannelOptions>> {
    let open = || ChannelOptions {
        allow_subscribe_for_client: true,
        allow_subscribe_for_anonymous: true,
        allow_publish_for_subscriber: true,
        allow_publish_for_anonymous: true,
        allow_user_limited_channels: true,
        ..ChannelOptions::default()
    };
    let kept = || ChannelOptions {
        presence: true,
        join_leave: true,
        history_size: CHAT_HISTORY_COUNT,
        history_ttl: Duration::from_millis(DAY_MS),
        allow_recovery: true,
        allow_presence_for_subscriber: true,
        allow_presence_for_anonymous: true,
        allow_history_for_subscriber: true,
        allow_history_for_anonymous: true,
        ..open()
    };
    // Only its owner listens to an inbox, so others write into it without being there.
    let inbox = ChannelOptions { allow_publish_for_client: true, ..kept() };
    [("chat", kept()), ("dm", kept()), ("inbox", inbox), ("signal", open())]
        .map(|(name, options)| Named { name: name.to_owned(), options })
        .into()
}

/// Enough to scroll back through a day of a small team, and little memory.
const CHAT_HISTORY_COUNT: u32 = 200;

impl ChannelOptions {
    /// Each kind of hook that a namespace may use: whether it does, and which one.
    pub fn hooks(&self) -> [(&'static str, bool, &str); 5] {
        [
            ("subscribe_proxy", self.subscribe_proxy_enabled, &self.subscribe_proxy_name),
            ("publish_proxy", self.publish_proxy_enabled, &self.publish_proxy_name),
            ("sub_refresh_proxy", self.sub_refresh_proxy_enabled, &self.sub_refresh_proxy_name),
            ("state_proxy", self.state_proxy_enabled, &self.state_proxy_name),
            ("cache_empty_proxy", self.cache_empty_proxy_enabled, &self.cache_empty_proxy_name),
        ]
    }
}
