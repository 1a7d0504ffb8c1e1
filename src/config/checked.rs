//! From settings to a `Config`: ranges, then relations between options.
//! Invariant: either every mistake is reported, or the `Config` has none.

use super::problem::{Cause, Origin, Problem};
use super::raw::{Raw, Setting};
use super::table::{Entry, find};
use super::warning::Warning;
use super::{Config, Mode};
use crate::limits::LINGER_MS_MAX;
use std::time::Duration;

pub fn check(raw: Raw, mode: Mode, allowed: &[usize]) -> Result<(Config, Vec<Warning>), Vec<Problem>> {
    let Raw { settings, mut problems, mut warnings } = raw;
    let mut config = Config::defaults(mode, allowed);
    for Setting { entry, text, origin } in &settings {
        if let Err(unfit) = entry.field.assign(&mut config, text, allowed) {
            let found = if text.is_empty() { "empty".to_owned() } else { text.clone() };
            let cause = Cause::Unfit { key: entry.key, found, expected: unfit.0 };
            problems.push(Problem { origin: origin.clone(), cause });
        }
    }
    if problems.is_empty() {
        problems.extend(relations(&config).map(|broken| blame(broken, &mut config.clone(), &settings)));
    }
    if problems.is_empty() {
        // What follows from the configuration itself is worth more than a stray variable.
        warnings.splice(0..0, Warning::of(&config));
        Ok((config, warnings))
    } else {
        problems.sort_by_key(|problem| problem.origin.place());
        Err(problems)
    }
}

/// A relation that does not hold: the option that has to move, the others that it depends on, and what it must be.
struct Broken {
    key: &'static str,
    others: &'static [&'static str],
    relation: String,
}

fn relations(config: &Config) -> impl Iterator<Item = Broken> {
    let Config { client, websocket, shutdown, listen, .. } = config;
    let stop_min = shutdown.drain_window + websocket.close_timeout + Duration::from_millis(LINGER_MS_MAX);
    let same_port = listen.public.port() != 0 && listen.public.port() == listen.internal.port();
    let same_host = listen.public.ip() == listen.internal.ip()
        || listen.public.ip().is_unspecified()
        || listen.internal.ip().is_unspecified();
    let broken = [
        (client.pong_timeout >= client.ping_interval).then(|| Broken {
            key: "client.pong_timeout",
            others: &["client.ping_interval"],
            relation: format!("shorter than `client.ping_interval`, which is {:?}", client.ping_interval),
        }),
        (client.queue_max_size < websocket.message_size_limit).then(|| Broken {
            key: "client.queue_max_size",
            others: &["websocket.message_size_limit"],
            relation: format!(
                "at least `websocket.message_size_limit`, which is {}, so that an empty queue takes any message",
                websocket.message_size_limit
            ),
        }),
        (shutdown.timeout <= stop_min).then(|| Broken {
            key: "shutdown.timeout",
            others: &["shutdown.drain_window", "websocket.close_timeout"],
            relation: format!(
                "longer than {stop_min:?}: `shutdown.drain_window`, `websocket.close_timeout` and a last linger"
            ),
        }),
        (same_port && same_host).then(|| Broken {
            key: "listen.internal",
            others: &["listen.public"],
            relation: "another port than `listen.public`".to_owned(),
        }),
    ];
    broken.into_iter().flatten()
}

/// Points at whoever set one of the options involved last: that is what the operator has just changed.
fn blame(broken: Broken, config: &mut Config, settings: &[Setting]) -> Problem {
    let Broken { key, others, relation } = broken;
    let involved = |entry: &Entry| entry.key == key || others.contains(&entry.key);
    let origin = settings
        .iter()
        .rev()
        .find(|setting| involved(setting.entry))
        .map_or(Origin::Default, |setting| setting.origin.clone());
    let found = find(key).map_or_else(String::new, |entry| entry.field.show(config));
    Problem { origin, cause: Cause::Related { key, found, relation } }
}
