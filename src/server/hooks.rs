//! From the configuration to what the control plane is told of back ends.
//! Invariant: the configuration has checked whatever gets here.

use crate::config::{self, Backend, Config};
use crate::control::{BackendOptions, EventOptions, Fallback, HookOptions, Rules, Transform, TransformTo};

pub(super) fn hook_options(config: &Config) -> HookOptions {
    let hooks = &config.hooks;
    let there = |backend: &Backend| backend.is_there().then(|| backend_options(backend));
    let named = hooks
        .proxies
        .iter()
        .filter_map(|named| Some((Box::from(named.name.as_str()), there(&named.options)?)));
    HookOptions {
        connect: there(&hooks.connect).filter(|_| hooks.connect_enabled),
        refresh: there(&hooks.refresh).filter(|_| hooks.refresh_enabled),
        subscribe: there(&hooks.subscribe),
        publish: there(&hooks.publish),
        sub_refresh: there(&hooks.sub_refresh),
        cache_empty: there(&hooks.cache_empty),
        rpc: there(&hooks.rpc),
        named: named.collect(),
        events: there(&hooks.events).filter(|_| hooks.events_enabled).map(|backend| EventOptions {
            backend,
            batch_count_max: hooks.events_batch_size as usize,
            batch_delay: hooks.events_batch_delay,
            queue_count_max: hooks.events_queue as usize,
            retry_count_max: hooks.events_retries,
        }),
    }
}

fn backend_options(backend: &Backend) -> BackendOptions {
    let passed = backend.http_headers.iter().chain(&backend.emulated_headers);
    let mut static_headers = backend.headers();
    if !backend.authorization.is_empty() {
        static_headers.push((String::from("authorization"), backend.authorization.expose().to_owned()));
    }
    BackendOptions {
        endpoint: backend.endpoint.clone(),
        timeout: backend.timeout,
        headers: passed.map(|name| Box::from(name.to_ascii_lowercase())).collect(),
        static_headers,
        transforms: backend.transforms().into_iter().map(transform).collect(),
        include_meta: backend.include_connection_meta,
        is_binary: backend.binary_encoding,
        fallback: match backend.fallback {
            "allow" => Fallback::Allow,
            "deny" => Fallback::Deny,
            _ => Fallback::Error,
        },
        concurrency: backend.concurrency,
        queue: backend.queue,
        answer_bytes_max: backend.answer_size_limit as usize,
        breaker: Rules {
            failure_count: backend.breaker_failures,
            pause: backend.breaker_pause,
            probe_count: backend.breaker_probes,
        },
        probe_timeout: backend.breaker_probe_timeout,
        open_timeout: backend.breaker_open_timeout,
    }
}

fn transform(from: config::Transform) -> Transform {
    let config::Transform { status, code, text, to } = from;
    let text = text.into_boxed_str();
    let to = match to {
        config::TransformTo::Error => TransformTo::Error { code, message: text, temporary: false },
        config::TransformTo::Temporary => TransformTo::Error { code, message: text, temporary: true },
        config::TransformTo::Disconnect => TransformTo::Disconnect { code: code as u16, reason: text },
    };
    Transform { status, to }
}
