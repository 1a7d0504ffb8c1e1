//! Back-end hooks: who is asked about what, and who is told.

use crate::auth::Secret;
use crate::config::Config;
use crate::config::list::{ListOf, Named};
use crate::config::option::{Entry, MINUTE_MS, OFF, SECOND_MS, anything, choice, count, duration, names};
use crate::config::option::{secret, switch, text};
use crate::config::table::transforms::{Transform, parse_transforms, transforms};
use crate::limits;
use crate::shard::settings;
use std::collections::BTreeSet;
use std::time::Duration;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    pub connect_enabled: bool,
    pub connect: Backend,
    pub refresh_enabled: bool,
    pub refresh: Backend,
    pub subscribe: Backend,
    pub publish: Backend,
    pub sub_refresh: Backend,
    pub cache_empty: Backend,
    pub rpc: Backend,
    pub rpc_without_namespace: RpcRule,
    pub rpc_namespaces: Vec<Named<RpcRule>>,
    pub proxies: Vec<Named<Backend>>,
    pub events_enabled: bool,
    pub events: Backend,
    pub events_of: Vec<&'static str>,
    pub events_batch_size: u32,
    pub events_batch_delay: Duration,
    pub events_queue: u32,
    pub events_retries: u32,
}

/// Whether the procedures of a namespace are a back end's, and whose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RpcRule {
    pub proxy_enabled: bool,
    pub proxy_name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backend {
    pub endpoint: String,
    pub timeout: Duration,
    pub http_headers: Vec<String>,
    pub emulated_headers: Vec<String>,
    pub static_http_headers: String,
    pub authorization: Secret,
    pub status_transforms: String,
    pub include_connection_meta: bool,
    pub binary_encoding: bool,
    pub fallback: &'static str,
    pub concurrency: u32,
    pub queue: u32,
    pub answer_size_limit: u32,
    pub breaker_failures: u32,
    pub breaker_pause: Duration,
    pub breaker_probes: u32,
    pub breaker_probe_timeout: Duration,
    pub breaker_open_timeout: Duration,
}

