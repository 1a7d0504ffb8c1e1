//! The thread of the store: takes what waits, commits it as one group, delivers the fates, sweeps in between.
//!
//! Invariant: every order is answered once, after its group is on disk or has failed. While nothing can be stored,
//! orders fail at once, loads go on as long as the database can be read, and the thread tries again by itself.

use super::StoreOptions;
use super::fault::StoreError;
use super::group::{Group, Pending, Sealed};
use super::order::{Fate, Order, Ticket};
use super::shelf::{Changes, Shelf};
use super::stats::Published;
use super::sweep::Sweep;
use crate::failpoint::Point;
use crate::limits;
use crate::sys::clock;
use crate::sys::panics::{self, Plane};
use crate::time::Moment;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub(super) enum Message {
    Order(Order),
    Close,
}

impl Message {
    pub(super) fn into_order(self) -> Option<Order> {
        match self {
            Self::Order(order) => Some(order),
            Self::Close => None,
        }
    }
}

pub(super) struct Keeper {
    options: StoreOptions,
    shelf: Shelf,
    orders: Receiver<Message>,
    waiting_bytes: Arc<AtomicU64>,
    published: Arc<Published>,
    deliver: Box<dyn Fn(Fate) + Send>,
    failure: Option<Failure>,
    sweep: Sweep,
    sweep_at: Moment,
    /// Orders that are being served and have no fate yet, in order.
    unanswered: VecDeque<Ticket>,
}

/// Why nothing can be stored at present.
struct Failure {
    why: StoreError,
    /// What the failed commit had changed, as it was before; none: that could not be read.
    undo: Option<Changes>,
    retry_at: Moment,
}

impl Keeper {
    pub(super) fn new(
        options: StoreOptions,
        shelf: Shelf,
        orders: Receiver<Message>,
        waiting_bytes: Arc<AtomicU64>,
        published: Arc<Published>,
        deliver: Box<dyn Fn(Fate) + Send>,
    ) -> Self {
        let sweep_at = clock::now() + Duration::from_millis(options.sweep_ms);
        Self {
            options,
            shelf,
            orders,
            waiting_bytes,
            published,
            deliver,
            failure: None,
            sweep: Sweep::default(),
            sweep_at,
            unanswered: VecDeque::new(),
        }
    }

    pub(super) fn run(mut self) {
        loop {
            let first = match self.orders.recv_timeout(self.pause()) {
                Ok(Message::Order(order)) => Some(order),
                Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => None,
            };
            let (orders, is_closing) = self.gather(first);
            self.recover();
            self.serve_or_fail(orders);
            if is_closing {
                break;
            }
        }
        self.close();
    }

    /// How long there is nothing to do without an order.
    fn pause(&self) -> Duration {
        let now = clock::now();
        let sweep = if self.failure.is_some() {
            Duration::MAX
        } else if self.sweep.is_idle() {
            self.sweep_at.since(now)
        } else {
            Duration::from_millis(limits::STORE_SWEEP_PAUSE_MS)
        };
        let retry = self.failure.as_ref().map_or(Duration::MAX, |failure| failure.retry_at.since(now));
        sweep.min(retry)
    }

    /// Everything that waits, up to the size of a group. True: nothing comes after it.
    fn gather(&self, first: Option<Order>) -> (Vec<Order>, bool) {
        let mut orders = Vec::new();
        let mut bytes = 0;
        let mut next = first;
        loop {
            if let Some(order) = next.take() {
                bytes += order.bytes();
                orders.push(order);
            }
            if orders.len() >= self.options.group_count_max || bytes >= self.options.group_bytes_max {
                break;
            }
            match self.orders.try_recv() {
                Ok(Message::Order(order)) => next = Some(order),
                Ok(Message::Close) => return (self.release(bytes, orders), true),
                Err(_) => break,
            }
        }
        (self.release(bytes, orders), false)
    }

    fn release(&self, bytes: u64, orders: Vec<Order>) -> Vec<Order> {
        self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        orders
    }

    /// A bug of ours costs the orders that it was met in. What fails here has not been committed: the disk's own part
    /// has a guard of its own, and behind it nothing is left to do but to tell.
    fn serve_or_fail(&mut self, orders: Vec<Order>) {
        self.unanswered = orders.iter().filter_map(Order::ticket).collect();
        if catch_unwind(AssertUnwindSafe(|| self.serve(orders))).is_ok() {
            return;
        }
        panics::count(Plane::Store);
        self.sweep = Sweep::default();
        for ticket in std::mem::take(&mut self.unanswered) {
            Published::add(&self.published.failures, 1);
            self.tell(Fate::Failed { ticket, why: StoreError::Internal });
        }
    }

    fn tell(&mut self, fate: Fate) {
        if catch_unwind(AssertUnwindSafe(|| (self.deliver)(fate))).is_err() {
            panics::count(Plane::Store);
        }
    }

