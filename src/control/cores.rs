//! The control plane's line to the cores: calls with answers, and memos that the cores write.
//!
//! Invariant: every call ends, with the outcome of each core that was asked or with `Failure::Internal` in its place
//! after `CALL_MS_MAX`. A full mailbox fails the call at once; nothing here waits for a core.

use super::unwinding::caught_now;
use crate::hub::owner_of;
use crate::ids::CoreId;
use crate::limits::CALL_MS_MAX;
use crate::shard::ask::{Answer, Ask, AskId, Event};
use crate::shard::call::{Call, CallId, Failure, Outcome};
use crate::shard::mail::Mail;
use crate::shard::memo::Memo;
use crate::shard::stream::{StreamId, StreamInput, StreamOutput};
use crate::sys::mailbox::{Inbox, Mailbox};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

/// Shared by everything on the control plane that talks to cores.
#[derive(Debug)]
pub struct Cores {
    mailboxes: Vec<Mailbox<Mail>>,
    /// The same as the shards': decides which core owns a channel.
    hash_seed: u64,
    next: AtomicU64,
    waiting: Mutex<HashMap<CallId, oneshot::Sender<Outcome>>>,
    streams: Mutex<HashMap<StreamId, Outlet>>,
}

/// Where a core's words for a stream go. Dropped with `End`, so that whoever waits for the end hears of it even if the
/// words are still waiting to be read.
#[derive(Debug)]
struct Outlet {
    outputs: mpsc::UnboundedSender<StreamOutput>,
    _open: watch::Sender<()>,
}

/// The reading end of a stream.
#[derive(Debug)]
pub struct Outputs {
    pub outputs: mpsc::UnboundedReceiver<StreamOutput>,
    /// Closed when nothing will follow.
    pub open: watch::Receiver<()>,
}

/// A call that is on its way.
#[derive(Debug)]
pub struct Started(CallId, oneshot::Receiver<Outcome>);

/// A token names a key that a core does not have.
#[derive(Debug)]
pub struct KeyAsk {
    pub id: AskId,
    pub kid: Box<str>,
    /// Of the key set.
    pub address: Box<str>,
}

/// Who serves what cores ask and tell.
#[derive(Debug)]
pub struct Desks {
    pub keys: mpsc::UnboundedSender<KeyAsk>,
    pub asks: mpsc::UnboundedSender<(AskId, Ask)>,
    pub events: mpsc::UnboundedSender<Event>,
}

impl Cores {
    pub fn new(mailboxes: Vec<Mailbox<Mail>>, hash_seed: u64) -> Arc<Self> {
        Arc::new(Self {
            mailboxes,
            hash_seed,
            next: AtomicU64::new(1),
            waiting: Mutex::default(),
            streams: Mutex::default(),
        })
    }

    pub fn count(&self) -> u16 {
        self.mailboxes.len() as u16
    }

    /// A call about one channel, answered by its owner.
    pub async fn ask_owner(&self, channel: &str, call: Call) -> Outcome {
        self.ask(owner_of(channel, self.count(), self.hash_seed), call).await
    }

    /// Puts a call into the mailbox of a channel's owner at once; `settle` waits for its outcome. For many calls of which
    /// none should wait for another.
    pub fn start_owner(&self, channel: &str, call: Call) -> Started {
        self.start(owner_of(channel, self.count(), self.hash_seed), call)
    }

