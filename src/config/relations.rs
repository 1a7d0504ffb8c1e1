//! What must hold between options that are right alone.
//! Invariant: every relation says which option has to move, and what it depends on.

use super::Config;
use super::table::channel::ChannelOptions;
use super::table::hooks::TIMEOUT_MAX;
use super::table::tokens::Token;
use crate::auth::Keys;
use crate::limits::LINGER_MS_MAX;
use std::time::Duration;

/// A relation that does not hold: the option that has to move, the others that it depends on, and what it must be.
pub struct Broken {
    pub key: String,
    pub others: Vec<String>,
    /// The value of an option that the table cannot show: one of a list's item.
    pub found: String,
    pub relation: String,
}

impl Broken {
    pub(super) fn new(key: &str, others: &[&str], relation: impl Into<String>) -> Self {
        let others = others.iter().map(|&other| other.to_owned()).collect();
        Self { key: key.to_owned(), others, found: String::new(), relation: relation.into() }
    }
}

pub fn relations(config: &Config) -> Vec<Broken> {
    let mut broken: Vec<Broken> = of_server(config).into_iter().flatten().collect();
    broken.extend(config.tls.problems());
    broken.extend(of_clients(config));
    broken.extend(of_tokens("client.token", &config.client.token));
    if config.client.subscription_token.enabled {
        broken.extend(of_tokens("client.subscription_token", &config.client.subscription_token.token));
    }
    broken.extend(of_hooks(config));
    broken.extend(of_channels("channel.without_namespace", &config.channel.without_namespace, config));
    for namespace in &config.channel.namespaces {
        let section = format!("channel.namespaces.{}", namespace.name);
        broken.extend(of_channels(&section, &namespace.options, config));
    }
    broken
}

fn of_server(config: &Config) -> [Option<Broken>; 4] {
    let Config { client, websocket, shutdown, listen, .. } = config;
    let stop_min = shutdown.drain_window + websocket.close_timeout + Duration::from_millis(LINGER_MS_MAX);
    let same_port = listen.public.port() != 0 && listen.public.port() == listen.internal.port();
    let same_host = listen.public.ip() == listen.internal.ip()
        || listen.public.ip().is_unspecified()
        || listen.internal.ip().is_unspecified();
    [
        (client.pong_timeout >= client.ping_interval).then(|| {
            Broken::new(
                "client.pong_timeout",
                &["client.ping_interval"],
                format!("shorter than `client.ping_interval`, which is {:?}", client.ping_interval),
            )
        }),
        (client.queue_max_size < websocket.message_size_limit).then(|| {
            Broken::new(
                "client.queue_max_size",
                &["websocket.message_size_limit"],
                format!(
                    "at least `websocket.message_size_limit`, which is {}, so that an empty queue takes any message",
                    websocket.message_size_limit
                ),
            )
        }),
        (shutdown.timeout <= stop_min).then(|| {
            Broken::new(
                "shutdown.timeout",
                &["shutdown.drain_window", "websocket.close_timeout"],
                format!(
                    "longer than {stop_min:?}: `shutdown.drain_window`, `websocket.close_timeout` and a last linger"
                ),
            )
        }),
        (same_port && same_host)
            .then(|| Broken::new("listen.internal", &["listen.public"], "another port than `listen.public`")),
    ]
}

fn of_hooks(config: &Config) -> Vec<Broken> {
    let hooks = &config.hooks;
    let mut broken = Vec::new();
    for (path, backend) in hooks.backends() {
        if backend.timeout > TIMEOUT_MAX {
            let mut late = Broken::new(
                &format!("{path}.timeout"),
                &[],
                format!("at most {TIMEOUT_MAX:?}: clients get error 100 soon after"),
            );
            late.found = format!("{:?}", backend.timeout);
            broken.push(late);
        }
    }
    let backends = hooks.backends();
    let has = |names: &[String], name: &str| names.iter().any(|other| other.eq_ignore_ascii_case(name));
    for (path, backend) in &backends {
        let genuine = backend.http_headers.iter().filter(|name| !has(&backend.emulated_headers, name));
        for name in genuine {
            let emulating = backends.iter().find(|(_, other)| has(&other.emulated_headers, name));
            if let Some((other, _)) = emulating {
                let relation = format!(
                    "a list without {name}, which clients may set by `{other}.emulated_headers`; if that is meant, \
                     name it in `{path}.emulated_headers` as well"
                );
                let key = format!("{path}.http_headers");
                let mut mixed = Broken::new(&key, &[&format!("{other}.emulated_headers")], relation);
                mixed.found.clone_from(name);
                broken.push(mixed);
            }
        }
    }
    let switches = [
        ("client.proxy.connect", hooks.connect_enabled, &hooks.connect),
        ("client.proxy.refresh", hooks.refresh_enabled, &hooks.refresh),
        ("events.proxy", hooks.events_enabled, &hooks.events),
    ];
    for (path, _, _) in switches.iter().filter(|(_, enabled, backend)| *enabled && !backend.is_there()) {
        let (key, other) = (format!("{path}.enabled"), format!("{path}.endpoint"));
        broken.push(Broken::new(&key, &[&other], format!("false unless `{other}` is set")));
    }
    if hooks.events_enabled && hooks.events_of.is_empty() {
        let relation = "false unless `events.of` says of what it tells";
        broken.push(Broken::new("events.proxy.enabled", &["events.of"], relation));
    }
    let mut rules = vec![("rpc.without_namespace".to_owned(), &hooks.rpc_without_namespace)];
    rules.extend(
        hooks.rpc_namespaces.iter().map(|named| (format!("rpc.namespaces.{}", named.name), &named.options)),
    );
    for (section, rule) in rules {
        if rule.proxy_enabled && hooks.backend("rpc_proxy", &rule.proxy_name).is_none() {
            let mut unknown = Broken::new(
                &format!("{section}.proxy_name"),
                &[&format!("{section}.proxy_enabled")],
                "the name of a hook that is configured",
            );
            unknown.found.clone_from(&rule.proxy_name);
            broken.push(unknown);
        }
    }
    broken
}

