//! Who is still at work: the cores of a node tell each other, and the thread that waits for them.
//!
//! A core without clients goes on serving the mail of the others until the last one has drained, because it owns
//! channels that their clients still use. A core that ends for any other reason, a panic included, is heard of.

use crate::ids::CoreId;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// One per node.
#[derive(Debug)]
pub struct Roll {
    busy: Arc<AtomicU32>,
    ended: Sender<CoreId>,
}

/// One per core, held as long as it runs.
#[derive(Debug)]
pub struct Entry {
    core: CoreId,
    busy: Arc<AtomicU32>,
    ended: Sender<CoreId>,
    is_drained: bool,
}

impl Roll {
    /// The receiver hears of every core that ends.
    pub fn new(core_count: u16) -> (Self, Receiver<CoreId>) {
        let (ended, heard) = bounded(usize::from(core_count));
        (Self { busy: Arc::new(AtomicU32::new(u32::from(core_count))), ended }, heard)
    }

    pub fn entry(&self, core: CoreId) -> Entry {
        Entry { core, busy: Arc::clone(&self.busy), ended: self.ended.clone(), is_drained: false }
    }
}

impl Entry {
    /// Signs this core off. True once: when it was the last, and the others have to be woken.
    pub fn drained(&mut self) -> bool {
        if self.is_drained {
            return false;
        }
        self.is_drained = true;
        self.busy.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Nobody has clients any more.
    pub fn is_complete(&self) -> bool {
        self.is_drained && self.busy.load(Ordering::Acquire) == 0
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let _ = self.ended.try_send(self.core);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_core_to_drain_is_told_so_and_only_then_is_anyone_done() {
        let (roll, _) = Roll::new(2);
        let (mut one, mut two) = (roll.entry(CoreId(0)), roll.entry(CoreId(1)));
        assert!(!one.drained());
        assert!(!one.is_complete());
        assert!(two.drained());
        assert!(!two.drained());
        assert!(one.is_complete() && two.is_complete());
    }

    #[test]
    fn a_core_that_panics_is_heard_of() {
        let (roll, heard) = Roll::new(1);
        let entry = roll.entry(CoreId(0));
        let thread = std::thread::spawn(move || {
            let _entry = entry;
            panic!("on purpose");
        });
        assert!(thread.join().is_err());
        assert_eq!(heard.recv(), Ok(CoreId(0)));
    }
}
