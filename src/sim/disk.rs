//! The durable store as the cores see it: orders in, fates out, and what outlives a restart.
//! Invariant: the fates of one channel come in the order of its orders, refusals apart; what is done is kept; an append
//! that does not follow fails, and so do those behind a failed one.

use crate::ids::CoreId;
use crate::publication::Publication;
use crate::store::{ChannelState, Fate, Idempotency, Order, Remembered, StoreError, Ticket};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, Default)]
pub struct Disk {
    orders: VecDeque<Order>,
    /// By core.
    fates: BTreeMap<usize, VecDeque<Fate>>,
    channels: BTreeMap<Arc<str>, Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    epoch: Arc<str>,
    top: u64,
    publications: Vec<Arc<Publication>>,
    idempotency: Vec<Remembered>,
}

impl Disk {
    pub fn order(&mut self, order: Order) {
        self.orders.push_back(order);
    }

    /// The queue is full: whoever asks hears it before everything that waits.
    pub fn refuse(&mut self, order: &Order) {
        if let Some(ticket) = order.ticket() {
            let why = StoreError::Behind { path: PathBuf::new() };
            self.fates.entry(ticket.core.index()).or_default().push_front(Fate::Failed { ticket, why });
        }
    }

    pub fn waiting(&self) -> usize {
        self.orders.len()
    }

    pub fn is_idle(&self) -> bool {
        self.orders.is_empty() && self.fates.values().all(VecDeque::is_empty)
    }

    /// Serves the next order, or fails it.
    pub fn work(&mut self, fails: bool, unix_ms: u64) {
        let Some(order) = self.orders.pop_front() else { return };
        let Some(ticket) = order.ticket() else { return };
        let fate = if fails {
            Fate::Failed { ticket, why: StoreError::Full { path: PathBuf::new() } }
        } else {
            self.serve(order, unix_ms)
        };
        self.fates.entry(ticket.core.index()).or_default().push_back(fate);
    }

    pub fn has_fate(&self, core: usize) -> bool {
        self.fates.get(&core).is_some_and(|fates| !fates.is_empty())
    }

    pub fn fate(&mut self, core: usize) -> Option<Fate> {
        self.fates.get_mut(&core)?.pop_front()
    }

    /// The process is gone, and what it had not committed.
    pub fn crash(&mut self) {
        self.orders.clear();
        self.fates.clear();
    }

    fn serve(&mut self, order: Order, unix_ms: u64) -> Fate {
        match order {
            Order::Load { ticket, channel, limit } => {
                let state = self.channels.get(&channel).map(|kept| Box::new(kept.state(limit, unix_ms)));
                Fate::Loaded { ticket, state }
            }
            Order::Append { ticket, channel, epoch, publication, idempotency, .. } => {
                let kept = self.channels.entry(channel).or_default();
                match kept.append(&epoch, publication, idempotency) {
                    Ok(()) => Fate::Done { ticket },
                    Err(why) => Fate::Failed { ticket, why },
                }
            }
            Order::Remove { ticket, channel } => {
                if let Some(kept) = self.channels.get_mut(&channel) {
                    kept.publications.clear();
                }
                Fate::Done { ticket }
            }
            Order::Cursor { ticket, .. } | Order::Note { ticket, .. } => Fate::Done { ticket },
            Order::Expire { .. } => Fate::Done { ticket: NOBODY },
        }
    }
}

impl Kept {
    fn append(
        &mut self,
        epoch: &Arc<str>,
        publication: Arc<Publication>,
        idempotency: Option<Idempotency>,
    ) -> Result<(), StoreError> {
        let offset = publication.offset;
        if self.epoch != *epoch {
            *self = Self { epoch: Arc::clone(epoch), top: offset - 1, ..Self::default() };
        }
        if offset != self.top + 1 {
            return Err(StoreError::OutOfOrder { offset, top: self.top });
        }
        self.top = offset;
        self.publications.push(publication);
        let remember = |Idempotency { key, until_ms }| Remembered { key, offset, until_ms };
        self.idempotency.extend(idempotency.map(remember));
        Ok(())
    }

    fn state(&self, limit: u32, unix_ms: u64) -> ChannelState {
        let skip = self.publications.len().saturating_sub(limit as usize);
        let is_known = |known: &&Remembered| known.until_ms > unix_ms;
        ChannelState {
            epoch: Arc::clone(&self.epoch),
            top: self.top,
            publications: self.publications[skip..].to_vec(),
            idempotency: self.idempotency.iter().filter(is_known).cloned().collect(),
            ..ChannelState::default()
        }
    }
}

/// An order without a ticket has no answer, so nobody hears this one.
const NOBODY: Ticket = Ticket { core: CoreId(0), request: 0 };