fn of_clients(config: &Config) -> Vec<Broken> {
    let rates = &config.client.rates;
    let bursts = [
        ("command_rate", rates.command_rate_limit, rates.command_rate_burst),
        ("byte_rate", rates.byte_rate_limit, rates.byte_rate_burst),
        ("user_command_rate", rates.user_command_rate_limit, rates.user_command_rate_burst),
        ("user_byte_rate", rates.user_byte_rate_limit, rates.user_byte_rate_burst),
    ];
    let mut broken: Vec<Broken> = bursts
        .iter()
        .filter(|(_, limit, burst)| *limit == 0 && *burst > 0)
        .map(|(name, _, _)| {
            let (limit, burst) = (format!("client.{name}_limit"), format!("client.{name}_burst"));
            Broken::new(&burst, &[&limit], format!("0 unless `{limit}` sets a rate"))
        })
        .collect();
    // A message that a full bucket does not cover could never be sent.
    let message = config.websocket.message_size_limit;
    for (name, limit, burst) in [bursts[1], bursts[3]] {
        if limit > 0 && burst > 0 && burst < message {
            let (limit, burst) = (format!("client.{name}_limit"), format!("client.{name}_burst"));
            broken.push(Broken::new(
                &burst,
                &[&limit, "websocket.message_size_limit"],
                format!(
                    "at least `websocket.message_size_limit`, which is {message}, so that any message fits"
                ),
            ));
        }
    }
    let personal = &config.client.personal;
    let key = |name: &str| format!("client.subscribe_to_user_personal_channel.{name}");
    let namespace = &personal.personal_channel_namespace;
    let options = config.channel.options_of(namespace);
    if personal.enabled && options.is_none() {
        broken.push(Broken::new(
            &key("personal_channel_namespace"),
            &[&key("enabled")],
            "one of `channel.namespaces`, or empty",
        ));
    }
    if personal.enabled && personal.single_connection && options.is_some_and(|options| !options.presence) {
        broken.push(Broken::new(
            &key("single_connection"),
            &[&key("enabled"), &key("personal_channel_namespace")],
            "false unless the namespace of the personal channels has presence",
        ));
    }
    broken
}

/// Keys that cannot be read, and options that exclude each other.
fn of_tokens(section: &str, token: &Token) -> Option<Broken> {
    let problem = Keys::new(&token.key_options(false)).err()?;
    Some(Broken::new(&format!("{section}.{}", problem.option()), &[], format!("something else: {problem}")))
}

/// What one namespace asks for and does not have.
fn of_channels(section: &str, options: &ChannelOptions, config: &Config) -> Vec<Broken> {
    let path = |name: &str| format!("{section}.{name}");
    let mut broken = Vec::new();
    let mut object = |name: &str, found: &dyn ToString, others: &[&str], relation: String| {
        let others = others.iter().map(|other| path(other)).collect();
        broken.push(Broken { key: path(name), others, found: found.to_string(), relation });
    };
    let has_size = options.history_size > 0;
    let has_ttl = !options.history_ttl.is_zero();
    if has_size != has_ttl {
        let (lacking, other) =
            if has_size { ("history_ttl", "history_size") } else { ("history_size", "history_ttl") };
        object(lacking, &"0", &[other], format!("more than 0, since `{other}` is, or both must be 0"));
    }
    let needs_history = [
        ("allow_positioning", options.allow_positioning),
        ("force_positioning", options.force_positioning),
        ("allow_recovery", options.allow_recovery),
        ("force_recovery", options.force_recovery),
        ("auto_cache_recover", options.auto_cache_recover),
        ("durable", options.durable),
    ];
    for (name, _) in needs_history.iter().filter(|(_, on)| *on && !(has_size || has_ttl)) {
        let relation = "false unless `history_size` and `history_ttl` say what is kept".to_owned();
        object(name, &true, &["history_size", "history_ttl"], relation);
    }
    if options.force_push_join_leave && !options.join_leave {
        object("force_push_join_leave", &true, &["join_leave"], "false unless `join_leave` is on".to_owned());
    }
    if options.delta_publish && options.allowed_delta_types.is_empty() {
        let relation = "false unless `allowed_delta_types` has a type".to_owned();
        object("delta_publish", &true, &["allowed_delta_types"], relation);
    }
    let meta = if options.history_meta_ttl.is_zero() {
        config.channel.history_meta_ttl
    } else {
        options.history_meta_ttl
    };
    if meta < options.history_ttl {
        let relation = format!("at least `history_ttl`, which is {:?}", options.history_ttl);
        object("history_meta_ttl", &format!("{meta:?}"), &["history_ttl"], relation);
    }
    if options.durable && config.store.path.is_empty() {
        object("durable", &true, &[], "false unless `store.path` names a folder".to_owned());
    }
    for (hook, enabled, name) in options.hooks() {
        let (switch, named) = (format!("{hook}_enabled"), format!("{hook}_name"));
        if enabled && !config.has_channel_hook(hook, name) {
            object(&named, &name, &[&switch], "the name of a hook that is configured".to_owned());
        }
    }
    if options.state_proxy_enabled && options.channel_state_events.is_empty() {
        let relation = "false unless `channel_state_events` says of what".to_owned();
        object("state_proxy_enabled", &true, &["channel_state_events"], relation);
    }
    broken
}
