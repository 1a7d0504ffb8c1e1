//! What came out, for people and for programs.

use crate::run::Outcome;
use crate::verdict::Verdict;
use serde::Serialize;
use std::fmt::Write;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    pub passed: usize,
    pub differs: usize,
    pub failed: usize,
    pub skipped: usize,
}

#[derive(Serialize)]
struct Report<'o> {
    target: &'o str,
    #[serde(flatten)]
    count: Count,
    rows: &'o [Outcome],
}

impl Count {
    pub fn of(outcomes: &[Outcome]) -> Self {
        let mut count = Self::default();
        for outcome in outcomes {
            match outcome.verdict {
                Verdict::Pass => count.passed += 1,
                Verdict::Differs(_) => count.differs += 1,
                Verdict::Fail(_) => count.failed += 1,
                Verdict::Skipped(_) => count.skipped += 1,
            }
        }
        count
    }
}

/// One line a row, and more where it did not come out as asked for.
pub fn line(outcome: &Outcome) -> String {
    let canary = if outcome.canary.echoes == 0 {
        String::new()
    } else {
        format!("{:.1} ms", outcome.canary.p99_us as f64 / 1_000.0)
    };
    let title: String = outcome.title.chars().take(TITLE_CHARS).collect();
    let mut line = format!(
        "{:<8}{:<6} {title:<TITLE_CHARS$} {:>6} {:>10} {:>7.1} s",
        outcome.verdict.word(),
        outcome.id,
        outcome.conversations,
        canary,
        outcome.seconds
    );
    if !outcome.verdict.why().is_empty() {
        let _ = write!(line, "\n        {}", outcome.verdict.why());
    }
    match outcome.verdict {
        Verdict::Differs(_) if !outcome.policy.is_empty() => {
            let _ = write!(line, "\n        policy: {}", outcome.policy);
        }
        Verdict::Fail(_) => {
            let _ = write!(line, "\n        source: {}", outcome.source);
        }
        Verdict::Pass | Verdict::Skipped(_) | Verdict::Differs(_) => {}
    }
    line
}

pub fn heading() -> String {
    format!(
        "{:<8}{:<6} {:<TITLE_CHARS$} {:>6} {:>10} {:>9}",
        "", "row", "what", "talks", "canary p99", "time"
    )
}

pub fn summary(target: &str, outcomes: &[Outcome]) -> String {
    let Count { passed, differs, failed, skipped } = Count::of(outcomes);
    format!(
        "{target}: {passed} passed, {differs} differ where servers may, {failed} FAILED, {skipped} skipped"
    )
}

pub fn json(target: &str, outcomes: &[Outcome]) -> serde_json::Result<String> {
    serde_json::to_string(&Report { target, count: Count::of(outcomes), rows: outcomes })
}

const TITLE_CHARS: usize = 64;
