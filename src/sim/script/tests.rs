//! The language, and that a play can fail.

use super::{Act, Expectation, Feature, Outcome, Saying, Script, Simulated, play};
use serde_json::json;
use std::time::Duration;

fn acts(text: &str) -> Vec<Act> {
    Script::parse(text).unwrap().steps.into_iter().map(|step| step.act).collect()
}

/// Plays in the simulated world.
fn outcome(text: &str) -> Result<(), String> {
    let script = Script::parse(text).unwrap();
    play(&script, &mut Simulated::new(&script, 1))
}

#[test]
fn a_line_reads_as_steps() {
    let a = || String::from("a");
    let text = "# whole line\nclient a: sub news -> ok ; <- push news hi   # RFC 6455\nwait 25s ; client b: raw 83 80";
    let publication = Expectation::Publication { channel: "news".into(), data: json!("hi") };
    assert_eq!(
        acts(text),
        [
            Act::Say { client: a(), saying: Saying::Command(json!({"subscribe": {"channel": "news"}})) },
            Act::Expect { client: a(), expectation: Expectation::Reply(None, Outcome::Ok(json!({}))) },
            Act::Expect { client: a(), expectation: publication },
            Act::Wait(Duration::from_secs(25)),
            Act::Say { client: "b".into(), saying: Saying::Raw(vec![0x83, 0x80]) },
        ]
    );
}

#[test]
fn the_server_is_described_first() {
    let script = Script::parse("server: without presence\nclient a: connect").unwrap();
    assert!(script.without.contains(&Feature::Presence) && !script.is_timed());
    assert!(Script::parse("client a: connect\nserver: without presence").is_err());
}

#[test]
fn what_is_not_understood_is_an_error_with_its_line() {
    for text in [
        "client a: dance",
        "client a: <- music",
        "connect",
        "client a: raw 8",
        "wait 3",
        "server: without us",
    ] {
        let error = Script::parse(&format!("\n{text}")).unwrap_err();
        assert!(error.starts_with("line 2: "), "{error}");
    }
}

#[test]
fn a_play_fails_where_the_script_is_wrong() {
    let open = "client a: upgrade /connection/websocket -> 101 ; connect -> ok ; sub c -> ok ; ";
    assert_eq!(outcome(&format!("{open} pub c 1 -> ok ; <- push c 1 ; <- nothing")), Ok(()));
    for wrong in [
        "pub c 1 -> error 103 ; <- push c 1",
        "pub c 1 -> ok ; <- push c 2",
        "pub c 1 -> ok",
        "<- push c 1",
        "<- end",
        "pub c 1 -> ok ; <- nothing",
        "presence c -> here b",
        "stats c -> ok {\"num_clients\":2}",
        "close 1000 -> close 1001",
    ] {
        assert!(outcome(&format!("{open} {wrong}")).is_err(), "{wrong}");
    }
}
