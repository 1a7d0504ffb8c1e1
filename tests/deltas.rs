//! Patches between the server and those who get them: the client library in JavaScript, and the decoder that it was
//! taken from. Needs Node and two packages, which `scripts/test-deltas` installs before it runs this.

#![expect(clippy::unwrap_used, reason = "a test that cannot talk to Node has failed")]

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use ringway::delta::{Encoder, apply};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

const PAIRS_OF_A_KIND: usize = 1000;

/// One line to the judge, bytes as hexadecimal digits.
#[derive(Serialize)]
struct Question {
    base: String,
    target: String,
    patch: Option<String>,
    /// A whole message of the JSON protocol with a patch between texts.
    push: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    patch: String,
}

#[test]
#[ignore = "needs Node and packages: scripts/test-deltas"]
fn clients_in_javascript_read_what_we_write_and_we_read_what_they_would_write() {
    let pairs = pairs();
    let mut encoder = Encoder::default();
    let questions: Vec<Question> =
        pairs.iter().map(|(base, target)| question(&mut encoder, base, target)).collect();
    let patches = questions.iter().filter(|question| question.patch.is_some()).count();
    let pushes = questions.iter().filter(|question| question.push.is_some()).count();
    assert!(patches > PAIRS_OF_A_KIND && pushes > PAIRS_OF_A_KIND / 2, "too few: {patches} and {pushes}");

    let answers = judged(&questions);
    assert_eq!(answers.len(), questions.len());
    let (mut ours, mut theirs) = (0, 0);
    for (((base, target), question), answer) in pairs.iter().zip(&questions).zip(&answers) {
        let reference = bytes(&answer.patch);
        assert_eq!(apply(base, &reference, target.len()).as_ref(), Ok(target));
        ours += question.patch.as_ref().map_or(target.len(), |patch| patch.len() / 2);
        theirs += reference.len().min(target.len());
    }
    println!(
        "{} pairs, {patches} patches, {pushes} in JSON: {ours} bytes, the reference {theirs}",
        pairs.len()
    );
    assert!(ours * 100 <= theirs * 105, "patches are larger than the reference's: {ours} and {theirs} bytes");
}

fn question(encoder: &mut Encoder, base: &[u8], target: &[u8]) -> Question {
    let (mut patch, mut text) = (Vec::new(), Vec::new());
    let has_patch = encoder.encode(base, target, &mut patch);
    let is_json = serde_json::from_slice::<Value>(target).is_ok();
    let has_push = is_json && encoder.encode_text(base, target, &mut text);
    let push = has_push.then(|| {
        let text = String::from_utf8(text).unwrap();
        json!({ "push": { "channel": "c", "pub": { "data": text, "delta": true } } }).to_string()
    });
    Question { base: hex(base), target: hex(target), patch: has_patch.then(|| hex(&patch)), push }
}

fn judged(questions: &[Question]) -> Vec<Answer> {
    let judge = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/deltas/judge.mjs");
    let mut node =
        Command::new("node").arg(judge).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = node.stdin.take().unwrap();
    let lines: Vec<String> =
        questions.iter().map(|question| serde_json::to_string(question).unwrap() + "\n").collect();
    // Beside the reading: whoever writes first and reads then waits for a pipe that waits for him.
    let writer = std::thread::spawn(move || input.write_all(lines.concat().as_bytes()));
    let output = node.wait_with_output().unwrap();
    let written = writer.join().unwrap();
    assert!(output.status.success(), "the judge objects, see above");
    written.unwrap();
    let answers = String::from_utf8(output.stdout).unwrap();
    answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

type Pair = (Vec<u8>, Vec<u8>);

fn pairs() -> Vec<Pair> {
    let mut runner = TestRunner::new(Config::default());
    let mut pairs = Vec::new();
    for _ in 0..PAIRS_OF_A_KIND {
        pairs.push(documents().new_tree(&mut runner).unwrap().current());
        pairs.push(edited_text().new_tree(&mut runner).unwrap().current());
        pairs.push(edited_bytes().new_tree(&mut runner).unwrap().current());
    }
    pairs
}

fn text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[a-z\"\\\\ ]{1,12}",
        "[а-яё ]{1,12}",
        "[一-龥，。]{1,8}",
        "(🙂|👩‍👩‍👧|🇩🇪|😀|🙃){1,4}",
        Just("\u{2028}\n\t\u{7f}".to_owned()),
    ];
    prop::collection::vec(word, 0..6).prop_map(|words| words.concat())
}

/// A list of records, and the same after some have changed.
fn documents() -> impl Strategy<Value = Pair> {
    let record = || {
        (text(), any::<u16>(), text()).prop_map(
        |(name, count, text)| json!({ "name": name, "count": count, "текст": text, "open": count % 2 == 0 }),
    )
    };
    let changes = prop::collection::vec((any::<prop::sample::Index>(), record(), 0..4_u8), 0..4);
    (prop::collection::vec(record(), 1..30), changes).prop_map(|(records, changes)| {
        let base = serde_json::to_vec(&records).unwrap();
        let mut records = records;
        for (at, record, act) in changes {
            if records.is_empty() {
                break;
            }
            let at = at.index(records.len());
            match act {
                0 => drop(records.remove(at)),
                1 => records.insert(at, record),
                2 => records[at]["текст"] = record["текст"].clone(),
                _ => records[at]["count"] = record["count"].clone(),
            }
        }
        (base, serde_json::to_vec(&records).unwrap())
    })
}

fn edited_text() -> impl Strategy<Value = Pair> {
    let long = prop::collection::vec(text(), 0..20).prop_map(|texts| texts.concat());
    (long, text(), any::<prop::sample::Index>(), 0..60_usize).prop_map(|(base, inserted, at, count)| {
        let mut target: Vec<char> = base.chars().collect();
        let at = at.index(target.len() + 1);
        let end = (at + count).min(target.len());
        target.splice(at..end, inserted.chars());
        (base.into_bytes(), target.into_iter().collect::<String>().into_bytes())
    })
}

/// Pieces of the base in another order, with others between them.
fn edited_bytes() -> impl Strategy<Value = Pair> {
    let piece = || prop::collection::vec(any::<u8>(), 0..80);
    let order = prop::collection::vec((any::<prop::sample::Index>(), piece(), any::<bool>()), 0..12);
    (prop::collection::vec(piece(), 1..12), order).prop_map(|(pieces, order)| {
        let chosen = order
            .into_iter()
            .map(|(at, other, is_old)| if is_old { pieces[at.index(pieces.len())].clone() } else { other });
        (pieces.concat(), chosen.collect::<Vec<_>>().concat())
    })
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    hex.as_bytes().as_chunks::<2>().0.iter().map(|[high, low]| digit(*high) << 4 | digit(*low)).collect()
}
