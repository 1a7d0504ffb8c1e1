//! Plays rows against a target, a canary beside each, and looks at what they leave behind.
//! Invariant: a row that cannot be judged has failed; only what the target does not offer is skipped.

use crate::canary::{Canary, Lap};
use crate::clock;
use crate::player::{self, Setting};
use crate::row::{Row, RowError};
use crate::step::Step;
use crate::target::{Target, TargetError};
use crate::verdict::Verdict;
use crate::vitals::Vitals;
use serde::Serialize;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Options {
    /// What the RFCs leave open counts as a failure where the target does otherwise than the row asks for.
    pub exact: bool,
    /// Starts of ids; none: every row.
    pub only: Vec<String>,
    pub priority_max: u8,
    /// For one answer.
    pub patience: Duration,
    /// For the canary's p99; none: it is only reported.
    pub canary_budget: Option<Duration>,
    pub metrics: Option<String>,
    pub pid: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            exact: false,
            only: Vec::new(),
            priority_max: 1,
            patience: Duration::from_secs(10),
            canary_budget: None,
            metrics: None,
            pid: None,
        }
    }
}

/// How one row came out.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    pub id: String,
    pub title: String,
    pub source: String,
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Why servers may differ here.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub policy: String,
    pub conversations: usize,
    pub canary: Lap,
    /// Most by which the server's resident memory grew; none where its process is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_growth: Option<u64>,
    pub seconds: f64,
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Row(#[from] RowError),
    #[error("no row begins with {0:?}")]
    NoRow(String),
    #[error("{0}")]
    Vitals(String),
    #[error("after {row} the server cannot be reached any more: {cause}")]
    Gone { row: String, cause: String },
}

/// Plays the chosen rows in their order; `each` hears of every one as soon as it is known.
pub fn run(
    target: &mut Target,
    rows: &[Row],
    options: &Options,
    mut each: impl FnMut(&Outcome),
) -> Result<Vec<Outcome>, RunError> {
    if let Some(start) = options.only.iter().find(|start| !rows.iter().any(|row| row.id.starts_with(*start)))
    {
        return Err(RunError::NoRow(start.clone()));
    }
    target.probe(options.patience)?;
    let unreachable = |cause| TargetError::Unreachable { url: target.url.clone(), cause };
    let mut canary = Canary::start(target, options.patience).map_err(unreachable)?;
    let vitals = Vitals::new(options.metrics.as_deref(), options.pid).map_err(RunError::Vitals)?;
    let mut outcomes = Vec::new();
    for row in rows {
        let chosen = options.only.is_empty() || options.only.iter().any(|start| row.id.starts_with(start));
        if !chosen || row.priority > options.priority_max {
            continue;
        }
        let trial = Trial { target, row, options, vitals: &vitals };
        let (outcome, canary_died) = trial.outcome(&canary)?;
        each(&outcome);
        outcomes.push(outcome);
        if canary_died {
            let gone = |cause| RunError::Gone { row: row.id.clone(), cause };
            canary = Canary::start(target, options.patience).map_err(gone)?;
        }
    }
    Ok(outcomes)
}

struct Trial<'r> {
    target: &'r Target,
    row: &'r Row,
    options: &'r Options,
    vitals: &'r Vitals,
}