/// The options of a back end, below a prefix of the file or as those of a list's item.
macro_rules! backend {
    ([$($prefix:literal)?] [$($path:tt)*]) => {
        &[
            text(
                concat!($($prefix,)? "endpoint"),
                "",
                address,
                |c| &mut c $($path)* .endpoint,
                "Address that questions are posted to, http:// or https://; none: there is no such back end.",
            ),
            duration(
                concat!($($prefix,)? "timeout"),
                limits::HOOK_MS_MAX,
                [1, MINUTE_MS],
                |c| &mut c $($path)* .timeout,
                "Time for an answer, shorter than the 5s after which a client gets error 100 anyway; beyond: fallback.",
            ),
            names(
                concat!($($prefix,)? "http_headers"),
                header_name,
                |c| &mut c $($path)* .http_headers,
                "Headers of the client's HTTP request that are passed on.",
            ),
            names(
                concat!($($prefix,)? "emulated_headers"),
                header_name,
                |c| &mut c $($path)* .emulated_headers,
                "Headers that a client may set in its connect command, for pages that cannot set real ones.",
            ),
            text(
                concat!($($prefix,)? "static_http_headers"),
                "",
                static_headers,
                |c| &mut c $($path)* .static_http_headers,
                "Headers of every question, as in \"X-Node: a; X-Zone: b\"; for secrets there is authorization.",
            ),
            secret(
                concat!($($prefix,)? "authorization"),
                |c| &mut c $($path)* .authorization,
                "The header Authorization of every question.",
            ),
            text(
                concat!($($prefix,)? "status_transforms"),
                "",
                transforms,
                |c| &mut c $($path)* .status_transforms,
                "What statuses other than 200 mean, as in \"403 error 403 forbidden; 401 disconnect 4401 log in\" \
                 (or temporary in place of error); others: fallback.",
            ),
            switch(
                concat!($($prefix,)? "include_connection_meta"),
                OFF,
                |c| &mut c $($path)* .include_connection_meta,
                "Questions carry the meta of the connection.",
            ),
            switch(
                concat!($($prefix,)? "binary_encoding"),
                OFF,
                |c| &mut c $($path)* .binary_encoding,
                "Data travels as base64 (b64data), JSON or not.",
            ),
            choice(
                concat!($($prefix,)? "fallback"),
                &["error", "allow", "deny"],
                |c| &mut c $($path)* .fallback,
                "What holds when the back end does not answer: error 100 (clients try again), as if it had agreed, or \
                 as if it had refused.",
            ),
            count(
                concat!($($prefix,)? "concurrency"),
                "requests",
                limits::HOOK_REQUEST_COUNT_MAX,
                [1, 65_536],
                |c| &mut c $($path)* .concurrency,
                "Requests under way at one time; beyond: they wait their turn.",
            ),
            count(
                concat!($($prefix,)? "queue"),
                "questions",
                limits::HOOK_QUEUE_COUNT_MAX,
                [0, 1_000_000],
                |c| &mut c $($path)* .queue,
                "Questions that wait their turn; beyond: fallback, at once.",
            ),
            count(
                concat!($($prefix,)? "answer_size_limit"),
                "bytes",
                limits::HOOK_ANSWER_BYTES_MAX,
                [64, 64 * limits::MIB],
                |c| &mut c $($path)* .answer_size_limit,
                "Bytes of an answer; beyond: fallback.",
            ),
            count(
                concat!($($prefix,)? "breaker_failures"),
                "failures",
                limits::HOOK_FAILURE_COUNT_MAX,
                [1, 65_536],
                |c| &mut c $($path)* .breaker_failures,
                "Failures in a row after which the back end is left alone for a while.",
            ),
            duration(
                concat!($($prefix,)? "breaker_pause"),
                limits::HOOK_PAUSE_MS,
                [1, 60 * MINUTE_MS],
                |c| &mut c $($path)* .breaker_pause,
                "Time that it is left alone before it is probed.",
            ),
            count(
                concat!($($prefix,)? "breaker_probes"),
                "requests",
                limits::HOOK_PROBE_COUNT_MAX,
                [1, 65_536],
                |c| &mut c $($path)* .breaker_probes,
                "Requests that probe it, all of which must succeed.",
            ),
            duration(
                concat!($($prefix,)? "breaker_probe_timeout"),
                limits::HOOK_PROBE_MS_MAX,
                [1, MINUTE_MS],
                |c| &mut c $($path)* .breaker_probe_timeout,
                "Time for the answer to a probe.",
            ),
            duration(
                concat!($($prefix,)? "breaker_open_timeout"),
                limits::HOOK_OPEN_MS_MAX,
                [0, MINUTE_MS],
                |c| &mut c $($path)* .breaker_open_timeout,
                "Time that a question waits for a back end that is left alone; beyond: fallback.",
            ),
        ]
    };
}

pub const CONNECT: &[Entry] = backend!(["client.proxy.connect."] [.hooks.connect]);
pub const REFRESH: &[Entry] = backend!(["client.proxy.refresh."] [.hooks.refresh]);
pub const SUBSCRIBE: &[Entry] = backend!(["channel.proxy.subscribe."] [.hooks.subscribe]);
pub const PUBLISH: &[Entry] = backend!(["channel.proxy.publish."] [.hooks.publish]);
pub const SUB_REFRESH: &[Entry] = backend!(["channel.proxy.sub_refresh."] [.hooks.sub_refresh]);
pub const CACHE_EMPTY: &[Entry] = backend!(["channel.proxy.cache_empty."] [.hooks.cache_empty]);
pub const RPC: &[Entry] = backend!(["rpc.proxy."] [.hooks.rpc]);
pub const EVENTS: &[Entry] = backend!(["events.proxy."] [.hooks.events]);
const PROXY: &[Entry<Backend>] = backend!([] []);

