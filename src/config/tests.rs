use super::option::Entry;
use super::problem::Cause;
use super::table::{find, lists, options};
use super::*;
use crate::channels::Policy;
use std::time::Duration;

mod compression;
mod hooks;
mod namespaces;
mod reload;
mod tokens;

/// Loads `text` as a file, with settings of the environment and of flags, on a machine with the CPUs 0 to 3.
fn load(
    text: &str,
    env: &[(&str, &str)],
    flags: &[(&str, &str)],
) -> Result<(Config, Vec<Warning>), Vec<Problem>> {
    let mut raw = raw::Raw::default();
    raw.file(Path::new("ringway.toml"), text);
    raw.environment(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    raw.flags(flags.iter().map(|(key, text)| Flag { entry: find(key).unwrap(), text: (*text).to_owned() }));
    checked::check(raw, Mode::Production, &[0, 1, 2, 3])
}

fn accepted(text: &str) -> Config {
    load(text, &[], &[]).unwrap_or_else(|problems| panic!("{problems:?}")).0
}

/// The problems of a file, as people see them.
fn refused(text: &str) -> Vec<String> {
    load(text, &[], &[]).unwrap_err().iter().map(ToString::to_string).collect()
}

/// A value that differs from the default of either mode.
fn other_value(entry: &Entry) -> &'static str {
    match entry.field {
        value::Field::Switch { production, .. } if production => "false",
        value::Field::Switch { .. } => "true",
        value::Field::Duration { .. } => "9s500ms",
        value::Field::Count { range: [min, max], .. } if min <= 200 && max >= 200 => "200",
        value::Field::Count { range: [_, max], .. } if max < 200 => "9",
        value::Field::Count { .. } => "5000",
        value::Field::Address { .. } => "[::1]:4711",
        value::Field::Patterns { .. } => "https://example.com",
        value::Field::Text { check, .. } => {
            let texts = ["something", "https://example.com", "X-Some: thing", "403 error 403 forbidden"];
            texts.into_iter().find(|text| check(text).is_ok()).unwrap()
        }
        value::Field::Secret { .. } | value::Field::Names { .. } => "something",
        value::Field::Choice { among, .. } | value::Field::Words { among, .. } => {
            among.last().copied().unwrap_or_default()
        }
        value::Field::Cores { .. } => "2",
        value::Field::Driver { .. } => "uring",
    }
}

#[test]
fn every_field_of_the_configuration_has_an_option() {
    let defaults = Config::defaults(Mode::Production, &[0, 1, 2, 3]);
    let mut changed = defaults.clone();
    for entry in options() {
        let before = changed.clone();
        entry.field.assign(&mut changed, other_value(entry), &[0, 1, 2, 3]).unwrap();
        assert_ne!(before, changed, "{} changes nothing", entry.key);
    }
    let debug = |config: &Config| format!("{config:#?}");
    let same = debug(&defaults)
        .lines()
        .filter(|line| line.contains(": ") && !line.ends_with('{') && !line.ends_with('['))
        .filter(|line| debug(&changed).lines().any(|other| other == *line))
        .map(|line| line.trim().to_owned())
        .collect::<Vec<_>>();
    assert_eq!(
        same,
        [
            "certificates: [],",
            "namespaces: [],",
            "rpc_namespaces: [],",
            "proxies: [],",
            "development: false,",
            "ready_file: None,"
        ],
        "fields that no option sets"
    );
}

#[test]
fn every_field_of_a_namespace_has_an_option() {
    for list in lists() {
        let mut config = Config::default();
        list.open(&mut config, "some");
        for (option, facts) in list.options().iter().enumerate() {
            let before = config.clone();
            let entry = options().find(|entry| entry.key.ends_with(&format!(".{}", facts.key))).unwrap();
            list.assign(&mut config, 0, option, other_value(entry)).unwrap();
            assert_ne!(before, config, "{} changes nothing", facts.key);
        }
    }
}