impl Trial<'_> {
    fn outcome(&self, canary: &Canary) -> Result<(Outcome, bool), RunError> {
        let row = self.row;
        let mut outcome = Outcome {
            id: row.id.clone(),
            title: row.title.clone(),
            source: row.source.clone(),
            verdict: Verdict::Pass,
            policy: row.policy.clone(),
            conversations: 0,
            canary: Lap::default(),
            memory_growth: None,
            seconds: 0.0,
        };
        if let Some(reason) = row.requirements().find_map(|need| self.target.lacks(need)) {
            outcome.verdict = Verdict::Skipped(reason);
            return Ok((outcome, false));
        }
        let conversations = row.conversations(self.target)?;
        outcome.conversations = conversations.len() * row.times * row.connections;
        let begin = clock::now();
        let before = self.vitals.counters(&row.moves);
        canary.begin_lap();
        let (verdict, growth) = self.vitals.growth(|| self.play(&conversations));
        outcome.verdict = verdict;
        outcome.memory_growth = growth;
        if let (Some(growth), Some(most)) = (growth, row.memory)
            && growth > most
        {
            self.fails(&mut outcome, format!("memory grew by {growth} bytes, at most {most} are due"));
        }
        let lap = canary.end_lap(self.options.patience);
        let canary_died = lap.is_err();
        match lap {
            Ok(lap) => outcome.canary = lap,
            Err(cause) => self.fails(&mut outcome, format!("an honest client was harmed: {cause}")),
        }
        let late = Duration::from_micros(outcome.canary.p99_us);
        if self.options.canary_budget.is_some_and(|budget| late > budget) {
            self.fails(&mut outcome, format!("an honest client waited {late:?} (p99)"));
        }
        if outcome.verdict == Verdict::Pass && !canary_died {
            let settled = before.and_then(|before| self.vitals.settle(&row.moves, &before, self.patience()));
            settled.unwrap_or_else(|complaint| self.fails(&mut outcome, complaint));
        }
        if let (true, Verdict::Differs(why)) = (self.options.exact, &outcome.verdict) {
            outcome.verdict = Verdict::Fail(why.clone());
        }
        outcome.seconds = begin.elapsed().as_secs_f64();
        Ok((outcome, canary_died))
    }

    #[expect(clippy::unused_self, reason = "reads like the others")]
    fn fails(&self, outcome: &mut Outcome, why: String) {
        outcome.verdict = outcome.verdict.clone().worst(Verdict::Fail(why));
    }

    fn patience(&self) -> Duration {
        self.options.patience + self.row.needs.iter().map(|need| self.target.delay(need)).sum::<Duration>()
    }

    /// The worst of all conversations.
    fn play(&self, conversations: &[(String, Vec<Step>)]) -> Verdict {
        let setting = Setting {
            path: self.row.path(self.target).to_owned(),
            patience: self.patience(),
            mute: self.row.mute,
            packs: self.target.deflate && !self.row.needs.iter().any(|need| need == "deflate"),
        };
        let mut worst = Verdict::Pass;
        for (case, steps) in conversations {
            for _ in 0..self.row.times {
                let verdict = self.together(&setting, steps);
                worst = worst.worst(named(case, verdict));
            }
        }
        worst
    }

    /// One conversation, by as many peers as the row asks for.
    fn together(&self, setting: &Setting, steps: &[Step]) -> Verdict {
        if self.row.connections == 1 {
            return player::play(self.target, setting, steps);
        }
        std::thread::scope(|scope| {
            let peers: Vec<_> = (0..self.row.connections)
                .map(|_| {
                    let peer = std::thread::Builder::new().stack_size(STACK_BYTES);
                    peer.spawn_scoped(scope, || player::play(self.target, setting, steps))
                })
                .collect();
            let verdicts =
                peers.into_iter().map(|peer| match peer.map(std::thread::ScopedJoinHandle::join) {
                    Ok(Ok(verdict)) => verdict,
                    Ok(Err(_)) => Verdict::Fail("a peer of ours broke down".into()),
                    Err(error) => Verdict::Fail(format!("no thread for a peer: {error}")),
                });
            verdicts.fold(Verdict::Pass, Verdict::worst)
        })
    }
}

/// Says in which case it was.
fn named(case: &str, verdict: Verdict) -> Verdict {
    if case.is_empty() {
        return verdict;
    }
    let case: String = if case.chars().count() > 60 {
        case.chars().take(57).chain("...".chars()).collect()
    } else {
        case.to_owned()
    };
    match verdict {
        Verdict::Differs(why) => Verdict::Differs(format!("[{case}] {why}")),
        Verdict::Fail(why) => Verdict::Fail(format!("[{case}] {why}")),
        Verdict::Pass | Verdict::Skipped(_) => verdict,
    }
}

/// A peer keeps its buffers on the heap.
const STACK_BYTES: usize = 256 * 1024;