    fn serve(&mut self, orders: Vec<Order>) {
        if clock::now() >= self.sweep_at && self.sweep.is_idle() {
            self.sweep.begin();
            self.sweep_at = clock::now() + Duration::from_millis(self.options.sweep_ms);
        }
        let (now_ms, notice) = ((self.options.now_ms)(), self.options.notice);
        let mut orders = orders.into_iter().peekable();
        loop {
            let mut group = Group::new(&self.shelf, now_ms, notice);
            while let Some(order) = orders.next_if(|order| !needs_commit(&group, order)) {
                self.options.fail.hit(Point::Store, order.channel());
                group.take(order);
            }
            let is_last = orders.peek().is_none();
            if is_last && self.failure.is_none() && !self.sweep.is_idle() {
                // A part of the database that cannot be read is heard of when it is asked for.
                let swept = self.sweep.step(&mut group);
                if let Err(error) = swept {
                    notice(&format!("the sweep stopped: {error}"));
                }
            }
            let sealed = group.seal();
            self.finish(sealed);
            if is_last {
                return;
            }
        }
    }

    fn finish(&mut self, sealed: Sealed) {
        let Sealed { changes, fates, tally, error } = sealed;
        let failed = error.or_else(|| self.commit(&changes));
        let published = Arc::clone(&self.published);
        Published::add(&published.loads, tally.loads);
        if tally.orders > 0 {
            Published::set(&published.group_size, tally.orders);
            published.group_size_max.fetch_max(tally.orders, Ordering::Relaxed);
        }
        if failed.is_none() {
            let bytes =
                changes.iter().map(|((_, key), value)| key.len() + value.as_ref().map_or(0, Vec::len));
            Published::add(&published.bytes, bytes.sum::<usize>() as u64);
            Published::add(&published.records, tally.records);
            Published::add(&published.cut_records, tally.cut);
            Published::add(&published.lost_epochs, tally.lost_epochs);
            Published::add(&published.swept, tally.swept);
        }
        for Pending { fate, is_written } in fates {
            let fate = match &failed {
                Some(why) if is_written => Fate::Failed { ticket: fate.ticket(), why: why.clone() },
                Some(_) | None => fate,
            };
            if matches!(fate, Fate::Failed { .. }) {
                Published::add(&published.failures, 1);
            }
            self.unanswered.pop_front();
            self.tell(fate);
        }
    }

    /// Why it failed.
    fn commit(&mut self, changes: &Changes) -> Option<StoreError> {
        if changes.is_empty() {
            return None;
        }
        if let Some(failure) = &self.failure {
            return Some(failure.why.clone());
        }
        let begin = clock::now();
        let why = self.shelf.commit(changes).err();
        let spent_ns = clock::now().since(begin).as_nanos() as u64;
        Published::set(&self.published.commit_ns, spent_ns);
        Published::add(&self.published.commit_busy_ns, spent_ns);
        let Some(why) = why else {
            Published::add(&self.published.commits, 1);
            return None;
        };
        Published::add(&self.published.commit_failures, 1);
        // The database is sound, it was only not given the group.
        if !matches!(why, StoreError::Behind { .. } | StoreError::Unwritable) {
            (self.options.notice)(&format!("nothing is stored for now: {why}; {}", why.fix()));
            Published::set(&self.published.is_failing, 1);
            let undo = undo(&self.shelf, changes);
            self.failure = Some(Failure { why: why.clone(), undo, retry_at: retry_at() });
        }
        Some(why)
    }

    /// Opens the database again, if that is due and may help.
    fn recover(&mut self) {
        let Some(failure) = &mut self.failure else { return };
        if clock::now() < failure.retry_at {
            return;
        }
        failure.retry_at = retry_at();
        if !self.shelf.has_space() {
            return;
        }
        match self.shelf.reopen(failure.undo.as_ref()) {
            Ok(()) => {
                self.failure = None;
                Published::set(&self.published.is_failing, 0);
                Published::add(&self.published.recoveries, 1);
                (self.options.notice)("stored again");
            }
            Err(why) => failure.why = why,
        }
    }

    fn close(mut self) {
        if let Some(failure) = &mut self.failure {
            failure.retry_at = clock::now();
        }
        self.recover();
        while let Ok(message) = self.orders.try_recv() {
            let ticket = message.into_order().and_then(|order| order.ticket());
            if let Some(ticket) = ticket {
                (self.deliver)(Fate::Failed { ticket, why: StoreError::Closing });
            }
        }
        // Before the folder is let go of, so that nobody takes what is left for a crash.
        if self.failure.is_none()
            && let Err(error) = self.shelf.close()
        {
            (self.options.notice)(&format!("the end was not orderly: {error}"));
        }
    }
}

/// A load sees what is on disk, so what was ordered for its channel before has to be there.
fn needs_commit(group: &Group<'_>, order: &Order) -> bool {
    match order {
        Order::Load { channel, .. } => group.holds(channel),
        Order::Append { .. }
        | Order::Remove { .. }
        | Order::Cursor { .. }
        | Order::Note { .. }
        | Order::Expire { .. } => false,
    }
}

fn retry_at() -> Moment {
    clock::now() + Duration::from_millis(limits::STORE_RETRY_MS)
}

/// What these changes replaced: a failed commit is not in what the database shows.
fn undo(shelf: &Shelf, changes: &Changes) -> Option<Changes> {
    let before = changes.keys().map(|(table, key)| {
        let value = shelf.get(*table, key).ok()?.map(|value| value.to_vec());
        Some(((*table, key.clone()), value))
    });
    before.collect()
}
