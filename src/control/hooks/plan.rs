//! Which back ends are wanted; a reload changes it while the node runs.

use super::options::HookOptions;
use tokio::sync::watch;

/// Clones are the same plan.
#[derive(Clone, Debug)]
pub struct HookPlan(watch::Sender<HookOptions>);

impl HookPlan {
    pub fn new(options: HookOptions) -> Self {
        Self(watch::Sender::new(options))
    }

    /// Whoever asks after this finds it in force.
    pub fn change(&self, wanted: HookOptions) {
        self.0.send_if_modified(|current| {
            let is_other = *current != wanted;
            *current = wanted;
            is_other
        });
    }

    pub(super) fn follow(&self) -> watch::Receiver<HookOptions> {
        self.0.subscribe()
    }
}