#[test]
fn keys_flags_and_environment_names_are_unique() {
    let mut names: Vec<String> =
        options().flat_map(|entry| [entry.environment(), entry.flag().to_owned()]).collect();
    names.sort();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn what_an_option_shows_it_reads_back() {
    for mode in [Mode::Production, Mode::Development] {
        let mut config = Config::defaults(mode, &[0, 1, 2, 3]);
        for entry in options() {
            let shown = entry.field.show(&mut config);
            let mut again = config.clone();
            entry
                .field
                .assign(&mut again, &shown, &[0, 1, 2, 3])
                .unwrap_or_else(|_| panic!("{}: {shown}", entry.key));
            assert_eq!(again, config, "{}: {shown}", entry.key);
        }
    }
}

#[test]
fn defaults_satisfy_every_range_and_relation() {
    for mode in [Mode::Production, Mode::Development] {
        checked::check(raw::Raw::default(), mode, &[0]).unwrap();
    }
}

#[test]
fn an_empty_file_is_secure() {
    let config = accepted("");
    assert!(!config.development);
    assert!(!config.client.allow_anonymous_connect_without_token);
    assert!(config.client.allowed_origins.is_empty());
    assert!(!config.routes.echo);
    assert!(!config.client.insecure && !config.http_api.insecure && !config.http_api.external);
    let settings = config.settings().unwrap();
    let policy = settings.namespaces.policy(None).unwrap();
    let closed = Policy { history_meta_ttl: policy.history_meta_ttl, ..Policy::default() };
    assert_eq!(format!("{policy:?}"), format!("{closed:?}"));
    assert_eq!(config.listen.public.to_string(), "0.0.0.0:8080");
    assert!(config.listen.internal.ip().is_loopback());
}

#[test]
fn without_a_file_everything_is_allowed_on_the_loopback_address_and_said_aloud() {
    let (config, warnings) = Config::load(None, std::iter::empty(), []).unwrap();
    assert!(config.development && config.routes.echo && config.channel.without_namespace.presence);
    assert!(config.listen.public.ip().is_loopback());
    assert_eq!(warnings, [Warning::Development]);
    let names = config.channel.namespaces.iter().map(|namespace| namespace.name.as_str());
    assert!(names.eq(["chat", "dm", "inbox", "signal"]), "what the chat page needs");
    assert!(!config.differences().iter().any(|(key, _)| key.starts_with("channel.namespaces")));
}

#[test]
fn development_on_a_public_address_is_warned_about() {
    let flag = Flag { entry: find("listen.public").unwrap(), text: "0.0.0.0:80".to_owned() };
    let (_, warnings) = Config::load(None, std::iter::empty(), [flag]).unwrap();
    assert!(matches!(warnings[..], [Warning::DevelopmentExposed { .. }]));
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file = "[client]\nchannel_limit = 1\nping_interval = \"30s\"\npong_timeout = \"1s\"";
    let env = [("RINGWAY_CLIENT_CHANNEL_LIMIT", "2"), ("RINGWAY_CLIENT_PING_INTERVAL", "40s")];
    let flags = [("client.channel_limit", "3")];
    let (config, _) = load(file, &env, &flags).unwrap();
    assert_eq!(config.client.channel_limit, 3);
    assert_eq!(config.client.ping_interval, Duration::from_secs(40));
    assert_eq!(config.client.pong_timeout, Duration::from_secs(1));
}

#[test]
fn every_kind_of_value_can_be_written() {
    let config = accepted(
        "cores = \"0,2-3\"\ndriver = \"uring\"\n[listen]\npublic = \"localhost:0\"\ninternal = \"[::1]:0\"\n\
         [client]\nallowed_origins = [\"https://Example.com\", \"https://*.example.com\"]\nping_interval = \"1m30s\"\n\
         queue_max_size = 0x10_0000\nallow_anonymous_connect_without_token = true",
    );
    assert_eq!(config.cores, [0, 2, 3]);
    assert_eq!(config.driver, Driver::Uring);
    assert_eq!(config.listen.public.to_string(), "127.0.0.1:0");
    assert_eq!(config.client.allowed_origins, ["https://Example.com", "https://*.example.com"]);
    assert_eq!(config.client.ping_interval, Duration::from_secs(90));
    assert_eq!(config.client.queue_max_size, 1_048_576);
    assert!(config.client.allow_anonymous_connect_without_token);
}

#[test]
fn cores_are_counted_or_named_within_the_mask() {
    assert_eq!(accepted("cores = 2").cores, [0, 1]);
    assert_eq!(accepted("cores = \"3-3\"").cores, [3]);
    assert_eq!(accepted("cores = \"all\"").cores, [0, 1, 2, 3]);
    for wrong in ["0", "5", "-1", "\"1-9\"", "\"3-1\"", "\"0,x\"", "\"\"", "\"0-18446744073709551615\""] {
        assert_eq!(refused(&format!("cores = {wrong}")).len(), 1, "{wrong}");
    }
    let message = &refused("cores = 8")[0];
    assert!(message.contains("this process may use the CPUs 0-3"), "{message}");
}

#[test]
fn an_unknown_option_is_named_with_its_place_and_what_was_probably_meant() {
    assert_eq!(
        refused("[client]\nchannel_limit = 5\n\n  ping_intervall = \"25s\"\n"),
        ["ringway.toml:4:3: unknown option `client.ping_intervall`; did you mean `client.ping_interval`?"]
    );
    assert_eq!(
        refused("ping_interval = \"25s\""),
        ["ringway.toml:1:1: unknown option `ping_interval`; did you mean `client.ping_interval`?"]
    );
    assert_eq!(
        refused("[clients]\nping_interval = \"25s\""),
        ["ringway.toml:1:2: unknown option `clients`; did you mean `client`?"]
    );
    let stranger = refused("zebra_stripes = 5");
    assert!(stranger[0].ends_with("lists all options"), "{stranger:?}");
}

#[test]
fn all_problems_of_a_file_are_reported_in_its_order() {
    let problems = refused(
        "[client]\nchannel_limit = 0\nping_interval = 25\nqueue_max_size = \"big\"\n[websockets]\n[routes]\necho = 1\n",
    );
    let places: Vec<&str> = problems.iter().map(|problem| problem.split(": ").next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "ringway.toml:2:17",
            "ringway.toml:3:17",
            "ringway.toml:4:18",
            "ringway.toml:5:2",
            "ringway.toml:7:8"
        ]
    );
    assert!(problems[0].contains("it must be a whole number from 1 to 65536 (channels)"), "{}", problems[0]);
    assert!(problems[1].contains("25 (integer)") && problems[1].contains("\"25s\""), "{}", problems[1]);
}

