//! How far the process has come: starting, ready, draining, replaced, stopped.
//! Invariant: it only ever moves forward, so a core that reports ready late cannot undo a stop.

use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    Starting,
    Ready,
    Draining,
    /// Draining, and another process answers in our place.
    Replaced,
    Stopped,
}

impl Phase {
    /// The word that `/readyz` answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Replaced => "replaced",
            Self::Stopped => "stopped",
        }
    }
}

#[derive(Debug, Default)]
pub struct Lifecycle(AtomicU8);

impl Lifecycle {
    pub fn phase(&self) -> Phase {
        match self.0.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            2 => Phase::Draining,
            3 => Phase::Replaced,
            _ => Phase::Stopped,
        }
    }

    pub fn is_ready(&self) -> bool {
        self.phase() == Phase::Ready
    }

    /// Every core listens.
    pub fn set_ready(&self) {
        self.advance(Phase::Ready);
    }

    /// A stop has begun: load balancers should look elsewhere.
    pub fn set_draining(&self) {
        self.advance(Phase::Draining);
    }

    /// The same, with a successor.
    pub fn set_replaced(&self) {
        self.advance(Phase::Replaced);
    }

    /// Every core has ended.
    pub fn set_stopped(&self) {
        self.advance(Phase::Stopped);
    }

    fn advance(&self, phase: Phase) {
        self.0.fetch_max(phase as u8, Ordering::AcqRel);
    }
}

/// Tells those who watch, forward only: whoever says that a drain begins may be overtaken by its end.
pub(super) fn tell(watched: &watch::Sender<Phase>, phase: Phase) {
    watched.send_if_modified(|current| {
        let is_news = *current < phase;
        *current = (*current).max(phase);
        is_news
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_that_has_ended_is_not_told_to_begin() {
        let (watched, follow) = watch::channel(Phase::Ready);
        tell(&watched, Phase::Stopped);
        tell(&watched, Phase::Draining);
        assert_eq!(*follow.borrow(), Phase::Stopped);
    }

    #[test]
    fn a_late_ready_does_not_undo_a_drain() {
        let lifecycle = Lifecycle::default();
        assert_eq!(lifecycle.phase(), Phase::Starting);
        lifecycle.set_draining();
        lifecycle.set_ready();
        assert_eq!(lifecycle.phase(), Phase::Draining);
        assert!(!lifecycle.is_ready());
    }
}