pub const SWITCHES: &[Entry] = &[
    switch(
        "client.proxy.connect.enabled",
        OFF,
        |c| &mut c.hooks.connect_enabled,
        "Asks a back end who a client without a token is.",
    ),
    switch(
        "client.proxy.refresh.enabled",
        OFF,
        |c| &mut c.hooks.refresh_enabled,
        "Asks a back end whether a connection that ends may go on.",
    ),
    switch(
        "rpc.without_namespace.proxy_enabled",
        OFF,
        |c| &mut c.hooks.rpc_without_namespace.proxy_enabled,
        "A back end runs the procedures whose name has no namespace.",
    ),
    text(
        "rpc.without_namespace.proxy_name",
        "default",
        anything,
        |c| &mut c.hooks.rpc_without_namespace.proxy_name,
        "Which one: default is rpc.proxy, others are names of proxies.",
    ),
    switch(
        "events.proxy.enabled",
        OFF,
        |c| &mut c.hooks.events_enabled,
        "Tells a back end what happens, in batches.",
    ),
    crate::config::option::words(
        "events.of",
        &["disconnect", "channel_state"],
        |c| &mut c.hooks.events_of,
        "What it is told of: clients that disconnect; first and last subscribers of channels, in namespaces with \
         state_proxy_enabled.",
    ),
    count(
        "events.batch_size",
        "events",
        limits::EVENT_BATCH_COUNT_MAX,
        [1, 10_000],
        |c| &mut c.hooks.events_batch_size,
        "Events of one request.",
    ),
    duration(
        "events.batch_delay",
        limits::EVENT_BATCH_MS_MAX,
        [0, MINUTE_MS],
        |c| &mut c.hooks.events_batch_delay,
        "Time from the first event of a batch to its request.",
    ),
    count(
        "events.queue",
        "events",
        limits::EVENT_QUEUE_COUNT_MAX,
        [1, 10_000_000],
        |c| &mut c.hooks.events_queue,
        "Events that wait; beyond: dropped, and counted.",
    ),
    count(
        "events.retries",
        "attempts",
        limits::EVENT_RETRY_COUNT_MAX,
        [0, 1_000],
        |c| &mut c.hooks.events_retries,
        "Attempts of a batch after the first; beyond: dropped, and counted.",
    ),
];

pub const PROXIES: ListOf<Backend> = ListOf {
    key: "proxies",
    entries: PROXY,
    place: |c: &mut Config| &mut c.hooks.proxies,
    check_name: name,
    doc: "Back ends that namespaces choose by name.",
};

pub const RPC_NAMESPACES: ListOf<RpcRule> = ListOf {
    key: "rpc.namespaces",
    entries: &[
        switch(
            "proxy_enabled",
            OFF,
            |c: &mut RpcRule| &mut c.proxy_enabled,
            "A back end runs the procedures NAME:REST.",
        ),
        text(
            "proxy_name",
            "default",
            anything,
            |c: &mut RpcRule| &mut c.proxy_name,
            "Which one: default is rpc.proxy, others are names of proxies.",
        ),
    ],
    place: |c: &mut Config| &mut c.hooks.rpc_namespaces,
    check_name: name,
    doc: "Procedures called NAME:REST. What no namespace sends to a back end is not there: error 104.",
};

impl Backend {
    pub fn is_there(&self) -> bool {
        !self.endpoint.is_empty()
    }

    /// Names and values, as they were written.
    pub fn headers(&self) -> Vec<(String, String)> {
        header_pairs(&self.static_http_headers).unwrap_or_default()
    }

    pub fn transforms(&self) -> Vec<Transform> {
        parse_transforms(&self.status_transforms).unwrap_or_default()
    }
}

impl Hooks {
    /// Each back end by the path of its options.
    pub fn backends(&self) -> Vec<(String, &Backend)> {
        let mut backends = vec![
            ("client.proxy.connect".to_owned(), &self.connect),
            ("client.proxy.refresh".to_owned(), &self.refresh),
            ("channel.proxy.subscribe".to_owned(), &self.subscribe),
            ("channel.proxy.publish".to_owned(), &self.publish),
            ("channel.proxy.sub_refresh".to_owned(), &self.sub_refresh),
            ("channel.proxy.cache_empty".to_owned(), &self.cache_empty),
            ("rpc.proxy".to_owned(), &self.rpc),
            ("events.proxy".to_owned(), &self.events),
        ];
        backends.extend(self.proxies.iter().map(|named| (format!("proxies.{}", named.name), &named.options)));
        backends
    }

