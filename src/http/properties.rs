//! Properties of the whole way from bytes to verdict, over generated heads: mostly legal ones, some of them damaged.

use super::{Head, Refusal, Scan, Upgrade};
use proptest::collection::vec;
use proptest::prelude::*;

fn heads() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        8 => Just("GET /ws?a=b HTTP/1.1"),
        1 => Just("POST http://b/ws HTTP/1.1"),
        1 => Just("GET /ws HTTP/1.0"),
        1 => Just("GET /ws"),
    ];
    let field = prop_oneof![
        6 => Just("Host: a:80".to_owned()),
        3 => Just("Upgrade: websocket".to_owned()),
        3 => Just("Connection: keep-alive, Upgrade".to_owned()),
        3 => Just("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==".to_owned()),
        3 => Just("Sec-WebSocket-Version: 13".to_owned()),
        1 => Just("Content-Length: 0".to_owned()),
        1 => Just("Origin: https://a".to_owned()),
        1 => "[A-Za-z!]{1,9}:[ -~\t]{0,30}",
        1 => Just(format!("X: {}", "y".repeat(9_000))),
    ];
    let end = prop_oneof![9 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r")];
    let damage = prop_oneof![2 => Just(None), 1 => any::<(prop::sample::Index, u8)>().prop_map(Some)];
    (line, vec(field, 0..9), end, damage).prop_map(|(line, fields, end, damage)| {
        let mut bytes = format!("{line}\r\n{}\r\n{end}body", fields.join("\r\n")).into_bytes();
        if let Some((at, value)) = damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes
    })
}

/// The answer that these bytes get, and how many were in; none while more are needed.
fn answer(bytes: &[u8], ends: impl Iterator<Item = usize>) -> Option<(Vec<u8>, usize)> {
    let mut scan = Scan::default();
    for end in ends {
        let verdict = scan.advance(&bytes[..end]).and_then(|len| {
            len.map(|len| {
                Upgrade::check(&Head::parse(&bytes[..len])?).map(|upgrade| upgrade.response(None, None))
            })
            .transpose()
        });
        if let Some(response) = verdict.unwrap_or_else(|refusal: Refusal| Some(refusal.response())) {
            return Some((response, end));
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cutting_a_head_differently_changes_nothing(
        bytes in prop_oneof![9 => heads(), 1 => vec(any::<u8>(), 0..300)],
        step in 2_usize..50,
    ) {
        let whole = answer(&bytes, [bytes.len()].into_iter()).map(|(response, _)| response);
        let dripped = answer(&bytes, 0..=bytes.len());
        let steps = (0..bytes.len()).step_by(step).chain([bytes.len()]);
        prop_assert_eq!(answer(&bytes, steps).map(|(response, _)| response), whole.clone());
        prop_assert_eq!(dripped.map(|(response, _)| response), whole);
    }
}