#[test]
fn a_file_that_is_not_toml_is_refused_with_every_place() {
    let problems = refused("[client]\nchannel_limit = \nping_interval = \"25s\" 7\n");
    assert!(problems.len() >= 2, "{problems:?}");
    assert!(problems.iter().all(|problem| problem.contains("this is not TOML")), "{problems:?}");
}

#[test]
fn options_that_do_not_fit_together_blame_whoever_moved_last() {
    let problems = load(
        "[client]\nping_interval = \"5s\"",
        &[("RINGWAY_CLIENT_PONG_TIMEOUT", "6s")],
        &[("websocket.message_size_limit", "2000000"), ("shutdown.drain_window", "30s")],
    )
    .unwrap_err();
    let origins: Vec<String> = problems.iter().map(|problem| problem.origin.to_string()).collect();
    assert_eq!(
        origins,
        [
            "environment RINGWAY_CLIENT_PONG_TIMEOUT",
            "flag --websocket.message_size_limit",
            "flag --shutdown.drain_window"
        ]
    );
    assert!(problems.iter().all(|problem| matches!(problem.cause, Cause::Related { .. })));
}

#[test]
fn the_two_ports_must_differ_unless_the_kernel_chooses() {
    assert_eq!(refused("[listen]\npublic = \"0.0.0.0:9080\"").len(), 1);
    accepted("[listen]\npublic = \"127.0.0.1:0\"\ninternal = \"127.0.0.1:0\"");
}

#[test]
fn a_foreign_variable_of_the_environment_is_a_warning_not_an_error() {
    let env = [
        ("RINGWAY_CLIENT_PING_INTERVALL", "25s"),
        ("RINGWAY_PORT", "tcp://10.0.0.1:8080"),
        ("RINGWAY_CONFIG", "x.toml"),
        ("PATH", "/bin"),
    ];
    let (_, warnings) = load("", &env, &[]).unwrap();
    let variables: Vec<String> = warnings
        .iter()
        .filter(|warning| matches!(warning, Warning::UnknownVariable { .. }))
        .map(ToString::to_string)
        .collect();
    assert_eq!(variables.len(), 2);
    assert!(variables[0].ends_with("did you mean RINGWAY_CLIENT_PING_INTERVAL?"), "{}", variables[0]);
}

#[test]
fn a_wrong_value_in_the_environment_names_the_variable() {
    let problems = load("", &[("RINGWAY_ROUTES_ECHO", "maybe")], &[]).unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "environment RINGWAY_ROUTES_ECHO: `routes.echo` is maybe; it must be true or false"
    );
}

#[test]
fn a_driver_is_one_of_three() {
    assert!(refused("driver = \"kqueue\"")[0].contains("\"auto\", \"uring\" or \"epoll\""));
}

#[test]
fn a_server_api_without_a_key_is_warned_about_where_others_can_reach_it() {
    let open = |lines: &str| {
        let (_, warnings) = load(&format!("[http_api]\ninsecure = true\n{lines}"), &[], &[]).unwrap();
        warnings.iter().any(|warning| matches!(warning, Warning::ApiOpen { .. }))
    };
    assert!(!open(""));
    assert!(open("external = true\n"));
    assert!(open("[listen]\ninternal = \"0.0.0.0:9080\"\n"));
    assert!(!open("external = true\n[listen]\npublic = \"127.0.0.1:8080\"\n"));
}