    pub async fn settle(&self, Started(call, receiver): Started) -> Outcome {
        if let Ok(Ok(outcome)) = timeout(Duration::from_millis(CALL_MS_MAX), receiver).await {
            return outcome;
        }
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&call);
        Outcome::Failed(Failure::Internal)
    }

    /// A call for every core; `make` is asked for it once a core. The outcomes are in the order of cores.
    pub async fn ask_all(&self, mut make: impl FnMut() -> Call) -> Vec<Outcome> {
        let asked: Vec<_> = (0..self.count()).map(|core| self.start(CoreId(core), make())).collect();
        let mut outcomes = Vec::with_capacity(asked.len());
        for pending in asked {
            outcomes.push(self.settle(pending).await);
        }
        outcomes
    }

    pub async fn ask(&self, core: CoreId, call: Call) -> Outcome {
        self.settle(self.start(core, call)).await
    }

    /// Gives the answer back that a shard waits for. One that cannot be delivered is covered by the shard's deadline.
    pub fn answer(&self, id: AskId, answer: Answer) {
        let _ = self.post(id.core, Mail::Answer { request: id.request, answer: Box::new(answer) });
    }

    /// False when the core's mailbox is full: the stream is better ended.
    pub fn stream(&self, core: CoreId, stream: StreamId, input: StreamInput) -> bool {
        self.post(core, Mail::Stream { stream, input }).is_ok()
    }

    /// A name for a new stream, and what its core will write to it.
    pub fn open_stream(&self) -> (StreamId, Outputs) {
        let stream = StreamId(self.next.fetch_add(1, Ordering::Relaxed));
        let (sender, outputs) = mpsc::unbounded_channel();
        let (held, open) = watch::channel(());
        let outlet = Outlet { outputs: sender, _open: held };
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).insert(stream, outlet);
        (stream, Outputs { outputs, open })
    }

    pub fn close_stream(&self, stream: StreamId) {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).remove(&stream);
    }

    /// Wakes every core, for nothing.
    pub(super) fn ring(&self) {
        self.mailboxes.iter().for_each(Mailbox::ring);
    }

    pub fn post(&self, core: CoreId, mail: Mail) -> Result<(), Mail> {
        match self.mailboxes.get(core.index()) {
            Some(mailbox) => mailbox.post(mail),
            None => Err(mail),
        }
    }

    fn start(&self, core: CoreId, what: Call) -> Started {
        let call = CallId(self.next.fetch_add(1, Ordering::Relaxed));
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(call, sender);
        if self.post(core, Mail::Call { call, what: Box::new(what) }).is_err() {
            self.answered(call, Outcome::Failed(Failure::Internal));
        }
        Started(call, receiver)
    }

    fn answered(&self, call: CallId, outcome: Outcome) {
        if let Some(sender) = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&call) {
            // Nobody waits any more: the caller has gone.
            let _ = sender.send(outcome);
        }
    }

    fn write(&self, core: CoreId, stream: StreamId, output: StreamOutput) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let is_heard = if matches!(output, StreamOutput::End) {
            // A stream that has gone is ended anyway.
            streams.remove(&stream).is_none_or(|outlet| outlet.outputs.send(output).is_ok())
        } else {
            streams.get(&stream).is_some_and(|outlet| outlet.outputs.send(output).is_ok())
        };
        drop(streams);
        if !is_heard {
            self.stream(core, stream, StreamInput::Gone);
        }
    }

    /// Serves memos until it is dropped.
    pub(super) async fn run(&self, memos: &Memos, desks: &Desks) -> std::io::Error {
        loop {
            for _ in 0..BATCH_COUNT_MAX {
                let Some(memo) = memos.take() else { break };
                // Whoever waits for what is lost here has a deadline.
                let _ = caught_now(|| self.serve(memo, desks));
            }
            if let Err(error) = memos.rest().await {
                return error;
            }
        }
    }

    /// Serves what still lies there, without waiting for more.
    pub(super) fn take_rest(&self, memos: &Memos, desks: &Desks) {
        while let Some(memo) = memos.take() {
            self.serve(memo, desks);
        }
    }

    fn serve(&self, memo: Memo, desks: &Desks) {
        match memo {
            Memo::Answered { core: _, call, outcome } => self.answered(call, outcome),
            Memo::Ask { id, ask: Ask::Keys { kid, address } } => {
                if desks.keys.send(KeyAsk { id, kid, address }).is_err() {
                    self.answer(id, Answer::Keys);
                }
            }
            Memo::Ask { id, ask } => {
                if desks.asks.send((id, ask)).is_err() {
                    self.answer(id, Answer::Failed);
                }
            }
            Memo::Stream { core, stream, output } => self.write(core, stream, output),
            Memo::Event(event) => {
                // Without a desk nobody wants to know.
                let _ = desks.events.send(event);
            }
        }
    }
}

pub(super) type Memos = super::inlet::Inlet<Memo>;

/// The receiving end of the cores' memos, before there is a reactor.
pub type MemoInbox = Inbox<Memo>;

/// Memos taken before other tasks of this thread get their turn.
const BATCH_COUNT_MAX: usize = 256;
