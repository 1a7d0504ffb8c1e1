//! The sysctls of `tuning/sysctl.conf`, which is the only list there is: `tuning/check` reads the same file.
//! Invariant: same file, same rules, same verdicts as `tuning/check`; a test runs both on made-up kernels.

use super::{Finding, Verdict};
use std::cmp::Ordering;

/// Judges every key that this kernel has.
pub fn examine(generator: bool, read: &dyn Fn(&str) -> Option<String>) -> Vec<Finding> {
    knobs()
        .filter(|knob| generator || knob.role != "generator")
        .filter_map(|knob| Some(knob.judge(&read(knob.key)?.replace('\t', " "))))
        .collect()
}

/// The value of a key in `/proc/sys`.
pub fn read(key: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/sys/{}", key.replace('.', "/"))).ok()?;
    Some(text.trim().to_owned())
}

const LIST: &str = include_str!("../../../tuning/sysctl.conf");

struct Knob {
    key: &'static str,
    wanted: &'static str,
    role: &'static str,
    rule: &'static str,
    verdict: Verdict,
    /// The first sentence above the key.
    purpose: &'static str,
}

fn knobs() -> impl Iterator<Item = Knob> {
    LIST.split("\n\n").filter_map(|block| {
        let (key, wanted) = block.lines().last()?.split_once(" = ")?;
        let marker = block.lines().find_map(|line| line.strip_prefix("#: "))?;
        let mut words = marker.split(' ');
        let (role, rule) = (words.next()?, words.next()?);
        let verdict = if words.next()? == "FAIL" { Verdict::Fail } else { Verdict::Warn };
        let purpose = block.lines().next()?.trim_start_matches("# ").trim_end_matches('.');
        Some(Knob { key, wanted, role, rule, verdict, purpose })
    })
}

impl Knob {
    fn judge(&self, present: &str) -> Finding {
        if self.holds(present) {
            return Finding::ok(self.key, present);
        }
        Finding {
            name: self.key.to_owned(),
            verdict: self.verdict,
            text: format!("{present}, wanted: {} {}. {}", self.rule, self.wanted, self.purpose),
            fix: Some(format!(
                "`sysctl --write '{}={}'`, or all of them: `tuning/apply`",
                self.key, self.wanted
            )),
        }
    }

    fn holds(&self, present: &str) -> bool {
        let order = |present: Option<&str>, wanted: Option<&str>| {
            let number = |text: Option<&str>| text.and_then(|text| text.parse::<u64>().ok());
            number(present).zip(number(wanted)).map(|(present, wanted)| present.cmp(&wanted))
        };
        let whole = order(Some(present), Some(self.wanted));
        match self.rule {
            "at-least" => whole.is_some_and(Ordering::is_ge),
            "at-most" => whole.is_some_and(Ordering::is_le),
            "covers" => {
                let ends = |text: &'static str| (text.split(' ').next(), text.split(' ').next_back());
                let (low, high) = ends(self.wanted);
                order(present.split(' ').next(), low).is_some_and(Ordering::is_le)
                    && order(present.split(' ').next_back(), high).is_some_and(Ordering::is_ge)
            }
            _ => whole.is_some_and(Ordering::is_eq),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::process::Command;

    #[test]
    fn every_key_of_the_list_has_purpose_source_and_a_known_rule() {
        let keys = LIST.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count();
        assert_eq!(knobs().count(), keys);
        for knob in knobs() {
            assert!(["server", "generator"].contains(&knob.role), "{}", knob.key);
            assert!(["at-least", "at-most", "exactly", "covers"].contains(&knob.rule), "{}", knob.key);
            assert!(!knob.purpose.is_empty() && knob.holds(knob.wanted), "{}", knob.key);
        }
        assert_eq!(LIST.matches("\n# Source: ").count(), keys);
    }

    #[test]
    fn the_accept_queue_is_capped_no_lower_than_our_backlog() {
        let knob = knobs().find(|knob| knob.key == "net.core.somaxconn").unwrap();
        assert_eq!(knob.wanted, crate::limits::BACKLOG.to_string());
    }

    /// Values around every threshold, on a made-up kernel: the shell and we must agree on each.
    #[test]
    fn tuning_check_agrees_on_every_threshold() {
        let root = std::env::temp_dir().join(format!("ringway-sysctl-{}", std::process::id()));
        for shift in [-1_i64, 0, 1] {
            for knob in knobs() {
                let path = root.join(knob.key.replace('.', "/"));
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                let numbers: Vec<String> = knob
                    .wanted
                    .split(' ')
                    .map(|number| (number.parse::<i64>().unwrap() + shift).max(0).to_string())
                    .collect();
                std::fs::write(path, numbers.join("\t") + "\n").unwrap();
            }
            let read = |key: &str| {
                let text = std::fs::read_to_string(root.join(key.replace('.', "/"))).ok()?;
                Some(text.trim().to_owned())
            };
            let ours: Vec<[String; 2]> = examine(true, &read)
                .into_iter()
                .map(|finding| [finding.verdict.word().to_owned(), finding.name])
                .collect();
            assert_eq!(ours, verdicts_of_check(&root), "shift {shift}");
            assert_eq!(ours.iter().all(|[verdict, _]| verdict == "OK"), shift == 0);
        }
        std::fs::remove_dir_all(root).unwrap();
    }

    fn verdicts_of_check(root: &Path) -> Vec<[String; 2]> {
        let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tuning/check"))
            .args(["--generator", "--tab", "--proc-sys"])
            .arg(root)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let columns = |line: &str| {
            let mut columns = line.split('\t').map(str::to_owned);
            [columns.next().unwrap(), columns.next().unwrap()]
        };
        text.lines().map(columns).collect()
    }
}
