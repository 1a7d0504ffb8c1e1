//! `ringway errors`: every code that a client may see, what it means, who is to blame, what to do.
//! Invariant: it lists what the protocol's tables have, no more and no less.

mod explained;

use super::paint::Paint;
use super::say;
use explained::Explanation;
use std::fmt::Write as _;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct ErrorsArguments {
    /// One code, such as 3008; without one all are listed
    #[arg(value_name = "CODE")]
    code: Option<u32>,
}

/// A code with its kind: errors answer a command, disconnects end a connection, unsubscribes end a subscription.
struct Entry {
    kind: &'static str,
    code: u32,
    text: &'static str,
    /// What the client does next by itself.
    then: &'static str,
    explanation: Explanation,
}

pub fn run(arguments: &ErrorsArguments) -> ExitCode {
    let entries = entries();
    let Some(code) = arguments.code else {
        say(&list(&entries, Paint::stdout()));
        return ExitCode::SUCCESS;
    };
    let found: Vec<&Entry> = entries.iter().filter(|entry| entry.code == code).collect();
    if found.is_empty() {
        say(&format!("{code} is none of ours: {}\n", range(code)));
        return ExitCode::FAILURE;
    }
    for entry in found {
        say(&detail(entry, Paint::stdout()));
    }
    ExitCode::SUCCESS
}

fn entries() -> Vec<Entry> {
    let rejects = explained::REJECTS.iter().map(|&(reject, explanation)| Entry {
        kind: "error",
        code: reject.code(),
        text: reject.message(),
        then: if reject.temporary() { "tries again" } else { "tells the application" },
        explanation,
    });
    let disconnects = explained::DISCONNECTS.iter().map(|&(disconnect, explanation)| Entry {
        kind: "disconnect",
        code: u32::from(disconnect.code()),
        text: disconnect.reason(),
        then: if disconnect.wants_reconnect() { "reconnects" } else { "stays away" },
        explanation,
    });
    let unsubscribes = explained::UNSUBSCRIBES.iter().map(|&(unsubscribed, explanation)| Entry {
        kind: "unsubscribe",
        code: unsubscribed.code(),
        text: unsubscribed.reason(),
        then: if unsubscribed.wants_resubscribe() { "subscribes again" } else { "stays unsubscribed" },
        explanation,
    });
    let closes = explained::CLOSES.iter().map(|&(code, text, explanation)| Entry {
        kind: "close",
        code: u32::from(code),
        text,
        then: "reconnects",
        explanation,
    });
    rejects.chain(closes).chain(disconnects).chain(unsubscribes).collect()
}

fn list(entries: &[Entry], paint: Paint) -> String {
    let mut text = String::new();
    let mut kind = "";
    for entry in entries {
        if entry.kind != kind {
            kind = entry.kind;
            let _ =
                writeln!(text, "{}{}", if text.is_empty() { "" } else { "\n" }, paint.strong(heading(kind)));
        }
        let _ = writeln!(text, "  {:>4}  {:<24} {}", entry.code, entry.text, entry.explanation.meaning);
    }
    text.push_str("\n`ringway errors CODE` says who is to blame and what to do.\n");
    text
}

fn heading(kind: &str) -> &'static str {
    match kind {
        "error" => "Errors: the answer to a command; the connection lives",
        "close" => "Close codes of WebSocket",
        "disconnect" => "Disconnects: the close code of a connection, by the client protocol",
        _ => "Unsubscribes: the server ends a subscription",
    }
}

fn detail(entry: &Entry, paint: Paint) -> String {
    let Entry { kind, code, text, then, explanation } = entry;
    format!(
        "{}\n  {}\n  the client   {then}\n  to blame     {}\n  {} {}\n",
        paint.strong(&format!("{kind} {code}: {text}")),
        explanation.meaning,
        explanation.blame.name(),
        paint.good("what to do  "),
        explanation.remedy,
    )
}

