//! What may change while the node runs, and what is told to wait for the next start.

use super::{accepted, load, other_value};
use crate::config::option::{Change, Entry};
use crate::config::table::options;
use crate::config::{Config, Mode};

/// Live, but no matter of the shards: the count of connections, and the server API.
const ELSEWHERE: [&str; 5] = [
    "client.connection_limit",
    "client.address_connection_limit",
    "http_api.key",
    "http_api.insecure",
    "http_api.error_mode",
];

#[test]
fn whatever_is_live_reaches_the_shards_and_nothing_else_does() {
    let told = |config: &Config| format!("{:?}", config.settings().unwrap());
    // Keys are only keys when they fit together: `tokens` looks at those. So are certificates: the suite of TLS does.
    // Of hooks the shards hear only whom to ask about what; the rest is the back ends'.
    let is_hook = |section: &str| {
        section.contains("proxy") || section == "rpc.without_namespace" || section == "events"
    };
    let of_others = |entry: &&Entry| {
        !entry.section().ends_with("token") && entry.section() != "tls" && !is_hook(entry.section())
    };
    for entry in options().filter(of_others) {
        let mut config = Config::defaults(Mode::Production, &[0]);
        let hook = entry.key.strip_suffix("_proxy_name");
        if let Some(enabled) =
            hook.and_then(|hook| options().find(|other| other.key == format!("{hook}_proxy_enabled")))
        {
            enabled.field.assign(&mut config, "true", &[0]).unwrap();
        }
        let before = told(&config);
        let value = if entry.key == "cores" { "all" } else { other_value(entry) };
        entry.field.assign(&mut config, value, &[0]).unwrap();
        let is_told = told(&config) != before;
        let is_live = entry.change == Change::Live && !ELSEWHERE.contains(&entry.key);
        assert_eq!(is_told, is_live, "{}", entry.key);
    }
}

#[test]
fn options_that_wait_for_the_next_start_are_named() {
    let old = accepted("[client]\nchannel_limit = 5\nping_interval = \"25s\"\n");
    let new = accepted("cores = 2\n[client]\nchannel_limit = 6\nping_interval = \"26s\"\n");
    assert_eq!(old.restarts(&new), ["cores", "client.ping_interval"]);
    assert!(old.restarts(&old).is_empty());
    let hooked = accepted("[[proxies]]\nname = \"some\"\nendpoint = \"http://a\"\n");
    assert!(accepted("").restarts(&hooked).is_empty());
    assert_eq!(accepted("").changes(&hooked), ["proxies.some"]);
    assert_eq!(hooked.clone().keeping(&accepted("")).unwrap(), hooked);
}

#[test]
fn secrets_come_from_files_and_are_never_shown() {
    let path = std::env::temp_dir().join(format!("ringway-secret-{}", std::process::id()));
    std::fs::write(&path, "hunter2\n").unwrap();
    let path_text = path.to_str().unwrap();
    let of_file = accepted(&format!("[http_api]\nkey_file = \"{path_text}\"\n"));
    let of_env = load("", &[("RINGWAY_HTTP_API_KEY_FILE", path_text)], &[]).unwrap().0;
    std::fs::remove_file(&path).unwrap();
    for config in [of_file, of_env, accepted("[http_api]\nkey = \"hunter2\"\n")] {
        assert_eq!(config.http_api.key.expose(), "hunter2");
        assert!(!format!("{config:?}").contains("hunter2"));
        assert!(config.differences().contains(&("http_api.key".to_owned(), "\"(hidden)\"".to_owned())));
    }
    let gone = super::refused(&format!("[http_api]\nkey_file = \"{path_text}\"\n"));
    assert!(gone[0].contains("`http_api.key_file`") && gone[0].contains("can be read"), "{gone:?}");
}

#[test]
fn what_waits_for_the_next_start_is_kept_and_must_fit_what_is_new() {
    let running = accepted("[client]\nping_interval = \"30s\"\n");
    let kept = accepted("[client]\nping_interval = \"40s\"\nchannel_limit = 9\n").keeping(&running).unwrap();
    assert_eq!((kept.client.ping_interval.as_secs(), kept.client.channel_limit), (30, 9));
    // Together they would do; but the store is not open.
    let durable = "[store]\npath = \"data\"\n[channel.without_namespace]\nhistory_size = 1\nhistory_ttl = \"1m\"\ndurable = true\n";
    let refused = accepted(durable).keeping(&running).unwrap_err();
    assert_eq!(refused.len(), 1);
    assert!(refused[0].starts_with("`channel.without_namespace.durable` must be false"), "{refused:?}");
}

#[test]
fn changes_are_named_down_to_the_namespace() {
    let chat = "[[channel.namespaces]]\nname = \"chat\"\n";
    let old = accepted(&format!("[http_api]\nkey = \"a\"\n{chat}[[channel.namespaces]]\nname = \"same\"\n"));
    let new = accepted(&format!(
        "[http_api]\nkey = \"b\"\n{chat}presence = true\n[[channel.namespaces]]\nname = \"same\"\n[[channel.namespaces]]\nname = \"more\"\n"
    ));
    assert_eq!(old.changes(&new), ["http_api.key", "channel.namespaces.chat", "channel.namespaces.more"]);
    assert!(new.changes(&new).is_empty());
}
