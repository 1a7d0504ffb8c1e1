//! From the text of a script to its steps.
//! Invariant: what is not understood is an error with its line; nothing is guessed or skipped.

use super::{Act, Expectation, Feature, Outcome, Saying, Script, Step};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

pub(super) fn script(text: &str) -> Result<Script, String> {
    let mut script = Script { without: BTreeSet::new(), steps: Vec::new() };
    let mut client = None;
    for (line, text) in (1..).zip(text.lines()) {
        for text in without_comment(text).split(" ; ").map(str::trim).filter(|text| !text.is_empty()) {
            let acts = step(text, &mut client, &mut script)
                .map_err(|error| format!("line {line}: {error}: {text}"))?;
            script.steps.extend(acts.into_iter().map(|act| Step { line, act }));
        }
    }
    Ok(script)
}

fn without_comment(line: &str) -> &str {
    if line.starts_with('#') { "" } else { line.split_once(" #").map_or(line, |(before, _)| before) }
}

fn step(text: &str, client: &mut Option<String>, script: &mut Script) -> Result<Vec<Act>, String> {
    if let Some(words) = text.strip_prefix("server:") {
        if !script.steps.is_empty() {
            return Err("the server is described before anything is said".into());
        }
        let name = words.trim().strip_prefix("without ").ok_or("a server is `without` something")?;
        script.without.insert(feature(name)?);
        return Ok(Vec::new());
    }
    if let Some(time) = text.strip_prefix("wait ") {
        return Ok(vec![Act::Wait(duration(time)?)]);
    }
    let text = match text.strip_prefix("client ") {
        Some(rest) => {
            let (name, rest) = rest.split_once(':').ok_or("a client is followed by a colon")?;
            *client = Some(name.to_owned());
            rest.trim()
        }
        None => text,
    };
    let client = client.clone().ok_or("nobody was named yet")?;
    if let Some(words) = text.strip_prefix("<- ") {
        return Ok(vec![Act::Expect { client, expectation: expectation(words.trim())? }]);
    }
    let (words, expected) = match text.split_once(" -> ") {
        Some((words, expected)) => (words.trim(), Some(expectation(expected.trim())?)),
        None => (text, None),
    };
    let mut acts = vec![Act::Say { client: client.clone(), saying: saying(words)? }];
    acts.extend(expected.map(|expectation| Act::Expect { client, expectation }));
    Ok(acts)
}

fn saying(text: &str) -> Result<Saying, String> {
    let (verb, rest) = word(text);
    Ok(match verb {
        "upgrade" => {
            let mut parts = rest.split(" + ").map(|part| part.trim().to_owned());
            let path = parts.next().unwrap_or_default();
            Saying::Upgrade { path, fields: parts.collect() }
        }
        "head" => Saying::Raw(rest.replace("\\r", "\r").replace("\\n", "\n").into_bytes()),
        "raw" => Saying::Raw(hex(rest)?),
        "text" => Saying::Text(rest.replace(" | ", "\n")),
        "binary" => Saying::Binary(hex(rest)?),
        "ping" => Saying::Ping(rest.to_owned()),
        "pong" => Saying::Pong(rest.to_owned()),
        "close" => {
            let (code, reason) = word(rest);
            Saying::Close(optional_number(code)?, reason.to_owned())
        }
        "connect" => Saying::Command(json!({"connect": {}})),
        "sub" => Saying::Command(json!({"subscribe": {"channel": rest}})),
        "unsub" => Saying::Command(json!({"unsubscribe": {"channel": rest}})),
        "pub" => {
            let (channel, data) = word(rest);
            Saying::Command(json!({"publish": {"channel": channel, "data": value(data)}}))
        }
        "presence" => Saying::Command(json!({"presence": {"channel": rest}})),
        "stats" => Saying::Command(json!({"presence_stats": {"channel": rest}})),
        "command" => Saying::Command(serde_json::from_str(rest).map_err(|error| error.to_string())?),
        "finish" => Saying::Finish,
        "reset" => Saying::Reset,
        "mute" => Saying::Mute,
        other => return Err(format!("nobody knows how to `{other}`")),
    })
}

fn expectation(text: &str) -> Result<Expectation, String> {
    let (kind, rest) = word(text);
    Ok(match kind {
        "ok" | "error" | "here" => Expectation::Reply(None, outcome(text)?),
        "reply" => {
            let (id, rest) = word(rest);
            Expectation::Reply(Some(number(id)?), outcome(rest)?)
        }
        "push" => {
            let (channel, data) = word(rest);
            Expectation::Publication { channel: channel.to_owned(), data: value(data) }
        }
        "unsubscribed" => {
            let (channel, code) = word(rest);
            Expectation::Unsubscribed { channel: channel.to_owned(), code: number(code)? }
        }
        "ping" => Expectation::Ping,
        "framed" if rest == "ping" => Expectation::FramedPing,
        "pong" => Expectation::Pong(rest.to_owned()),
        "text" => Expectation::Text(rest.replace(" | ", "\n")),
        "binary" => Expectation::Binary(hex(rest)?),
        "close" => {
            let (code, reason) = word(rest);
            let reason = (!reason.is_empty()).then(|| reason.to_owned());
            Expectation::Close(optional_number(code)?, reason)
        }
        "end" => Expectation::End,
        "nothing" => Expectation::Nothing,
        status => Expectation::Status(number(status).map_err(|_| format!("nobody expects `{status}`"))?),
    })
}

fn outcome(text: &str) -> Result<Outcome, String> {
    let (kind, rest) = word(text);
    match kind {
        "ok" if rest.is_empty() => Ok(Outcome::Ok(json!({}))),
        "ok" => Ok(Outcome::Ok(serde_json::from_str(rest).map_err(|error| error.to_string())?)),
        "error" => Ok(Outcome::Error(number(rest)?)),
        "here" => Ok(Outcome::Here(rest.split_whitespace().map(str::to_owned).collect())),
        other => Err(format!("no reply is `{other}`")),
    }
}

fn feature(name: &str) -> Result<Feature, String> {
    Ok(match name {
        "anonymous" => Feature::Anonymous,
        "echo" => Feature::Echo,
        "presence" => Feature::Presence,
        "publish" => Feature::Publish,
        "subscribe" => Feature::Subscribe,
        other => return Err(format!("no server has `{other}`")),
    })
}

/// JSON if it is, a string of these words if not.
fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

fn word(text: &str) -> (&str, &str) {
    text.split_once(' ').map_or((text, ""), |(first, rest)| (first, rest.trim_start()))
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number"))
}

fn optional_number(text: &str) -> Result<Option<u16>, String> {
    if text.is_empty() { Ok(None) } else { number(text).map(Some) }
}

fn duration(text: &str) -> Result<Duration, String> {
    if let Some(millis) = text.strip_suffix("ms") {
        return number(millis).map(Duration::from_millis);
    }
    let seconds = text.strip_suffix('s').ok_or("a time has a unit, ms or s")?;
    number(seconds).map(Duration::from_secs)
}

/// Digits in pairs; blanks are for the reader.
fn hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
    let (pairs, rest) = digits.as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
    bytes.filter(|_| rest.is_empty()).ok_or_else(|| format!("`{text}` is not hexadecimal"))
}