/// Whose a code is that we never send.
fn range(code: u32) -> &'static str {
    match code {
        2..=99 => "codes below 100 are the client library's own",
        114..=399 => "codes up to 399 are the protocol's, and it has no such error yet",
        1000..=1015 => "a close code of WebSocket (RFC 6455) that we do not send",
        400..=999 | 1016..=1999 => "an application's own error",
        2100..=2499 => "an application's own unsubscribe, after which clients stay unsubscribed",
        2600..=2999 => "an application's own unsubscribe, after which clients subscribe again",
        4000..=4499 => "an application's own disconnect, after which clients reconnect",
        4500..=4999 => "an application's own disconnect, after which clients stay away",
        0..=1 | 100..=113 | 2000..=2099 | 2500..=2599 | 3000..=3999 | 5000.. => "nobody sends it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Disconnect, Reject, Unsubscribed};

    #[test]
    fn every_code_is_listed_with_something_to_do() {
        let entries = entries();
        assert!(explained::REJECTS.iter().map(|(reject, _)| reject).eq(Reject::ALL));
        assert!(explained::DISCONNECTS.iter().map(|(disconnect, _)| disconnect).eq(Disconnect::ALL));
        assert!(explained::UNSUBSCRIBES.iter().map(|(unsubscribed, _)| unsubscribed).eq(Unsubscribed::ALL));
        assert!(explained::CLOSES.iter().all(|(code, ..)| crate::stats::CLOSE_CODES.contains(code)));
        let list = list(&entries, Paint::PLAIN);
        for entry in &entries {
            let Explanation { meaning, remedy, .. } = entry.explanation;
            assert!(meaning.len() > 15 && meaning.ends_with('.'), "{}: {meaning}", entry.code);
            assert!(remedy.ends_with('.'), "{}: {remedy}", entry.code);
            assert!(list.contains(&format!("{:>4}  {}", entry.code, entry.text)), "{}", entry.code);
        }
    }

    /// A remedy that names an option which was renamed would send people astray.
    #[test]
    fn options_in_remedies_exist() {
        use crate::config::option::Entry;
        use crate::config::table::{find, lists, options};
        let leaves: Vec<&str> =
            lists().iter().flat_map(|list| list.options()).map(|option| option.key).collect();
        let sections: Vec<&str> = options().map(Entry::section).collect();
        for entry in entries() {
            let words =
                entry.explanation.remedy.split(|c: char| !(c.is_ascii_alphanumeric() || "._".contains(c)));
            for word in words.map(|word| word.trim_end_matches('.')) {
                let is_ours = word.starts_with("client.")
                    || word.starts_with("channel.")
                    || word.starts_with("shutdown.")
                    || word.starts_with("websocket.");
                let is_leaf = word.starts_with("allow_")
                    || word.starts_with("history_")
                    || word.starts_with("publish_");
                let exists = find(word).is_some()
                    || sections.contains(&word)
                    || lists().iter().any(|list| list.key() == word)
                    || word == "client.token";
                assert!(!is_ours || exists, "{}: there is no option {word}", entry.code);
                assert!(!is_leaf || leaves.contains(&word), "{}: there is no option {word}", entry.code);
            }
        }
    }

    #[test]
    fn one_code_is_explained_in_full() {
        let entries = entries();
        let slow = entries.iter().find(|entry| entry.code == 3008).unwrap();
        let text = detail(slow, Paint::PLAIN);
        assert!(text.starts_with("disconnect 3008: slow\n"), "{text}");
        assert!(text.contains("the client   reconnects"), "{text}");
        assert!(text.contains("to blame     the network"), "{text}");
        assert!(text.contains("client.queue_max_size"), "{text}");
    }

    #[test]
    fn codes_of_others_are_told_apart() {
        assert!(range(4001).contains("reconnect") && range(4501).contains("stay away"));
        assert!(range(1006).contains("RFC 6455"));
    }
}
