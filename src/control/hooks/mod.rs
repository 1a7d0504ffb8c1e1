//! Back-end hooks: what shards ask and tell, over HTTP.
//!
//! Each back end has its own turns, queue and breaker, so that a slow one costs the questions that it was asked and
//! nothing else. Invariant: every question is answered exactly once, by the back end or by the fallback, within the
//! patience of its back end; nothing here waits for a shard.

mod backend;
mod breaker;
mod circle;
mod events;
mod fallback;
mod figures;
mod options;
mod plan;
mod question;
mod reply;
mod roster;

pub use breaker::Rules;
pub use options::{BackendOptions, EventOptions, Fallback, HookOptions, Transform, TransformTo};
pub use plan::HookPlan;

use super::client::Client;
use super::cores::Cores;
use super::live::Live;
use super::unwinding::{caught, caught_now};
use crate::shard::ask::{Answer, Ask, AskId, Event};
use circle::Circle;
use events::Teller;
use figures::{EventFigures, HookFigures};
use question::Topic;
use roster::{Desk, Roster};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub(super) struct Hooks {
    cores: Arc<Cores>,
    client: Client,
    /// What is configured; a reload changes it.
    wanted: watch::Receiver<HookOptions>,
    roster: Live<Roster>,
    circle: Circle,
    event_figures: Arc<EventFigures>,
}

impl Hooks {
    pub(super) fn new(plan: &HookPlan, client: &Client, cores: Arc<Cores>) -> Self {
        let mut wanted = plan.follow();
        let options = wanted.borrow_and_update().clone();
        let roster = Live::new(Roster::default().succeeded_by(options, client));
        Self {
            cores,
            client: client.clone(),
            wanted,
            roster,
            circle: Circle::default(),
            event_figures: Arc::default(),
        }
    }

    pub(super) fn figures(&self) -> HookFigures {
        HookFigures { roster: self.roster.clone(), events: Arc::clone(&self.event_figures) }
    }

    /// Answers questions until nobody can ask any more, and follows what is configured.
    pub(super) async fn run(&self, mut asks: mpsc::UnboundedReceiver<(AskId, Ask)>) {
        let mut wanted = self.wanted.clone();
        let mut may_change = true;
        loop {
            tokio::select! {
                // A question that is asked because of a reload finds the back end of that reload.
                biased;
                changed = wanted.changed(), if may_change => match changed {
                    Ok(()) => {
                        let options = wanted.borrow_and_update().clone();
                        self.roster.set(self.roster.get().succeeded_by(options, &self.client));
                    }
                    Err(_) => may_change = false,
                },
                asked = asks.recv() => match asked {
                    Some((id, ask)) => {
                        if caught_now(|| self.serve(id, ask)).is_err() {
                            self.cores.answer(id, Answer::Failed);
                        }
                    }
                    None => return,
                },
            }
        }
    }

    /// Begins to tell events. The task ends when nobody can send any more and all has been told.
    pub(super) fn tell(&self, events: mpsc::UnboundedReceiver<Event>) -> JoinHandle<()> {
        let teller = Teller::new(self.roster.clone(), Arc::clone(&self.event_figures));
        tokio::spawn(async move { teller.run(events).await })
    }

    /// Has the question answered. Never waits: what takes time becomes a task of its own, and there are bounded many.
    fn serve(&self, id: AskId, ask: Ask) {
        let Some((topic, desk)) = desk(&ask) else {
            // The sets are as fresh as they were.
            return self.cores.answer(id, Answer::Keys);
        };
        let roster = self.roster.get();
        let Some(backend) = roster.find(&desk) else {
            return self.cores.answer(id, Answer::Failed);
        };
        let Some(asked) = self.circle.join(&ask, &desk, id) else {
            return;
        };
        let Some(room) = backend.enter() else {
            return self.cores.answer(id, fallback::fallback(backend.options.fallback, topic));
        };
        let (backend, cores) = (Arc::clone(backend), Arc::clone(&self.cores));
        tokio::spawn(async move {
            let body = question::body(&ask, &backend.options);
            let headers = question::who(&ask).map(|who| Arc::clone(&who.headers)).unwrap_or_default();
            drop(ask);
            let judge = |response: &_| reply::judge(topic, &backend.options, response);
            let answer = caught(backend.ask(room, &headers, body, judge)).await.unwrap_or_default();
            let answer = answer.unwrap_or_else(|| fallback::fallback(backend.options.fallback, topic));
            for other in asked.others() {
                cores.answer(other, answer.clone());
            }
            cores.answer(id, answer);
        });
    }
}

impl Topic {
    const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Refresh => "refresh",
            Self::Subscribe => "subscribe",
            Self::SubRefresh => "sub_refresh",
            Self::CacheEmpty => "cache_empty",
            Self::Publish => "publish",
            Self::Rpc => "rpc",
        }
    }
}

/// Who is asked; none: that is no question for a back end.
fn desk(ask: &Ask) -> Option<(Topic, Desk)> {
    let topic = question::topic(ask)?;
    let hook = match ask {
        Ask::Connect { .. } | Ask::Refresh { .. } | Ask::Keys { .. } => DEFAULT,
        Ask::Subscribe { hook, .. }
        | Ask::SubRefresh { hook, .. }
        | Ask::Publish { hook, .. }
        | Ask::CacheEmpty { hook, .. }
        | Ask::Rpc { hook, .. } => hook,
    };
    let is_default = hook.is_empty() || hook == DEFAULT;
    Some((topic, if is_default { Desk::Default(topic.name()) } else { Desk::Named(Box::from(hook)) }))
}

/// What a namespace calls the back end of its topic.
const DEFAULT: &str = "default";
