//! Durable history of one node: what channels keep, on disk, behind a thread of its own.
//!
//! The owner core of a channel sends orders and hears of each one's fate; everything that waits is committed as one
//! group. Invariant: a fate that says done is on disk, and what is loaded was acknowledged, byte by byte, at that place
//! of that epoch. What the disk lost costs the channel its epoch, never an answer that is silently wrong.
//! Knows nothing of shards, connections or codecs.
//!
//! Split: `order` (what is asked and answered), `shelf` (the database), `mark` (the watermark beside it), `record` and
//! `keys` (what lies there), `group` (orders to changes), `load` (changes to a channel's state), `sweep` (what is too
//! old), `keeper` (the thread).

mod fault;
mod group;
mod keeper;
mod keys;
mod load;
mod mark;
mod order;
mod record;
mod shelf;
mod stats;
mod sweep;
#[cfg(test)]
mod tests;

pub use fault::StoreError;
pub use order::{ChannelState, Fate, Idempotency, Keep, Note, Order, Remembered, Ticket, Version};
#[cfg(debug_assertions)]
pub use record::read_any;
pub use stats::{FIGURES, StoreStats};

use crate::failpoint::FailPoints;
use crate::limits;
use crate::sys::{clock, journal};
use crossbeam_channel::{Sender, TrySendError, bounded};
use keeper::{Keeper, Message};
use shelf::Shelf;
use stats::Published;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

/// When a group counts as stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Commit {
    /// After fsync: survives a power failure.
    #[default]
    Disk,
    /// When the kernel has it: survives the death of the process. After the death of the machine every channel gets a
    /// new epoch, because nobody knows how much was lost.
    Os,
}

#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// A folder of its own; made if it is missing.
    pub path: PathBuf,
    pub commit: Commit,
    /// Orders that may wait. Beyond: given back.
    pub queue_count_max: usize,
    /// Bytes of publications that may wait. Beyond: given back.
    pub queue_bytes_max: u64,
    /// Orders of one group.
    pub group_count_max: usize,
    /// Bytes of publications in one group; one more may come on top.
    pub group_bytes_max: u64,
    /// Between two passes over everything that may have become too old.
    pub sweep_ms: u64,
    /// Unix time in milliseconds.
    pub now_ms: fn() -> u64,
    /// What an operator should read: lost records, a full disk, its end.
    pub notice: fn(&str),
    /// What shall fail, in tests.
    pub fail: FailPoints,
}

impl StoreOptions {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            commit: Commit::default(),
            queue_count_max: limits::STORE_QUEUE_COUNT_MAX,
            queue_bytes_max: u64::from(limits::STORE_QUEUE_BYTES_MAX),
            group_count_max: limits::STORE_GROUP_COUNT_MAX,
            group_bytes_max: u64::from(limits::STORE_GROUP_BYTES_MAX),
            sweep_ms: limits::STORE_SWEEP_MS,
            now_ms: || clock::wall().as_millis() as u64,
            notice: |text| journal::tell(format!("store: {text}")),
            fail: FailPoints::default(),
        }
    }
}

/// Where orders go; as many clones as there are cores.
#[derive(Clone, Debug)]
pub struct Store {
    queue: Sender<Message>,
    waiting_bytes: Arc<AtomicU64>,
    queue_bytes_max: u64,
    published: Arc<Published>,
}

impl Store {
    /// Opens the folder, or makes it, and starts the thread. `deliver` is called on that thread, after the commit of the
    /// group; the fates of one channel come in the order of its orders. It must not block.
    pub fn open(
        options: StoreOptions,
        deliver: impl Fn(Fate) + Send + 'static,
    ) -> Result<(Self, StoreThread), StoreError> {
        let (queue, orders) = bounded(options.queue_count_max.max(1));
        let published = Arc::new(Published::default());
        let waiting_bytes = Arc::new(AtomicU64::new(0));
        let store = Self {
            queue: queue.clone(),
            waiting_bytes: Arc::clone(&waiting_bytes),
            queue_bytes_max: options.queue_bytes_max,
            published: Arc::clone(&published),
        };
        let shelf = Shelf::open(&options.path, options.commit, options.notice)?;
        let notes = shelf.notes()?;
        let path = options.path.clone();
        let keeper = Keeper::new(options, shelf, orders, waiting_bytes, published, Box::new(deliver));
        let thread = std::thread::Builder::new()
            .name("ringway-store".to_owned())
            .spawn(move || keeper.run())
            .map_err(|error| StoreError::io(&path, &error))?;
        Ok((store, StoreThread { queue, thread: Some(thread), notes }))
    }

    /// Never blocks. Gives the order back when the queue is full or the store has closed: whoever waits for it has to be
    /// refused at once. An order that was taken is answered exactly once, `Expire` apart.
    pub fn order(&self, order: Order) -> Result<(), Order> {
        let bytes = order.bytes();
        let waiting = self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        let refused = if waiting > 0 && waiting + bytes > self.queue_bytes_max {
            Some(order)
        } else {
            self.queue.try_send(Message::Order(order)).err().and_then(|error| match error {
                TrySendError::Full(message) | TrySendError::Disconnected(message) => message.into_order(),
            })
        };
        match refused {
            Some(order) => {
                self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
                self.published.refused.fetch_add(1, Ordering::Relaxed);
                Err(order)
            }
            None => Ok(()),
        }
    }

    pub fn stats(&self) -> StoreStats {
        self.published.read()
    }
}

/// The thread of a store. Closing, or dropping, serves what waits, commits it and then lets go of the folder.
#[derive(Debug)]
pub struct StoreThread {
    queue: Sender<Message>,
    thread: Option<JoinHandle<()>>,
    notes: Vec<Note>,
}

impl StoreThread {
    /// What the node had kept for itself, as it was when the store was opened. Gives it once.
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// False: the thread had panicked, so the folder was not closed in order. Opening it again mends that.
    pub fn close(mut self) -> bool {
        self.end()
    }

    fn end(&mut self) -> bool {
        let Some(thread) = self.thread.take() else { return true };
        // Refused only if the thread has ended already.
        let _ = self.queue.send(Message::Close);
        thread.join().is_ok()
    }
}

impl Drop for StoreThread {
    fn drop(&mut self) {
        self.end();
    }
}
