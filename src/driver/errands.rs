//! What a core does for its shard beside sending: memos, orders to the store, sockets that change planes, and the news
//! that a connection has gone.
//!
//! Invariant: a memo is kept until it is posted; an order that the store does not take is answered at once; every
//! connection that has gone is reported once.

use super::Station;
use crate::control::Handover;
use crate::ids::ConnId;
use crate::shard::mail::Mail;
use crate::shard::memo::Memo;
use crate::shard::{Heard, Input, Shard};
use crate::store::{Fate, Order, Store, StoreError};
use crate::sys::mailbox::Mailbox;
use crate::time::Moment;
use rustix::fd::OwnedFd;
use std::collections::VecDeque;

pub(super) struct Errands {
    control: Mailbox<Handover>,
    memos: Mailbox<Memo>,
    /// Memos that found the control plane's mailbox full.
    kept_memos: VecDeque<Memo>,
    store: Option<Store>,
    /// Fates that need no disk.
    fates: Vec<Fate>,
    /// Connections that are gone, for the shard to hear.
    closed: Vec<ConnId>,
    is_finished: bool,
}

impl Errands {
    pub(super) fn new(station: &Station) -> Self {
        Self {
            control: station.control.clone(),
            memos: station.memos.clone(),
            kept_memos: VecDeque::new(),
            store: station.store.clone(),
            fates: Vec::new(),
            closed: Vec::new(),
            is_finished: false,
        }
    }

    pub(super) fn memo(&mut self, memo: Memo) {
        self.kept_memos.push_back(memo);
    }

    /// An order that the store does not take has failed.
    pub(super) fn order(&mut self, order: Order) {
        let refused = match &self.store {
            Some(store) => store.order(order).err(),
            None => Some(order),
        };
        if let Some(ticket) = refused.as_ref().and_then(Order::ticket) {
            self.fates.push(Fate::Failed { ticket, why: StoreError::Closing });
        }
    }

    /// A control plane that is so far behind that its mailbox is full is no help to the client: the socket is closed.
    pub(super) fn hand_over(&self, socket: OwnedFd, received: Heard) {
        let _ = self.control.post(Handover { socket, received });
    }

    pub(super) fn closed(&mut self, id: ConnId) {
        self.closed.push(id);
    }

    /// Somebody has come in after all.
    pub(super) fn resume(&mut self) {
        self.is_finished = false;
    }

    /// The drain is over.
    pub(super) fn finish(&mut self) {
        self.is_finished = true;
    }

    pub(super) fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// Tells the shard what has come of its outputs. True if there was anything.
    pub(super) fn report(&mut self, now: Moment, shard: &mut Shard) -> bool {
        let is_news = !self.fates.is_empty() || !self.closed.is_empty();
        for fate in self.fates.drain(..) {
            shard.handle(now, Input::Mail(Mail::Fate(fate)));
        }
        for conn in self.closed.drain(..) {
            shard.handle(now, Input::Closed { conn });
        }
        is_news
    }

    /// Posts what waits for the control plane, in order, as far as its mailbox takes it. True if something had to stay.
    pub(super) fn post_memos(&mut self) -> bool {
        while let Some(memo) = self.kept_memos.pop_front() {
            if let Err(memo) = self.memos.post(memo) {
                self.kept_memos.push_front(memo);
                return true;
            }
        }
        false
    }
}
