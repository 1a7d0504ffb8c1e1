//! What is looked at a few times a second and whenever a stage may have ended, not at every turn.

use super::{Engine, EngineError, Stage, WAIT_NS_MAX};
use crate::plan::Note;
use crate::sampler::process::Turns;
use crate::schedule::Schedule;

/// After the last delivery: duplicates would come now.
const LINGER_NS: u64 = 100_000_000;
/// Between two looks at a stage that may end by itself.
const STAGE_NS: u64 = 5_000_000;

impl Engine {
    pub(super) fn chores(&mut self, now: u64) -> Result<(), EngineError> {
        for slot in self.dialer.overdue(now) {
            self.lose(slot, "handshake took longer than 10 s");
        }
        if let Some(dialled) = self.dialer.finish(now) {
            self.note(&Note::Connected(dialled))?;
        }
        if let Some(second) = self.traffic.roll(now, Turns::own) {
            self.note(&Note::Second(second))?;
        }
        if now >= self.progress_at {
            self.progress_at = now + WAIT_NS_MAX;
            let (connected, sent, received) =
                (self.dialer.connected(), self.traffic.sent, self.traffic.received);
            self.note(&Note::Progress { connected, sent, received })?;
        }
        self.look_at_stage(now)?;
        self.plan_chores(now);
        Ok(())
    }

    fn plan_chores(&mut self, now: u64) {
        let stage = match self.stage {
            Stage::StormAt(at) => Some(at),
            Stage::Waiting | Stage::Sent | Stage::Over => None,
            Stage::Sending | Stage::Settling { .. } | Stage::Leaving { .. } => Some(now + STAGE_NS),
        };
        let second = self.traffic.next_at(now);
        self.chores_at = [stage, second].into_iter().flatten().fold(self.progress_at, u64::min);
    }

    fn look_at_stage(&mut self, now: u64) -> Result<(), EngineError> {
        match self.stage {
            Stage::Waiting | Stage::Sent | Stage::Over => {}
            Stage::StormAt(at) => {
                if now >= at {
                    self.storm(at);
                }
            }
            Stage::Sending => {
                let Some(window) = self.traffic.window else { return Ok(()) };
                if !self.primed && now >= window.begin_ns {
                    self.primed = true;
                    self.prime_closed_loop();
                }
                let done = self.schedule.as_ref().and_then(Schedule::next_at).is_none();
                if now >= window.until_ns && done {
                    self.stage = Stage::Sent;
                    let note = self.published();
                    self.note(&note)?;
                }
            }
            Stage::Settling { expected, deadline_ns, complete_at } => {
                self.settle(now, expected, deadline_ns, complete_at)?;
            }
            Stage::Leaving { deadline_ns } => {
                if self.open_count == 0 || now >= deadline_ns {
                    let ending = self.traffic.ending();
                    self.note(&Note::Finished(ending))?;
                    self.stage = Stage::Over;
                }
            }
        }
        Ok(())
    }

    fn settle(
        &mut self,
        now: u64,
        expected: u64,
        deadline_ns: u64,
        complete_at: Option<u64>,
    ) -> Result<(), EngineError> {
        let complete = self.traffic.delivered() >= expected;
        let complete_at = complete_at.or(complete.then_some(now));
        let lingered = complete_at.is_some_and(|at| now >= at + LINGER_NS);
        if lingered || now >= deadline_ns {
            let (second, loaded) = self.traffic.settle(expected);
            self.stage = Stage::Waiting;
            self.schedule = None;
            self.note(&Note::Second(second))?;
            return self.note(&Note::Settled(loaded));
        }
        self.stage = Stage::Settling { expected, deadline_ns, complete_at };
        Ok(())
    }
}
