//! Every option, once: a file a topic, each with the struct that holds the values and the options that set them.
//!
//! Invariant: each field of `Config` that an operator may choose has exactly one entry here. Names are Centrifugo's (v6)
//! wherever it has the same thing. Flags, environment names, help, the reference and the commented file are derived.

pub mod api;
pub mod channel;
pub mod client;
pub mod hooks;
pub mod memory;
pub mod personal;
pub mod rates;
pub mod server;
pub mod store;
pub mod tls;
pub mod tokens;
pub mod transforms;
pub mod transports;
pub mod websocket;

use super::list::List;
use super::option::Entry;

/// In the order of the reference.
const TOPICS: &[&[Entry]] = &[
    server::OPTIONS,
    tls::OPTIONS,
    client::OPTIONS,
    tokens::CONNECTION,
    tokens::SUBSCRIPTION_SWITCH,
    tokens::SUBSCRIPTION,
    memory::OPTIONS,
    rates::OPTIONS,
    personal::OPTIONS,
    websocket::OPTIONS,
    transports::OPTIONS,
    channel::OPTIONS,
    channel::WITHOUT_NAMESPACE,
    store::OPTIONS,
    api::OPTIONS,
    hooks::SWITCHES,
    hooks::CONNECT,
    hooks::REFRESH,
    hooks::SUBSCRIBE,
    hooks::PUBLISH,
    hooks::SUB_REFRESH,
    hooks::CACHE_EMPTY,
    hooks::RPC,
    hooks::EVENTS,
    server::SHUTDOWN,
];

const LISTS: &[&dyn List] =
    &[&tls::CERTIFICATES, &channel::NAMESPACES, &hooks::PROXIES, &hooks::RPC_NAMESPACES];

pub fn options() -> impl Iterator<Item = &'static Entry> + Clone {
    TOPICS.iter().copied().flatten()
}

/// The tables of the file in the order of their first option, each with all of its options; the top level comes first.
pub fn sections() -> Vec<(&'static str, Vec<&'static Entry>)> {
    let mut sections: Vec<(&'static str, Vec<&'static Entry>)> = Vec::new();
    for entry in options() {
        match sections.iter_mut().find(|(section, _)| *section == entry.section()) {
            Some((_, entries)) => entries.push(entry),
            None => sections.push((entry.section(), vec![entry])),
        }
    }
    sections
}

pub fn lists() -> &'static [&'static dyn List] {
    LISTS
}

/// Looks an option up by its path.
pub fn find(key: &str) -> Option<&'static Entry> {
    options().find(|entry| entry.key == key)
}
