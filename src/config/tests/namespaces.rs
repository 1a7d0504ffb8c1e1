//! Namespaces in the file: their names, their options, and what must hold among those.

use super::{accepted, load, refused};
use crate::channels::{DataFormat, NameError, RecoveryMode};
use std::time::Duration;

const CHAT: &str = "[channel.without_namespace]\npresence = true\n[[channel.namespaces]]\nname = \"chat\"\n\
    history_size = 10\nhistory_ttl = \"1m\"\nforce_recovery = true\nallowed_delta_types = [\"fossil\"]\n\
    [[channel.namespaces]]\nname = \"news.v1\"\nchannel_regex = '^\\d+$'\nforce_recovery_mode = \"cache\"\n\
    publication_data_format = \"json_object\"\nchannel_state_events = [\"vacated\"]\n";

#[test]
fn a_namespace_starts_with_nothing_allowed_and_has_its_own_options() {
    let config = accepted(CHAT);
    let settings = config.settings().unwrap();
    let chat = settings.namespaces.resolve("chat:1").unwrap().policy;
    assert_eq!((chat.history_size, chat.history_ttl), (10, Duration::from_mins(1)));
    assert!(chat.force_recovery && chat.allow_delta_fossil && !chat.presence);
    assert!(!chat.subscribe.allows(false, false));
    assert_eq!(chat.history_meta_ttl, Duration::from_hours(720), "the default of all channels");
    let news = settings.namespaces.resolve("news.v1:42").unwrap().policy;
    assert_eq!(news.recovery_mode(), RecoveryMode::Cache);
    assert_eq!(news.publication_data_format, DataFormat::JsonObject);
    assert!(news.channel_state_events.vacated && !news.channel_state_events.occupied);
    assert_eq!(settings.namespaces.resolve("news.v1:x").unwrap_err(), NameError::Malformed);
    assert!(settings.namespaces.resolve("plain").unwrap().policy.presence);
    assert_eq!(settings.namespaces.resolve("other:1").unwrap_err(), NameError::Unknown);
}

#[test]
fn mistakes_in_a_namespace_are_named_with_its_name_and_place() {
    let chat = "[[channel.namespaces]]\nname = \"chat\"\n";
    let cases = [
        (
            "presense = true",
            "3:1: unknown option `channel.namespaces.chat.presense`; did you mean `channel.namespaces.chat.presence`?",
        ),
        ("presence = 1", "3:12: `channel.namespaces.chat.presence` is 1 (integer); it must be true or false"),
        (
            "force_recovery_mode = \"disk\"",
            "3:23: `channel.namespaces.chat.force_recovery_mode` is disk; it must be one of \"\", \"stream\" or \"cache\"",
        ),
        (
            "channel_regex = \"a(\"",
            "3:17: `channel.namespaces.chat.channel_regex` is a(; it must be a regular expression (unclosed group)",
        ),
        (
            "allowed_delta_types = [\"xdelta\"]",
            "3:23: `channel.namespaces.chat.allowed_delta_types` is xdelta; it must be a list with any of \"fossil\"",
        ),
        (
            "history_ttl = \"1m\"",
            "3:15: `channel.namespaces.chat.history_size` is 0; it must be more than 0, since `history_ttl` is, or both must be 0",
        ),
        (
            "allow_recovery = true",
            "3:18: `channel.namespaces.chat.allow_recovery` is true; it must be false unless `history_size` and `history_ttl` say what is kept",
        ),
        (
            "force_push_join_leave = true",
            "3:25: `channel.namespaces.chat.force_push_join_leave` is true; it must be false unless `join_leave` is on",
        ),
        (
            "subscribe_proxy_enabled = true",
            "3:27: `channel.namespaces.chat.subscribe_proxy_name` is default; it must be the name of a hook that is configured",
        ),
        (
            "history_size = 1\nhistory_ttl = \"1m\"\ndurable = true",
            "5:11: `channel.namespaces.chat.durable` is true; it must be false unless `store.path` names a folder",
        ),
    ];
    for (lines, expected) in cases {
        assert_eq!(refused(&format!("{chat}{lines}\n")), [format!("ringway.toml:{expected}")]);
    }
}

#[test]
fn a_namespace_needs_a_name_of_its_own() {
    let nameless = refused("[[channel.namespaces]]\npresence = true\n");
    assert!(
        nameless[0].contains("ringway.toml:2:1: every one of `channel.namespaces` needs a name"),
        "{nameless:?}"
    );
    let twice = refused("[[channel.namespaces]]\nname = \"aa\"\n[[channel.namespaces]]\nname = \"aa\"\n");
    assert_eq!(twice, ["ringway.toml:4:8: `channel.namespaces` has two called `aa`"]);
    for name in ["a b", "a:b", "", "x", "$a"] {
        let wrong = refused(&format!("[[channel.namespaces]]\nname = \"{name}\"\n"));
        assert!(wrong[0].contains("`channel.namespaces.name`"), "{wrong:?}");
    }
    let table = refused("[channel.namespaces]\nname = \"aa\"\n");
    assert!(table[0].contains("write [[channel.namespaces]] above each"), "{table:?}");
}

#[test]
fn the_environment_adjusts_a_namespace_that_the_file_has() {
    let env = [("RINGWAY_CHANNEL_NAMESPACES_NEWS_V1_PRESENCE", "true")];
    let (config, warnings) = load(CHAT, &env, &[]).unwrap();
    assert!(config.channel.options_of("news.v1").unwrap().presence);
    assert!(!config.channel.options_of("chat").unwrap().presence);
    assert!(!warnings.iter().any(|warning| warning.to_string().contains("RINGWAY_CHANNEL")));
    let problems = load(CHAT, &[("RINGWAY_CHANNEL_NAMESPACES_CHAT_HISTORY_SIZE", "many")], &[]).unwrap_err();
    assert!(problems[0].to_string().starts_with(
        "environment RINGWAY_CHANNEL_NAMESPACES_CHAT_HISTORY_SIZE: `channel.namespaces.chat.history_size` is many"
    ));
}

#[test]
fn what_differs_in_a_namespace_is_shown() {
    let differences = accepted(CHAT).differences();
    let shown =
        |key: &str| differences.iter().find(|(found, _)| found == key).map(|(_, value)| value.as_str());
    assert_eq!(shown("channel.namespaces.chat.history_ttl"), Some("\"1m\""));
    assert_eq!(shown("channel.namespaces.chat.allowed_delta_types"), Some("[\"fossil\"]"));
    assert_eq!(shown("channel.namespaces.news.v1.channel_regex"), Some("'^\\d+$'"));
    assert_eq!(shown("channel.namespaces.chat.presence"), None);
}

#[test]
fn personal_channels_need_a_namespace_that_exists() {
    let personal = "[client.subscribe_to_user_personal_channel]\nenabled = true\n";
    let problems = refused(&format!("{personal}personal_channel_namespace = \"me\"\n"));
    assert!(problems[0].starts_with("ringway.toml:3:30: "), "{problems:?}");
    accepted(&format!(
        "{personal}personal_channel_namespace = \"me\"\n[[channel.namespaces]]\nname = \"me\"\n"
    ));
    let alone = refused(&format!("{personal}single_connection = true\n"));
    assert!(alone[0].contains("presence"), "{alone:?}");
    let settings = accepted(personal).settings().unwrap();
    assert_eq!(settings.personal.name(&settings.namespaces, "7").as_deref(), Some("#7"));
}
