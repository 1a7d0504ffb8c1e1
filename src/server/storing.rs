//! The durable store, and what the node remembers with it.
//! Invariant: what an earlier process was told to keep out is known before anything listens.

use crate::config::Config;
use crate::control::{Ledger, Receipts, Remembered};
use crate::failpoint::FailPoints;
use crate::fatal::Fatal;
use crate::ids::CoreId;
use crate::shard::mail::Mail;
use crate::store::{Commit, Fate, Store, StoreOptions, StoreThread};
use crate::sys::clock;
use crate::sys::mailbox::Mailbox;
use std::sync::Arc;

pub(super) struct Memory {
    pub(super) store: Store,
    /// Ends the store with its drop.
    pub(super) thread: StoreThread,
    pub(super) ledger: Arc<Ledger>,
    pub(super) remembered: Remembered,
}

/// None: nothing is kept.
pub(super) fn open_store(
    config: &Config,
    mailboxes: &[Mailbox<Mail>],
    fail: &FailPoints,
) -> Result<Option<Memory>, Fatal> {
    if config.store.path.is_empty() {
        return Ok(None);
    }
    let (mailboxes, receipts) = (mailboxes.to_vec(), Arc::<Receipts>::default());
    let theirs = Arc::clone(&receipts);
    let deliver = move |fate: Fate| {
        if fate.ticket().core == CoreId::NODE {
            return theirs.settle(fate);
        }
        let Some(mailbox) = mailboxes.get(fate.ticket().core.index()) else { return };
        let mut letter = Mail::Fate(fate);
        for _ in 0..FATE_ATTEMPT_COUNT_MAX {
            match mailbox.post(letter) {
                Ok(()) => return,
                // A core that is behind catches up; one that has ended never does.
                Err(returned) => letter = returned,
            }
            std::thread::yield_now();
        }
    };
    let commit = if config.store.sync == "os" { Commit::Os } else { Commit::Disk };
    let options = StoreOptions { commit, fail: fail.clone(), ..StoreOptions::new(&config.store.path) };
    let (store, mut thread) = Store::open(options, deliver).map_err(Fatal::Store)?;
    let mut remembered = Remembered::read(thread.take_notes(), clock::wall().as_secs());
    if remembered.lost > 0 {
        eprintln!("ringway: {} revocations in {} cannot be read", remembered.lost, config.store.path);
    }
    let ledger = Arc::new(Ledger::new(store.clone(), receipts));
    ledger.forget(std::mem::take(&mut remembered.over));
    Ok(Some(Memory { store, thread, ledger, remembered }))
}

/// Times that the store offers a fate to a core whose mailbox is full: seconds on any machine.
const FATE_ATTEMPT_COUNT_MAX: u32 = 10_000_000;