    /// The back end that a namespace means: `default` is that of the kind.
    pub fn backend(&self, kind: &str, name: &str) -> Option<&Backend> {
        let found = match (kind, name) {
            ("subscribe_proxy", "default") => Some(&self.subscribe),
            ("publish_proxy", "default") => Some(&self.publish),
            ("sub_refresh_proxy", "default") => Some(&self.sub_refresh),
            ("cache_empty_proxy", "default") => Some(&self.cache_empty),
            ("rpc_proxy", "default") => Some(&self.rpc),
            ("state_proxy", "default") => {
                (self.events_enabled && self.events_of.contains(&"channel_state")).then_some(&self.events)
            }
            ("state_proxy", _) => None,
            (_, name) => self.proxies.iter().find(|named| named.name == name).map(|named| &named.options),
        };
        found.filter(|backend| backend.is_there())
    }
}

/// What shards are told: whom to ask about what, and which headers to keep.
impl Hooks {
    pub fn told(&self) -> settings::Hooks {
        let hook = |rule: &RpcRule| rule.proxy_enabled.then(|| Box::from(rule.proxy_name.as_str()));
        let namespaces = self.rpc_namespaces.iter();
        settings::Hooks {
            connect: self.connect_enabled,
            refresh: self.refresh_enabled,
            rpc: hook(&self.rpc_without_namespace),
            rpc_namespaces: namespaces
                .map(|named| (Box::from(named.name.as_str()), hook(&named.options)))
                .collect(),
            headers: self.header_names(|backend| &backend.http_headers),
            emulated_headers: self.header_names(|backend| &backend.emulated_headers),
            disconnect: self.events_enabled && self.events_of.contains(&"disconnect"),
        }
    }

    /// Of all back ends that are there, in lower case, each once.
    fn header_names(&self, of: impl Fn(&Backend) -> &[String]) -> Vec<Box<str>> {
        let backends = self.backends();
        let there = backends.iter().filter(|(_, backend)| backend.is_there());
        let names: BTreeSet<Box<str>> = there
            .flat_map(|(_, backend)| of(backend).iter().map(|name| Box::from(name.to_ascii_lowercase())))
            .collect();
        names.into_iter().collect()
    }
}

fn name(text: &str) -> Result<(), String> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text != "default" && text.len() >= 2 && text.chars().all(is_legal) {
        Ok(())
    } else {
        Err("two or more of the characters A-Z, a-z, 0-9, -, _ and ., but not \"default\"".to_owned())
    }
}

fn address(text: &str) -> Result<(), String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let is_legal = rest.is_some_and(|rest| {
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        !host.is_empty() && !host.contains('@') && rest.chars().all(|c| c.is_ascii_graphic() && c != '#')
    });
    if text.is_empty() || is_legal {
        Ok(())
    } else {
        Err("an address such as \"http://127.0.0.1:3000/connect\" or \"https://app.example.com/hooks\""
            .to_owned())
    }
}

/// Not those that say how the request itself is made.
fn header_name(text: &str) -> Result<(), String> {
    const OURS: [&str; 9] = [
        "host",
        "connection",
        "content-length",
        "content-type",
        "transfer-encoding",
        "upgrade",
        "te",
        "trailer",
        "expect",
    ];
    let is_token = !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    if is_token && !OURS.iter().any(|ours| text.eq_ignore_ascii_case(ours)) {
        Ok(())
    } else {
        Err(format!("names of headers, none of them {}", OURS.join(", ")))
    }
}

fn static_headers(text: &str) -> Result<(), String> {
    header_pairs(text).map(|_| ()).ok_or_else(|| "headers such as \"X-Node: a; X-Zone: b\"".to_owned())
}

fn header_pairs(text: &str) -> Option<Vec<(String, String)>> {
    let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once(':')?;
            let (name, value) = (name.trim(), value.trim());
            let is_legal = header_name(name).is_ok()
                && !value.is_empty()
                && value.bytes().all(|b| (b' '..=b'~').contains(&b));
            is_legal.then(|| (name.to_owned(), value.to_owned()))
        })
        .collect()
}

/// A question that takes longer is answered by the shard itself.
pub const TIMEOUT_MAX: Duration = Duration::from_millis(limits::ENGINE_MS_MAX - SECOND_MS / 2);
