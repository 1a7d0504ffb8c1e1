//! What the node itself keeps across restarts: revocations, as notes in the durable store.
//!
//! Invariant: notes are ordered in the order of the acts, so that the last note about somebody is what is in force; an act
//! is confirmed once it is on the disk. Notes are read before anything is listened to.

use crate::auth::{Change, Revocations};
use crate::ids::CoreId;
use crate::store::{Fate, Note, Order, Store, StoreError, Ticket};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

#[derive(Debug)]
pub struct Ledger {
    store: Store,
    receipts: Arc<Receipts>,
    next: AtomicU64,
}

/// Notes that are on their way to the disk.
#[derive(Debug, Default)]
pub struct Receipts(Mutex<HashMap<u64, oneshot::Sender<Result<(), StoreError>>>>);

/// What the notes of an earlier process come to.
#[derive(Debug, Default)]
pub struct Remembered {
    pub revocations: Revocations,
    /// Names of notes that do not matter any more.
    pub over: Vec<Vec<u8>>,
    /// Notes that cannot be read, or that there is no room for.
    pub lost: usize,
}

impl Remembered {
    pub fn read(notes: Vec<Note>, now_unix_s: u64) -> Self {
        let mut remembered = Self::default();
        for note in notes {
            let change = note.value.and_then(|value| serde_json::from_slice::<Change>(&value).ok());
            let Some(change) = change else {
                remembered.lost += 1;
                continue;
            };
            if change.is_over(now_unix_s) {
                remembered.over.push(note.name);
            } else if remembered.revocations.apply(change, now_unix_s).is_err() {
                remembered.lost += 1;
            }
        }
        remembered
    }
}

impl Ledger {
    /// `receipts` hears of the fates of what this orders.
    pub fn new(store: Store, receipts: Arc<Receipts>) -> Self {
        Self { store, receipts, next: AtomicU64::new(0) }
    }

    /// Takes these away, without waiting for it.
    pub fn forget(&self, names: Vec<Vec<u8>>) {
        for name in names {
            drop(self.write(name, None));
        }
    }

    /// Orders that what is in force after this act is kept. Never waits; the order of calls is that of the notes.
    pub(super) fn keep(&self, change: &Change, in_force: &Revocations) -> Receipt {
        let kept = in_force.kept(change).and_then(|kept| serde_json::to_vec(&kept).ok());
        self.write(change.subject().to_vec(), kept)
    }

    fn write(&self, name: Vec<u8>, value: Option<Vec<u8>>) -> Receipt {
        let request = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receipt) = oneshot::channel();
        self.receipts.lock().insert(request, sender);
        let ticket = Ticket { core: CoreId::NODE, request };
        if self.store.order(Order::Note { ticket, note: Note { name, value } }).is_err() {
            // Whoever waits hears that nobody will answer.
            self.receipts.lock().remove(&request);
        }
        Receipt(receipt)
    }
}

impl Receipts {
    pub fn settle(&self, fate: Fate) {
        let waiting = self.lock().remove(&fate.ticket().request);
        let outcome = match fate {
            Fate::Failed { why, .. } => Err(why),
            Fate::Done { .. } | Fate::Loaded { .. } => Ok(()),
        };
        if let Some(sender) = waiting {
            // Nobody waits for what is only forgotten.
            let _ = sender.send(outcome);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Result<(), StoreError>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of a note on its way to the disk.
pub(super) struct Receipt(oneshot::Receiver<Result<(), StoreError>>);

impl Receipt {
    /// Whether it is on the disk, once that is known.
    pub(super) async fn wait(self) -> bool {
        matches!(self.0.await, Ok(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(change: &Change) -> Note {
        Note { name: change.subject().to_vec(), value: Some(serde_json::to_vec(change).unwrap()) }
    }

    #[test]
    fn notes_come_to_what_was_in_force_without_what_is_over() {
        let block = Change::BlockUser { user: Box::from("ada"), until: 0 };
        let over = Change::BlockUser { user: Box::from("ben"), until: 100 };
        let broken = Note { name: vec![1], value: Some(b"{".to_vec()) };
        let remembered = Remembered::read(vec![note(&block), note(&over), broken], 100);
        assert!(remembered.revocations.is_blocked("ada", 100));
        assert!(!remembered.revocations.is_blocked("ben", 99), "it was over when it was read");
        assert_eq!((remembered.over, remembered.lost), (vec![over.subject().to_vec()], 1));
    }
}
