//! A strict reader of the OpenMetrics 1.0 text that we emit: the subset without timestamps and exemplars.

use std::collections::{HashMap, HashSet};

/// Every sample under its name and labels. Panics with the line that breaks the format.
pub(super) fn samples(text: &str) -> HashMap<String, f64> {
    let text = text.strip_suffix("# EOF\n").expect("the page ends with EOF");
    let mut samples = HashMap::new();
    let mut families = HashSet::new();
    let (mut family, mut kind) = ("", "");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            (family, _) = rest.split_once(' ').expect("a help text");
            assert!(families.insert(family), "the family {family} is opened twice");
            kind = "";
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, found) = rest.split_once(' ').expect("a type");
            assert_eq!(name, family, "the type belongs to another family");
            kind = found;
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let suffix = name.strip_prefix(family).expect("the sample belongs to the open family");
            let expected = match kind {
                "counter" => "_total",
                "info" => "_info",
                "gauge" => "",
                other => panic!("a sample of the type {other:?}: {line}"),
            };
            assert_eq!(suffix, expected, "{line}");
            check_labels(labels, line);
            let value: f64 = value.parse().expect("the value is a number");
            assert!(kind != "counter" || value >= 0.0, "{line}");
            assert!(samples.insert(String::from(series), value).is_none(), "twice: {line}");
        }
    }
    samples
}

fn check_labels(labels: &str, line: &str) {
    if labels.is_empty() {
        return;
    }
    let labels = labels.strip_suffix('}').expect("the labels are closed");
    for label in labels.split(',') {
        let (name, value) = label.split_once('=').expect("a label has a value");
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{line}");
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).expect("quotes");
        assert!(!value.contains(['"', '\\', '\n']), "{line}");
    }
}
