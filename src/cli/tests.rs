use super::*;
use crate::config::table::options;

/// Parses a command line of `serve`, without running it.
fn parse(arguments: &[&str]) -> ServeArguments {
    let line = ["ringway", "serve"].iter().chain(arguments);
    let Command::Serve(arguments) =
        Arguments::try_parse_from(line).unwrap_or_else(|error| panic!("{error}")).command
    else {
        panic!("not serve");
    };
    *arguments
}

fn given(arguments: &[&str]) -> Vec<(&'static str, String)> {
    parse(arguments).flags.into_iter().map(|flag| (flag.entry.key, flag.text)).collect()
}

/// The help as one line, so that wrapping does not matter.
fn help_of_serve() -> String {
    let mut command = command();
    let help = command.find_subcommand_mut("serve").unwrap().render_long_help().to_string();
    help.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_command_line_is_sound() {
    command().debug_assert();
}

#[test]
fn the_help_names_flag_default_environment_and_purpose_of_every_option() {
    let help = help_of_serve();
    for entry in options().filter(|entry| !entry.is_secret()) {
        let default = entry.default_text(crate::config::Mode::Production);
        let default = if default.is_empty() { "none" } else { &default };
        for part in [
            format!("--{}", entry.flag()),
            format!("[env: {}]", entry.environment()),
            format!("[default: {default}"),
            entry.doc.to_owned(),
        ] {
            assert!(help.contains(&part), "{}: the help lacks {part:?}", entry.key);
        }
        if let Some(unit) = entry.field.unit() {
            assert!(help.contains(&format!("[unit: {unit}]")), "{}", entry.key);
        }
    }
    assert!(help.contains("Examples:"));
}

#[test]
fn flags_carry_their_text_to_the_option_table() {
    assert_eq!(
        given(&["--listen", "127.0.0.1:0", "--client.ping_interval=5s", "--cores", "0,1"]),
        [
            ("cores", "0,1".to_owned()),
            ("listen.public", "127.0.0.1:0".to_owned()),
            ("client.ping_interval", "5s".to_owned())
        ]
    );
    assert_eq!(given(&["--listen.public", "[::1]:1"]), [("listen.public", "[::1]:1".to_owned())]);
    assert_eq!(parse(&["--ready-file", "x.json"]).ready_file.unwrap().to_str(), Some("x.json"));
}

#[test]
fn switches_are_on_off_or_spelt_out_and_the_last_one_wins() {
    let echo = |text: &str| vec![("routes.echo", text.to_owned())];
    assert_eq!(given(&["--echo"]), echo("true"));
    assert_eq!(given(&["--no-echo"]), echo("false"));
    assert_eq!(given(&["--echo=false"]), echo("false"));
    assert_eq!(given(&["--echo", "false"]), echo("false"));
    assert_eq!(given(&["--echo", "--no-echo"]), echo("false"));
    assert_eq!(given(&["--no-routes.echo", "--routes.echo"]), echo("true"));
    assert_eq!(given(&[]), []);
}

#[test]
fn the_version_names_the_running_kernel() {
    let version = version();
    assert!(version.starts_with(concat!("ringway ", env!("CARGO_PKG_VERSION"), " (")), "{version}");
    assert!(version.contains(&kernel_release()), "{version}");
}
